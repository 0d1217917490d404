"""check_equivariance on Chainer models: each planted cause is found and explained, and nothing else is accused."""

import json
import warnings

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np
import pytest

from chainer_gconv import (
    C4HConvC4H,
    GBatchNorm,
    OConvZ3,
    P4ConvP4,
    P4ConvZ2,
    P4MConvP4M,
    P4MConvZ2,
    P6ConvP6,
    P6ConvZ2,
    check_equivariance,
    coset_max_pooling,
    coset_mean_pooling,
    induce,
    layer_of,
    models,
    plane_group_spatial_max_pooling,
    restrict,
    unrestrict,
)
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, as_group

LAYERS = {"p4": (P4ConvZ2, P4ConvP4, 4), "p4m": (P4MConvZ2, P4MConvP4M, 8)}
both_groups = pytest.mark.parametrize("group", LAYERS)


class Plus(chainer.Link):
    """Adds a learnt array of the given shape; zeros, as before training."""

    def __init__(self, *shape):
        super().__init__()
        with self.init_scope():
            self.array = chainer.Parameter(0, shape)

    def forward(self, x):
        return x + F.broadcast_to(self.array, x.shape)


class Times(Plus):
    """Multiplies by it."""

    def forward(self, x):
        return x * F.broadcast_to(1 + self.array, x.shape)


class Folded(chainer.Chain):
    """A layer of planar maps, on the folded channels of a map (N, 2, S, H, W)."""

    def __init__(self, layer):
        super().__init__()
        with self.init_scope():
            self.layer = layer

    def forward(self, x):
        y = self.layer(F.reshape(x, (x.shape[0], -1, *x.shape[3:])))
        return F.reshape(y, (*x.shape[:3], *y.shape[2:]))


class Network(chainer.Chain):
    """Ten layers, equivariant at 14 x 14; replaced: {"layer3": layer, ...} in place of the layer."""

    def __init__(self, group, **replaced):
        super().__init__()
        lift, conv, _ = LAYERS[group]
        self.layers = {
            "layer0": lift(1, 2, 3, pad=1),
            "layer1": GBatchNorm(2),
            "layer2": F.relu,
            "layer3": conv(2, 2, 3, pad=1),
            "layer4": lambda x: plane_group_spatial_max_pooling(x, 2),  # 14 -> 7
            "layer5": conv(2, 2, 3, pad=1),
            "layer6": F.relu,
            "layer7": conv(2, 2, 3, stride=2),  # 7 -> 3
            "layer8": coset_max_pooling,
            "layer9": lambda x: F.mean(x, axis=(2, 3)),
            **replaced,
        }
        self._enter_layers()

    def _enter_layers(self):
        with self.init_scope():
            for name, layer in self.layers.items():
                if isinstance(layer, chainer.Link):
                    setattr(self, name, layer)
        self.order = list(self.layers)
        self.layers = {name: layer for name, layer in self.layers.items() if not isinstance(layer, chainer.Link)}

    def forward(self, x):
        for name in self.order:
            x = self.layers[name](x) if name in self.layers else self[name](x)
        return x


# By cause: the layer that is replaced, what by (group -> layer), the name of the step that breaks, the reason.
PLANTED = {
    "stride": ("layer7", lambda g: LAYERS[g][1](2, 2, 2, stride=2), "layer7", "height 7 breaks .* work: 6, 8"),
    "pooling": (
        "layer4",
        lambda g: lambda x: plane_group_spatial_max_pooling(x, 3, 2, 1, cover_all=False),
        "MaxPoolingND",
        "height 14 breaks .* work: 13, 15",
    ),
    "average pooling": (
        "layer9",
        lambda g: lambda x: F.average_pooling_2d(x, 2),
        "AveragePooling2D",
        "height 3 breaks .* work: 2, 4",
    ),
    "asymmetric padding": (
        "layer5",
        lambda g: chainer.Sequential(
            lambda x: F.pad(x, [(0, 0)] * 3 + [(0, 1)] * 2, "constant"), LAYERS[g][1](2, 2, 2)
        ),
        "layer5.Pad",
        r"padding \(0, 0\) before and \(1, 1\) after",
    ),
    "flattening": ("layer9", lambda g: L.Linear(18, 3), "layer9", r"flattens axes of sizes \(2, 3, 3\) .* 18 features"),
    "reshape": (
        "layer9",
        lambda g: lambda x: F.reshape(x, (len(x), -1)),
        "Reshape #3",
        r"flattens axes of sizes \(2, 3, 3\) .* 18 features",
    ),
    "bias": ("layer6", lambda g: Plus(1, 2, LAYERS[g][2], 1, 1), "layer6.Add", "adds a bias of its own to each orient"),
    "scale": ("layer6", lambda g: Times(1, 2, LAYERS[g][2], 1, 1), "layer6.Mul", "scales each orientation by a factor"),
    "code of places": (
        "layer2",
        lambda g: Plus(1, 1, 1, 14, 14),
        "layer2.Add",
        "adds a value of its own to each pixel",
    ),
    "batch norm": (
        "layer1",
        lambda g: Folded(L.BatchNormalization(2 * LAYERS[g][2])),
        "layer1.layer",
        "statistics or scales of its own for each orientation .* Use GBatchNorm",
    ),
    "plain layer": (
        "layer5",
        lambda g: Folded(L.Convolution2D(2 * LAYERS[g][2], 2 * LAYERS[g][2], 3, pad=1)),
        "layer5.layer",
        "is a plain layer on a map on p4.* Use P4M?ConvP4M?, or coset pooling",
    ),
    "planar convolution": (
        "layer0",
        lambda g: chainer.Sequential(L.Convolution2D(1, 1, 3, pad=1), LAYERS[g][0](1, 2, 3, pad=1)),
        "layer0.0",
        "plain convolution of planar maps: .* lifting convolution P4M?ConvZ2",
    ),
}


def pictures(size=(14, 14), channels=1, batch=2):
    return np.random.default_rng(1).standard_normal((batch, channels, *size)).astype("float32")


@both_groups
def test_an_equivariant_network_gives_no_finding(group):
    report = check_equivariance(Network(group), pictures(), group)
    assert report and report.first_break is None and report.good_sizes == ((14, 14),)
    assert all(max({**s.own, **s.accumulated}.values()) < 1e-12 for s in report.steps)


@both_groups
@pytest.mark.parametrize("cause", PLANTED)
def test_a_planted_cause_is_found_and_explained_and_nothing_else_is_accused(cause, group):
    layer, make, name, reason = PLANTED[cause]
    report = check_equivariance(Network(group, **{layer: make(group)}), pictures(), group)
    assert not report and [step.name for step in report.breaks] == [name]
    first = report.first_break
    assert first.own["e"] == 0 and max(first.own.values()) > 1e-3
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(first.reason)
    assert first.reason.startswith(first.label)


@both_groups
def test_all_causes_at_once_are_found_each(group):
    replaced = {}
    for cause in ("planar convolution", "batch norm", "asymmetric padding", "bias", "stride", "flattening"):
        replaced[PLANTED[cause][0]] = PLANTED[cause][1](group)
    report = check_equivariance(Network(group, **replaced), pictures(), group)
    names = ["layer0.0", "layer1.layer", "layer5.Pad", "layer6.Add", "layer7", "layer9"]
    assert [step.name for step in report.breaks] == names


def test_sizes_that_keep_equivariance_are_the_nearest_at_which_all_strides_do():
    report = check_equivariance(Network("p4"), pictures((13, 13)), "p4")
    assert report.first_break.name == "MaxPoolingND"  # Chainer covers the last column with a smaller window
    assert report.good_sizes == ((10, 10), (14, 14))


@both_groups
def test_rectangular_pictures_are_taken(group):
    assert check_equivariance(Network(group), pictures((14, 18)), group)


def test_a_network_on_p4m_may_be_checked_under_turns_alone():
    assert check_equivariance(Network("p4m"), pictures(), "C4").elements == ("e", "r", "r2", "r3")


def test_a_network_on_p4_follows_no_mirrors():
    report = check_equivariance(Network("p4"), pictures(), "p4m")
    assert report.first_break.name == "layer0" and "which has no mirrored orientations" in report.first_break.reason


# Other groups: the plane's, the hexagonal grid's, and space


def layers_of(group):
    """The lifting and the group convolution of a group."""
    lifting, conv = (spec for spec in LAYER_SPECS.values() if spec.group is as_group(group))
    return layer_of(lifting), layer_of(conv)


def pooling(ksize, stride, pad, **settings):
    return lambda x: plane_group_spatial_max_pooling(x, ksize, stride, pad, cover_all=False, **settings)


class SmallNetwork(Network):
    """Six layers, equivariant at the size of maps(group); replaced: {"layer3": layer, ...} in place of the layer."""

    def __init__(self, group, **replaced):
        chainer.Chain.__init__(self)
        lift, conv = layers_of(group)
        is_hexagonal = not as_group(group).stabilizer.is_orthogonal
        self.layers = {
            "layer0": lift(1, 2, 3, pad=1),
            "layer1": GBatchNorm(2, hexagonal=is_hexagonal),
            "layer2": F.relu,
            "layer3": pooling(3, 2, 1, hexagonal=True) if is_hexagonal else pooling(2, 2, 0),  # 9 -> 5, 6 -> 3, 4 -> 2
            "layer4": conv(2, 2, 3, pad=1),
            "layer5": F.tanh,
            "layer6": coset_max_pooling,
            **replaced,
        }
        self._enter_layers()


def maps(group, side=None):
    """An input for SmallNetwork: pictures, hexagons, or volumes."""
    stabilizer = as_group(group).stabilizer
    usual = 9 if not stabilizer.is_orthogonal else 6 if stabilizer.ndim == 2 else 4
    return pictures((side or usual,) * stabilizer.ndim)


@pytest.mark.parametrize("group", GROUPS)
def test_networks_on_every_group_give_no_finding(group):
    report = check_equivariance(SmallNetwork(group), maps(group), group)
    assert report and report.group == group and len(report.elements) == as_group(group).size
    assert report.good_sizes == (maps(group).shape[2:],)
    assert [step.law for step in report.steps[:3]] == [f"on {group}"] * 3
    assert all(max({**s.own, **s.accumulated}.values()) < 1e-12 for s in report.steps)


# By cause: the group, the layer that is replaced, what by, the side of the input, the step that breaks, the reason.
# Steps inside of a Sequential are counted among its links.
PLANTED_ELSEWHERE = {
    "p6m stride": (
        "p6m",
        "layer4",
        lambda: layers_of("p6m")[1](2, 2, 3, stride=2),
        9,
        "layer4",
        "height 5 breaks .* 3, 7",
    ),
    "p6m pooling over squares": (
        "p6m",
        "layer3",
        lambda: pooling(3, 2, 1),
        None,
        "MaxPoolingND",
        "pools over squares .* hexagonal=True",
    ),
    "p6m pooling of another size": (
        "p6m",
        "layer3",
        lambda: pooling(3, 2, 1, hexagonal=True),
        11,
        "GetItem #4",
        "makes a map of size 6 x 6, which holds no hexagon",
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
        lambda: layers_of("p6m")[1](2, 2, 3, pad=1, output_mask=False),
        None,
        "layer4",
        "writes values outside of the hexagon.* Keep the output_mask",
    ),
    "p6m one bias": (
        "p6m",
        "layer5",
        lambda: Plus(1, 2, 1, 1, 1),
        None,
        "layer5.Add",
        "writes values outside of the hexagon.* multiply by the hexagon",
    ),
    "p6m plain convolution": (
        "p6m",
        "layer0",
        lambda: chainer.Sequential(L.Convolution2D(1, 1, 3, pad=1), layers_of("p6m")[0](1, 2, 3, pad=1)),
        None,
        "layer0.0",
        "plain convolution of planar maps.* P6MConvZ2",
    ),
    "p6m layers of p6": (
        "p6m",
        "layer4",
        lambda: chainer.Sequential(coset_max_pooling, P6ConvZ2(2, 2, 3, pad=1)),
        None,
        "layer4.0",
        r"on p6, which has no mirrored .* the p6m layers \(P6MConvZ2, P6MConvP6M\), or check under 'p6'",
    ),
    "Oh stride": ("Oh", "layer3", lambda: pooling(3, 2, 1), None, "MaxPoolingND", "depth 4 breaks .* work: 3, 5"),
    "Oh kernel": (
        "Oh",
        "layer6",
        lambda: lambda x: F.average_pooling_nd(coset_max_pooling(x), (1, 2, 2), 1),
        None,
        "AveragePoolingND",
        r"kernel \(1, 2, 2\) must be the same on depth, height and width",
    ),
    "Oh convolution": (
        "Oh",
        "layer6",
        lambda: chainer.Sequential(coset_max_pooling, L.ConvolutionND(3, 2, 2, 3, stride=2, pad=1)),
        None,
        "layer6.0",
        "depth 2 breaks equivariance at stride 2",
    ),
    "Oh asymmetric padding": (
        "Oh",
        "layer5",
        lambda: lambda x: F.pad(x, [(0, 0)] * 3 + [(0, 2), (1, 0), (0, 0)], "constant"),
        None,
        "Pad",
        r"padding \(0, 1, 0\) before and \(2, 0, 0\) after",
    ),
    "Oh flattening": ("Oh", "layer6", lambda: L.Linear(768, 2), None, "layer6", r"axes of sizes \(2, 48, 2, 2, 2\)"),
    "Oh bias": ("Oh", "layer2", lambda: Plus(1, 2, 48, 1, 1, 1), None, "layer2.Add", "adds a bias of its own to each"),
    "Oh scale": ("Oh", "layer2", lambda: Times(1, 2, 48, 1, 1, 1), None, "layer2.Mul", "scales each orientation by a"),
    "Oh code of places": (
        "Oh",
        "layer2",
        lambda: Plus(1, 1, 1, 4, 4, 4),
        None,
        "layer2.Add",
        "adds a value of its own to each pixel",
    ),
    "Oh batch norm": (
        "Oh",
        "layer1",
        lambda: Folded(L.BatchNormalization(96)),
        None,
        "layer1.layer",
        "statistics or scales of its own for each orientation .* Use GBatchNorm",
    ),
    "Oh plain layer": (
        "Oh",
        "layer4",
        lambda: Folded(L.ConvolutionND(3, 96, 96, 1)),
        None,
        "layer4.layer",
        "is a plain layer on a map on Oh, folded.* Use OHConvOH, or coset pooling",
    ),
    "Oh plain convolution": (
        "Oh",
        "layer0",
        lambda: chainer.Sequential(L.ConvolutionND(3, 1, 1, 3, pad=1), layers_of("Oh")[0](1, 2, 3, pad=1)),
        None,
        "layer0.0",
        "plain convolution of volumes: .* lifting convolution OHConvZ3",
    ),
    "Oh layers of O": (
        "Oh",
        "layer4",
        lambda: chainer.Sequential(coset_max_pooling, OConvZ3(2, 2, 3, pad=1)),
        None,
        "layer4.0",
        r"on O, which has no mirrored .* the Oh layers \(OHConvZ3, OHConvOH\), or check under 'O'",
    ),
}


@pytest.mark.parametrize("cause", PLANTED_ELSEWHERE)
def test_a_cause_planted_on_another_group_is_found_and_explained(cause):
    group, layer, make, side, name, reason = PLANTED_ELSEWHERE[cause]
    report = check_equivariance(SmallNetwork(group, **{layer: make()}), maps(group, side), group)
    assert [step.name for step in report.breaks] == [name]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(report.first_break.reason)


@pytest.mark.parametrize(
    "group, subgroup, conv, reason",
    [
        ("p4m", "p4", P4ConvP4, "has no mirrored orientations"),
        ("p6m", "p6", P6ConvP6, "has no mirrored orientations"),
        ("Oh", "C4h", C4HConvC4H, "follows only 8 of the 48 elements of Oh"),
    ],
)
def test_a_restriction_keeps_the_subgroup_and_is_told_under_the_group(group, subgroup, conv, reason):
    channels = 2 * as_group(group).size // as_group(subgroup).size
    model = SmallNetwork(group, layer2=lambda x: restrict(x, group, subgroup), layer4=conv(channels, 2, 3, pad=1))
    lower = check_equivariance(model, maps(group), subgroup)
    assert lower and lower.steps[-3].law == f"on {subgroup}"
    report = check_equivariance(model, maps(group), group)
    assert [step.name for step in report.breaks] == ["Reshape"]
    message = f"lowers the symmetry: it takes a map on {group} and makes one on {subgroup}, which {reason}"
    assert message in report.first_break.reason and f"check under '{subgroup}'" in report.first_break.reason


def test_a_restriction_that_is_undone_is_no_break():
    undone = SmallNetwork("p4m", layer2=lambda x: unrestrict(F.relu(restrict(x, "p4m", "p4")), "p4m", "p4"))
    assert check_equivariance(undone, maps("p4m"), "p4m")


def test_an_induced_map_moves_as_one_on_the_group():
    model = chainer.Sequential(P4ConvZ2(1, 2, 3), lambda x: induce(x, "p4m", "p4"), P4MConvP4M(2, 2, 3))
    report = check_equivariance(model, pictures((6, 6)), "p4")
    assert report and report.steps[-1].law == "on p4m"


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


def test_resnets_head_breaks_at_every_size():
    model = models.ResNet44("p4m", widths=(1, 1, 2))
    report = check_equivariance(model, pictures((33, 33), 3, batch=1), "p4m")
    assert [step.name for step in report.breaks] == ["head"]


def test_resnet_with_an_invariant_head_keeps_equivariance_at_33():
    model = models.ResNet44("p4m", widths=(1, 1, 2), invariant=True)
    assert check_equivariance(model, pictures((33, 33), 3, batch=1), "p4m")


# What a model's own code does


class OutOfSight(chainer.Link):
    """Computes with arrays on its way."""

    def forward(self, x):
        return chainer.Variable(np.ascontiguousarray(x.array[..., :-1]))


def test_what_no_hook_sees_is_taken_as_a_whole():
    report = check_equivariance(chainer.Sequential(P4ConvZ2(1, 2, 3), OutOfSight(), F.relu), pictures(), "p4")
    assert report.first_break.name == "1" and report.first_break.kind == "OutOfSight"
    assert len(report.steps) == 3


class ScaledByHand(chainer.Link):
    """Batch statistics shared over the stabilizer by way of a reshape; several outputs."""

    def forward(self, x):
        N, C, S, H, W = x.shape
        y = F.reshape(x, (N, C, S * H * W))
        y = y / F.broadcast_to(F.sqrt(F.mean(y * y, axis=2, keepdims=True)), y.shape)
        return {"map": F.reshape(y, x.shape), "classes": (F.argmax(F.max(y, axis=2), axis=1),)}


def test_layouts_without_a_law_are_no_break_if_a_later_step_restores_one():
    assert check_equivariance(chainer.Sequential(P4ConvZ2(1, 2, 3), ScaledByHand()), pictures((6, 9)), "p4")


@both_groups
def test_folded_channels_are_followed(group):
    lift, conv, _ = LAYERS[group]
    model = chainer.Sequential(lift(1, 2, 3, flat_channels=True), F.relu, conv(2, 2, 3), coset_mean_pooling)
    report = check_equivariance(model, pictures(), group)
    assert report and report.steps[1].law == f"on {group}, folded"


def test_links_take_their_sizes_from_the_first_input():
    model = chainer.Sequential(P4ConvZ2(None, 2, 3), coset_max_pooling, L.Convolution2D(None, 2, 3))
    state = np.random.get_state()[1].copy()
    report = check_equivariance(model, pictures(), "p4")
    assert report.first_break.kind == "Convolution2D"
    assert not model[0].W.is_initialized and not model[2].W.is_initialized
    assert (state == np.random.get_state()[1]).all()


def test_statistics_without_scale_and_shift_are_taken():
    norm = L.BatchNormalization(2, use_gamma=False, use_beta=False)
    assert check_equivariance(chainer.Sequential(P4ConvZ2(1, 2, 3), norm), pictures(), "p4")


def test_a_strict_link_gives_a_finding_and_no_error():
    report = check_equivariance(P4ConvZ2(1, 2, 3, stride=2, strict=True), pictures(), "p4")
    assert report.first_break.label == "P4ConvZ2" and "height 14 breaks" in report.first_break.reason


# What stays as it is, and what is said


@both_groups
def test_model_configuration_and_hooks_stay_as_they_are(group):
    model = Network(group, **{PLANTED["stride"][0]: PLANTED["stride"][1](group)})
    arrays = {name: parameter.array.copy() for name, parameter in model.namedparams()}
    x = pictures()
    given = x.copy()
    assert not check_equivariance(model, chainer.Variable(x), group)
    assert all((parameter.array == arrays[name]).all() for name, parameter in model.namedparams())
    assert all(parameter.dtype == np.float32 for parameter in model.params())
    assert (x == given).all() and chainer.config.train and chainer.config.enable_backprop
    assert not chainer.get_function_hooks() and not chainer._get_link_hooks()
    assert not any(getattr(link, "_warned", False) for link in model.links())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model(x)
    assert len(caught) == 1  # the layer's own, which the check has not used up


def test_the_report_reads_and_goes_into_json():
    report = check_equivariance(chainer.Sequential(P4ConvZ2(1, 2, 3), F.relu), pictures((8, 8)), "p4")
    text = str(report).splitlines()
    assert text[0] == "Equivariant under p4, for x of shape (2, 1, 8, 8)."
    assert text[3].split() == ["0", "P4ConvZ2", "(2,", "2,", "4,", "6,", "6)", "on", "p4", "<1e-06", "<1e-06"]
    assert text[-1] == "Sizes: every stride keeps equivariance at 8 x 8."
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["is_equivariant"] is True


@pytest.mark.parametrize(
    "model, x, group, error, message",
    [
        (F.relu, pictures(), "p4", TypeError, "model must be a chainer.Link, got function"),
        (P4ConvZ2(1, 2, 3), [[1.0]], "p4", TypeError, "x must be an array or Variable .*, got list"),
        (P4ConvZ2(1, 2, 3), pictures().astype(int), "p4", TypeError, "x must be an array .*, got int64"),
        (P4ConvZ2(1, 2, 3), pictures(), "p5", ValueError, "group must be one of .*'p4', .*; got 'p5'"),
        (P6ConvZ2(1, 2, 3), pictures(), "p6", ValueError, "x must have H = W odd, .* got size 14 x 14"),
        (P4ConvZ2(1, 2, 3), pictures()[0], "p4", ValueError, r"x must be pictures .*; got shape \(1, 14, 14\)"),
        (P4ConvZ2(3, 2, 3), pictures(), "p4", ValueError, "P4ConvZ2: x must have shape"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_words(model, x, group, error, message):
    with pytest.raises(error, match=message):
        check_equivariance(model, x, group)
