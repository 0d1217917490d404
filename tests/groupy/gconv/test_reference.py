"""The reference against the definition in other words: pictures by hand, sums by brute force, finite differences."""

from itertools import product

import numpy as np
import pytest

import groupy.gfunc
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv import reference
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS
from groupy.gconv.reference import domain
from groupy.gfunc import P4MFuncArray


def small_case(layer, rng, k=3, batch=2):
    """Small integers, on a grid that the group turns: oblong where it can be, a hexagon in a square of odd side."""
    spec = LAYER_SPECS[layer]
    S, size = spec.input_stabilizer_size, {2: (5, 6), 3: (4, 3, 5)}[spec.ndim]
    if not spec.stabilizer.is_orthogonal:
        size = (5, 5)
    x = rng.integers(-8, 9, (batch, 2, S, *size)) * domain(spec.group, size)
    w = rng.integers(-8, 9, (3, 2, S, *(k,) * spec.ndim))
    return spec.group, x, w, rng.integers(-8, 9, 3)


def sizes(layer, *ks):
    """Those of the sides of a kernel that the layer can have."""
    return [k for k in ks if k % 2 or LAYER_SPECS[layer].stabilizer.is_orthogonal]


def kernels(*ks):
    return pytest.mark.parametrize("layer, k", [(layer, k) for layer in LAYER_SPECS for k in sizes(layer, *ks)])


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


WINDOWS = [(1, 0, 3), (2, 1, 3), ((1, 2, 3), (0, 1, 2), 2), (3, 2, 4)]  # stride, pad, kernel


@pytest.mark.parametrize(
    "layer, stride, pad, k", [(layer, s, p, k) for layer in LAYER_SPECS for s, p, k in WINDOWS if sizes(layer, k)]
)
def test_gradients_are_the_transposed_map(layer, stride, pad, k, rng):
    """y is linear in x and in w, so <y(x), gy> = <x, gx> and <y(w), gy> = <w, gw>, exactly on integers."""
    group, x, w, _ = small_case(layer, rng, k)
    ndim = LAYER_SPECS[layer].ndim
    stride, pad = (sides[:ndim] if isinstance(sides, tuple) else sides for sides in (stride, pad))
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


@kernels(2, 3)
def test_padding_is_a_frame_of_zeros_and_stride_takes_every_sth(layer, k, rng):
    group, x, w, b = small_case(layer, rng, k)
    spec = LAYER_SPECS[layer]
    pad, stride = ((1, 2, 0), (2, 3, 1)) if spec.stabilizer.is_orthogonal else ((1, 1), (2, 2))
    pad, stride = pad[: spec.ndim], stride[: spec.ndim]
    framed = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in pad])
    full = reference.gconv(framed, w, b, group)
    np.testing.assert_array_equal(reference.gconv(x, w, b, group, pad=pad), full)
    every = (..., *(slice(None, None, s) for s in stride))
    strided = reference.gconv(x, w, b, group, stride=stride, pad=pad)
    np.testing.assert_array_equal(strided, full[every] * domain(group, strided.shape[3:]))


@kernels(2, 3)
def test_equivariance_under_every_element(layer, k, rng):
    group, x, w, b = small_case(layer, rng, k, batch=1)
    y = reference.gconv(x, w, b, group)
    assert y.any()
    for h in group:
        moved = reference.gconv(reference.left_translate(x, group, h), w, b, group)
        np.testing.assert_array_equal(moved, reference.left_translate(y, group, h))


FUNCTION_ARRAYS = {name: name.upper() for name in ("pm", "p2", "p2mm", "p4", "p4m", "p6", "p6m")}
FUNCTION_ARRAYS |= {"C4h": "C4ht", "D4h": "D4ht", "O": "Ot", "Oh": "Oht"}


@pytest.mark.parametrize("name", GROUPS)
def test_feature_maps_move_as_functions_on_the_group_do(name, rng):
    group = GROUPS[name]
    size = (3,) * group.stabilizer.ndim
    x = rng.standard_normal((2, group.size, *size)) * domain(group, size)
    f = getattr(groupy.gfunc, f"{FUNCTION_ARRAYS[name]}FuncArray")(x)
    for h in group:
        np.testing.assert_array_equal(reference.left_translate(x, group, h), f.left_translate(h, fill=0).v)


@pytest.mark.parametrize("r", range(4))
def test_pictures_that_are_not_square_turn_as_rot90_turns_them(r, rng):
    x = rng.standard_normal((2, 1, 4, 7))
    np.testing.assert_array_equal(reference.left_translate(x, C4, C4[r]), np.rot90(x, r, axes=(-2, -1)))


@pytest.mark.parametrize(
    "x, w, message",
    [
        ((2, 2, 1, 5, 5), (3, 1, 1, 3, 3), r"got \(2, 2, 1, 5, 5\) and \(3, 1, 1, 3, 3\)"),
        ((2, 2, 5, 5), (3, 2, 1, 3, 3), r"x must be \(N, I, S_in, ...\) .* and 2 axes after S_in"),
        ((2, 2, 1, 5, 5), (3, 2, 1, 3, 2), "the group does not map a 3 x 2 kernel onto itself"),
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


def test_kernels_and_maps_that_the_group_does_not_turn_are_refused(rng):
    p6, oh = GROUPS["p6"], GROUPS["Oh"]
    with pytest.raises(ValueError, match="the group does not map a 2 x 2 kernel onto itself"):
        reference.gconv(np.zeros((1, 1, 1, 5, 5)), np.zeros((1, 1, 1, 2, 2)), None, p6)
    with pytest.raises(ValueError, match="the group does not map a 3 x 3 x 1 kernel onto itself"):
        reference.transform_filters(np.zeros((1, 1, 1, 3, 3, 1)), oh)
    for size in ((4, 4), (3, 5)):
        with pytest.raises(ValueError, match="does not turn onto itself on the hexagonal grid; use an odd square"):
            reference.left_translate(np.zeros((1, *size)), p6, p6[1])
    with pytest.raises(ValueError, match=r"x must be \(..., S, H, W\) with S in \(1, 4\), got \(2, 5, 5\)"):
        reference.left_translate(np.zeros((2, 5, 5)), C4, C4[1])
    with pytest.raises(ValueError, match=r"x must be \(..., S, D, H, W\) with S in \(1, 48\), got \(5, 5, 5\)"):
        reference.left_translate(np.zeros((5, 5, 5)), oh, oh[1])
    with pytest.raises(ValueError, match=r"with S in \(1,\), got \(4, 5, 5\)"):
        reference.left_translate(np.zeros((4, 5, 5)), None, C4[1])


def test_the_domain_is_the_hexagon_in_an_odd_square_and_all_points_elsewhere():
    hexagon = [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]
    for name in ("p6", "p6m"):
        np.testing.assert_array_equal(domain(GROUPS[name], (5, 5)), hexagon)
        assert domain(GROUPS[name], (4, 4)).all() and domain(GROUPS[name], (3, 5)).all()
    for name in ("pm", "p4m", "Oh"):
        size = (5, 4, 3)[: GROUPS[name].stabilizer.ndim]
        assert domain(GROUPS[name], size).all() and domain(GROUPS[name], size).shape == size


@pytest.mark.parametrize("position", range(6))
def test_a_moved_map_is_zero_outside_the_hexagon(position):
    """The half turn too, which would keep the square."""
    p6, ones = GROUPS["p6"], np.ones((1, 5, 5))
    np.testing.assert_array_equal(reference.left_translate(ones, p6, p6[position])[0], domain(p6, (5, 5)))


# The elements of a group as functions of a point, written out.
BY_HAND = {
    "p4": [lambda u, v: (u, v), lambda u, v: (-v, u), lambda u, v: (-u, -v), lambda u, v: (v, -u)],
    "p6": [
        lambda u, v: (u, v),
        lambda u, v: (u + v, -u),
        lambda u, v: (v, -u - v),
        lambda u, v: (-u, -v),
        lambda u, v: (-u - v, u),
        lambda u, v: (-v, u + v),
    ],
    "C4h": [
        lambda u, v, w: (u, v, w),
        lambda u, v, w: (u, -w, v),
        lambda u, v, w: (u, -v, -w),
        lambda u, v, w: (u, w, -v),
        lambda u, v, w: (-u, v, w),
        lambda u, v, w: (-u, -w, v),
        lambda u, v, w: (-u, -v, -w),
        lambda u, v, w: (-u, w, -v),
    ],
}


def by_definition(x, w, elements, side, k):
    """y[h, p] = sum of w[h^-1 g, R_h^-1 t] x[g, p + t] over g, t, one number at a time; all about the centres.

    x: (S, side, ...), w: (S, k, ...); a point of a hexagonal grid or filter counts if it lies in the hexagon.
    """
    ndim = x.ndim - 1
    odd_point = (1, 3, 5)[:ndim]  # moved differently by each element
    compose = {g(*odd_point): i for i, g in enumerate(elements)}

    def points(n):
        centred = product(range(-(n // 2), n // 2 + 1), repeat=ndim)
        hexagonal = len(elements) == 6
        return [p for p in centred if not hexagonal or abs(sum(p)) <= n // 2]

    y = np.zeros((len(elements), *(side - k + 1,) * ndim))
    for h, p in product(range(len(elements)), points(side - k + 1)):
        inverse = next(e for e in elements if e(*elements[h](*odd_point)) == odd_point)
        for g, t in product(range(len(elements)), points(k)):
            read = compose[inverse(*elements[g](*odd_point))]
            tap = tuple(i + k // 2 for i in inverse(*t))
            at = tuple(i + j + side // 2 for i, j in zip(p, t))
            y[(h, *(i + (side - k + 1) // 2 for i in p))] += w[(read, *tap)] * x[(g, *at)]
    return y


@pytest.mark.parametrize("name", BY_HAND)
def test_the_definition_in_plain_loops(name, rng):
    group, elements = GROUPS[name], BY_HAND[name]
    grid = (5,) * group.stabilizer.ndim
    x, w = rng.integers(-8, 9, (len(elements), *grid)), rng.integers(-8, 9, (len(elements), *(3,) * len(grid)))
    y = reference.gconv(x[None, None], w[None, None], None, group)[0, 0]
    np.testing.assert_array_equal(y, by_definition(x, w, elements, 5, 3))


def test_the_reference_uses_no_index_table():
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(reference))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any("indices" in module or "transformation" in module or "stabilizer" in module for module in modules)
