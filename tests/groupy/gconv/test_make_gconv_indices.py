"""Index tables: the golden ones bit for bit, and what they mean."""

import numpy as np
import pytest

from groupy.garray import C4_array, D4_array, p4_array
from groupy.garray.stabilizer import Stabilizer
from groupy.gconv import make_gconv_indices
from groupy.gconv.make_gconv_indices import (
    flatten_indices,
    make_c4_p4_indices,
    make_c4_z2_indices,
    make_d4_p4m_indices,
    make_d4_z2_indices,
    make_index_table,
)
from groupy.gfunc import P4FuncArray, P4MFuncArray

MAKERS = [make_c4_z2_indices, make_c4_p4_indices, make_d4_z2_indices, make_d4_p4m_indices]
# The original has even tables for c4 only.
GOLDEN = [f"c4_{space}_k{k}" for space in ("z2", "p4") for k in (1, 2, 3, 5)]
GOLDEN += [f"d4_{space}_k{k}" for space in ("z2", "p4m") for k in (1, 3, 5)]
HEXAGONAL = {
    "c6": Stabilizer.generated("C6", (((1, 1), (-1, 0)), 6)),
    "d6": Stabilizer.generated("D6", (((-1, -1), (0, 1)), 2), (((1, 1), (-1, 0)), 6)),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_tables_equal_the_golden_ones_bit_for_bit(name, golden):
    stabilizer, space, k = name.split("_")
    table = getattr(make_gconv_indices, f"make_{stabilizer}_{space}_indices")(ksize=int(k[1:]))
    assert table.dtype == golden[name].dtype == np.int32
    np.testing.assert_array_equal(table, golden[name])


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("name, lifting", [("c6_z2", True), ("c6_p6", False), ("d6_z2", True), ("d6_p6m", False)])
def test_the_same_formula_gives_the_hexagonal_tables_inside_the_hexagon(name, lifting, k, golden):
    table = make_index_table(HEXAGONAL[name[:2]], k, lifting)
    u, v = np.indices((k, k)) - k // 2
    inside = np.abs(u + v) <= k // 2
    np.testing.assert_array_equal(table[:, :, inside], golden[f"{name}_k{k}"][:, :, inside])


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


@pytest.mark.parametrize("k", [1, 3, 5])
def test_tables_are_left_translation_indices_of_functions_on_the_group(k):
    over_c4, over_d4 = C4_array.C4[:, None, None, None], D4_array.D4[:, None, None, None]
    on_p4, on_p4m = P4FuncArray(np.zeros((4, k, k))), P4MFuncArray(np.zeros((8, k, k)))
    np.testing.assert_array_equal(make_c4_p4_indices(k), on_p4.left_translation_indices(over_c4))
    np.testing.assert_array_equal(make_d4_p4m_indices(k), on_p4m.left_translation_indices(over_d4))


@pytest.mark.parametrize("k", [2, 4, 6])
def test_even_tables_turn_about_the_corner_as_the_halfshift_does(k):
    f = P4FuncArray(np.zeros((4, k, k)))
    halfshift = p4_array.C4_halfshift[:, None, None, None]
    np.testing.assert_array_equal(make_c4_p4_indices(k), f.left_translation_indices(halfshift))


@pytest.mark.parametrize("k", range(1, 8))
def test_p4_is_the_half_of_p4m_that_does_not_mirror(k):
    np.testing.assert_array_equal(make_d4_p4m_indices(k)[:4, :4], make_c4_p4_indices(k))


@pytest.mark.parametrize("make", MAKERS)
def test_flattened_indices_address_a_filter_stored_with_its_stabilizer_axis_last(make, rng):
    table = make(3)
    w = rng.standard_normal(table.shape[1:-1])
    g, u, v = np.moveaxis(table, -1, 0)
    np.testing.assert_array_equal(np.moveaxis(w, 0, -1).ravel()[flatten_indices(table)], w[g, u, v])
    assert flatten_indices(table).shape == table.shape[:-1]


@pytest.mark.parametrize("make", MAKERS)
def test_making_a_table_leaves_the_users_random_state_alone(make):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    make(3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("ksize", [3.0, "3", (3, 3), None])
def test_a_ksize_that_is_no_integer_is_refused(ksize):
    with pytest.raises(TypeError, match="ksize must be one integer, the side of a square kernel"):
        make_c4_z2_indices(ksize)


@pytest.mark.parametrize("ksize", [0, -1])
def test_an_empty_kernel_is_refused(ksize):
    with pytest.raises(ValueError, match=f"ksize must be at least 1, got {ksize}"):
        make_c4_z2_indices(ksize)
