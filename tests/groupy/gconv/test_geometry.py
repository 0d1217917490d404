"""What is said of arguments and sizes that do not fit; both frameworks say it from here."""

from itertools import product

import numpy as np
import pytest

from groupy.garray import Stabilizer, stabilizers
from groupy.gconv import geometry, reference
from groupy.gconv.layer_specs import GROUPS


@pytest.mark.parametrize(
    "value, sides", [(2, (2, 2)), ((1, 2), (1, 2)), ([3, 4], (3, 4)), (np.int32(5), (5, 5)), (np.array([1, 2]), (1, 2))]
)
def test_one_integer_or_two_make_a_pair(value, sides):
    assert geometry.as_sides("L", "stride", value, ndim=2, minimum=1) == sides


@pytest.mark.parametrize("value, sides", [(2, (2, 2, 2)), ((1, 2, 3), (1, 2, 3)), (np.int32(5), (5, 5, 5))])
def test_one_integer_or_three_make_a_triple(value, sides):
    assert geometry.as_sides("L", "stride", value, ndim=3, minimum=1) == sides


@pytest.mark.parametrize(
    "value, ndim, error, message",
    [
        (0, 2, ValueError, "L: stride must be an integer or a pair, each at least 1; got 0"),
        ((1, 2, 3), 2, ValueError, r"L: stride must be an integer or a pair, each at least 1; got \(1, 2, 3\)"),
        (1.5, 2, TypeError, "L: stride must be an integer or a pair of integers, got 1.5"),
        ("ab", 2, TypeError, "L: stride must be an integer or a pair of integers, got 'ab'"),
        (None, 2, TypeError, "L: stride must be an integer or a pair of integers, got None"),
        ((1, 2), 3, ValueError, r"L: stride must be an integer or a triple, each at least 1; got \(1, 2\)"),
        ((1, 2, None), 3, TypeError, r"L: stride must be an integer or a triple of integers, got \(1, 2, None\)"),
    ],
)
def test_anything_else_is_refused(value, ndim, error, message):
    with pytest.raises(error, match=message):
        geometry.as_sides("L", "stride", value, ndim, minimum=1)


@pytest.mark.parametrize("n", [1, np.int64(4)])
def test_channels_are_positive_integers(n):
    assert geometry.check_channels("L", "in_channels", n) == n


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="L: in_channels must be at least 1, got 0"):
        geometry.check_channels("L", "in_channels", 0)
    with pytest.raises(TypeError, match="L: in_channels must be an integer, got 2.0"):
        geometry.check_channels("L", "in_channels", 2.0)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5, 5), (0, 3, 4, 5, 5), (2, 12, 5, 5)])
def test_inputs_with_a_stabilizer_axis_or_folded_channels_are_taken(shape):
    geometry.check_input("L", shape, "f", in_channels=3, input_stabilizer_size=4)


@pytest.mark.parametrize(
    "shape, reason",
    [
        ((2, 5, 4, 5, 5), "5 channels where the layer has in_channels=3"),
        ((2, 3, 8, 5, 5), "the stabilizer axis has length 8, not 4"),
        ((2, 3, 5, 5), "3 channels where the layer has in_channels=3, S_in=4"),
        ((3, 4, 5), "3 axes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_with_their_reason(shape, reason):
    with pytest.raises(
        ValueError, match=rf"L: x must have shape \(N, 3, 4, H, W\) or \(N, 12, H, W\), got .*: {reason}"
    ):
        geometry.check_input("L", shape, "f", in_channels=3, input_stabilizer_size=4)


@pytest.mark.parametrize("shape", [(2, 3, 8, 5, 5, 5), (2, 24, 5, 6, 7)])
def test_volumes_are_taken_either_way_too(shape):
    geometry.check_input("L", shape, "f", in_channels=3, input_stabilizer_size=8, ndim=3)


@pytest.mark.parametrize(
    "shape, reason",
    [
        ((2, 5, 8, 5, 5, 5), "5 channels where the layer has in_channels=3"),
        ((2, 3, 4, 5, 5, 5), "the stabilizer axis has length 4, not 8"),
        ((2, 3, 8, 5, 5), "3 channels where the layer has in_channels=3, S_in=8"),
        ((2, 24, 5, 5), "4 axes"),
    ],
)
def test_volumes_that_do_not_fit_are_refused_with_their_reason(shape, reason):
    expected = r"x must have shape \(N, 3, 8, D, H, W\) or \(N, 24, D, H, W\), got"
    with pytest.raises(ValueError, match=rf"L: {expected} .*: {reason}"):
        geometry.check_input("L", shape, "f", in_channels=3, input_stabilizer_size=8, ndim=3)


@pytest.mark.parametrize(
    "shape, ndim, channels",
    [((2, 3, 4, 5, 5), 2, 3), ((2, 12, 5, 5), 2, 3), ((2, 3, 4, 5, 5, 5), 3, 3), ((2, 12, 5, 5, 5), 3, 3)],
)
def test_the_channels_of_a_map_are_read_off_its_shape(shape, ndim, channels):
    assert geometry.channels_of("L", shape, input_stabilizer_size=4, ndim=ndim) == channels


@pytest.mark.parametrize("shape", [(2, 3, 8, 5, 5), (2, 10, 5, 5), (2, 0, 5, 5), (2, 0, 4, 5, 5), (4, 5, 5)])
def test_a_map_whose_channels_cannot_be_read_off_is_refused(shape):
    with pytest.raises(ValueError, match=r"L: x must have shape \(N, I, 4, H, W\) or \(N, I \* 4, H, W\), got"):
        geometry.channels_of("L", shape, input_stabilizer_size=4)
    with pytest.raises(ValueError, match=r"L: x must have shape \(N, I, 4, D, H, W\) or \(N, I \* 4, D, H, W\), got"):
        geometry.channels_of("L", (2, 3, 4, 5, 5), input_stabilizer_size=4, ndim=3)


@pytest.mark.parametrize(
    "kind, what", [("c", "complex numbers"), ("i", "integers"), ("u", "integers"), ("b", "booleans")]
)
def test_numbers_that_are_not_real_floating_point_are_refused(kind, what):
    with pytest.raises(TypeError, match=f"L: x must hold real floating-point numbers, got {what}"):
        geometry.check_input("L", (2, 3, 4, 5, 5), kind, in_channels=3, input_stabilizer_size=4)


def test_an_input_smaller_than_the_kernel_is_refused_with_the_size_that_works():
    window = geometry.Window((5, 5), (1, 1), (0, 1), (0, 1))
    window.check_size("L", (5, 3))
    with pytest.raises(ValueError, match=r"L: width 2 with padding 1 is smaller than the kernel \(5\).* at least 3"):
        window.check_size("L", (5, 2))
    asymmetric = geometry.Window((3, 3), (1, 1), (0, 0), (1, 1), dilation=(2, 2))
    with pytest.raises(ValueError, match=r"L: height 3 with padding 0 before and 1 after .* kernel \(5\).* at least 4"):
        asymmetric.check_size("L", (3, 9))


def test_a_volume_smaller_than_the_kernel_is_refused_with_its_axis():
    window = geometry.Window((3, 3, 3), (1, 1, 1), (0, 0, 0), (0, 0, 0))
    for axis, size in (("depth", (2, 5, 5)), ("height", (5, 2, 5)), ("width", (5, 5, 2))):
        with pytest.raises(ValueError, match=f"L: {axis} 2 with padding 0 is smaller than the kernel .3.; .* least 3"):
            window.check_size("L", size)


def broken_sizes(group, sizes, kernel, stride, pad, rng):
    """The sizes at which moving the input moves the output differently, by trying."""
    w = rng.integers(-8, 9, (1, 1, 1, *kernel))

    def is_equivariant(x):
        y = reference.gconv(x, w, None, group, stride, pad)
        return all(
            np.array_equal(
                reference.gconv(reference.left_translate(x, group, h), w, None, group, stride, pad),
                reference.left_translate(y, group, h),
            )
            for h in group
        )

    def holds_a_hexagon(size):
        return len(set(size)) == 1 and size[0] % 2 == 1

    broken = set()
    for size in sizes:
        hexagonal = not group.stabilizer.is_orthogonal
        output = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip(size, pad, kernel, stride))
        if hexagonal and not (holds_a_hexagon(size) and holds_a_hexagon(output)):
            broken.add(size)  # there is no moving such a map
        elif not is_equivariant(rng.integers(-8, 9, (1, 1, 1, *size)) * reference.domain(group, size)):
            broken.add(size)
    return broken


ALIKE = [(1, 0, 3), (2, 0, 3), (2, 1, 3), (3, 1, 2), (2, 1, 4), (3, 2, 5)]  # stride, pad, kernel
PLANE = [(name, (s, s), (p, p), (k, k)) for name in ("p2", "p4", "p4m") for s, p, k in ALIKE]
PLANE += [(name, (s, s), (p, p), (k, k)) for name in ("p6", "p6m") for s, p, k in ALIKE if k % 2]
PLANE += [(name, *window) for name in ("pm", "p2mm") for window in (((1, 2), (1, 0), (2, 3)), ((3, 2), (0, 1), (3, 4)))]
SPACE = [("O", (2, 2, 2), (1, 1, 1), (k, k, k)) for k in (2, 3)] + [("Oh", (2, 2, 2), (1, 1, 1), (2, 2, 2))]
SLICES = [((2, 1, 1), (0, 1, 1), (1, 2, 2)), ((1, 2, 2), (0, 1, 1), (1, 2, 2))]
SPACE += [(name, *window) for name in ("C4h", "D4h") for window in SLICES]


@pytest.mark.parametrize("name, stride, pad, kernel", PLANE + SPACE)
def test_a_break_is_announced_exactly_when_equivariance_fails(name, stride, pad, kernel, rng):
    group = GROUPS[name]
    sizes = list(product(range(5, 11), repeat=2) if len(kernel) == 2 else product(range(3, 6), repeat=3))
    window = geometry.Window(kernel, stride, pad, pad)
    announced = {size for size in sizes if window.equivariance_break("L", size, group.stabilizer) is not None}
    assert announced == broken_sizes(group, sizes, kernel, stride, pad, rng)


def test_some_of_these_sizes_break_it_and_some_do_not(rng):
    """A negative control: with stride 1 on the square grid no size does, with stride 2 every other one."""
    sizes = [(n, n) for n in range(5, 11)]
    assert broken_sizes(GROUPS["p4"], sizes, (3, 3), (1, 1), (0, 0), rng) == set()
    assert broken_sizes(GROUPS["p4"], sizes, (3, 3), (2, 2), (0, 0), rng) == {(6, 6), (8, 8), (10, 10)}
    assert broken_sizes(GROUPS["p6"], sizes, (3, 3), (2, 2), (0, 0), rng) == {(n, n) for n in (5, 6, 8, 9, 10)}


def test_the_break_names_layer_axis_and_the_nearest_sizes_that_work():
    window = geometry.Window((3, 3), (2, 2), (1, 1), (1, 1))
    reason = window.equivariance_break("P4ConvZ2", (9, 8))
    assert reason.startswith("P4ConvZ2: width 8 breaks equivariance at stride 2, since width + 2 * pad - ksize = 7")
    assert reason.endswith("Nearest sizes that work: 7, 9.")
    for size in (7, 9):
        assert window.equivariance_break("P4ConvZ2", (9, size)) is None
    only = geometry.Window((3, 3), (3, 3), (0, 0), (0, 0)).equivariance_break("L", (4, 4))
    assert only.endswith("Nearest sizes that work: 3, 6.")


def test_with_dilation_the_whole_extent_of_the_kernel_counts():
    window = geometry.Window((3, 3), (2, 2), (1, 1), (1, 1), dilation=(3, 3))
    assert window.extent == (7, 7)
    assert window.equivariance_break("L", (9, 9)) is None
    assert "height + 2 * pad - extent = 3 is not" in window.equivariance_break("L", (8, 8))


def test_on_the_hexagonal_grid_the_centre_must_be_a_point_of_the_strided_grid():
    window = geometry.Window((3, 3), (2, 2), (1, 1), (1, 1))
    reason = window.equivariance_break("P6ConvZ2", (11, 11), stabilizers.C6)
    assert reason.startswith(
        "P6ConvZ2: height 11 breaks equivariance at hexagonal stride 2, since height + 2 * pad - ksize = 10 is not a "
        "multiple of 4, twice the stride."
    )
    assert reason.endswith("Nearest sizes that work: 9, 13.")
    for size in (9, 13):
        assert window.equivariance_break("P6ConvZ2", (size, size), stabilizers.C6) is None
    reason = window.equivariance_break("P6ConvZ2", (9, 13), stabilizers.C6)
    assert "size 9 x 13 breaks equivariance: only a map with as many rows as columns, in axial coordinates" in reason


def prism():
    """The turns by 60 degrees of slices that are hexagonal grids."""
    turns = np.zeros((6, 3, 3), dtype=int)
    turns[:, 0, 0] = 1
    turns[:, 1:, 1:] = stabilizers.C6.matrices
    return Stabilizer("C6 in slices", turns, (6,), ("r",))


def test_along_an_axis_that_nothing_turns_round_any_size_and_padding_will_do():
    window = geometry.Window((2, 3, 3), (3, 1, 1), (0, 1, 1), (1, 1, 1))
    for depth in range(4, 9):
        assert window.equivariance_break("L", (depth, 7, 7), prism()) is None
        assert window.equivariance_break("L", (depth, 8, 8), prism()).startswith("L: height 8 breaks")
        assert "as many rows as columns" in window.equivariance_break("L", (depth, 7, 9), prism())
    assert geometry.Window((2, 3), (1, 3), (1, 0), (0, 0)).equivariance_break("L", (8, 6), stabilizers.D1) is None
    upright = geometry.Window((2, 3), (1, 3), (1, 0), (0, 1)).equivariance_break("L", None, stabilizers.D1)
    assert "it must be the same on both sides of width." in upright


def test_the_points_of_a_map_are_the_hexagon_in_an_odd_square():
    for group in (stabilizers.C6, stabilizers.D6):
        np.testing.assert_array_equal(geometry.grid_support(group, (3, 3)), [[0, 1, 1], [1, 1, 1], [1, 1, 0]])
        for size in ((4, 4), (3, 5), (5, 3)):
            assert geometry.grid_support(group, size) is None
    np.testing.assert_array_equal(geometry.grid_support(prism(), (2, 3, 3)), [[[0, 1, 1], [1, 1, 1], [1, 1, 0]]] * 2)
    assert geometry.grid_support(prism(), (3, 4, 4)) is None


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in ("p6", "p6m")])
def test_on_other_grids_all_points_of_a_map_count(name):
    stabilizer = GROUPS[name].stabilizer
    assert geometry.grid_support(stabilizer, (3, 4, 5)[: stabilizer.ndim]) is None
    assert geometry.grid_support(stabilizer, (3,) * stabilizer.ndim) is None


@pytest.mark.parametrize(
    "window, why",
    [
        (geometry.Window((3, 3), (1, 2), (0, 0), (0, 0)), r"stride (1, 2) must be the same on both axes"),
        (geometry.Window((3, 3), (1, 1), (0, 1), (0, 1)), r"padding (0, 1) must be the same on both axes"),
        (geometry.Window((3, 3), (1, 1), (0, 0), (0, 0), (1, 2)), r"dilation (1, 2) must be the same on both axes"),
        (geometry.Window((2, 3), (1, 1), (0, 0), (0, 0)), r"kernel (2, 3) must be the same on both axes"),
        (geometry.Window((2, 2), (1, 1), (0, 0), (1, 1)), "it must be the same on all sides"),
        (
            geometry.Window((3, 3, 3), (1, 1, 2), (0, 0, 0), (0, 0, 0)),
            "stride (1, 1, 2) must be the same on depth, height and width",
        ),
    ],
)
def test_what_breaks_equivariance_at_every_size_is_said_without_one(window, why):
    assert why in window.equivariance_break("L")
    assert why in window.equivariance_break("L", (9, 9, 9)[: len(window.ksize)])


@pytest.mark.parametrize("field", ["ksize", "stride", "before", "dilation"])
@pytest.mark.parametrize("odd_one", range(3))
def test_only_axes_that_the_group_exchanges_must_be_alike(field, odd_one):
    """C4h turns the slices and reverses their order; O takes each axis to each other."""
    window = {"ksize": [3] * 3, "stride": [1] * 3, "before": [2] * 3, "dilation": [1] * 3}
    window[field][odd_one] += 1
    sides = {name: tuple(values) for name, values in window.items()}
    window = geometry.Window(**sides, after=sides["before"])
    name = {"ksize": "kernel", "before": "padding"}.get(field, field)
    slices = window.equivariance_break("L", None, stabilizers.C4h)
    assert (
        slices is None if odd_one == 0 else f"L: {name} {sides[field]} must be the same on height and width" in slices
    )
    assert f"L: {name} {sides[field]} must be the same on depth, height and width" in window.equivariance_break(
        "L", None, stabilizers.O
    )


@pytest.mark.parametrize(
    "padding, ksize, dilation, expected",
    [
        (1, 3, 1, ((1, 1), (1, 1))),
        ((0, 2), 3, 1, ((0, 2), (0, 2))),
        ("valid", 3, 1, ((0, 0), (0, 0))),
        ("same", 3, 2, ((2, 2), (2, 2))),
        ("same", 2, 1, ((0, 0), (1, 1))),
        ("same", 4, 1, ((1, 1), (2, 2))),
    ],
)
def test_padding_before_and_after_the_picture(padding, ksize, dilation, expected):
    assert geometry.padding_of("L", "padding", padding, (ksize,) * 2, (1, 1), (dilation,) * 2) == expected


def test_padding_in_three_dimensions():
    ones, zeros = (1, 1, 1), (0, 0, 0)
    assert geometry.padding_of("L", "padding", (0, 1, 2), (3, 3, 3), ones, ones) == ((0, 1, 2), (0, 1, 2))
    assert geometry.padding_of("L", "padding", "same", (1, 2, 3), ones, ones) == ((0, 0, 1), (0, 1, 1))
    assert geometry.padding_of("L", "padding", "valid", (3, 3, 3), ones, ones) == (zeros, zeros)
    with pytest.raises(ValueError, match="L: padding must be an integer, a triple, 'same' or 'valid', got 'full'"):
        geometry.padding_of("L", "padding", "full", (3, 3, 3), ones, ones)


@pytest.mark.parametrize("n, p, q, k, s", [(9, 1, 1, 3, 2), (8, 1, 1, 3, 2), (5, 0, 1, 4, 3), (7, 2, 0, 5, 1)])
def test_output_sizes_count_the_windows_that_fit(n, p, q, k, s):
    window = geometry.Window((k, k, k), (s, s, s), (p, p, p), (q, q, q))
    starts = [start for start in range(n + p + q) if start % s == 0 and start + k <= n + p + q]
    assert window.output_size((n, n, n)) == (len(starts),) * 3


def test_other_paddings_are_refused():
    with pytest.raises(ValueError, match="L: padding must be an integer, a pair, 'same' or 'valid', got 'full'"):
        geometry.padding_of("L", "padding", "full", (3, 3), (1, 1), (1, 1))
    with pytest.raises(ValueError, match=r"L: padding='same' needs stride 1, got \(2, 2\)"):
        geometry.padding_of("L", "padding", "same", (3, 3), (2, 2), (1, 1))


def test_groups_divide_the_channels():
    assert geometry.check_groups("L", 2, 4, 6) == 2
    with pytest.raises(ValueError, match="L: out_channels=6 must be a multiple of groups=4"):
        geometry.check_groups("L", 4, 4, 6)
    with pytest.raises(ValueError, match="L: groups must be at least 1, got 0"):
        geometry.check_groups("L", 0, 4, 6)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"L: filter_mask must have shape .* = \(4, 3, 8\), got \(4, 3\)"):
        geometry.check_mask("L", np.ones((4, 3)), 4, 3, 8)
