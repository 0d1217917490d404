"""The reference against the definition in other words: pictures by hand, sums by brute force, finite differences."""

import numpy as np
import pytest

from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gfunc import P4FuncArray, P4MFuncArray

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def small_case(layer, rng, k=3, size=(5, 6)):
    spec = LAYER_SPECS[layer]
    S = spec.input_stabilizer_size
    x = rng.integers(-8, 9, (2, 2, S, *size))
    w = rng.integers(-8, 9, (3, 2, S, k, k))
    return spec.group, x, w, rng.integers(-8, 9, 3)


def correlate(x, w):
    """Planar correlation in plain loops: x (I, H, W), w (I, k, k)."""
    k = w.shape[-1]
    y = np.zeros((x.shape[1] - k + 1, x.shape[2] - k + 1))
    for p in np.ndindex(y.shape):
        y[p] = (x[:, p[0] : p[0] + k, p[1] : p[1] + k] * w).sum()
    return y


@pytest.mark.parametrize("r", range(4))
def test_lifting_correlates_with_the_turned_filter(r, rng):
    _, x, w, b = small_case("P4ConvZ2", rng)
    y = reference.gconv(x, w, b, C4)
    expected = correlate(x[0, :, 0], np.rot90(w[1, :, 0], r, axes=(-2, -1))) + b[1]
    np.testing.assert_array_equal(y[0, 1, r], expected)


@pytest.mark.parametrize("h", range(8))
def test_group_convolution_correlates_with_the_translated_filter(h, rng):
    _, x, w, b = small_case("P4MConvP4M", rng)
    y = reference.gconv(x, w, b, D4)
    translated = (D4[h] * P4MFuncArray(w[1])).v
    expected = sum(correlate(x[0, :, g], translated[:, g]) for g in range(8)) + b[1]
    np.testing.assert_array_equal(y[0, 1, h], expected)


@every_layer
@pytest.mark.parametrize("stride, pad, k", [(1, 0, 3), (2, 1, 3), ((1, 2), (0, 1), 2), (3, 2, 4)])
def test_gradients_are_the_transposed_map(layer, stride, pad, k, rng):
    """y is linear in x and in w, so <y(x), gy> = <x, gx> and <y(w), gy> = <w, gw>, exactly on integers."""
    group, x, w, _ = small_case(layer, rng, k)
    y = reference.gconv(x, w, None, group, stride, pad)
    gy = rng.integers(-8, 9, y.shape)
    gx, gw, gb = reference.gconv_gradients(x, w, gy, group, stride, pad)
    assert (gx.shape, gw.shape) == (x.shape, w.shape)
    assert (y * gy).sum() == (x * gx).sum() == (w * gw).sum()
    other = rng.integers(-8, 9, x.shape)
    assert (reference.gconv(other, w, None, group, stride, pad) * gy).sum() == (other * gx).sum()
    ones = np.ones(3)
    zero_input = reference.gconv(np.zeros_like(x), w, ones, group, stride, pad)
    assert (zero_input * gy).sum() == (gb * ones).sum()


@every_layer
@pytest.mark.parametrize("k", [2, 3])
def test_padding_is_a_frame_of_zeros_and_stride_takes_every_sth(layer, k, rng):
    group, x, w, b = small_case(layer, rng, k)
    framed = np.pad(x, [(0, 0)] * 3 + [(1, 1), (2, 2)])
    full = reference.gconv(framed, w, b, group)
    np.testing.assert_array_equal(reference.gconv(x, w, b, group, pad=(1, 2)), full)
    np.testing.assert_array_equal(reference.gconv(x, w, b, group, stride=(2, 3), pad=(1, 2)), full[..., ::2, ::3])


@every_layer
@pytest.mark.parametrize("k", [2, 3])
def test_equivariance_under_every_element(layer, k, rng):
    group, x, w, b = small_case(layer, rng, k)
    y = reference.gconv(x, w, b, group)
    for h in group:
        moved = reference.gconv(reference.left_translate(x, group, h), w, b, group)
        np.testing.assert_array_equal(moved, reference.left_translate(y, group, h))


def test_feature_maps_move_as_functions_on_the_group_do(rng):
    on_p4, on_p4m = rng.standard_normal((2, 4, 5, 5)), rng.standard_normal((2, 8, 5, 5))
    for h in C4:
        np.testing.assert_array_equal(reference.left_translate(on_p4, C4, h), (h * P4FuncArray(on_p4)).v)
    for h in D4:
        np.testing.assert_array_equal(reference.left_translate(on_p4m, D4, h), (h * P4MFuncArray(on_p4m)).v)


@pytest.mark.parametrize("r", range(4))
def test_pictures_that_are_not_square_turn_as_rot90_turns_them(r, rng):
    x = rng.standard_normal((2, 1, 4, 7))
    np.testing.assert_array_equal(reference.left_translate(x, C4, C4[r]), np.rot90(x, r, axes=(-2, -1)))


@pytest.mark.parametrize(
    "x, w, message",
    [
        ((2, 2, 1, 5, 5), (3, 1, 1, 3, 3), r"got \(2, 2, 1, 5, 5\) and \(3, 1, 1, 3, 3\)"),
        ((2, 2, 5, 5), (3, 2, 1, 3, 3), r"x must be \(N, I, S_in, H, W\)"),
        ((2, 2, 3, 5, 5), (3, 2, 3, 3, 3), "S_in 1 or 4"),
        ((2, 2, 1, 2, 5), (3, 2, 1, 3, 3), r"3 x 3 kernel does not fit the padded input \(2, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x, w, message):
    with pytest.raises(ValueError, match=message):
        reference.gconv(np.zeros(x), np.zeros(w), None, C4)


def test_a_gradient_of_another_shape_than_the_output_is_refused():
    with pytest.raises(ValueError, match=r"gy must have the shape of the output, \(1, 1, 4, 3, 3\), got \(1, 1\)"):
        reference.gconv_gradients(np.zeros((1, 1, 1, 5, 5)), np.zeros((1, 1, 1, 3, 3)), np.zeros((1, 1)), C4)


def test_the_reference_uses_no_index_table():
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(reference))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any("indices" in module or "transformation" in module or "stabilizer" in module for module in modules)
