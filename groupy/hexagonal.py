"""Pictures on the hexagonal lattice: resampling of square pixels to axial coordinates and back, masks, drawing.

An axial map is an array (..., side, side) of odd side with the cell (u, v) at [u + R, v + R], R = side // 2.
The cell (u, v) lies, in units of the lattice's spacing and from the map's centre,

    u + v / 2 rows down   and   v * sqrt(3) / 2 columns to the left.

In every embedding in which the six turns of C6 keep lengths, the units of u and v have one length and enclose
60 degrees, since a form that (u, v) -> (u + v, -u) leaves alone is a multiple of u^2 + u v + v^2. Two wishes
settle the rest: r turns counterclockwise and m turns a picture upside down, as they do in p4m on square
pixels, with u pointing down as rows do. Then v points to the left: an axial array that is printed as if it
were a picture is sheared and mirrored, and show_hexagonal shows it as it lies in the plane.

The functions that interpolate need SciPy: pip install 'groupy-gconv[hexagonal]'.
Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), sections 3 and 4.
"""

import math
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from groupy.garray.stabilizers import D6
from groupy.gconv.geometry import as_sides

# The columns are the units of u and of v, as (rows down, columns to the right).
BASIS = np.array([[1, 1 / 2], [0, -math.sqrt(3) / 2]])
BASIS.flags.writeable = False

# In pixels: the spacing at which a cell of the lattice, sqrt(3) / 2 * spacing^2, has the area of a pixel.
SPACING = math.sqrt(2 / math.sqrt(3))

# What SciPy calls the order of a spline. The cubic one passes through the pixels.
_ORDERS = {"bilinear": 1, "bicubic": 3}

# Cells at the border of a map, which a round trip is not measured at: there a cubic spline has neighbours on one side.
MARGIN = 4


def cell_positions(side):
    """Where the cells of an axial map lie: float64 (side, side, 2), (rows down, columns to the right) of the centre.

    In units of the lattice's spacing. Raises TypeError or ValueError if the side is not odd and positive.
    """
    radius = _checked_side("cell_positions", side) // 2
    return np.moveaxis(np.indices((side, side)) - radius, 0, -1) @ BASIS.T


def hexagon_mask(side):
    """The cells of an axial map that turn onto each other: booleans (side, side), a hexagon.

    They are what the layers on p6 and p6m keep of their output. Raises TypeError or ValueError for an even side.
    """
    return D6.support((_checked_side("hexagon_mask", side),) * 2)


def rectangle_mask(size, spacing=SPACING):
    """The cells whose centres lie on a picture of size (H, W): booleans (side, side), of the smallest side for that.

    A map on these cells shows all of the picture, and is not turned onto itself by 60 degrees, only by 180.
    spacing: of the lattice, in pixels
    Raises TypeError or ValueError.
    """
    size = np.array(as_sides("rectangle_mask", "size", size, 2, minimum=1))
    spacing = _checked_spacing("rectangle_mask", spacing)
    # The picture's corners are the furthest points in any direction, so also along u and v.
    corners = np.linalg.solve(BASIS, np.array([[1, 1], [1, -1]]) * size[:, None] / (2 * spacing))
    inside = (np.abs(cell_positions(2 * math.floor(np.abs(corners).max()) + 1)) * spacing <= size / 2).all(axis=-1)
    margin = np.argwhere(inside).min()
    return inside[margin : len(inside) - margin, margin : len(inside) - margin]


def inscribed_side(size, spacing=SPACING):
    """The side of the largest hexagonal map whose cells all lie on a picture of size (H, W), edge to edge.

    Edges are the centres of the outermost pixels, so that no value is extrapolated.
    spacing: of the lattice, in pixels
    Raises TypeError or ValueError.
    """
    height, width = as_sides("inscribed_side", "size", size, 2, minimum=1)
    spacing = _checked_spacing("inscribed_side", spacing)
    # The hexagon has a corner at the top; its width is sqrt(3) / 2 of its height.
    return 2 * math.floor(min(height - 1, (width - 1) * 2 / math.sqrt(3)) / (2 * spacing) + 1e-9) + 1


def to_hexagonal(picture, side=None, spacing=SPACING, order="bilinear", mask=None):
    """Resample square pixels to the hexagonal lattice: (..., H, W) -> (..., side, side), centre on centre.

    picture: real numbers; floats keep their dtype, integers and booleans become float32
    side: of the axial map, odd; inscribed_side of the picture if None, or the mask's
    spacing: of the lattice, in pixels. One coarser than SPACING takes fewer samples than there are pixels:
        blur the picture first (scipy.ndimage.gaussian_filter), since nothing here removes what then aliases
    order: 'bilinear', exact for linear functions, or 'bicubic', an interpolating cubic spline
    mask: booleans (side, side), the cells that are filled; the hexagon if None
    Cells outside the mask, or off the picture, are zero. Between the centre of an outermost pixel and its
    outer edge the picture is continued as constant.

    Raises TypeError or ValueError, naming the argument, and ImportError if SciPy is missing.
    """
    picture = _checked_values("to_hexagonal", "picture", picture)
    spacing = _checked_spacing("to_hexagonal", spacing)
    if side is None and mask is None:
        side = inscribed_side(picture.shape[-2:], spacing)
    mask = _checked_mask("to_hexagonal", side, mask)
    last = np.array(picture.shape[-2:]) - 1
    sources = cell_positions(len(mask))[mask] * spacing + last / 2
    on_picture = ((sources >= -0.5) & (sources <= last + 0.5)).all(axis=-1)
    resampled = np.zeros(picture.shape[:-2] + mask.shape, picture.dtype)
    resampled[..., mask] = np.where(on_picture, _interpolate("to_hexagonal", picture, sources, order), 0)
    return resampled


def to_square(hexagonal, size, spacing=SPACING, order="bilinear", mask=None):
    """Resample an axial map to square pixels, the way back of to_hexagonal: (..., side, side) -> (..., H, W).

    hexagonal: real numbers; floats keep their dtype, integers and booleans become float32
    size: (H, W), or one number for both
    spacing, order, mask: as to_hexagonal had them
    Interpolates along u and v. A cell outside the mask counts as the nearest one inside, so nothing fades
    towards the border; a pixel whose nearest cell is outside the mask is zero.

    Raises TypeError or ValueError, naming the argument, and ImportError if SciPy is missing.
    """
    hexagonal = _checked_values("to_square", "hexagonal", hexagonal)
    size = as_sides("to_square", "size", size, 2, minimum=1)
    spacing = _checked_spacing("to_square", spacing)
    if hexagonal.shape[-2] != hexagonal.shape[-1]:
        raise ValueError(f"to_square: an axial map has as many rows as columns, got shape {hexagonal.shape}.")
    mask = _checked_mask("to_square", hexagonal.shape[-1], mask)
    sources, shown = _axial_pixels(mask, size, spacing)
    square = np.zeros(hexagonal.shape[:-2] + size, hexagonal.dtype)
    square[..., shown] = _interpolate("to_square", _continued(hexagonal, mask), sources[shown], order)
    return square


@dataclass(frozen=True)
class RoundTripError:
    """What a picture loses on its way to the hexagonal lattice and back, in the picture's units.

    rms: the root of the mean squared difference; psnr: 20 log10(peak / rms), in decibels
    pixels: how many pixels were compared
    """

    rms: float
    psnr: float
    pixels: int


def round_trip_error(picture, spacing=SPACING, order="bilinear", peak=255):
    """The RoundTripError of to_square(to_hexagonal(picture)), in float64, over the pixels inside the hexagon.

    picture: (..., H, W), real numbers
    peak: the largest value that a pixel may have
    Pixels nearer than MARGIN cells to the border of the hexagon are not compared.

    Raises TypeError or ValueError, naming the argument, and ImportError if SciPy is missing.
    """
    picture = _checked_values("round_trip_error", "picture", picture).astype(np.float64)
    size, side = picture.shape[-2:], inscribed_side(picture.shape[-2:], spacing)
    if side <= 2 * MARGIN:
        raise ValueError(f"round_trip_error: picture {size} holds no hexagon of more than {2 * MARGIN} cells across.")
    back = to_square(to_hexagonal(picture, side, spacing, order), size, spacing, order)
    _, compared = _axial_pixels(hexagon_mask(side - 2 * MARGIN), size, spacing)
    difference = (back - picture)[..., compared]
    rms = math.sqrt(np.mean(difference**2))
    return RoundTripError(rms, 20 * math.log10(peak / rms) if rms else math.inf, int(compared.sum()))


def show_hexagonal(axes, values, mask=None, vmin=None, vmax=None, **style):
    """Draw an axial map as the hexagons it consists of, as it lies in the plane; returns the PolyCollection.

    axes: Matplotlib's
    values: (side, side), coloured from vmin to vmax, or over their own range; or (3, side, side), red, green and blue
        from 0 to 1
    mask: booleans (side, side), the cells drawn; the hexagon if None
    style: further properties of the PolyCollection, as cmap
    Needs Matplotlib: pip install 'groupy-gconv[plot]'. Raises ValueError if the shapes do not fit.
    """
    collections = _needed("show_hexagonal", "matplotlib.collections", "Matplotlib", "plot")
    values = np.asarray(values)
    if values.ndim not in (2, 3) or (values.ndim == 3 and len(values) != 3) or values.shape[-2] != values.shape[-1]:
        raise ValueError(f"show_hexagonal: values must be (side, side) or (3, side, side), got {values.shape}.")
    mask = _checked_mask("show_hexagonal", values.shape[-1], mask)
    rows, columns = cell_positions(len(mask))[mask].T
    angles = np.arange(6) * math.pi / 3  # a cell's neighbours are above and below it, so it has corners left and right
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=-1) / math.sqrt(3)
    hexagons = np.stack([columns, rows], axis=-1)[:, None] + corners
    colours = {"array": values[mask]} if values.ndim == 2 else {"facecolors": np.clip(values[:, mask].T, 0, 1)}
    # Antialiasing would leave hairlines between neighbours.
    cells = collections.PolyCollection(hexagons, **{"antialiaseds": False, "linewidths": 0, **colours, **style})
    cells.set_clim(vmin, vmax)
    axes.add_collection(cells)
    axes.set(aspect="equal", xlim=_around(columns), ylim=_around(rows)[::-1])
    return cells


def _around(coordinates):
    return coordinates.min() - 1, coordinates.max() + 1


def _interpolate(function, values, sources, order):
    """values (..., A, B) at the points sources (n, 2), in steps of A and B: float64 (..., n)."""
    if order not in _ORDERS:
        raise ValueError(f"{function}: order must be one of {', '.join(map(repr, _ORDERS))}, got {order!r}.")
    ndimage = _needed(function, "scipy.ndimage", "SciPy", "hexagonal")
    points = np.clip(sources, 0, np.array(values.shape[-2:]) - 1).T
    channels = values.reshape(-1, *values.shape[-2:]).astype(np.float64)
    found = [ndimage.map_coordinates(channel, points, order=_ORDERS[order], mode="mirror") for channel in channels]
    return np.reshape(found, values.shape[:-2] + (len(sources),))


def _axial_pixels(mask, size, spacing):
    """Where pixels lie in steps of the axial array, (H, W, 2), and which of them have their nearest cell in mask."""
    radius = len(mask) // 2
    centred = np.moveaxis(np.indices(size), 0, -1) - (np.array(size) - 1) / 2
    axial = centred @ np.linalg.inv(BASIS).T / spacing
    # With a third coordinate, minus the sum of the others, the cells are the integer points of a plane. Rounding
    # leads out of it where the three roundings do not cancel; then the coordinate rounded furthest was wrong.
    cube = np.concatenate([axial, -axial.sum(axis=-1, keepdims=True)], axis=-1)
    cells = np.rint(cube)
    furthest = np.abs(cells - cube).argmax(axis=-1)[..., None] == np.arange(3)
    cells = (cells - furthest * cells.sum(axis=-1, keepdims=True))[..., :2].astype(int) + radius
    in_array = ((cells >= 0) & (cells < len(mask))).all(axis=-1)
    cells = np.where(in_array[..., None], cells, 0)
    return axial + radius, in_array & mask[cells[..., 0], cells[..., 1]]


def _continued(values, mask):
    """values (..., side, side) with each cell outside the mask as the nearest one inside."""
    if mask.all():
        return values
    spatial = _needed("to_square", "scipy.spatial", "SciPy", "hexagonal")
    positions = cell_positions(len(mask))
    _, nearest = spatial.cKDTree(positions[mask]).query(positions[~mask])
    continued = values.copy()
    continued[..., ~mask] = values[..., mask][..., nearest]
    return continued


def _checked_values(function, name, values):
    values = np.asarray(values)
    if values.dtype.kind in "biu":
        values = values.astype(np.float32)
    if values.dtype.kind != "f":
        raise TypeError(f"{function}: {name} must have real numbers, got dtype {values.dtype}.")
    if values.ndim < 2 or 0 in values.shape:
        raise ValueError(f"{function}: {name} must be (..., rows, columns), none of them zero; got {values.shape}.")
    return values


def _checked_side(function, side):
    side = as_sides(function, "side", side, 2, minimum=1)
    if side[0] != side[1] or side[0] % 2 == 0:
        raise ValueError(
            f"{function}: side must be odd, got {' x '.join(map(str, dict.fromkeys(side)))}: a hexagon has its centre "
            "on a cell."
        )
    return side[0]


def _checked_mask(function, side, mask):
    if mask is None:
        return hexagon_mask(_checked_side(function, side))
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim != 2 or mask.shape[0] != mask.shape[1] or len(mask) % 2 == 0 or not mask.any():
        raise ValueError(
            f"{function}: mask must be booleans (side, side), side odd, some of them true; got shape {mask.shape}, "
            f"dtype {mask.dtype}."
        )
    if side is not None and side != len(mask):
        raise ValueError(f"{function}: mask is {len(mask)} x {len(mask)}, and side is {side!r}; give one of the two.")
    return mask


def _checked_spacing(function, spacing):
    try:
        is_positive = 0 < float(spacing) < math.inf
    except (TypeError, ValueError):
        raise TypeError(f"{function}: spacing must be a number of pixels, got {spacing!r}.") from None
    if not is_positive:
        raise ValueError(f"{function}: spacing must be a positive number of pixels, got {spacing!r}.")
    return float(spacing)


def _needed(function, module, package, extra):
    try:
        return import_module(module)
    except ImportError:
        raise ImportError(f"{function} needs {package}: pip install 'groupy-gconv[{extra}]'.") from None
