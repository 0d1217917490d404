"""Maps between a group and a subgroup: lossless, adjoint, and moving with the subgroup's elements."""

import copy
import pickle

import pytest
import torch

import torch_gconv
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.reference import left_translate
from groupy.gconv.subgroups import subgroup_of
from torch_gconv import Induce, Restrict, Unrestrict, induce, restrict, unrestrict

# Every pair that a network may want, and a group in itself.
PAIRS = [
    ("p4m", "p4"),
    ("p4m", "p2mm"),
    ("p4", "p2"),
    ("p4m", "pm"),
    ("p6m", "p6"),
    ("Oh", "O"),
    ("Oh", "D4h"),
    ("Oh", "C4h"),
    ("D4h", "C4h"),
    ("p4", "p4"),
]
every_pair = pytest.mark.parametrize("group, subgroup", PAIRS)


def integers(group, channels=2, n=3):
    """A map on the group; on the hexagonal grid it is zero outside of the hexagon."""
    stabilizer = GROUPS[group].stabilizer
    size = (n,) * stabilizer.ndim
    x = torch.randint(-9, 10, (2, channels, stabilizer.order, *size), generator=torch.manual_seed(0)).double()
    return x * torch.tensor(stabilizer.support(size))


def moved(x, group, h):
    return torch.tensor(left_translate(x.numpy(), GROUPS[group], h))


def common_elements(group, subgroup):
    """The subgroup's elements as they stand in both lists."""
    H, K = GROUPS[group], GROUPS[subgroup]
    return [(H[int(H.stabilizer.index_of(K.stabilizer.matrices[i]))], K[i]) for i in range(K.size)]


ELEMENTS = [(*pair, k) for pair in PAIRS for k in range(GROUPS[pair[1]].size)]


@every_pair
def test_unrestrict_is_the_inverse_of_restrict(group, subgroup):
    x, maps = integers(group), subgroup_of(group, subgroup)
    lower = restrict(x, group, subgroup)
    assert lower.shape == (2, 2 * maps.index, maps.subgroup.size, *x.shape[3:])
    assert torch.equal(unrestrict(lower, group, subgroup), x)
    y = integers(subgroup, channels=2 * maps.index)
    assert torch.equal(restrict(unrestrict(y, group, subgroup), group, subgroup), y)


@every_pair
def test_each_coset_of_a_channel_is_a_channel(group, subgroup):
    x, maps = integers(group), subgroup_of(group, subgroup)
    lower = restrict(x, group, subgroup).unflatten(1, (2, maps.index))
    for coset in range(maps.index):
        assert torch.equal(lower[:, :, coset], x[:, :, torch.tensor(maps.cosets[coset])])


@every_pair
def test_induction_is_zero_outside_of_the_subgroup_and_adjoint_to_restriction_to_it(group, subgroup):
    x, y, maps = integers(group), integers(subgroup), subgroup_of(group, subgroup)
    upper, own = induce(y, group, subgroup), torch.tensor(maps.cosets[0])
    assert upper.shape == x.shape and torch.equal(upper[:, :, own], y)
    assert upper.abs().sum() == y.abs().sum()
    assert (upper * x).sum() == (y * restrict(x, group, subgroup)[:, :: maps.index]).sum() != 0


@pytest.mark.parametrize("group, subgroup, k", ELEMENTS)
def test_all_of_them_move_with_the_subgroups_elements(group, subgroup, k):
    h, k = common_elements(group, subgroup)[k]
    x, y = integers(group), integers(subgroup, subgroup_of(group, subgroup).index)
    lower = restrict(x, group, subgroup)
    assert torch.equal(restrict(moved(x, group, h), group, subgroup), moved(lower, subgroup, k))
    upper = unrestrict(y, group, subgroup)
    assert torch.equal(unrestrict(moved(y, subgroup, k), group, subgroup), moved(upper, group, h))
    assert torch.equal(induce(moved(y, subgroup, k), group, subgroup), moved(induce(y, group, subgroup), group, h))


def test_cosets_in_the_order_of_the_list_would_not_move_with_them():
    """The check above can fail: the mirrored half of D4, read as it is listed, turns the other way."""
    x = integers("p4m")

    def halves(x):
        return x.unflatten(2, (2, 4)).flatten(1, 2)

    assert not torch.equal(halves(moved(x, "p4m", D4[1])), moved(halves(x), "p4", C4[1]))


MODULES = {"restrict": (Restrict, "p4m"), "unrestrict": (Unrestrict, "p4"), "induce": (Induce, "p4")}
every_map = pytest.mark.parametrize("name", MODULES)


@every_map
def test_modules_are_the_functions(name):
    module, domain = MODULES[name]
    x, function = integers(domain), getattr(torch_gconv, name)
    by_name, by_stabilizer = module("p4m", "p4"), module(D4, C4)
    y = function(x, "p4m", "p4")
    for m in (by_name, by_stabilizer, copy.deepcopy(by_name), pickle.loads(pickle.dumps(by_name))):  # noqa: S301 - our own bytes
        assert torch.equal(m(x), y) and not m.state_dict()
    assert repr(by_name) == repr(by_stabilizer) == f"{module.__name__}('p4m', 'p4')"
    assert torch.equal(function(x, D4, C4), y)


@every_map
def test_gradients_and_their_gradients(name):
    module, domain = MODULES[name]
    x = integers(domain, n=2).requires_grad_()
    assert torch.autograd.gradcheck(module("p4m", "p4"), x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: module("p4m", "p4")(x) ** 2, x, fast_mode=True)


@every_map
def test_they_compile_as_one_graph(name):
    module, domain = MODULES[name]
    x, function = integers(domain), getattr(torch_gconv, name)
    for call in (module("p4m", "p4"), lambda x: function(x, "p4m", "p4")):
        torch.compiler.reset()
        assert torch.equal(torch.compile(call, fullgraph=True, backend="aot_eager")(x), call(x))


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: restrict(torch.zeros(1, 2, 4, 3, 3), "p4m", "p4"),
            r"restrict: x must be a map on p4m, \(N, C, 8, H, W\), got \(1, 2, 4, 3, 3\)",
        ),
        (
            lambda: unrestrict(torch.zeros(1, 3, 4, 3, 3), "p4m", "p4"),
            r"unrestrict: x must be a map on p4, \(N, C \* 2, 4, H, W\), got \(1, 3, 4, 3, 3\)",
        ),
        (
            lambda: induce(torch.zeros(1, 24, 3, 3, 3), "Oh", "O"),
            r"induce: x must be a map on O, \(N, C, 24, D, H, W\), got \(1, 24, 3, 3, 3\)",
        ),
        (lambda: restrict(torch.zeros(1, 1, 4, 3, 3), "p4", "p4m"), "D4 is not a subgroup of C4"),
        (lambda: Restrict("Oh", "p4"), "C4 is not a subgroup of Oh"),
        (lambda: Induce("p4m", "p5"), "group must be one of .*; got 'p5'"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_network_can_lower_its_symmetry_half_way_up(rng):
    """p4m below, p4 above: mirrored pictures are told apart, turned ones are not."""
    net = torch.nn.Sequential(
        torch_gconv.P4MConvZ2(1, 2, 3),
        torch.nn.ReLU(),
        Restrict("p4m", "p4"),
        torch_gconv.P4ConvP4(4, 3, 3),
        torch_gconv.GGlobalMeanPool(),
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-4, 5, parameter.shape)))
    x = torch.from_numpy(rng.integers(-4, 5, (1, 1, 8, 8))).double()
    assert torch.equal(net(torch.rot90(x, 1, (2, 3))), net(x))
    assert not torch.equal(net(x.flip(2)), net(x))
