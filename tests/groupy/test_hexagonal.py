"""Resampling to the hexagonal lattice and back: its geometry, exactness, masks, errors on photographs, and drawing."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from groupy.garray.C6_array import C6
from groupy.garray.D6_array import D6
from groupy.gconv.reference import left_translate
from groupy.hexagonal import (
    BASIS,
    SPACING,
    cell_positions,
    hexagon_mask,
    inscribed_side,
    rectangle_mask,
    round_trip_error,
    show_hexagonal,
    to_hexagonal,
    to_square,
)

needs_scipy = pytest.mark.skipif(not find_spec("scipy"), reason="SciPy is not installed")
needs_photographs = pytest.mark.skipif(
    not all(map(find_spec, ("scipy", "sklearn", "matplotlib", "PIL"))),
    reason="SciPy, or a package that has the photographs, is not installed",
)
needs_matplotlib = pytest.mark.skipif(not find_spec("matplotlib"), reason="Matplotlib is not installed")

ROUNDING = 1e-12  # for sums of a few dozen float64 terms of magnitude 1


def plane(matrix):
    """An integer matrix on (u, v) as the matrix on (rows down, columns to the right)."""
    return BASIS @ matrix @ np.linalg.inv(BASIS)


def turned(values, element):
    """An axial map (..., side, side) moved by an element of C6 or D6."""
    return left_translate(values[..., None, :, :], None, element)[..., 0, :, :]


def sampled(function, size):
    """A function of (rows, columns) from the centre, in pixels, at the pixels of a picture."""
    rows, columns = np.indices(size) - (np.array(size)[:, None, None] - 1) / 2
    return function(rows, columns)


def sampled_on_cells(function, side, spacing):
    rows, columns = np.moveaxis(cell_positions(side) * spacing, -1, 0)
    return np.where(hexagon_mask(side), function(rows, columns), 0)


class TestGeometry:
    @pytest.mark.parametrize("matrix", D6.stabilizer.matrices, ids=D6.stabilizer.words)
    def test_every_element_of_d6_keeps_lengths_in_the_plane(self, matrix):
        np.testing.assert_allclose(plane(matrix) @ plane(matrix).T, np.eye(2), atol=ROUNDING)

    @pytest.mark.parametrize("r", range(6))
    def test_r_turns_counterclockwise_by_60_degrees(self, r):
        right, up = np.array([0, 1]), np.array([-1, 0])
        angle = r * np.pi / 3
        moved = plane(C6.stabilizer.matrices[r]) @ right
        np.testing.assert_allclose(moved, np.cos(angle) * right + np.sin(angle) * up, atol=ROUNDING)

    def test_m_turns_upside_down(self):
        m = D6.stabilizer.matrices[D6.stabilizer.words.index("m")]
        np.testing.assert_allclose(plane(m), np.diag([-1, 1]), atol=ROUNDING)

    def test_rows_of_the_array_point_down(self):
        np.testing.assert_array_equal(cell_positions(5)[:, 2], [[-2, 0], [-1, 0], [0, 0], [1, 0], [2, 0]])

    def test_each_cell_has_six_neighbours_at_distance_one(self):
        distances = np.linalg.norm(cell_positions(5).reshape(-1, 2), axis=-1)
        assert np.isclose(distances, 1).sum() == 6 and np.isclose(distances, 0).sum() == 1
        assert (distances[~np.isclose(distances, 0)] > 1 - ROUNDING).all()

    def test_a_cell_at_the_default_spacing_has_the_area_of_a_pixel(self):
        assert abs(abs(np.linalg.det(BASIS)) * SPACING**2 - 1) < ROUNDING

    @pytest.mark.parametrize("side", [0, 4, (3, 5)])
    def test_a_side_that_is_not_odd_is_refused(self, side):
        with pytest.raises(ValueError, match=r"cell_positions: side must be"):
            cell_positions(side)


class TestMasks:
    @pytest.mark.parametrize("group", [C6, D6], ids=["C6", "D6"])
    @pytest.mark.parametrize("side", [1, 3, 5, 9, 13])
    def test_the_hexagon_is_the_stabilizers_support(self, side, group):
        np.testing.assert_array_equal(hexagon_mask(side), group.stabilizer.support((side, side)))

    @pytest.mark.parametrize("radius", range(6))
    def test_the_hexagon_has_the_cells_within_so_many_steps(self, radius):
        assert hexagon_mask(2 * radius + 1).sum() == 1 + 3 * radius * (radius + 1)

    @pytest.mark.parametrize("size", [(1, 1), (4, 7), (7, 4), (9, 9), (30, 5)])
    @pytest.mark.parametrize("spacing", [SPACING, 0.5, 2.0])
    def test_the_rectangle_has_the_cells_on_the_picture(self, size, spacing):
        mask = rectangle_mask(size, spacing)
        positions = np.abs(cell_positions(len(mask))) * spacing
        np.testing.assert_array_equal(mask, (positions <= np.array(size) / 2).all(axis=-1))
        assert len(mask) == 1 or mask[[0, -1]].any() or mask[:, [0, -1]].any()

    def test_no_cell_on_the_picture_lies_outside_of_the_rectangles_array(self):
        mask = rectangle_mask((11, 17))
        wide = (np.abs(cell_positions(len(mask) + 8)) * SPACING <= np.array([11, 17]) / 2).all(axis=-1)
        assert wide.sum() == mask.sum()

    def test_the_rectangle_has_as_many_cells_as_the_picture_pixels_but_for_its_border(self):
        assert abs(rectangle_mask((60, 80)).sum() - 60 * 80) < 60 + 80

    @pytest.mark.parametrize("r, stays", [(3, True), (1, False)])
    def test_the_rectangle_turns_onto_itself_by_180_degrees_only(self, r, stays):
        mask = rectangle_mask((6, 9))
        assert np.array_equal(turned(mask, C6[r]), mask) is stays

    @pytest.mark.parametrize("size", [(1, 1), (20, 30), (30, 20), (33, 33), (400, 41)])
    def test_the_inscribed_hexagon_is_the_largest_on_the_picture(self, size):
        side = inscribed_side(size)
        last = (np.array(size) - 1) / 2 + ROUNDING
        fits = [(np.abs(cell_positions(s)[hexagon_mask(s)]) * SPACING <= last).all() for s in (side, side + 2)]
        assert fits == [True, False]

    def test_a_hexagon_that_touches_the_edge_counts_as_inscribed(self):
        assert inscribed_side((34, 99), spacing=1.1) == 31  # though 33 / 2.2 is no less than 15 only up to rounding


@needs_scipy
class TestExactness:
    SIZE, SIDE = (61, 71), 31

    @pytest.mark.parametrize("order", ["bilinear", "bicubic"])
    @pytest.mark.parametrize("spacing", [SPACING, 0.7])
    def test_a_constant_stays_the_constant(self, order, spacing):
        resampled = to_hexagonal(np.full((9, 12), 7.0), spacing=spacing, order=order)
        np.testing.assert_allclose(resampled, 7 * hexagon_mask(len(resampled)), atol=10 * ROUNDING)

    # Far from the edges: what a cubic spline assumes there fades by 0.27 with each pixel.
    @pytest.mark.parametrize(
        "order, degree", [("bilinear", 1), ("bicubic", 1), ("bicubic", 2), ("bicubic", 3)], ids=lambda v: str(v)
    )
    def test_polynomials_are_resampled_exactly(self, order, degree):
        def polynomial(u, v):
            return ((u - 2 * v + 3) / 50) ** degree

        resampled = to_hexagonal(sampled(polynomial, self.SIZE), self.SIDE, order=order)
        np.testing.assert_allclose(resampled, sampled_on_cells(polynomial, self.SIDE, SPACING), atol=ROUNDING)

    @pytest.mark.parametrize("order, degree", [("bilinear", 2), ("bicubic", 4)])
    def test_higher_degrees_are_not(self, order, degree):
        resampled = to_hexagonal(sampled(lambda u, v: (u / 10) ** degree, self.SIZE), self.SIDE, order=order)
        exact = sampled_on_cells(lambda u, v: (u / 10) ** degree, self.SIDE, SPACING)
        assert np.abs(resampled - exact).max() > 1e6 * ROUNDING

    @pytest.mark.parametrize("order, degree", [("bilinear", 1), ("bicubic", 3)])
    def test_the_way_back_is_exact_for_them_too(self, order, degree):
        def polynomial(u, v):
            return ((u + 3 * v - 1) / 50) ** degree

        shown = to_square(sampled_on_cells(polynomial, 91, SPACING), 21, order=order)
        np.testing.assert_allclose(shown, sampled(polynomial, (21, 21)), atol=ROUNDING)

    @pytest.mark.parametrize("order", ["bilinear", "bicubic"])
    def test_pixels_that_lie_on_cells_are_copied(self, order, rng):
        picture = rng.integers(0, 256, (21, 21)).astype(float)
        resampled = to_hexagonal(picture, spacing=1, order=order)
        np.testing.assert_allclose(resampled[:, len(resampled) // 2], picture[:, 10], atol=256 * ROUNDING)


@needs_scipy
@pytest.mark.parametrize("order", ["bilinear", "bicubic"])
class TestSymmetry:
    # A bit of rounding: the pixel opposite of one at coordinate c is at n - 1 - c only up to an ulp.
    @pytest.mark.parametrize("size", [(20, 30), (21, 21), (21, 16)])
    def test_resampling_the_half_turned_picture_half_turns_the_map(self, order, size, rng):
        picture = rng.standard_normal((2, *size))
        there = to_hexagonal(picture[..., ::-1, ::-1], order=order)
        np.testing.assert_allclose(there, turned(to_hexagonal(picture, order=order), C6[3]), atol=50 * ROUNDING)

    def test_resampling_the_picture_upside_down_mirrors_the_map(self, order, rng):
        picture = rng.standard_normal((20, 30))
        m = D6[D6.stabilizer.words.index("m")]
        there = to_hexagonal(picture[::-1], order=order)
        np.testing.assert_allclose(there, turned(to_hexagonal(picture, order=order), m), atol=50 * ROUNDING)

    @pytest.mark.parametrize("r", range(6))
    def test_resampling_a_smooth_picture_turned_by_60_degrees_turns_the_map(self, order, r):
        def smooth(rows, columns):
            return np.sin(rows / 9 + 1) * np.cos(columns / 7) + columns / 40

        # (L_r f)(p) = f(R_r^-1 p), in the plane.
        inverse = plane(C6.stabilizer.matrices[r]).T

        def smooth_turned(rows, columns):
            return smooth(*np.einsum("ij,j...->i...", inverse, np.stack([rows, columns])))

        there = to_hexagonal(sampled(smooth_turned, (81, 81)), 61, order=order)
        here = turned(to_hexagonal(sampled(smooth, (81, 81)), 61, order=order), C6[r])
        # Linear interpolation errs by at most h^2 / 8 * |f''| along each axis; |f''| <= 1 / 81 + 1 / 49 in all.
        assert np.abs(there - here).max() < 2 * (1 / 81 + 1 / 49) / 8
        wrong_way = turned(to_hexagonal(sampled(smooth, (81, 81)), 61, order=order), C6[(6 - r) % 6])
        assert r in (0, 3) or np.abs(there - wrong_way).max() > 0.5

    def test_the_way_back_half_turns_with_the_map(self, order, rng):
        # Zero at the border, since of two cells that are equally near either may be the one to continue with.
        values = np.pad(rng.standard_normal((17, 17)) * hexagon_mask(17), 2)
        there = to_square(turned(values, C6[3]), (24, 25), order=order)
        back = to_square(values, (24, 25), order=order)[::-1, ::-1]
        np.testing.assert_allclose(there, back, atol=50 * ROUNDING)


@needs_scipy
class TestArrays:
    @pytest.mark.parametrize("shape", [(9, 12), (3, 9, 12), (2, 1, 9, 12)])
    def test_leading_axes_are_kept(self, shape, rng):
        picture = rng.standard_normal(shape)
        resampled = to_hexagonal(picture)
        side = inscribed_side((9, 12))
        assert resampled.shape == shape[:-2] + (side, side)
        assert to_square(resampled, (9, 12)).shape == shape
        np.testing.assert_array_equal(
            resampled.reshape(-1, side, side)[-1], to_hexagonal(picture.reshape(-1, 9, 12)[-1])
        )

    @pytest.mark.parametrize(
        "dtype, due",
        [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), ("u1", "f4"), ("i8", "f4"), ("?", "f4")],
    )
    def test_floats_keep_their_dtype_and_the_rest_becomes_float32(self, dtype, due):
        assert to_hexagonal(np.ones((5, 5), dtype)).dtype == due
        assert to_square(np.ones((5, 5), dtype), 5).dtype == due

    def test_cells_outside_of_the_mask_are_zero(self):
        mask = rectangle_mask((6, 9))
        np.testing.assert_array_equal(to_hexagonal(np.ones((6, 9)), mask=mask) != 0, mask)
        np.testing.assert_array_equal(to_hexagonal(np.ones((6, 9)), side=5) != 0, hexagon_mask(5))

    def test_cells_off_the_picture_are_zero(self):
        resampled = to_hexagonal(np.ones((5, 5)), side=11, spacing=1)
        on_picture = (np.abs(cell_positions(11)) <= 2.5).all(axis=-1)
        np.testing.assert_allclose(resampled, on_picture & hexagon_mask(11), atol=ROUNDING)

    def test_every_pixel_of_a_map_on_the_picture_is_shown_but_for_the_border(self):
        mask = rectangle_mask((20, 30))
        assert (to_square(to_hexagonal(np.ones((20, 30)), mask=mask), (20, 30), mask=mask)[1:-1, 1:-1] != 0).all()

    @pytest.mark.parametrize("order", ["bilinear", "bicubic"])
    def test_nothing_fades_towards_the_border(self, order):
        shown = to_square(hexagon_mask(15).astype(float), 20, order=order)
        np.testing.assert_allclose(shown[shown != 0], 1, atol=10 * ROUNDING)
        # The map has 15 cells from top to bottom, and as many columns, each sqrt(3) / 2 apart.
        height, width = ((shown != 0).any(axis=axis).sum() for axis in (1, 0))
        assert height == round(15 * SPACING) and abs(width - 15 * np.sqrt(3) / 2 * SPACING) < 2

    @pytest.mark.parametrize("mask", [hexagon_mask(7), rectangle_mask((5, 4), 1), np.ones((5, 5), bool)])
    def test_pixels_are_shown_whose_nearest_cell_is_in_the_map(self, mask):
        wide, spacing = cell_positions(15), 9.3  # no pixel is as near to two cells
        pixels = np.stack(np.indices((101, 121)), axis=-1) - [50, 60]
        nearest = (
            np.linalg.norm(pixels[:, :, None, None] - wide * spacing, axis=-1).reshape(101, 121, -1).argmin(axis=-1)
        )
        due = np.pad(mask, (15 - len(mask)) // 2).reshape(-1)[nearest]
        shown = to_square(np.ones(mask.shape), (101, 121), spacing, mask=mask) != 0
        np.testing.assert_array_equal(shown, due)

    @pytest.mark.parametrize("order", ["bilinear", "bicubic"])
    def test_beyond_the_outermost_centres_the_picture_is_constant(self, order):
        mask = rectangle_mask((30, 41), 0.3)
        columns = np.clip(cell_positions(len(mask))[mask][:, 1] * 0.3 + 20, 0, 40)
        assert (columns == 0).any() and (columns == 40).any()
        resampled = to_hexagonal(np.broadcast_to(np.arange(41.0), (30, 41)), spacing=0.3, order=order, mask=mask)[mask]
        # The spline that passes through a ramp is no straight line near the edge, but its edge pixel is.
        shown = slice(None) if order == "bilinear" else (columns == 0) | (columns == 40)
        np.testing.assert_allclose(resampled[shown], columns[shown], atol=50 * ROUNDING)

    def test_a_pixel_shows_the_cell_that_it_lies_on(self):
        values = np.zeros((7, 7))
        values[1, 4] = 1  # u = -2, v = 1
        shown = to_square(values, 141, spacing=20)
        row, column = np.unravel_index(shown.argmax(), shown.shape)
        np.testing.assert_allclose([row - 70, column - 70], cell_positions(7)[1, 4] * 20, atol=0.5)


@needs_scipy
class TestErrors:
    @pytest.mark.parametrize(
        "arguments, error, words",
        [
            ({"order": "nearest"}, ValueError, "order must be one of 'bilinear', 'bicubic', got 'nearest'"),
            ({"spacing": 0}, ValueError, "spacing must be a positive number of pixels, got 0"),
            ({"spacing": float("nan")}, ValueError, "spacing must be a positive number of pixels, got nan"),
            ({"spacing": "wide"}, TypeError, "spacing must be a number of pixels, got 'wide'"),
            ({"side": 4}, ValueError, "side must be odd, got 4: a hexagon has its centre on a cell"),
            ({"side": 2.5}, TypeError, "side must be an integer"),
            ({"mask": np.ones((4, 4), bool)}, ValueError, r"mask must be booleans \(side, side\), side odd"),
            ({"mask": np.ones((5, 5))}, ValueError, r"got shape \(5, 5\), dtype float64"),
            ({"mask": np.zeros((5, 5), bool)}, ValueError, "some of them true"),
            ({"mask": np.ones((5, 5), bool), "side": 7}, ValueError, "mask is 5 x 5, and side is 7; give one"),
            ({"picture": np.ones((5, 5), complex)}, TypeError, "picture must have real numbers, got dtype complex128"),
            ({"picture": np.ones(5)}, ValueError, r"picture must be \(..., rows, columns\)"),
            ({"picture": np.ones((0, 5))}, ValueError, r"none of them zero; got \(0, 5\)"),
        ],
    )
    def test_a_bad_argument_is_named_with_its_value(self, arguments, error, words):
        with pytest.raises(error, match=f"to_hexagonal: .*{words}"):
            to_hexagonal(**{"picture": np.ones((9, 9)), **arguments})

    @pytest.mark.parametrize(
        "arguments, words",
        [
            ({"hexagonal": np.ones((5, 7))}, r"as many rows as columns, got shape \(5, 7\)"),
            ({"hexagonal": np.ones((4, 4))}, "side must be odd, got 4"),
            ({"size": 0}, "size must be an integer or a pair, each at least 1"),
            ({"mask": hexagon_mask(7)}, "mask is 7 x 7, and side is 5"),
        ],
    )
    def test_to_square_names_what_does_not_fit(self, arguments, words):
        with pytest.raises(ValueError, match=words):
            to_square(**{"hexagonal": np.ones((5, 5)), "size": 9, **arguments})

    def test_a_picture_too_small_to_measure_is_refused(self):
        with pytest.raises(ValueError, match=r"round_trip_error: picture \(9, 9\) holds no hexagon of more than 8"):
            round_trip_error(np.ones((9, 9)))


def block(monkeypatch, package):
    """Make importing the package fail, as if it were not installed."""
    for name in {package, *(name for name in sys.modules if name.startswith(f"{package}."))}:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("function", [to_hexagonal, lambda values: to_square(values, 5)])
def test_without_scipy_the_extra_to_install_is_named(function, monkeypatch):
    block(monkeypatch, "scipy")
    with pytest.raises(ImportError, match=r"needs SciPy: pip install 'groupy-gconv\[hexagonal\]'"):
        function(np.ones((5, 5)))


def test_without_matplotlib_the_extra_to_install_is_named(monkeypatch):
    block(monkeypatch, "matplotlib")
    with pytest.raises(ImportError, match=r"show_hexagonal needs Matplotlib: pip install 'groupy-gconv\[plot\]'"):
        show_hexagonal(None, np.ones((5, 5)))


@needs_scipy
class TestRoundTrip:
    def test_the_error_is_that_of_the_pixels_inside(self, rng):
        picture = rng.integers(0, 256, (40, 40))
        error = round_trip_error(picture)
        side = inscribed_side((40, 40))
        inner = to_square(np.ones((side - 8, side - 8)), 40) != 0
        difference = (to_square(to_hexagonal(picture.astype(float)), 40) - picture)[inner]
        assert error.pixels == inner.sum()
        np.testing.assert_allclose(error.rms, np.sqrt((difference**2).mean()))
        np.testing.assert_allclose(error.psnr, 10 * np.log10(255**2 / (difference**2).mean()))

    def test_a_constant_picture_loses_nothing(self):
        assert round_trip_error(np.full((40, 40), 128)).rms < 1e-9

    def test_nothing_lost_is_infinitely_far_below_the_peak(self):
        assert round_trip_error(np.zeros((40, 40))).psnr == np.inf


@needs_matplotlib
class TestDrawing:
    @pytest.fixture
    def axes(self):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2, 2), dpi=100)
        FigureCanvasAgg(figure)
        return figure.add_axes((0, 0, 1, 1))

    def drawn(self, axes):
        axes.set_axis_off()
        axes.figure.canvas.draw()
        return np.asarray(axes.figure.canvas.buffer_rgba())[..., :3].astype(int)

    def test_each_cell_is_a_hexagon_around_its_position(self, axes):
        cells = show_hexagonal(axes, np.arange(25.0).reshape(5, 5))
        centres = np.array([path.vertices[:6].mean(axis=0)[::-1] for path in cells.get_paths()])
        np.testing.assert_allclose(centres, cell_positions(5)[hexagon_mask(5)], atol=ROUNDING)
        np.testing.assert_array_equal(cells.get_array(), np.arange(25.0).reshape(5, 5)[hexagon_mask(5)])
        # Neighbours share an edge: half a step from each centre, and as long as the hexagon's radius.
        corners = cells.get_paths()[0].vertices[:6] - centres[0][::-1]
        np.testing.assert_allclose(np.linalg.norm(corners, axis=-1), 1 / np.sqrt(3))
        np.testing.assert_allclose(corners[[1, 2]].mean(axis=0), [0, 0.5], atol=ROUNDING)

    def test_colours_run_over_the_range_that_is_asked_for(self, axes):
        assert show_hexagonal(axes, np.ones((5, 5)), vmin=-2, vmax=3, cmap="magma").get_clim() == (-2, 3)

    @pytest.mark.parametrize("u, v, row, column", [(2, 0, 1, 0), (-2, 0, -1, 0), (0, 2, 0.5, -0.9), (0, -2, -0.5, 0.9)])
    def test_rows_are_drawn_downwards(self, axes, u, v, row, column):
        values = np.zeros((3, 5, 5))
        values[0, u + 2, v + 2] = 1
        show_hexagonal(axes, values)
        reds = np.argwhere((self.drawn(axes) == (255, 0, 0)).all(axis=-1))
        assert len(reds)
        np.testing.assert_allclose((reds.mean(axis=0) - 100) / 67, [row, column], atol=0.05)

    def test_no_background_shows_between_the_cells(self, axes):
        show_hexagonal(axes, np.zeros((3, 21, 21)))
        assert (self.drawn(axes)[60:140, 60:140] == 0).all()

    @pytest.mark.parametrize("shape", [(5,), (4, 5, 5), (5, 7)])
    def test_other_shapes_are_refused(self, axes, shape):
        with pytest.raises(ValueError, match=r"show_hexagonal: values must be \(side, side\) or \(3, side, side\)"):
            show_hexagonal(axes, np.ones(shape))
