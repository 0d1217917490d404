"""Restriction to a subgroup, its inverse, and induction, in Chainer."""

from itertools import product

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import P4ConvP4, P4MConvP4M, induce, restrict, unrestrict
from groupy.gconv import reference
from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.subgroups import subgroup_of


def is_subgroup(group, subgroup):
    H, K = GROUPS[group].stabilizer, GROUPS[subgroup].stabilizer
    return H.ndim == K.ndim and (H.index_of(K.matrices) >= 0).all()


PAIRS = [pair for pair in product(GROUPS, GROUPS) if is_subgroup(*pair)]
every_pair = pytest.mark.parametrize("group, subgroup", PAIRS)
# As elements of the subgroup; each group with the largest of its proper subgroups.
LARGEST = {"p2mm": "p2", "p4": "p2", "p4m": "p4", "p6": "p2", "p6m": "p6", "D4h": "C4h", "O": "O", "Oh": "O"}
every_element = pytest.mark.parametrize(
    "group, subgroup, element",
    [
        pytest.param(H, K, k, id=f"{H}-{K}-{word}")
        for H, K in [*LARGEST.items(), ("Oh", "D4h"), ("Oh", "C4h"), ("p4m", "pm")]
        for k, word in enumerate(GROUPS[K].stabilizer.words)
    ],
)


def feature_map(rng, name, channels=2, grid_of=None):
    """Integers, (1, channels, S, ...), 3 points along each axis; zero off the hexagon on the hexagonal grid.

    grid_of: another group on whose grid the map is, as one on p2 may be on that of p6
    """
    group, size = GROUPS[name], (3,) * GROUPS[name].stabilizer.ndim
    x = rng.integers(-9, 10, (1, channels, group.size, *size)).astype(np.float32)
    return x * reference.domain(GROUPS[grid_of or name], size)


def moved(x, name, h):
    return reference.left_translate(x, GROUPS[name], h)


def in_group(group, subgroup, element):
    """An element of the subgroup, as element of the group."""
    return GROUPS[group][int(subgroup_of(group, subgroup).cosets[0, element])]


def test_there_are_subgroups_of_every_kind():
    assert {("p4m", "p4"), ("p6m", "p6"), ("Oh", "O"), ("Oh", "D4h"), ("Oh", "C4h"), ("p4", "p4")} <= set(PAIRS)
    assert ("p4", "p4m") not in PAIRS and ("O", "C4h") not in PAIRS


@every_pair
def test_unrestrict_undoes_restrict_and_restrict_undoes_unrestrict(group, subgroup, rng):
    x, index = feature_map(rng, group), GROUPS[group].size // GROUPS[subgroup].size
    below = restrict(x, group, subgroup)
    assert below.shape == (1, 2 * index, GROUPS[subgroup].size, *x.shape[3:]) and below.dtype == x.dtype
    np.testing.assert_array_equal(unrestrict(below, group, subgroup).array, x)
    y = feature_map(rng, subgroup, channels=3 * index)
    np.testing.assert_array_equal(restrict(unrestrict(y, group, subgroup), group, subgroup).array, y)


@every_pair
def test_channels_of_a_restricted_map_are_the_cosets(group, subgroup, rng):
    x, maps = feature_map(rng, group), subgroup_of(group, subgroup)
    y = restrict(x, group, subgroup).array
    for channel, coset in product(range(2), range(maps.index)):
        np.testing.assert_array_equal(y[:, channel * maps.index + coset], x[:, channel, maps.cosets[coset]])


@every_pair
def test_an_induced_map_is_the_map_on_the_subgroup_and_zero_elsewhere(group, subgroup, rng):
    x, maps = feature_map(rng, subgroup), subgroup_of(group, subgroup)
    y = induce(x, group, subgroup).array
    np.testing.assert_array_equal(y[:, :, maps.cosets[0]], x)
    assert y.shape == (1, 2, GROUPS[group].size, *x.shape[3:]) and np.abs(y).sum() == np.abs(x).sum()


@every_pair
def test_induction_is_the_adjoint_of_restriction_to_the_subgroups_own_coset(group, subgroup, rng):
    x, y, maps = feature_map(rng, subgroup), feature_map(rng, group), subgroup_of(group, subgroup)
    own_coset = restrict(y, group, subgroup).array[:, :: maps.index]
    assert (induce(x, group, subgroup).array * y).sum() == (x * own_coset).sum()


@every_element
def test_restriction_commutes_with_the_subgroup(group, subgroup, element, rng):
    x, k = feature_map(rng, group), GROUPS[subgroup][element]
    of_moved = restrict(moved(x, group, in_group(group, subgroup, element)), group, subgroup).array
    np.testing.assert_array_equal(of_moved, moved(restrict(x, group, subgroup).array, subgroup, k))


@every_element
@pytest.mark.parametrize("up", [induce, unrestrict])
def test_the_ways_back_commute_with_the_subgroup_too(up, group, subgroup, element, rng):
    maps, k = subgroup_of(group, subgroup), GROUPS[subgroup][element]
    x = feature_map(rng, subgroup, channels=maps.index, grid_of=group)
    of_moved = up(moved(x, subgroup, k), group, subgroup).array
    expected = moved(up(x, group, subgroup).array, group, in_group(group, subgroup, element))
    np.testing.assert_array_equal(of_moved, expected)


def test_an_element_outside_the_subgroup_is_lost(rng):
    """Negative control: p4 has no mirrors, and no turn of p4 does to the restricted map what a mirror does."""
    x, mirror = feature_map(rng, "p4m"), GROUPS["p4m"][4]
    of_mirrored = restrict(moved(x, "p4m", mirror), "p4m", "p4").array
    below = restrict(x, "p4m", "p4").array
    assert all((of_mirrored != moved(below, "p4", GROUPS["p4"][r])).any() for r in range(4))


def test_a_network_may_lower_its_symmetry_half_way_up(rng):
    """p4m below, p4 above: equivariant under quarter turns, and not under mirrors."""
    below, above = P4MConvP4M(2, 1), P4ConvP4(2, 3)
    for link in (below, above):
        link.W.array[...] = rng.integers(-3, 4, link.W.shape)
    x = rng.integers(-3, 4, (1, 2, 8, 7, 7)).astype(np.float32)

    def network(x):
        return above(restrict(below(x), "p4m", "p4")).array

    for r in range(4):
        turned = network(moved(x, "p4m", GROUPS["p4m"][r]))
        np.testing.assert_array_equal(turned, moved(network(x), "p4", GROUPS["p4"][r]))
    mirrored = network(moved(x, "p4m", GROUPS["p4m"][4]))
    assert all((np.flip(mirrored[:, :, elements], 3) != network(x)).any() for elements in ([0, 1, 2, 3], [0, 3, 2, 1]))


@pytest.mark.parametrize("function, channels", [(restrict, 2), (unrestrict, 4), (induce, 2)])
def test_gradients_and_their_gradients(function, channels, rng):
    S = 8 if function is restrict else 4
    x, ggx = rng.standard_normal((2, 2, channels, S, 3, 3))

    def apply(x):
        return function(x, "p4m", "p4")

    gy = rng.standard_normal(apply(x).shape)
    settings = {"dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}  # linear: differences of any step do
    gradient_check.check_backward(apply, x, gy, **settings)
    gradient_check.check_double_backward(lambda x: apply(x) ** 2, x, gy, ggx, **settings)


def test_groups_may_be_named_by_their_stabilizers_or_be_finite_groups(rng):
    x = feature_map(rng, "p4m")
    expected = restrict(x, "p4m", "p4").array
    np.testing.assert_array_equal(restrict(x, "D4", "C4").array, expected)
    np.testing.assert_array_equal(restrict(x, GROUPS["p4m"], GROUPS["p4"]).array, expected)


def test_a_variable_keeps_its_graph(rng):
    x = chainer.Variable(feature_map(rng, "p4"))
    F.sum(induce(x, "p4m", "p4")).backward()
    np.testing.assert_array_equal(x.grad, np.ones(x.shape))


@pytest.mark.parametrize(
    "function, shape, message",
    [
        (
            restrict,
            (1, 2, 4, 5, 5),
            r"restrict: x must be a feature map on D4, \(N, C, 8, H, W\), .*got shape \(1, 2, 4",
        ),
        (restrict, (1, 16, 5, 5), r"restrict: x must be a feature map on D4, .* got shape \(1, 16, 5, 5\)"),
        (unrestrict, (1, 2, 8, 5, 5), r"unrestrict: x must be a feature map on C4, \(N, C, 4, H, W\)"),
        (
            unrestrict,
            (1, 3, 4, 5, 5),
            r"unrestrict: x must have a multiple of 2 channels, the cosets of C4 in D4; got 3",
        ),
        (induce, (1, 2, 4, 5, 5, 5), r"induce: x must be a feature map on C4, \(N, C, 4, H, W\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(function, shape, message):
    with pytest.raises(ValueError, match=message):
        function(np.zeros(shape, np.float32), "p4m", "p4")


@pytest.mark.parametrize("function", [restrict, unrestrict, induce])
def test_what_is_no_subgroup_is_refused(function):
    with pytest.raises(ValueError, match="D4 is not a subgroup of C4"):
        function(np.zeros((1, 2, 4, 5, 5), np.float32), "p4", "p4m")
