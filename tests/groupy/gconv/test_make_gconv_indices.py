"""Index tables: the golden ones bit for bit, and what they mean. In three dimensions see test_cube.py."""

import re

import numpy as np
import pytest

import groupy.gfunc
from groupy.garray import p4_array, stabilizers
from groupy.gconv import make_gconv_indices
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, LayerSpec
from groupy.gconv.make_gconv_indices import (
    filter_support,
    flatten_indices,
    kernel_shape,
    make_c4_p4_indices,
    make_c4_z2_indices,
    make_c6_p6_indices,
    make_d1_z2_indices,
    make_d2_z2_indices,
    make_d4_p4m_indices,
    make_d4_z2_indices,
    make_d6_p6m_indices,
    make_o_ot_indices,
    make_oh_oht_indices,
)
from groupy.gfunc import P4FuncArray, Z2FuncArray, Z3FuncArray

# split group: its stabilizer, the name of its space in a table's maker and in a function array
SPACES = {
    "pm": ("D1", "pm", "PM"),
    "p2": ("C2", "p2", "P2"),
    "p2mm": ("D2", "p2mm", "P2MM"),
    "p4": ("C4", "p4", "P4"),
    "p4m": ("D4", "p4m", "P4M"),
    "p6": ("C6", "p6", "P6"),
    "p6m": ("D6", "p6m", "P6M"),
    "C4h": ("C4h", "c4ht", "C4ht"),
    "D4h": ("D4h", "d4ht", "D4ht"),
    "O": ("O", "ot", "Ot"),
    "Oh": ("Oh", "oht", "Oht"),
}
HEXAGONAL = {"p6", "p6m"}
every_group = pytest.mark.parametrize("name", SPACES)
every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)
# The original has even tables for c4 only.
GOLDEN = [f"c4_{space}_k{k}" for space in ("z2", "p4") for k in (1, 2, 3, 5)]
GOLDEN += [f"d4_{space}_k{k}" for space in ("z2", "p4m") for k in (1, 3, 5)]
GOLDEN_HEXAGONAL = [f"c6_{space}_k{k}" for space in ("z2", "p6") for k in (3, 5)]
GOLDEN_HEXAGONAL += [f"d6_{space}_k{k}" for space in ("z2", "p6m") for k in (3, 5)]


def maker(layer):
    spec = LAYER_SPECS[layer]
    name = next(name for name, group in GROUPS.items() if group is spec.group)
    stabilizer, space, _ = SPACES[name]
    return getattr(
        make_gconv_indices, f"make_{stabilizer.lower()}_{f'z{spec.ndim}' if spec.lifting else space}_indices"
    )


def from_name(name):
    stabilizer, space, k = name.split("_")
    return getattr(make_gconv_indices, f"make_{stabilizer}_{space}_indices")(ksize=int(k[1:]))


def hexagon(k):
    u, v = np.indices((k, k)) - k // 2
    return np.abs(u + v) <= k // 2


def sizes(layer):
    return [1, 3, 5] if not LAYER_SPECS[layer].stabilizer.is_orthogonal else [1, 2, 3, 4, 5]


LAYERS_AND_SIZES = [(layer, k) for layer in LAYER_SPECS for k in sizes(layer)]


def test_all_golden_tables_are_compared(golden):
    assert sorted(golden.files) == sorted(GOLDEN + GOLDEN_HEXAGONAL)


@pytest.mark.parametrize("name", GOLDEN)
def test_tables_equal_the_golden_ones_bit_for_bit(name, golden):
    table = from_name(name)
    assert table.dtype == golden[name].dtype == np.int32
    np.testing.assert_array_equal(table, golden[name])


@pytest.mark.parametrize("name", GOLDEN_HEXAGONAL)
def test_hexagonal_tables_equal_the_golden_ones_inside_the_hexagon(name, golden):
    table, inside = from_name(name), hexagon(int(name[-1]))
    assert (table.dtype, table.shape) == (golden[name].dtype, golden[name].shape)
    np.testing.assert_array_equal(table[:, :, inside], golden[name][:, :, inside])
    np.testing.assert_array_equal(filter_support(getattr(stabilizers, name[:2].upper()), int(name[-1])), inside)


@pytest.mark.parametrize("layer, k", [(layer, k) for layer, k in LAYERS_AND_SIZES if k in (1, 3, 5)])
def test_a_tap_outside_the_hexagon_names_itself(layer, k):
    spec = LAYER_SPECS[layer]
    table, own = maker(layer)(k), np.moveaxis(np.indices((k,) * spec.ndim), 0, -1)
    outside = ~filter_support(spec.stabilizer, k)
    assert outside.sum() == (0 if spec.stabilizer.is_orthogonal else k**2 - (3 * k**2 + 1) // 4)
    named = table[..., 1:][:, :, outside]
    np.testing.assert_array_equal(named, np.broadcast_to(own[outside], named.shape))


@pytest.mark.parametrize("layer, k", LAYERS_AND_SIZES)
def test_a_layers_table_is_the_one_that_groupys_function_makes(layer, k):
    spec = LAYER_SPECS[layer]
    table = maker(layer)(k)
    S_in, S_out = spec.input_stabilizer_size, spec.output_stabilizer_size
    assert (table.dtype, table.shape) == (np.int32, (S_out, S_in) + (k,) * spec.ndim + (1 + spec.ndim,))
    np.testing.assert_array_equal(spec.transformation(k).table, table)


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("r", range(4))
def test_the_orbit_of_a_planar_filter_is_its_quarter_turns(r, k, rng):
    w = rng.standard_normal((1, k, k))
    g, u, v = np.moveaxis(make_c4_z2_indices(k)[r, 0], -1, 0)
    np.testing.assert_array_equal(w[g, u, v], np.rot90(w[0], r))


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("m, r", [(m, r) for m in range(2) for r in range(4)])
def test_the_orbit_under_d4_is_turns_and_then_their_mirror_images(m, r, k, rng):
    w = rng.standard_normal((1, k, k))
    g, u, v = np.moveaxis(make_d4_z2_indices(k)[4 * m + r, 0], -1, 0)
    turned = np.rot90(w[0], r)
    np.testing.assert_array_equal(w[g, u, v], turned[::-1] if m else turned)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2), (4, 4), (5, 1)])
def test_groups_without_quarter_turns_reverse_rows_and_columns_of_any_kernel(kernel, rng):
    w = rng.standard_normal((1, *kernel))

    def orbit(table):
        return [w[tuple(np.moveaxis(of_element[0], -1, 0))] for of_element in table]

    (x,) = w
    np.testing.assert_array_equal(orbit(make_d1_z2_indices(kernel)), [x, x[:, ::-1]])
    np.testing.assert_array_equal(orbit(make_gconv_indices.make_c2_z2_indices(kernel)), [x, x[::-1, ::-1]])
    np.testing.assert_array_equal(orbit(make_d2_z2_indices(kernel)), [x, x[::-1, ::-1], x[::-1], x[:, ::-1]])


@pytest.mark.parametrize("k", [1, 3, 5])
@every_group
def test_tables_are_left_translation_indices_of_functions_on_the_group(name, k):
    stabilizer, space, label = SPACES[name]
    group = GROUPS[name]
    ndim = group.stabilizer.ndim
    inside = hexagon(k) if name in HEXAGONAL else np.ones((k,) * ndim, dtype=bool)
    on_group = getattr(groupy.gfunc, f"{label}FuncArray")(np.zeros((group.size,) + (k,) * ndim))
    points = on_group.left_translation_points(group[(slice(None), *(None,) * (1 + ndim))])
    table = getattr(make_gconv_indices, f"make_{stabilizer.lower()}_{space}_indices")(k)
    np.testing.assert_array_equal(table[:, :, inside], on_group.g2i(points[:, :, inside]))
    on_grid = {2: Z2FuncArray, 3: Z3FuncArray}[ndim](np.zeros((k,) * ndim))
    points = on_grid.left_translation_points(group[(slice(None), *(None,) * ndim)])
    lifting = getattr(make_gconv_indices, f"make_{stabilizer.lower()}_z{ndim}_indices")(k)
    np.testing.assert_array_equal(lifting[:, 0, inside, 1:], on_grid.g2i(points[:, inside]))
    assert not lifting[..., 0].any()


@pytest.mark.parametrize("k", [2, 4, 6])
def test_even_tables_turn_about_the_corner_as_the_halfshift_does(k):
    f = P4FuncArray(np.zeros((4, k, k)))
    halfshift = p4_array.C4_halfshift[:, None, None, None]
    np.testing.assert_array_equal(make_c4_p4_indices(k), f.left_translation_indices(halfshift))


@pytest.mark.parametrize("name, k", [(name, k) for name in SPACES for k in sizes(f"{name.upper()}Conv{name.upper()}")])
def test_a_group_convolution_moves_taps_as_the_lifting_one_and_elements_by_h_inverse(name, k):
    """With the lifting tables told by NumPy, for even sizes too, this tells the others."""
    group, label = GROUPS[name], name.upper()
    lifting = LAYER_SPECS[f"{label}ConvZ{group.stabilizer.ndim}"].transformation(k).table
    table = LAYER_SPECS[f"{label}Conv{label}"].transformation(k).table
    np.testing.assert_array_equal(table[..., 1:], np.broadcast_to(lifting[..., 1:], table[..., 1:].shape))
    composed = group[:, None].inv() * group[None, :]
    elements = (composed[..., None] == group[None, None, :]).argmax(axis=-1)
    of_tap = np.moveaxis(table[..., 0].reshape(group.size, group.size, -1), -1, 0)
    np.testing.assert_array_equal(of_tap, np.broadcast_to(elements, of_tap.shape))


@pytest.mark.parametrize("k", range(1, 8))
def test_p4_is_the_half_of_p4m_that_does_not_mirror(k):
    np.testing.assert_array_equal(make_d4_p4m_indices(k)[:4, :4], make_c4_p4_indices(k))


@pytest.mark.parametrize("k", [1, 3, 5])
def test_p6_is_the_half_of_p6m_that_does_not_mirror(k):
    np.testing.assert_array_equal(make_d6_p6m_indices(k)[:6, :6], make_c6_p6_indices(k))


@pytest.mark.parametrize("k", range(1, 5))
def test_o_is_the_half_of_oh_that_does_not_mirror(k):
    np.testing.assert_array_equal(make_oh_oht_indices(k)[:24, :24], make_o_ot_indices(k))


@every_layer
def test_flattened_indices_address_a_filter_stored_with_its_stabilizer_axis_last(layer, rng):
    table = maker(layer)(3)
    w = rng.standard_normal(table.shape[1:-1])
    np.testing.assert_array_equal(
        np.moveaxis(w, 0, -1).ravel()[flatten_indices(table)], w[tuple(np.moveaxis(table, -1, 0))]
    )
    assert flatten_indices(table).shape == table.shape[:-1]


@every_layer
def test_making_a_table_leaves_the_users_random_state_alone(layer):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    maker(layer)(3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "name, ksize, kernel",
    [
        ("p4", 3, (3, 3)),
        ("p4", np.int64(2), (2, 2)),
        ("p4m", [3, 3], (3, 3)),
        ("p6", np.array([5, 5]), (5, 5)),
        ("pm", (1, 4), (1, 4)),
        ("p2", (2, 3), (2, 3)),
        ("p2mm", (7, 1), (7, 1)),
        ("Oh", 2, (2, 2, 2)),
        ("C4h", (1, 3, 3), (1, 3, 3)),
        ("D4h", (4, 2, 2), (4, 2, 2)),
    ],
)
def test_one_integer_or_one_for_each_axis_makes_a_kernel(name, ksize, kernel):
    sides = kernel_shape(ksize, GROUPS[name].stabilizer)
    assert sides == kernel and {type(side) for side in sides} == {int}


ALLOW = " Groups that allow this shape: "
PLANE = "pm, p2, p2mm (PMConvZ2, PMConvPM, P2ConvZ2, P2ConvP2, P2MMConvZ2, P2MMConvP2MM)."
SLICES = "C4h, D4h (C4HConvZ3, C4HConvC4H, D4HConvZ3, D4HConvD4H)."
REFUSED = {
    ("p4", 3.0): (TypeError, "must be one integer, the side of the kernel, or 2 of them; got 3.0."),
    ("p4", "3"): (TypeError, "must be one integer, the side of the kernel, or 2 of them; got '3'."),
    ("p4", None): (TypeError, "must be one integer, the side of the kernel, or 2 of them; got None."),
    ("Oh", (3, 3, 1.5)): (TypeError, "must be one integer, the side of the kernel, or 3 of them; got (3, 3, 1.5)."),
    ("p4", 0): (ValueError, "must be one integer or 2 of them, each at least 1; got 0."),
    ("p4", (3, -1)): (ValueError, "must be one integer or 2 of them, each at least 1; got (3, -1)."),
    ("p4", (3, 3, 3)): (ValueError, "must be one integer or 2 of them, each at least 1; got (3, 3, 3)."),
    ("Oh", (3, 3)): (ValueError, "must be one integer or 3 of them, each at least 1; got (3, 3)."),
    ("p4", (3, 5)): (
        ValueError,
        "3 x 5 does not fit C4, which exchanges the axes u, v: the kernel must have the same side along them.",
        ALLOW + PLANE,
    ),
    ("p6m", (3, 5)): (
        ValueError,
        "3 x 5 does not fit D6, which exchanges the axes u, v: the kernel must have the same side along them.",
        ALLOW + PLANE,
    ),
    ("Oh", (1, 3, 3)): (
        ValueError,
        "1 x 3 x 3 does not fit Oh, which exchanges the axes u, v, w: the kernel must have the same side along them.",
        ALLOW + SLICES,
    ),
    ("C4h", (3, 3, 5)): (
        ValueError,
        "3 x 3 x 5 does not fit C4h, which exchanges the axes v, w: the kernel must have the same side along them.",
        "",
    ),
    ("p6", 4): (
        ValueError,
        "4 x 4 is even, and C6 turns each tap out of such a kernel, whose centre is not a point of the hexagonal "
        "grid; use an odd side.",
    ),
}


@pytest.mark.parametrize("name, ksize", REFUSED, ids=str)
def test_a_kernel_that_the_group_does_not_map_onto_itself_is_refused_with_its_reason(name, ksize):
    """The layer's message names itself and the groups that allow the shape; the table's maker knows of no layers."""
    error, reason, *advice = REFUSED[name, ksize]
    spec = LayerSpec("L", GROUPS[name], lifting=True)
    with pytest.raises(error, match=f"^ksize {re.escape(reason)}$"):
        make_gconv_indices.make_index_table(spec.stabilizer, ksize, lifting=True)
    with pytest.raises(error, match=f"^ksize {re.escape(reason)}$"):
        filter_support(spec.stabilizer, ksize)
    with pytest.raises(error, match=f"^L: kernel_size {re.escape(reason + ''.join(advice))}$"):
        spec.kernel("L", "kernel_size", ksize)
