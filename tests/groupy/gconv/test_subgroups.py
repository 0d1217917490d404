"""Subgroups: cosets, and the permutations by which feature maps are restricted to them."""

from itertools import product

import numpy as np
import pytest

from groupy.garray.C4_array import C4
from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.reference import left_translate
from groupy.gconv.subgroups import subgroup_of

# Each group with those whose elements are all among its own, from the groups' pictures. The hexagonal grid has the
# half turn of the square one, and neither its quarter turns nor its mirrors.
SUBGROUPS = {
    "pm": {"pm"},
    "p2": {"p2"},
    "p2mm": {"pm", "p2", "p2mm"},
    "p4": {"p2", "p4"},
    "p4m": {"pm", "p2", "p2mm", "p4", "p4m"},
    "p6": {"p2", "p6"},
    "p6m": {"p2", "p6", "p6m"},
    "C4h": {"C4h"},
    "D4h": {"C4h", "D4h"},
    "O": {"O"},
    "Oh": {"C4h", "D4h", "O", "Oh"},
}
PAIRS = [(group, subgroup) for group in SUBGROUPS for subgroup in GROUPS if subgroup in SUBGROUPS[group]]
OTHERS = [(group, other) for group, other in product(SUBGROUPS, GROUPS) if other not in SUBGROUPS[group]]
every_pair = pytest.mark.parametrize("group, subgroup", PAIRS)


def test_all_known_groups_are_compared():
    assert set(SUBGROUPS) == set(GROUPS)


@every_pair
def test_cosets_part_the_group_and_the_first_is_the_subgroup(group, subgroup):
    H, K, maps = GROUPS[group], GROUPS[subgroup], subgroup_of(group, subgroup)
    assert (maps.group, maps.subgroup) == (H, K) and maps.cosets.shape == (H.size // K.size, K.size)
    assert maps.index == H.size // K.size
    assert sorted(maps.cosets.ravel().tolist()) == list(range(H.size))
    matrices = H.reparameterize("mat").data[maps.cosets]  # (index, |K|, d, d)
    in_subgroup = K.reparameterize("mat").data
    np.testing.assert_array_equal(matrices[0], in_subgroup)
    np.testing.assert_array_equal(matrices, in_subgroup @ matrices[:, :1])  # K r


@every_pair
def test_restriction_reads_each_element_once_and_its_inverse_puts_it_back(group, subgroup):
    maps, elements = subgroup_of(group, subgroup), np.arange(GROUPS[group].size)
    np.testing.assert_array_equal(elements[maps.gather][maps.inverse], elements)
    np.testing.assert_array_equal(elements[maps.inverse][maps.gather], elements)


@every_pair
def test_restriction_commutes_with_the_elements_of_the_subgroup(group, subgroup, rng):
    """The restricted map, a channel for each coset, moves as maps on the subgroup do."""
    H, K, maps = GROUPS[group], GROUPS[subgroup], subgroup_of(group, subgroup)
    grid = (3,) * H.stabilizer.ndim
    x = rng.integers(-8, 9, (H.size, *grid))
    for at, k in zip(maps.cosets[0], K):
        restricted = left_translate(x, H, H[at])[maps.cosets]
        if H.stabilizer.is_orthogonal:
            np.testing.assert_array_equal(restricted, left_translate(x[maps.cosets], K, k))
        else:  # the subgroup of half turns keeps the whole square, the group the hexagon inside
            hexagon = H.stabilizer.support(grid)
            np.testing.assert_array_equal(restricted, left_translate((x * hexagon)[maps.cosets], K, k))


@pytest.mark.parametrize("group, other", OTHERS)
def test_a_group_with_other_elements_is_refused_with_those_that_would_do(group, other):
    H, K = GROUPS[group].stabilizer.name, GROUPS[other].stabilizer.name
    known = ", ".join(name for name in GROUPS if name in SUBGROUPS[group])
    with pytest.raises(ValueError, match=f"^{K} is not a subgroup of {H}; those of the groups {known} are.$"):
        subgroup_of(group, other)


def test_names_and_groups_mean_the_same_and_the_tables_are_made_once():
    assert subgroup_of("p4m", "p4") is subgroup_of("D4", C4) is subgroup_of(GROUPS["p4m"], "C4")
    with pytest.raises(ValueError, match="got 'p5'"):
        subgroup_of("p4m", "p5")


def test_tables_cannot_be_written_to():
    maps = subgroup_of("p4m", "p4")
    for table in (maps.cosets, maps.gather):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0
