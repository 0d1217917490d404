"""The subjects of the checks: layers and small networks, and the sizes they are tried at.

What is tried follows from the groups in groupy.gconv.layer_specs and from the properties of their
stabilizers, not from names: a group that add_group makes known gets its subjects like every other.
Sizes are as small as the property allows: the reference visits every (h, g, tap) in a loop.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import count
from typing import Optional

import numpy as np

from conformance.network import (
    BatchNorm,
    Conv,
    CosetMaxPool,
    Induce,
    ReLU,
    Restrict,
    SpatialMaxPool,
    Square,
    Unrestrict,
    groups_of,
)
from conformance.pictures import Picture
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS
from groupy.gconv.reference import domain


@dataclass(frozen=True)
class Subject:
    """What is built and run: a network, the shape (N, C, S, H, W) of its input, its dtype.

    group: the stabilizer whose elements the output follows
    every_element: try them all; otherwise generators, where there are more than FEW_ELEMENTS
    picture: the input, if it is not to be drawn at random
    """

    name: str
    network: tuple
    group: FiniteGroup
    x_shape: tuple
    dtype: str
    training: bool = False
    every_element: bool = True
    picture: Optional[Picture] = None

    @property
    def groups(self):
        """The stabilizers that input and output are maps on: `group`, or what it is a subgroup of."""
        return groups_of(self.network, self.group)

    @property
    def domain(self):
        """The points that an input has, booleans (H, W): on the hexagonal grid a hexagon, elsewhere all."""
        of_input, of_output = (domain(group, self.x_shape[3:]) for group in self.groups)
        return of_input & of_output


# All elements of larger groups are tried at one size of each layer, each companion and each network. At the others
# their generators are: what follows these follows their products, and Oh alone has 48 elements, at 20 ms each.
FEW_ELEMENTS = 8


def elements_tried(subject):
    """The positions in the group's list of the elements that equivariance is tried under."""
    stabilizer = subject.group.stabilizer
    if subject.every_element or stabilizer.order <= FEW_ELEMENTS:
        return list(range(stabilizer.order))
    return [stabilizer.words.index(name) for name in stabilizer.names]


# For each kind of grid: ksize, stride, pad, in channels, out channels, batch, size, dtype, and options of Conv.
# The first size of each is the usual layer, at which every element is tried. A group gets those whose kernel its
# stabilizer maps onto itself. Every size keeps equivariance: size + 2 * pad - ksize is a multiple of the stride,
# on the hexagonal grid of twice the stride.
_SQUARE: tuple = (
    (3, 1, 1, 3, 4, 2, (8, 8), "float32", {}),
    (3, 1, 1, 3, 4, 2, (8, 8), "float64", {}),
    (1, 1, 0, 1, 1, 1, (5, 5), "float32", {}),  # the smallest of everything
    (2, 1, 0, 2, 3, 2, (6, 6), "float32", {}),  # even: turns about a corner
    (3, 2, 1, 2, 2, 3, (9, 9), "float32", {}),  # strided
    (4, 1, 2, 2, 3, 1, (7, 7), "float64", {}),
    (5, 1, 2, 2, 4, 4, (8, 10), "float32", {}),  # a picture that is not square
    (6, 2, 1, 1, 2, 2, (10, 10), "float32", {}),  # even and strided
    (7, 1, 3, 1, 2, 1, (9, 9), "float64", {}),
    (3, 1, 0, 32, 32, 1, (5, 5), "float32", {}),  # the longest sums: 32 * 8 * 9 terms
    (3, 1, 1, 1, 32, 8, (6, 6), "float32", {"bias": False}),
    (3, 1, 1, 4, 4, 2, (7, 7), "float32", {"masked": True}),
    (3, 3, 0, 2, 2, 2, (9, 9), "float64", {"bias": False}),
    (2, 2, 0, 4, 2, 1, (8, 8), "float64", {"masked": True}),
    ((3, 5), 1, 1, 2, 3, 2, (7, 8), "float32", {}),  # kernels that are not square, and pictures that are not
    ((2, 3), 1, 1, 3, 2, 1, (6, 9), "float64", {"masked": True}),
    ((1, 4), 2, 0, 2, 2, 2, (5, 8), "float32", {"bias": False}),  # strided
)
_HEXAGONAL: tuple = (
    (3, 1, 1, 3, 4, 2, (7, 7), "float32", {}),
    (3, 1, 1, 3, 4, 2, (7, 7), "float64", {}),
    (1, 1, 0, 1, 1, 1, (5, 5), "float32", {}),
    (3, 1, 0, 2, 3, 2, (5, 5), "float32", {}),  # no output feels the border
    (3, 2, 0, 2, 2, 3, (7, 7), "float32", {}),  # strided
    (3, 2, 1, 2, 3, 1, (9, 9), "float64", {}),
    (5, 1, 2, 2, 3, 2, (7, 7), "float32", {}),
    (5, 1, 1, 1, 2, 2, (9, 9), "float64", {"bias": False}),
    (3, 1, 0, 32, 16, 1, (5, 5), "float32", {}),  # the longest sums: 32 * 12 * 7 terms
    (3, 1, 1, 4, 4, 2, (7, 7), "float32", {"masked": True}),
)
_CUBIC: tuple = (
    (3, 1, 1, 2, 2, 1, (4, 4, 4), "float32", {}),
    (3, 1, 1, 1, 2, 1, (4, 4, 4), "float64", {}),
    (1, 1, 0, 1, 1, 1, (3, 3, 3), "float32", {}),
    (2, 1, 0, 2, 2, 2, (4, 4, 4), "float32", {}),  # even: turns about a corner
    (3, 2, 1, 1, 2, 2, (5, 5, 5), "float32", {}),  # strided
    (2, 2, 0, 2, 1, 1, (4, 4, 4), "float64", {"bias": False}),
    (3, 1, 1, 1, 2, 1, (3, 4, 5), "float32", {}),  # a volume that is not a cube
    (5, 1, 1, 1, 1, 1, (4, 4, 4), "float32", {}),
    (3, 1, 0, 16, 2, 1, (4, 4, 4), "float32", {}),  # the longest sums: 16 * 48 * 27 terms
    (3, 1, 0, 2, 2, 2, (4, 4, 4), "float32", {"masked": True}),
    ((1, 3, 3), 1, 1, 2, 2, 1, (3, 4, 5), "float32", {}),  # flat and tall kernels, along each axis
    ((3, 2, 2), 1, 0, 1, 2, 2, (5, 4, 4), "float64", {"masked": True}),
    ((2, 2, 3), 1, 1, 1, 2, 1, (3, 4, 4), "float32", {"bias": False}),
    ((2, 1, 3), 1, 0, 1, 2, 1, (3, 3, 4), "float64", {}),
)
# No group of this library's: hexagonal columns. Cubes of odd side hold them.
_HEXAGONAL_3D: tuple = (
    (3, 1, 1, 2, 2, 1, (5, 5, 5), "float32", {}),
    (1, 1, 0, 1, 2, 1, (3, 3, 3), "float64", {}),
    (3, 2, 0, 1, 2, 1, (7, 7, 7), "float32", {"bias": False}),
    (3, 1, 0, 2, 2, 1, (5, 5, 5), "float64", {"masked": True}),
)
_LAYER_SIZES = {(2, True): _SQUARE, (2, False): _HEXAGONAL, (3, True): _CUBIC, (3, False): _HEXAGONAL_3D}


def _grid(group):
    """The dimension of the grid, and whether its axes are at right angles."""
    return group.stabilizer.ndim, group.stabilizer.is_orthogonal


def layer_subjects():
    """Every layer at every size of its grid."""
    subjects = []
    for layer, spec in LAYER_SPECS.items():
        sizes = [size for size in _LAYER_SIZES[_grid(spec.group)] if _keeps(spec, size[0])]
        subjects += [_layer_subject(layer, *size, every_element=size is sizes[0]) for size in sizes]
    return subjects


def _keeps(spec, ksize):
    return not isinstance(ksize, tuple) or spec.stabilizer.keeps_box(ksize)


def _layer_subject(layer, ksize, stride, pad, I, O, N, size, dtype, options, every_element):
    spec = LAYER_SPECS[layer]
    name = f"{layer}/k{_by(ksize)}-s{stride}-p{pad}-i{I}-o{O}-n{N}-{_by(size)}"
    name += "".join({"bias": "-nobias", "masked": "-masked"}[option] for option in options)
    conv = Conv(layer, I, O, ksize, stride, pad, **options)
    x_shape = (N, I, spec.input_stabilizer_size, *size)
    return Subject(f"{name}-{dtype}", (conv,), spec.group, x_shape, dtype, every_element=every_element)


def _by(sides):
    return "x".join(map(str, sides)) if isinstance(sides, tuple) else str(sides)


# For each kind of grid: channels in and between, batch, size; then ksize and pad of the lifting convolution, ksize
# and stride of the pooling, ksize and pad of the group convolution. Somewhere there is an output away from the border.
# There is no pooling or normalization of hexagonal columns.
_NETWORK_SIZES = {
    (2, True): (3, 4, 2, 20, (3, 1), (2, 2), (3, 1)),
    (2, False): (2, 3, 2, 13, (3, 0), (3, 2), (3, 1)),
    (3, True): (1, 2, 1, 8, (3, 0), (2, 2), (2, 0)),
    (3, False): (1, 2, 1, 7, (3, 0), None, (3, 0)),
}


def network_subjects():
    """Small networks of everything: convolutions, batch normalization, ReLU, both poolings, on every group."""
    subjects = []
    for group in GROUPS.values():
        grid, (lifting, group_conv) = _grid(group), _layers_over(group)
        I, C, N, n, (k, p), window, (k2, p2) = _NETWORK_SIZES[grid]
        hexagonal = grid == (2, False)
        # With eps 1 and the variances of conformance.data, 1 / sqrt(var + eps) is exactly 1/2.
        norms, pools = (), ()
        if window is not None:
            norms = (BatchNorm(C, eps=1.0, momentum=0.5, hexagonal=hexagonal),)
            pools = (SpatialMaxPool(*window, ndim=grid[0], hexagonal=hexagonal),)
        body = (Conv(lifting, I, C, k, 1, p), *norms, ReLU(), *pools, Conv(group_conv, C, C, k2, 1, p2))
        x_shape = (N, I, 1) + (n,) * grid[0]
        for dtype in ("float32", "float64"):
            for kind, network in (("network", body), ("invariant-network", (*body, *norms, ReLU(), CosetMaxPool()))):
                own_name, every_element = f"{lifting}-{group_conv}-{kind}/{dtype}", dtype == "float32"
                subjects.append(Subject(own_name, network, group, x_shape, dtype, every_element=every_element))
    return subjects


# For each kind of grid: channels in and out, size of the input, ksize and pad.
_BATCH_OF_ONE_SIZES = {(2, True): (3, 4, 9, 3, 0), (2, False): (2, 3, 7, 3, 1), (3, True): (1, 2, 4, 2, 0)}


def batch_of_one_subjects():
    """One example through a lifting convolution, a normalization, a square and a pooling, for groups that have these.

    The pooling is over the stabilizer, or over pixels.
    """
    subjects = []
    for group in GROUPS.values():
        grid, (lifting, _) = _grid(group), _layers_over(group)
        if grid not in _BATCH_OF_ONE_SIZES:
            continue
        I, C, n, k, p = _BATCH_OF_ONE_SIZES[grid]
        hexagonal = grid == (2, False)
        body = (Conv(lifting, I, C, k, 1, p), BatchNorm(C, eps=1.0, momentum=0.5, hexagonal=hexagonal), Square())
        x_shape = (1, I, 1) + (n,) * grid[0]
        window = SpatialMaxPool(3, 2, ndim=grid[0], hexagonal=hexagonal)
        for dtype in ("float32", "float64"):
            for kind, pool in (("coset-max-pool", CosetMaxPool()), ("spatial-max-pool", window)):
                subjects.append(Subject(f"{lifting}-square-{kind}/{dtype}", (*body, pool), group, x_shape, dtype))
    return subjects


def layout_subjects():
    """What is tried in several layouts: each layer once, companions, and a network on each group, in float32."""
    layers = {subject.network[0].layer: subject for subject in reversed(layer_subjects())}
    others = [s for s in companion_subjects() + network_subjects() if s.dtype == "float32"]
    return [*layers.values(), *(s for s in others if "invariant" not in s.name)]


def _layers_over(group):
    """The names of a group's layers, the lifting one first."""
    own = [(not spec.lifting, name) for name, spec in LAYER_SPECS.items() if spec.group is group]
    return [name for _, name in sorted(own)]


# For each kind of grid: the size for operations on single points, in training, and (ksize, stride, pad, size) of
# poolings.
_COMPANION_SIZES = {
    (2, True): (5, 4, ((2, 2, 0, 8), (3, 2, 0, 9), (3, 1, 1, 5))),
    (2, False): (5, 3, ((3, 2, 0, 7), (3, 1, 1, 5), (5, 1, 2, 7))),
    (3, True): (3, 2, ((2, 2, 0, 4), (3, 2, 0, 5), (3, 1, 1, 3))),
    (3, False): (3, None, ()),
}


def companion_subjects():
    """Pooling and batch normalization by themselves, on feature maps of every group."""
    subjects = []
    for name, group in GROUPS.items():
        grid = _grid(group)
        hexagonal, (size, size_in_training, pools) = grid == (2, False), _COMPANION_SIZES[grid]
        operations = [
            ("coset-max-pool", CosetMaxPool(), size, 2, False),
            ("relu", ReLU(), size, 2, False),
        ]
        if size_in_training is not None:
            evaluated, trained = (BatchNorm(3, eps, momentum=0.5, hexagonal=hexagonal) for eps in (1.0, 3.0))
            batch = _batch_of_exact_means(group, (size_in_training,) * grid[0])
            operations.append(("batch-norm", evaluated, size, 2, False))
            operations.append(("batch-norm-training", trained, size_in_training, batch, True))
        for k, s, p, n in pools:
            pool = SpatialMaxPool(k, s, p, grid[0], hexagonal)
            operations.append((f"spatial-max-pool-k{k}-s{s}-p{p}", pool, n, 2, False))
        for dtype in ("float32", "float64"):
            for kind, operation, n, N, training in operations:
                x_shape, own_name = (N, 3, group.size) + (n,) * grid[0], f"{kind}-on-{name}/{dtype}"
                subjects.append(
                    Subject(own_name, (operation,), group, x_shape, dtype, training, every_element=dtype == "float32")
                )
    return subjects


def _batch_of_exact_means(group, size):
    """The smallest batch, at least two, over which the means of conformance.data's training data are exact.

    They are whole multiples of a simple fraction, so that dividing by the number n of values is exact. To multiply
    by 1 / n is too, if 1 / n is rounded by at most half the unit roundoff: k n (1 / n) then rounds to k. And n must
    be a multiple of four, for the pairs of opposite values of which the data are made.
    """
    points = group.size * int(domain(group, size).sum())
    for N in count(2):
        if N * points % 4 == 0 and all(_has_exact_reciprocal(N * points, dtype) for dtype in (np.float32, np.float64)):
            return N


def _has_exact_reciprocal(n, dtype):
    rounded = Fraction(float(dtype(1) / dtype(n)))
    return abs(n * rounded - 1) <= Fraction(float(np.finfo(dtype).eps)) / 4


def subgroup_subjects():
    """Restriction and induction by themselves, for every group and subgroup."""
    subjects = []
    for group, subgroup in subgroup_pairs():
        H, K = GROUPS[group], GROUPS[subgroup]
        index = H.size // K.size
        for name, operation, channels, S in (
            (f"restrict-{group}-to-{subgroup}", Restrict(group, subgroup), 2, H.size),
            (f"unrestrict-{subgroup}-to-{group}", Unrestrict(group, subgroup), 2 * index, K.size),
            (f"induce-{subgroup}-to-{group}", Induce(group, subgroup), 2, K.size),
        ):
            x_shape = (2, channels, S) + (3,) * H.stabilizer.ndim
            subjects.append(Subject(f"{name}/float32", (operation,), K, x_shape, "float32"))
    return subjects


# For each kind of grid: the size of the input, ksize and pad of the second convolution.
_SUBGROUP_NETWORK_SIZES = {(2, True): (6, 3, 1), (2, False): (7, 3, 1), (3, True): (5, 2, 0), (3, False): (7, 3, 1)}


def subgroup_network_subjects():
    """A convolution on the group, a map to the subgroup or from it, and a convolution there, for every pair."""
    subjects = []
    for group, subgroup in subgroup_pairs():
        H, K = GROUPS[group], GROUPS[subgroup]
        index, (n, k, p) = H.size // K.size, _SUBGROUP_NETWORK_SIZES[_grid(H)]
        (_, on_group), (_, on_subgroup) = _layers_over(H), _layers_over(K)
        lowered = (Conv(on_group, 1, 1, 3), Restrict(group, subgroup), Conv(on_subgroup, index, 2, k, pad=p))
        raised = (Conv(on_subgroup, 1, 1, 3), Induce(group, subgroup), Conv(on_group, 1, 1, k, pad=p))
        for name, network, S in (
            (f"{on_group}-restricted-to-{on_subgroup}", lowered, H.size),
            (f"{on_subgroup}-induced-to-{on_group}", raised, K.size),
        ):
            x_shape = (1, 1, S) + (n,) * H.stabilizer.ndim
            subjects.append(Subject(f"{name}/float32", network, K, x_shape, "float32"))
    return subjects


def subgroup_pairs():
    """The names of every known group and proper subgroup of it."""
    return [(group, subgroup) for group in GROUPS for subgroup in GROUPS if _contains(GROUPS[group], GROUPS[subgroup])]


def _contains(group, subgroup):
    H, K = group.stabilizer, subgroup.stabilizer
    return H.ndim == K.ndim and H.order > K.order and bool((H.index_of(K.matrices) >= 0).all())


def picture_subjects(pictures):
    """Two convolutions on each picture's own pixels, over p4 and over p4m.

    With pixels up to 255 and weights up to 2, the longest sum is below 2 * 4 * 8 * 9 * (2 * 3 * 9 * 255 + 2) < 2^24.
    """
    subjects = []
    for picture in pictures:
        N, channels, H, W = picture.pixels.shape
        for lifting, group_conv, group in (("P4ConvZ2", "P4ConvP4", C4), ("P4MConvZ2", "P4MConvP4M", D4)):
            network = (Conv(lifting, channels, 4, 3, 1, 1), ReLU(), Conv(group_conv, 4, 4, 3, 1, 1))
            name = f"picture/{picture.name}/{lifting}-{group_conv}"
            subjects.append(Subject(name, network, group, (N, channels, 1, H, W), "float32", picture=picture))
    return subjects


def subjects():
    """All that need no picture."""
    return (
        layer_subjects() + companion_subjects() + network_subjects() + subgroup_subjects() + subgroup_network_subjects()
    )


def is_in_self_test(case):
    """Whether planted faults are tried on a case: subjects of each kind that a fault could hide from.

    Of the elements of their groups, the generators.
    """
    family, _, word = case.property_name.partition(".")
    generators = {name for group in GROUPS.values() for name in group.stabilizer.names}
    if family == "equivariance" and word not in generators | {"translation"}:
        return False
    patterns = _LAYOUTS_IN_SELF_TEST if family == "layout" else _IN_SELF_TEST
    return any(fnmatchcase(case.subject, pattern) for pattern in patterns)


_LAYOUTS_IN_SELF_TEST = ("P4*/k3-*", "*-on-p4/float32", "P6ConvP6/k3-*")
_IN_SELF_TEST = (
    "P4*/k3-s1-p1-i3-o4-n2-8x8-float32",
    "P4*/k4-*",
    "P4*masked-float32",
    "*-on-p4/float32",
    "*-on-p4m/float32",
    "P4*network/float32",
    # The hexagonal grid.
    "P6ConvP6/k3-s1-p1-i3-o4-n2-7x7-float32",
    "*-pool*-on-p6/float32",
    "batch-norm*-on-p6/float32",
    # The cubic grid: the smallest group that has a third axis, and the smallest that exchanges all of them.
    "C4HConvC4H/k3-s1-p1-i2-*-float32",
    "C4HConvZ3/k2-*-float32",
    "OConvZ3/k2-*-float32",
    # A batch of one.
    "P4ConvZ2-square-*/float32",
    "P6ConvZ2-square-*/float32",
    # Maps between groups.
    "*restrict*-p4m*-p4*/float32",
    "induce-p4-to-p4m/float32",
)
