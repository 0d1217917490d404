"""What is said of arguments and sizes that do not fit; both frameworks say it from here."""

import numpy as np
import pytest

from groupy.garray.C4_array import C4
from groupy.gconv import geometry, reference


@pytest.mark.parametrize(
    "value, pair", [(2, (2, 2)), ((1, 2), (1, 2)), ([3, 4], (3, 4)), (np.int32(5), (5, 5)), (np.array([1, 2]), (1, 2))]
)
def test_one_integer_or_two_make_a_pair(value, pair):
    assert geometry.as_pair("L", "stride", value, minimum=1) == pair


@pytest.mark.parametrize(
    "value, error, message",
    [
        (0, ValueError, "L: stride must be an integer or a pair, each at least 1; got 0"),
        ((1, 2, 3), ValueError, "L: stride must be an integer or a pair"),
        (1.5, TypeError, "L: stride must be an integer or a pair of integers, got 1.5"),
        ("ab", TypeError, "L: stride must be"),
        (None, TypeError, "L: stride must be"),
    ],
)
def test_anything_else_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        geometry.as_pair("L", "stride", value, minimum=1)


def test_a_kernel_that_is_not_square_is_refused_with_its_reason():
    assert geometry.square_kernel("L", "ksize", (3, 3)) == 3
    with pytest.raises(
        ValueError, match="L: ksize must be square, since a quarter turn maps a 3 x 5 kernel onto a 5 x 3"
    ):
        geometry.square_kernel("L", "ksize", (3, 5))
    with pytest.raises(ValueError, match="L: ksize must be an integer or a pair, each at least 1; got 0"):
        geometry.square_kernel("L", "ksize", 0)


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


@pytest.mark.parametrize("size", range(4, 12))
@pytest.mark.parametrize("stride, pad, k", [(1, 0, 3), (2, 0, 3), (2, 1, 3), (3, 1, 2), (2, 1, 4)])
def test_a_break_is_announced_exactly_when_equivariance_fails(size, stride, pad, k, rng):
    x, w = rng.integers(-8, 9, (1, 1, 1, size, size)), rng.integers(-8, 9, (1, 1, 1, k, k))
    y = reference.gconv(x, w, None, C4, stride, pad)
    moved = reference.gconv(reference.left_translate(x, C4, C4[1]), w, None, C4, stride, pad)
    equivariant = np.array_equal(moved, reference.left_translate(y, C4, C4[1]))
    window = geometry.Window((k, k), (stride, stride), (pad, pad), (pad, pad))
    assert (window.equivariance_break("L", (size, size)) is None) == equivariant


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


@pytest.mark.parametrize(
    "window, why",
    [
        (geometry.Window((3, 3), (1, 2), (0, 0), (0, 0)), r"stride (1, 2) must be the same on both axes"),
        (geometry.Window((3, 3), (1, 1), (0, 1), (0, 1)), r"padding (0, 1) must be the same on both axes"),
        (geometry.Window((3, 3), (1, 1), (0, 0), (0, 0), (1, 2)), r"dilation (1, 2) must be the same on both axes"),
        (geometry.Window((2, 3), (1, 1), (0, 0), (0, 0)), r"kernel (2, 3) must be the same on both axes"),
        (geometry.Window((2, 2), (1, 1), (0, 0), (1, 1)), "it must be the same on all sides"),
    ],
)
def test_what_breaks_equivariance_at_every_size_is_said_without_one(window, why):
    assert why in window.equivariance_break("L")
    assert why in window.equivariance_break("L", (9, 9))


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
