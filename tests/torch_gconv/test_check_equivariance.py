"""check_equivariance on PyTorch models: each planted cause is found and explained, and nothing else is accused."""

import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import torch_gconv
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, as_group
from torch_gconv import (
    C4HConvC4H,
    CosetMaxPool,
    GAvgPool3d,
    GBatchNorm,
    GMaxPool2d,
    GMaxPool3d,
    Induce,
    OConvZ3,
    P2ConvP2,
    P4ConvP4,
    P4ConvZ2,
    P4MConvP4M,
    P4MConvZ2,
    P6ConvP6,
    P6ConvZ2,
    Restrict,
    Unrestrict,
    check_equivariance,
    layer_of,
    models,
    restrict,
)
from torch_gconv.planar import to_planar

LAYERS = {"p4": (P4ConvZ2, P4ConvP4, 4), "p4m": (P4MConvZ2, P4MConvP4M, 8)}
both_groups = pytest.mark.parametrize("group", LAYERS)


class Plus(nn.Module):
    """Adds a learnt array of the given shape; zeros, as before training."""

    def __init__(self, *shape):
        super().__init__()
        self.array = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return x + self.array


class Times(Plus):
    """Multiplies by it."""

    def forward(self, x):
        return x * (1 + self.array)


def network(group, **replaced):
    """Ten layers, equivariant at 14 x 14; replaced: {"layer3": module, ...} in place of the layer."""
    lift, conv, _ = LAYERS[group]
    layers = {
        "layer0": lift(1, 2, 3, padding=1),
        "layer1": GBatchNorm(2),
        "layer2": nn.ReLU(),
        "layer3": conv(2, 2, 3, padding=1),
        "layer4": GMaxPool2d(2),  # 14 -> 7
        "layer5": conv(2, 2, 3, padding=1),
        "layer6": nn.ReLU(),
        "layer7": conv(2, 2, 3, stride=2),  # 7 -> 3
        "layer8": CosetMaxPool(),
        "layer9": nn.AdaptiveAvgPool2d(1),
    }
    model = nn.Sequential()
    for name, layer in {**layers, **replaced}.items():
        model.add_module(name, layer)
    return model


def folded(layer, S):
    """A layer of planar maps, on the folded channels of a map (N, 2, S, H, W)."""
    return nn.Sequential(nn.Flatten(1, 2), layer, nn.Unflatten(1, (2, S)))


# By cause: the layer that is replaced, what by (group -> module), the name of the step that breaks, the reason.
PLANTED = {
    "stride": ("layer7", lambda g: LAYERS[g][1](2, 2, 2, stride=2), "layer7", "height 7 breaks .* work: 6, 8"),
    "pooling": ("layer4", lambda g: GMaxPool2d(3, 2, 1), "layer4", "height 14 breaks .* work: 13, 15"),
    "asymmetric padding": (
        "layer5",
        lambda g: LAYERS[g][1](2, 2, 2, padding="same"),
        "layer5",
        r"padding \(0, 0\) before and \(1, 1\) after",
    ),
    "zero padding": (
        "layer6",
        lambda g: folded(nn.ZeroPad2d((1, 1, 2, 0)), LAYERS[g][2]),
        "layer6.1",
        r"padding \(2, 1\) before and \(0, 1\) after",
    ),
    "flattening": (
        "layer9",
        lambda g: nn.Flatten(),
        "layer9",
        r"flattens axes of sizes \(2, 3, 3\) .* into 18 features",
    ),
    "bias": (
        "layer6",
        lambda g: Plus(2, LAYERS[g][2], 1, 1),
        "layer6.add",
        "adds a bias of its own to each orientation",
    ),
    "scale": ("layer6", lambda g: Times(2, LAYERS[g][2], 1, 1), "layer6.mul", "scales each orientation by a factor"),
    "code of places": ("layer2", lambda g: Plus(14, 14), "layer2.add", "adds a value of its own to each pixel"),
    "batch norm": (
        "layer1",
        lambda g: folded(nn.BatchNorm2d(2 * LAYERS[g][2]), LAYERS[g][2]),
        "layer1.1",
        "statistics or scales of its own for each orientation .* Use GBatchNorm",
    ),
    "plain layer": (
        "layer5",
        lambda g: folded(nn.Conv2d(2 * LAYERS[g][2], 2 * LAYERS[g][2], 3, padding=1), LAYERS[g][2]),
        "layer5.1",
        "is a plain layer on a map on p4.* Use P4M?ConvP4M?, or coset pooling",
    ),
    "planar convolution": (
        "layer0",
        lambda g: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), LAYERS[g][0](1, 2, 3, padding=1)),
        "layer0.0",
        "plain convolution of planar maps: .* lifting convolution P4M?ConvZ2",
    ),
}


def pictures(size=(14, 14), channels=1, batch=2):
    return torch.randn(batch, channels, *size, generator=torch.manual_seed(1))


@both_groups
def test_an_equivariant_network_gives_no_finding(group):
    report = check_equivariance(network(group), pictures(), group)
    assert report and report.first_break is None and report.good_sizes == ((14, 14),)
    assert len(report.steps) == 10
    assert all(max({**s.own, **s.accumulated}.values()) < 1e-12 for s in report.steps)


@both_groups
@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_cause_is_found_and_explained_and_nothing_else_is_accused(cause, group):
    layer, make, name, reason = PLANTED[cause]
    report = check_equivariance(network(group, **{layer: make(group)}), pictures(), group)
    assert not report and [step.name for step in report.breaks] == [name]
    first = report.first_break
    assert first.own["e"] == 0 and max(first.own.values()) > 1e-3
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(first.reason)
    assert first.reason.startswith(first.label)


@both_groups
def test_all_causes_at_once_are_found_each(group):
    replaced = {}
    for cause in ("planar convolution", "batch norm", "plain layer", "bias", "stride", "flattening"):
        replaced[PLANTED[cause][0]] = PLANTED[cause][1](group)
    report = check_equivariance(network(group, **replaced), pictures(), group)
    assert [step.name for step in report.breaks] == [
        "layer0.0",
        "layer1.1",
        "layer5.1",
        "layer6.add",
        "layer7",
        "layer9",
    ]


def test_a_break_is_seen_under_the_elements_that_break_it():
    report = check_equivariance(network("p4m", layer4=GMaxPool2d(3, 2, 1)), pictures(), "p4m")
    assert report.elements == ("e", "r", "r2", "r3", "m", "mr", "mr2", "mr3")
    # The transposition maps the first window of each axis onto itself, so it alone does not err.
    assert {word for word, error in report.first_break.own.items() if error < 1e-12} == {"e", "mr"}


def test_sizes_that_keep_equivariance_are_the_nearest_at_which_all_strides_do():
    report = check_equivariance(network("p4"), pictures((13, 13)), "p4")
    assert [step.name for step in report.breaks] == ["layer4", "layer7"]  # 13 -> 6 -> 2
    assert report.good_sizes == ((10, 10), (14, 14))  # 10 -> 5, 14 -> 7


def test_no_size_is_named_where_the_model_takes_no_other():
    model = nn.Sequential(Plus(14, 14), network("p4", layer4=GMaxPool2d(3, 2, 1)))
    assert check_equivariance(model, pictures(), "p4").good_sizes == ()


@both_groups
def test_rectangular_pictures_are_taken(group):
    assert check_equivariance(network(group), pictures((14, 18)), group)
    report = check_equivariance(network(group), pictures((14, 17)), group)
    assert report.first_break.name == "layer4" and "width 17" in report.first_break.reason
    assert report.good_sizes == ((14, 14), (14, 18))


@pytest.mark.parametrize("group", ["p4", "C4", C4])
def test_a_network_on_p4m_may_be_checked_under_turns_alone(group):
    report = check_equivariance(network("p4m"), pictures(), group)
    assert report and report.group == "p4" and report.elements == ("e", "r", "r2", "r3")


@pytest.mark.parametrize("group", ["p4m", "D4", D4])
def test_a_network_on_p4_follows_no_mirrors(group):
    report = check_equivariance(network("p4"), pictures(), group)
    assert report.first_break.name == "layer0" and "which has no mirrored orientations" in report.first_break.reason
    assert set(report.first_break.own) == {"e", "r", "r2", "r3"}


def test_feature_maps_on_a_group_are_taken_as_input():
    x = torch.randn(2, 3, 8, 5, 5)
    assert check_equivariance(P4MConvP4M(3, 2, 3), x, "p4m")
    assert not check_equivariance(nn.Conv3d(3, 2, (1, 3, 3)), x, "p4m")


# Other groups: the plane's, the hexagonal grid's, and space


def layers_of(group):
    """The lifting and the group convolution of a group."""
    lifting, conv = (spec for spec in LAYER_SPECS.values() if spec.group is as_group(group))
    return layer_of(lifting), layer_of(conv)


def small_network(group, **replaced):
    """Seven layers, equivariant at the size of maps(group); replaced: {"layer3": module, ...} in place of the layer."""
    lift, conv = layers_of(group)
    stabilizer = as_group(group).stabilizer
    is_hexagonal = not stabilizer.is_orthogonal
    if is_hexagonal:
        pool = GMaxPool2d(3, 2, 1, hexagonal=True)  # 9 -> 5
    else:
        pool = {2: GMaxPool2d, 3: GMaxPool3d}[stabilizer.ndim](2)  # 6 -> 3, 4 -> 2
    layers = {
        "layer0": lift(1, 2, 3, padding=1),
        "layer1": GBatchNorm(2, hexagonal=is_hexagonal),
        "layer2": nn.ReLU(),
        "layer3": pool,
        "layer4": conv(2, 2, 3, padding=1),
        "layer5": nn.Tanh(),
        "layer6": CosetMaxPool(),
    }
    model = nn.Sequential()
    for name, layer in {**layers, **replaced}.items():
        model.add_module(name, layer)
    return model


def maps(group, side=None):
    """An input for small_network: pictures, hexagons, or volumes."""
    stabilizer = as_group(group).stabilizer
    usual = 9 if not stabilizer.is_orthogonal else 6 if stabilizer.ndim == 2 else 4
    return pictures((side or usual,) * stabilizer.ndim)


class Call(nn.Module):
    """A function as a module that is looked into."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("group", GROUPS)
def test_networks_on_every_group_give_no_finding(group):
    report = check_equivariance(small_network(group), maps(group), group)
    assert report and report.group == group and len(report.elements) == as_group(group).size
    assert report.good_sizes == (tuple(maps(group).shape[2:]),)
    assert [step.law for step in report.steps[:5]] == [f"on {group}"] * 5
    assert all(max({**s.own, **s.accumulated}.values()) < 1e-12 for s in report.steps)


def order(group):
    return as_group(group).size


# By cause: the group, the layer that is replaced, what by, the side of the input, the step that breaks, the reason.
PLANTED_ELSEWHERE = {
    "p6m stride": (
        "p6m",
        "layer3",
        lambda: GMaxPool2d(3, 2, 1, hexagonal=True),
        11,
        "layer3",
        "height 11 breaks .* multiple of 4, twice the stride.* 9, 13",
    ),
    "p6m pooling over squares": (
        "p6m",
        "layer3",
        lambda: GMaxPool2d(3, 2, 1),
        None,
        "layer3",
        "pools over squares .* hexagonal=True",
    ),
    "p6m batch norm": (
        "p6m",
        "layer1",
        lambda: GBatchNorm(2),
        None,
        "layer1",
        "writes values outside of the hexagon.* Use GBatchNorm with hexagonal=True",
    ),
    "p6m no output mask": (
        "p6m",
        "layer4",
        lambda: layers_of("p6m")[1](2, 2, 3, padding=1, output_mask=False),
        None,
        "layer4",
        "writes values outside of the hexagon.* Keep the output_mask",
    ),
    "p6m one bias": (
        "p6m",
        "layer5",
        lambda: Plus(2, 1, 1, 1),
        None,
        "layer5.add",
        "writes values outside of the hexagon.* multiply by the hexagon",
    ),
    "p6m bias": (
        "p6m",
        "layer2",
        lambda: nn.Sequential(Plus(2, 12, 1, 1), Call(lambda x: x * hexagon(9))),
        None,
        "layer2.0.add",
        "adds a bias of its own to each orientation",
    ),
    "p6m scale": ("p6m", "layer2", lambda: Times(2, 12, 1, 1), None, "layer2.mul", "scales each orientation by a"),
    "p6m code of places": ("p6m", "layer2", lambda: Plus(9, 9), None, "layer2.add", "adds a value of its own to each"),
    "p6m plain convolution": (
        "p6m",
        "layer0",
        lambda: nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), layers_of("p6m")[0](1, 2, 3, padding=1)),
        None,
        "layer0.0",
        "plain convolution of planar maps.* P6MConvZ2",
    ),
    "p6m layers of p6": (
        "p6m",
        "layer4",
        lambda: nn.Sequential(CosetMaxPool(), P6ConvZ2(2, 2, 3, padding=1)),
        None,
        "layer4.1",
        r"on p6, which has no mirrored .* the p6m layers \(P6MConvZ2, P6MConvP6M\), or check under 'p6'",
    ),
    "p6m layers of p4": (
        "p6m",
        "layer4",
        lambda: nn.Sequential(CosetMaxPool(), P4ConvZ2(2, 2, 3, padding=1)),
        None,
        "layer4.1",
        r"on p4, which follows only 2 of the 12 elements of p6m \(e, r3\). Use the p6m layers \(.*\)[.]$",
    ),
    "Oh stride": ("Oh", "layer3", lambda: GMaxPool3d(3, 2, 1), None, "layer3", "depth 4 breaks .* work: 3, 5"),
    "Oh functions": (
        "Oh",
        "layer3",
        lambda: Call(lambda x: F.max_pool3d(x.flatten(1, 2), (3,), [2], 1).unflatten(1, x.shape[1:3])),
        None,
        "layer3.max_pool3d",
        "depth 4 breaks .* work: 3, 5",
    ),
    "Oh kernel": (
        "Oh",
        "layer3",
        lambda: GAvgPool3d((1, 2, 2), 1),
        None,
        "layer3",
        r"kernel \(1, 2, 2\) must be the same on depth, height and width",
    ),
    "Oh asymmetric padding": (
        "Oh",
        "layer5",
        lambda: nn.ConstantPad3d((0, 0, 1, 0, 0, 2), 0.0),
        None,
        "layer5",
        r"padding \(0, 1, 0\) before and \(2, 0, 0\) after",
    ),
    "Oh padding of one axis": (
        "Oh",
        "layer5",
        lambda: Call(lambda x: F.pad(x, (1, 0))),
        None,
        "layer5.pad",
        r"padding \(0, 0, 1\) before and \(0, 0, 0\) after",
    ),
    "Oh flattening": ("Oh", "layer6", lambda: nn.Flatten(), None, "layer6", r"axes of sizes \(2, 48, 2, 2, 2\)"),
    "Oh bias": ("Oh", "layer2", lambda: Plus(2, 48, 1, 1, 1), None, "layer2.add", "adds a bias of its own to each"),
    "Oh scale": ("Oh", "layer2", lambda: Times(2, 48, 1, 1, 1), None, "layer2.mul", "scales each orientation by a"),
    "Oh code of places": (
        "Oh",
        "layer2",
        lambda: Plus(4, 4, 4),
        None,
        "layer2.add",
        "a value of its own to each pixel",
    ),
    "Oh batch norm": (
        "Oh",
        "layer1",
        lambda: nn.Sequential(nn.Flatten(1, 2), nn.BatchNorm3d(96), nn.Unflatten(1, (2, 48))),
        None,
        "layer1.1",
        "statistics or scales of its own for each orientation .* Use GBatchNorm",
    ),
    "Oh plain layer": (
        "Oh",
        "layer4",
        lambda: nn.Sequential(nn.Flatten(1, 2), nn.Conv3d(96, 96, 1), nn.Unflatten(1, (2, 48))),
        None,
        "layer4.1",
        "is a plain layer on a map on Oh, folded.* Use OHConvOH, or coset pooling",
    ),
    "Oh plain convolution": (
        "Oh",
        "layer0",
        lambda: nn.Sequential(nn.Conv3d(1, 1, 3, padding=1), layers_of("Oh")[0](1, 2, 3, padding=1)),
        None,
        "layer0.0",
        "plain convolution of volumes: .* lifting convolution OHConvZ3",
    ),
    "Oh layers of O": (
        "Oh",
        "layer4",
        lambda: nn.Sequential(CosetMaxPool(), OConvZ3(2, 2, 3, padding=1)),
        None,
        "layer4.1",
        r"on O, which has no mirrored .* the Oh layers \(OHConvZ3, OHConvOH\), or check under 'O'",
    ),
    "p2mm stride": ("p2mm", "layer3", lambda: GMaxPool2d((2, 3), (2, 3)), 7, "layer3", "height 7 breaks .* work: 6, 8"),
}


def hexagon(side):
    return torch.from_numpy(as_group("p6").stabilizer.support((side, side)))


@pytest.mark.parametrize("cause", PLANTED_ELSEWHERE)
def test_a_cause_planted_on_another_group_is_found_and_explained(cause):
    group, layer, make, side, name, reason = PLANTED_ELSEWHERE[cause]
    report = check_equivariance(small_network(group, **{layer: make()}), maps(group, side), group)
    assert report.first_break is not None and report.first_break.name == name
    assert len(report.breaks) == 1
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(report.first_break.reason)


def test_a_rectangle_keeps_p2mm_and_not_p4():
    """A kernel and a stride that differ between the axes."""
    model = small_network("p2mm", layer3=GMaxPool2d((2, 3), (2, 3)))
    assert check_equivariance(model, pictures((8, 9)), "p2mm")
    report = check_equivariance(small_network("p4", layer3=GMaxPool2d((2, 3), (2, 3))), pictures((6, 6)), "p4")
    assert "must be the same on both axes" in report.first_break.reason


def test_what_a_hexagonal_pooling_leaves_out_is_no_break():
    assert check_equivariance(small_network("p6", layer2=Plus(2, 1, 1, 1)), maps("p6"), "p6")


def test_sizes_without_a_hexagon_are_refused():
    with pytest.raises(ValueError, match="x must have H = W odd, in axial coordinates, .* got size 8 x 8"):
        check_equivariance(small_network("p6"), maps("p6", 8), "p6")


def test_what_the_input_has_outside_of_the_hexagon_counts_as_zero():
    x = maps("p6")
    given = check_equivariance(small_network("p6"), x, "p6")
    assert given and not (x[..., ~hexagon(9)] == 0).any()


# Maps to smaller groups

LOWERED = {
    "p4m to p4": ("p4m", "p4", P4ConvP4, "has no mirrored orientations"),
    "p6m to p6": ("p6m", "p6", P6ConvP6, "has no mirrored orientations"),
    "p6m to p2": ("p6m", "p2", P2ConvP2, "follows only 2 of the 12 elements of p6m"),
    "Oh to C4h": ("Oh", "C4h", C4HConvC4H, "follows only 8 of the 48 elements of Oh"),
}


@pytest.mark.parametrize("case", LOWERED)
@pytest.mark.parametrize("by", ["module", "function"])
def test_a_restriction_keeps_the_subgroup_and_is_told_under_the_group(case, by):
    group, subgroup, conv, reason = LOWERED[case]
    index = order(group) // order(subgroup)
    step = Restrict(group, subgroup) if by == "module" else Call(lambda x: restrict(x, group, subgroup))
    model = small_network(group, layer2=step, layer4=conv(2 * index, 2, 3, padding=1))
    if subgroup != "p6":  # the map left the hexagonal grid
        model.layer3 = (GMaxPool2d if as_group(group).stabilizer.ndim == 2 else GMaxPool3d)(3, 2, 1)
    x = maps(group, 5)
    lower = check_equivariance(model, x, subgroup)
    assert lower and lower.steps[-3].law == f"on {subgroup}"
    report = check_equivariance(model, x, group)
    assert len(report.breaks) == 1 and report.first_break.name.split(".")[0] == "layer2"
    message = f"lowers the symmetry: it takes a map on {group} and makes one on {subgroup}, which {reason}"
    assert message in report.first_break.reason and f"check under '{subgroup}'" in report.first_break.reason


def test_a_restriction_that_is_undone_is_no_break():
    undone = nn.Sequential(Restrict("p4m", "p4"), nn.ReLU(), Unrestrict("p4m", "p4"))
    assert check_equivariance(small_network("p4m", layer2=undone), maps("p4m"), "p4m")
    between = nn.Sequential(Restrict("p4m", "p4"), P4ConvP4(4, 4, 3, padding=1), Unrestrict("p4m", "p4"))
    report = check_equivariance(small_network("p4m", layer2=between), maps("p4m"), "p4m")
    assert [step.name for step in report.breaks] == ["layer2.0"]


def test_an_induced_map_moves_as_one_on_the_group():
    model = nn.Sequential(P4ConvZ2(1, 2, 3, padding=1), Induce("p4m", "p4"), P4MConvP4M(2, 2, 3))
    report = check_equivariance(model, maps("p4m"), "p4")
    assert report and [step.law for step in report.steps] == ["on p4", "on p4m", "on p4m"]


# The zoo, at its published sizes


@pytest.mark.parametrize("model", [models.P4CNN(), models.P4CNNRotationPooling()], ids=lambda m: type(m).__name__)
def test_the_networks_for_rotated_mnist_keep_equivariance_at_28(model):
    assert check_equivariance(model, pictures((28, 28), batch=1), "p4")


@both_groups
def test_all_cnn_breaks_at_32_and_not_at_the_sizes_that_are_named(group):
    model = models.AllCNNC(group, widths=(2, 3))
    report = check_equivariance(model, pictures((32, 32), 3, batch=1), group)
    assert [step.name for step in report.breaks] == ["l3.conv", "l6.conv"]
    assert report.good_sizes == ((29, 29), (33, 33))
    assert check_equivariance(model, pictures((33, 33), 3, batch=1), group)


def test_resnet_breaks_at_32_and_its_head_at_every_size():
    model = models.ResNet44("p4m", widths=(1, 1, 2))
    report = check_equivariance(model, pictures((32, 32), 3, batch=1), "p4m")
    stages = [f"stage{stage}.0.{layer}" for stage in (2, 3) for layer in ("conv1", "shortcut")]
    assert [step.name for step in report.breaks] == [*stages, "head"]
    report = check_equivariance(model, pictures((33, 33), 3, batch=1), "p4m")
    assert [step.name for step in report.breaks] == ["head"]
    assert "plain layer on a map on p4m, folded, no pixels" in report.first_break.reason


def test_resnet_with_an_invariant_head_keeps_equivariance_at_33():
    model = models.ResNet44("p4m", widths=(1, 1, 2), invariant=True)
    assert check_equivariance(model, pictures((33, 33), 3, batch=1), "p4m")


def test_the_planar_form_of_an_equivariant_network_is_equivariant():
    model = nn.Sequential(P4MConvZ2(1, 2, 3), GBatchNorm(2), P4MConvP4M(2, 2, 3), CosetMaxPool())
    report = check_equivariance(to_planar(model), pictures(), "p4m")
    assert report and {step.kind for step in report.steps} >= {"Conv2d", "BatchNorm2d"}


# What a model's own code does


class ByHand(nn.Module):
    """A G-convolution of rot90 and conv2d, a batch norm by a view, a pooling that gives the stabilizer to the batch."""

    def __init__(self, pool=2):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 1, 3, 3))
        self.norm = nn.BatchNorm2d(3)
        self.pool = pool

    def forward(self, x):
        y = torch.stack([F.conv2d(x.rot90(-r, (2, 3)), self.weight, padding=1).rot90(r, (2, 3)) for r in range(4)], 2)
        N, C, S, H, W = y.shape
        y = self.norm(y.view(N, C, S * H, W)).view(N, C, S, H, W)
        y = F.max_pool2d(y.transpose(1, 2).reshape(N * S, C, H, W), self.pool)
        y = y.view(N, S, C, *y.shape[2:]).transpose(1, 2)
        y += 1
        y[:, :, :, :, :] = y.relu()
        scores = y.flatten(2).amax(2)
        return {"scores": scores, "classes": scores.argmax(1)}


def test_layouts_without_a_law_are_no_break_if_a_later_step_restores_one():
    report = check_equivariance(ByHand(), pictures((8, 12)), "p4")
    assert report
    assert "" in [step.law for step in report.steps] and report.steps[-1].law == "invariant"
    assert "moves as" in str(report)


def test_a_window_that_breaks_inside_such_a_layout_is_blamed():
    report = check_equivariance(ByHand(pool=3), pictures((8, 8)), "p4")
    assert report.first_break.name == "max_pool2d" and "height 8 breaks" in report.first_break.reason
    assert "flatten" not in str([step.name for step in report.breaks])


def test_convolutions_that_do_not_make_up_an_orbit_are_accused_each():
    report = check_equivariance(models.Z2CNN(channels=6), pictures((28, 28)), "p4")
    assert [s.name for s in report.breaks] == [f"l{i}.conv" for i in range(1, 7)] + ["top"]


def test_an_output_of_zeros_excuses_no_convolution():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Threshold(1e9, 0), nn.Conv2d(2, 2, 3), nn.AdaptiveMaxPool2d(1))
    assert check_equivariance(model, pictures(), "p4").first_break.name == "0"


class OutOfSight(nn.Module):
    """Leaves PyTorch on its way."""

    def forward(self, x):
        return torch.from_numpy(x.numpy()[..., :-1].copy())


def test_what_no_function_mode_sees_is_taken_as_a_whole():
    report = check_equivariance(nn.Sequential(P4ConvZ2(1, 2, 3), OutOfSight(), nn.ReLU()), pictures(), "p4")
    assert report.first_break.name == "1" and report.first_break.kind == "OutOfSight"
    assert "it is not known why" in report.first_break.reason and report.first_break.own["r"] == float("inf")
    assert len(report.steps) == 3


class Drifting(nn.Module):
    """Gives another output at each call."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x * self.calls


def test_a_step_that_keeps_a_state_is_named():
    report = check_equivariance(nn.Sequential(nn.ReLU(), Drifting()), pictures(), "p4")
    assert report.first_break.name == "1.mul"
    assert "gives something else each time it is run" in report.first_break.reason


class WideOnly(nn.Module):
    def forward(self, x):
        if x.shape[-1] < x.shape[-2]:
            raise ValueError("pictures must be wide")
        return x.amax((-2, -1))


def test_a_model_that_refuses_turned_pictures_is_not_equivariant():
    report = check_equivariance(WideOnly(), pictures((4, 6)), "p4")
    assert not report and report.first_break is None and report.refused == ("r", "r3")
    assert "the model cannot take x moved by r, r3" in str(report)


def test_lazy_modules_take_their_sizes():
    model = nn.Sequential(P4ConvZ2(1, 2, 3), nn.Flatten(1, 2), nn.LazyConv2d(8, 3), nn.ReLU())
    assert check_equivariance(model, pictures(), "p4").first_break.kind == "Conv2d"
    assert isinstance(model[2], nn.LazyConv2d)


def test_parametrized_layers_are_layers():
    layer = nn.utils.parametrizations.weight_norm(P4ConvP4(2, 2, 3))
    report = check_equivariance(nn.Sequential(P4ConvZ2(1, 2, 3), layer), pictures(), "p4")
    assert report and [step.name for step in report.steps] == ["0", "1"]


def test_a_strict_layer_gives_a_finding_and_no_error():
    report = check_equivariance(P4ConvZ2(1, 2, 3, stride=2, strict=True), pictures(), "p4")
    assert report.first_break.label == "P4ConvZ2" and "height 14 breaks" in report.first_break.reason


# What stays as it is, and what is said


@both_groups
def test_model_mode_hooks_and_random_generators_stay_as_they_are(group):
    model = network(group, layer4=GMaxPool2d(3, 2, 1), layer6=nn.Dropout())
    state, seeds = copy.deepcopy(model.state_dict()), (torch.get_rng_state(), np.random.get_state()[1].copy())
    x = pictures()
    given, torch_seed = x.clone(), torch.get_rng_state()
    assert not check_equivariance(model, x, group)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, given) and torch.equal(torch_seed, torch.get_rng_state())
    assert (seeds[1] == np.random.get_state()[1]).all()
    for module in model.modules():
        assert module.training and not module._forward_hooks and not module._forward_pre_hooks
        assert not getattr(module, "_warned", False)
    assert torch.is_grad_enabled()


def test_the_report_reads():
    model = nn.Sequential(P4ConvZ2(1, 2, 3, padding=1), nn.ReLU(), P4ConvP4(2, 2, 3, stride=2, padding=1))
    report = check_equivariance(model, pictures((8, 8)), "p4")
    text = str(report).splitlines()
    assert text[0] == "Not equivariant under p4, for x of shape (2, 1, 8, 8): 2 (P4ConvP4) breaks it first."
    assert text[2].split() == ["step", "kind", "output", "moves", "as", "own", "error", "so", "far"]
    assert text[3] == "0     P4ConvZ2  (2, 2, 4, 8, 8)  on p4     <1e-06     <1e-06"
    assert text[5].startswith("2     P4ConvP4  (2, 2, 4, 4, 4)  on p4     ") and text[5].endswith("breaks")
    assert text[7:9] == [
        "2 (P4ConvP4): height 8 breaks equivariance at stride 2, since height + 2 * pad - ksize = 7 is not a multiple",
        "of it. Nearest sizes that work: 7, 9.",
    ]
    assert text[9].startswith("  own error e: <1e-06, r: ")
    assert text[11] == "Sizes: every stride keeps equivariance at 7 x 7, 9 x 9."


def test_the_report_goes_into_json():
    report = check_equivariance(nn.Sequential(P4ConvZ2(1, 2, 3), OutOfSight()), pictures(), "p4")
    read = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert read["first_break"] == "1" and read["is_equivariant"] is False and read["group"] == "p4"
    assert read["steps"][1]["own"]["r"] is None and read["steps"][0]["own"]["e"] == 0


def test_a_tolerance_may_be_given():
    model = network("p4", layer4=GMaxPool2d(3, 2, 1))
    assert check_equivariance(model, pictures(), "p4", tolerance=1e3)


@pytest.mark.parametrize(
    "model, x, group, error, message",
    [
        (F.relu, pictures(), "p4", TypeError, "model must be a torch.nn.Module, got function"),
        (nn.ReLU(), pictures().numpy(), "p4", TypeError, "x must be a tensor of real floating-point numbers"),
        (nn.ReLU(), pictures().int(), "p4", TypeError, "x must be a tensor of .*, got torch.int32"),
        (nn.ReLU(), pictures(), "p5", ValueError, "group must be one of .*'p4', .*; got 'p5'"),
        (nn.ReLU(), pictures()[0], "p4", ValueError, r"x must be pictures \(N, C, H, W\) .*; got shape \(1, 14, 14\)"),
        (nn.ReLU(), pictures()[:0], "p4", ValueError, "and not empty"),
        (
            nn.ReLU(),
            torch.randn(2, 3, 4, 5, 5),
            "p4m",
            ValueError,
            "x has 4 orientations, so it lies on 'p2mm' or 'p4'",
        ),
        (nn.ReLU(), torch.ones(2, 3, 5, 5), "p4", ValueError, "looks the same however it is moved"),
        (P4ConvZ2(3, 2, 3), pictures(), "p4", ValueError, "P4ConvZ2: x must have shape"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_words(model, x, group, error, message):
    with pytest.raises(error, match=message):
        check_equivariance(model, x, group)


class Loss(nn.Module):
    def forward(self, x):
        return x.sum().item()


def test_a_model_that_returns_no_tensor_is_refused():
    with pytest.raises(ValueError, match="the model returns no tensor that is computed from x"):
        check_equivariance(Loss(), pictures(), "p4")


def test_every_layer_of_the_package_passes_alone():
    assert {"P4ConvZ2", "GBatchNorm"} <= set(torch_gconv.__all__)
    companions = [torch_gconv.GGroupNorm(1, 2), torch_gconv.GDropout(), torch_gconv.GAvgPool2d(2)]
    companions += [torch_gconv.CosetMeanPool(), torch_gconv.CosetSumPool(), torch_gconv.CosetL2Pool()]
    companions += [torch_gconv.GGlobalMaxPool(), torch_gconv.GGlobalMeanPool()]
    for companion in companions:
        assert check_equivariance(companion, torch.randn(2, 2, 8, 6, 6), "p4m"), companion


PAGE = Path(__file__).parents[2] / "docs" / "equivariance.md"
SHOWN = re.findall(r"```python\n(.*?)```.*?```\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.parametrize("code, printed", SHOWN, ids=["three faults", "on the hexagonal grid"])
def test_the_documentation_shows_what_is_printed(code, printed, capsys):
    exec(compile(code, "docs/equivariance.md", "exec"), {})
    assert capsys.readouterr().out == printed
