"""to_planar gives the same bits from stock modules alone; equality_report can tell when something does not."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import torch_gconv
from conformance.integer_weights import integer_weights
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_filter_masks import make_p4m_masks_segregate_mirrors
from groupy.gconv.published_models import BATCH_NORM_EPS
from torch_gconv import GBatchNorm, GDropout, P4ConvP4, P4ConvZ2, P4MConvP4M, layer_of, models
from torch_gconv.equality import equality_report
from torch_gconv.planar import planar_form, to_planar
from torch_gconv.residual import GResidualBlock

# Which sizes keep equivariance is not at issue here.
pytestmark = pytest.mark.filterwarnings("ignore::groupy.gconv.geometry.EquivarianceWarning")


def integers(module):
    """The module, its parameters small integers: of an input of integers, all its sums are exact."""
    generator = torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
    return module


def picture(*shape, dtype=torch.float32):
    return torch.randint(-3, 4, shape, generator=torch.manual_seed(1)).to(dtype)


class Net(nn.Module):
    """A user's model, whose layers' normalization divides by 2 exactly."""

    def __init__(self):
        super().__init__()
        self.lift = torch_gconv.P4MConvZ2(2, 2, 3, padding=1)
        self.bn = GBatchNorm(2)
        self.relu = nn.ReLU(inplace=True)
        self.rest = nn.Sequential(
            torch_gconv.GMaxPool2d(2),
            GResidualBlock(P4MConvP4M, 2, 2),
            P4MConvP4M(2, 3, 3),
            torch_gconv.CosetMaxPool(),
        )
        integers(self).eval()
        for module in self.modules():
            if isinstance(module, GBatchNorm):
                module.eps = 0.5
                module.running_var.fill_(3.5)

    def forward(self, x):
        return self.rest(self.relu(self.bn(self.lift(x))))


def is_stock(module):
    return all(type(part).__module__.startswith("torch.") for part in module.modules())


def assert_planar_is_same(model, *inputs):
    planar = to_planar(model)
    assert is_stock(planar)
    for x in inputs:
        y = model(x)
        assert y.abs().max() > 0 and torch.equal(planar(x), y) and planar(x).shape == y.shape


class TestLayers:
    """Each layer and option, on maps with a stabilizer axis and with folded channels."""

    options = {
        "no options": {},
        "stride and padding": {"stride": 2, "padding": 1},
        "an even kernel, padding as needed": {"kernel_size": 2, "padding": "same"},
        "an even kernel, reflected padding": {"kernel_size": 2, "padding": "same", "padding_mode": "reflect"},
        "dilation": {"dilation": 2, "padding": "valid"},
        "groups": {"groups": 2},
        "circular padding": {"padding": (1, 2), "padding_mode": "circular"},
        "replicated padding": {"padding": 1, "padding_mode": "replicate"},
        "no bias": {"bias": False},
        "folded output": {"flat_channels": True},
        "double precision": {"dtype": torch.float64},
        "bfloat16": {"dtype": torch.bfloat16},
    }

    @pytest.mark.parametrize("layer", ["P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M"])
    @pytest.mark.parametrize("options", options.values(), ids=options)
    def test_layers_are_planar_convolutions(self, layer, options):
        module = integers(getattr(torch_gconv, layer)(2, 4, **{"kernel_size": 3, **options}))
        x = picture(2, 2, module.input_stabilizer_size, 7, 7, dtype=module.weight.dtype)
        assert_planar_is_same(module, x, x.flatten(1, 2))

    @pytest.mark.parametrize("layer", LAYER_SPECS)
    @pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"flat_channels": True}], ids=str)
    def test_layers_of_all_groups_have_planar_forms(self, layer, options):
        module = integers(layer_of(LAYER_SPECS[layer])(2, 2, 3, **options))
        x = picture(2, 2, module.input_stabilizer_size, *(5,) * module.spec.ndim)
        assert_planar_is_same(module, x, x.flatten(1, 2))

    in_space = {
        "padding of several sizes": {"kernel_size": (1, 2, 2), "padding": (2, 1, 0)},
        "an even kernel, padding as needed": {"kernel_size": 2, "padding": "same"},
        "an even kernel, reflected padding": {"kernel_size": 2, "padding": "same", "padding_mode": "reflect"},
        "replicated padding": {"kernel_size": (1, 4, 4), "padding": "same", "padding_mode": "replicate"},
        "circular padding": {"kernel_size": 2, "padding": "same", "padding_mode": "circular"},
    }

    @pytest.mark.parametrize("options", in_space.values(), ids=in_space)
    def test_layers_of_volumes_are_ordinary_convolutions(self, options):
        module = integers(torch_gconv.C4HConvC4H(2, 2, **options))
        assert_planar_is_same(module, picture(1, 2, 8, 4, 5, 6))

    @pytest.mark.parametrize("options", [{"output_mask": False}, {"output_mask": torch.eye(5).bool()}], ids=str)
    def test_output_masks_are_taken_over(self, options):
        module = integers(torch_gconv.P6ConvP6(2, 2, 3, padding=1, **options))
        assert_planar_is_same(module, picture(2, 2, 6, 5, 5))

    companions = {
        "GBatchNorm": GBatchNorm(2),
        "GBatchNorm without parameters": GBatchNorm(2, affine=False),
        "GBatchNorm without statistics": GBatchNorm(2, track_running_stats=False),
        "GGroupNorm": torch_gconv.GGroupNorm(2, 2),
        "GMaxPool2d": torch_gconv.GMaxPool2d(3, 2, 1),
        "GMaxPool2d, dilated": torch_gconv.GMaxPool2d(2, dilation=2),
        "GAvgPool2d": torch_gconv.GAvgPool2d(2),
        "GAvgPool2d, padding left out": torch_gconv.GAvgPool2d(3, 2, 1, count_include_pad=False),
        "CosetMaxPool": torch_gconv.CosetMaxPool(4),
        "CosetMeanPool": torch_gconv.CosetMeanPool(4),
        "CosetSumPool": torch_gconv.CosetSumPool(4),
        "CosetL2Pool": torch_gconv.CosetL2Pool(4),
        "GGlobalMaxPool": torch_gconv.GGlobalMaxPool(4),
        "GGlobalMeanPool": torch_gconv.GGlobalMeanPool(4),
        "GDropout": GDropout(),
        "GDropout by channels": GDropout(per_channel=True, stabilizer_size=4),
    }

    @pytest.mark.parametrize("training", [False, True], ids=["in evaluation", "in training"])
    @pytest.mark.parametrize("companion", companions.values(), ids=companions)
    def test_companions_have_planar_forms(self, companion, training):
        companion, x = integers(companion).train(training), picture(2, 2, 4, 6, 6)
        planar = to_planar(companion)
        assert is_stock(planar)
        for given in (x, x.flatten(1, 2)):
            torch.manual_seed(0)
            expected = companion(given)
            torch.manual_seed(0)
            assert torch.equal(planar(given), expected)
        for a, b in zip(planar.buffers(), companion.buffers()):
            assert torch.equal(a, b)

    others = {
        "GMaxPool3d": (torch_gconv.GMaxPool3d(2), (2, 4, 5, 6, 6)),
        "GAvgPool3d": (torch_gconv.GAvgPool3d(3, 2, 1, count_include_pad=False), (2, 4, 5, 5, 5)),
        "GBatchNorm in space": (GBatchNorm(2), (2, 4, 3, 5, 4)),
        "GGroupNorm in space": (torch_gconv.GGroupNorm(2, 2), (2, 4, 3, 5, 4)),
        "CosetMaxPool in space": (torch_gconv.CosetMaxPool(4, ndim=3), (2, 4, 3, 5, 4)),
        "GGlobalMeanPool in space": (torch_gconv.GGlobalMeanPool(4, ndim=3), (2, 4, 3, 5, 4)),
        "GDropout in space": (GDropout(ndim=3), (2, 4, 3, 5, 4)),
        "GDropout by channels in space": (GDropout(0.5, True, 4, ndim=3), (2, 4, 3, 5, 4)),
        "GBatchNorm of hexagons": (GBatchNorm(2, hexagonal=True).eval(), (2, 6, 5, 5)),
        "GMaxPool2d of hexagons": (torch_gconv.GMaxPool2d(3, 2, 1, hexagonal=True), (2, 6, 9, 9)),
        "GGlobalMaxPool of hexagons": (torch_gconv.GGlobalMaxPool(6, hexagonal=True), (2, 6, 5, 5)),
        "GGlobalMeanPool of hexagons": (torch_gconv.GGlobalMeanPool(6, hexagonal=True), (2, 6, 5, 5)),
    }

    @pytest.mark.parametrize("companion, shape", others.values(), ids=others)
    def test_companions_in_space_and_on_hexagons_have_planar_forms(self, companion, shape):
        companion, x = integers(copy.deepcopy(companion)), picture(2, *shape)
        planar = to_planar(companion)
        assert is_stock(planar)
        for given in (x, x.flatten(1, 2)):
            torch.manual_seed(0)
            expected = companion(given)
            torch.manual_seed(0)
            assert torch.equal(planar(given), expected)

    hexagonal = {
        "P6ConvP6": (torch_gconv.P6ConvP6(2, 2, 3, padding=1), 6),
        "P6MConvZ2": (torch_gconv.P6MConvZ2(2, 2, 3, padding=1), 1),
        "a mask of one's own": (torch_gconv.P6ConvP6(2, 2, 1, output_mask=~torch.eye(7).bool()), 6),
        "GBatchNorm": (GBatchNorm(2, hexagonal=True).eval(), 6),
        "GMaxPool2d": (torch_gconv.GMaxPool2d(3, padding=1, stride=1, hexagonal=True), 6),
        "GGlobalMaxPool": (torch_gconv.GGlobalMaxPool(hexagonal=True), 6),
    }

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("module, S", hexagonal.values(), ids=hexagonal)
    def test_what_masks_leave_out_does_not_reach_the_output(self, module, S, value):
        planar, x = to_planar(integers(module)), picture(2, 2, S, 7, 7)
        x[..., 0, 0] = 0  # a corner outside of the hexagon, whose neighbours are outside too
        expected = planar(x)
        x[..., 0, 0] = value
        assert expected.abs().max() > 0 and torch.equal(planar(x), expected)

    @pytest.mark.parametrize(
        "name, shape", [("Restrict", (2, 8, 3, 3)), ("Unrestrict", (4, 4, 3, 3)), ("Induce", (2, 4, 3, 3))]
    )
    def test_subgroup_maps_have_planar_forms(self, name, shape):
        assert_planar_is_same(getattr(torch_gconv, name)("p4m", "p4"), picture(2, *shape))

    @pytest.mark.parametrize(
        "pool", [torch_gconv.CosetMeanPool(), torch_gconv.GGlobalMaxPool(), GDropout(per_channel=True)]
    )
    def test_a_stabilizer_axis_needs_no_stabilizer_size(self, pool):
        assert_planar_is_same(pool.eval(), picture(2, 2, 8, 4, 4))

    def test_filter_masks_are_folded_in(self):
        module = integers(P4MConvP4M(2, 2, 3, filter_mask=make_p4m_masks_segregate_mirrors(2, 2)))
        assert_planar_is_same(module, picture(1, 2, 8, 5, 5))
        assert (to_planar(module).conv.weight.view(2, 8, 2, 8, 9)[:, 0, :, 4:] == 0).all()


ZOO = {
    "Z2CNN": lambda: models.Z2CNN(channels=2),
    "P4CNN": lambda: models.P4CNN(channels=2),
    "P4CNNRotationPooling": lambda: models.P4CNNRotationPooling(channels=2),
    "AllCNNC": lambda: models.AllCNNC("p4m", in_channels=1, widths=(1, 2)),
    "ResNet44": lambda: models.ResNet44("p4m", in_channels=1, widths=(1, 2, 2), blocks=1),
}


@pytest.mark.parametrize("model", ZOO.values(), ids=ZOO)
def test_models_of_the_zoo_have_planar_forms(model, rng):
    model = model().double().eval()
    shapes = {name: value.shape for name, value in model.state_dict().items() if value.is_floating_point()}
    weights = integer_weights(shapes, BATCH_NORM_EPS, rng, taps=2)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()}, strict=False)
    planar, x = to_planar(model), picture(2, 1, 29, 29, dtype=torch.float64)
    assert is_stock(planar)
    assert equality_report(model, planar, x).same


class TestStandalone:
    """Planar models run where this project cannot be imported."""

    without_the_project = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("groupy", "torch_gconv", "chainer_gconv", "conformance"):
            raise ModuleNotFoundError(f"blocked: {name}")

sys.meta_path.insert(0, Blocker())
import torch

x, expected, file = torch.load(sys.argv[1])
model = torch.export.load(file).module() if file.endswith(".pt2") else torch.load(file, weights_only=False)
assert torch.equal(model(x), expected)
"""

    def run(self, model, path, save=torch.save):
        x = picture(2, 2, 8, 8)
        save(model, path)
        torch.save((x, Net()(x), str(path)), path.parent / "what is due.pt")
        command = [sys.executable, "-W", "error", "-c", self.without_the_project, path.parent / "what is due.pt"]
        return subprocess.run(command, capture_output=True, text=True, cwd=path.parent)

    def test_a_pickle_needs_pytorch_alone(self, tmp_path):
        result = self.run(to_planar(Net(), trace=True), tmp_path / "planar.pt")
        assert result.returncode == 0, result.stderr

    def test_so_does_an_exported_program(self, tmp_path):
        program = torch.export.export(Net(), (picture(2, 2, 8, 8),))
        result = self.run(program, tmp_path / "program.pt2", torch.export.save)
        assert result.returncode == 0, result.stderr

    def test_a_pickle_of_the_layers_themselves_needs_more(self, tmp_path):
        result = self.run(nn.Sequential(P4ConvZ2(2, 2, 3)), tmp_path / "layers.pt")
        assert result.returncode == 1 and "blocked: torch_gconv" in result.stderr


class TestWhatIsKept:
    def test_paths_and_users_own_classes(self):
        net = Net()
        planar = to_planar(net)
        assert type(planar) is Net and {name for name, _ in net.named_modules()} <= {
            n for n, _ in planar.named_modules()
        }
        assert_planar_is_same(net.rest, picture(2, 2, 8, 6, 6))

    def test_the_original(self):
        net = Net()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        to_planar(net).lift.conv.weight.data.zero_()
        assert type(net.lift) is torch_gconv.P4MConvZ2
        assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())

    def test_a_layer_used_twice_stays_one_layer(self):
        conv = integers(P4ConvP4(2, 2, 3, padding=1))
        net = nn.ModuleDict({"a": conv, "b": nn.Sequential(conv, conv)})
        planar = to_planar(net)
        assert planar["a"] is planar["b"][0] is planar["b"][1]

    def test_shared_weights_become_equal_copies(self):
        a, b = P4ConvP4(2, 2, 3), P4ConvP4(2, 2, 3)
        b.weight = a.weight
        planar = to_planar(nn.Sequential(a, b))
        assert torch.equal(planar[0].conv.weight, planar[1].conv.weight)
        assert planar[0].conv.weight is not planar[1].conv.weight

    @pytest.mark.parametrize("training", [False, True])
    def test_training_flags(self, training):
        net = Net().train(training)
        net.bn.train(not training)
        flags = {name: module.training for name, module in to_planar(net).named_modules()}
        assert flags.pop("bn") is flags.pop("bn.norm") is not training
        assert {flags[name] for name, _ in net.named_modules() if name in flags} == {training}
        assert flags["lift.conv"] is flags["rest.1.bn1.norm"] is training

    def test_requires_grad(self):
        net = Net()
        net.lift.weight.requires_grad_(False)
        net.bn.bias.requires_grad_(False)
        with torch.no_grad():
            planar = to_planar(net)
        frozen = {name for name, parameter in planar.named_parameters() if not parameter.requires_grad}
        assert frozen == {"lift.conv.weight", "bn.norm.bias"}

    @pytest.mark.parametrize("where", [{"dtype": torch.float64}, {"dtype": torch.bfloat16}, {"device": "meta"}])
    def test_device_and_dtype(self, where):
        net = Net().to(**where)
        for a, b in zip(to_planar(net).parameters(), net.parameters()):
            assert (a.device, a.dtype) == (b.device, b.dtype)

    def test_gradients_of_inputs(self):
        net, x = Net(), picture(1, 2, 8, 8).requires_grad_()
        gradients = [torch.autograd.grad(f(x).sum(), x)[0] for f in (net, to_planar(net))]
        assert gradients[0].abs().max() > 0 and torch.equal(*gradients)


def test_parametrizations_are_folded_in():
    net = weight_norm(P4ConvP4(2, 3, 3))
    planar = to_planar(net)
    assert torch.equal(planar.conv.weight, net.folded_filters()) and planar.conv.weight.requires_grad
    assert [name for name, _ in planar.named_parameters()] == ["conv.weight", "conv.bias"]


def test_a_compiled_model_gives_what_it_was_made_of():
    assert is_stock(to_planar(torch.compile(Net().rest, backend="eager")))


class DoubledConv(P4ConvZ2):
    """A subclass whose forward does more."""

    def forward(self, x):
        return 2 * super().forward(x)


class Branching(GResidualBlock):
    """A forward that asks for values."""

    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


class TestErrors:
    def test_an_overridden_forward_is_no_planar_convolution(self):
        with pytest.raises(TypeError, match="Sequential.0, of class DoubledConv, overrides SplitGConv.forward"):
            to_planar(nn.Sequential(DoubledConv(1, 2, 3)))

    def test_a_hexagonal_normalization_that_takes_statistics_is_refused(self):
        with pytest.raises(ValueError, match=r"GBatchNorm of hexagonal maps .* call model.eval\(\) first"):
            to_planar(nn.Sequential(GBatchNorm(2, hexagonal=True)))

    def test_forward_hooks_are_refused(self):
        net = Net()
        net.lift.register_forward_hook(lambda module, args, output: 2 * output)
        with pytest.raises(ValueError, match=r"Net.lift, of class P4MConvZ2, has a forward hook, .*Remove it before"):
            to_planar(net)

    def test_what_cannot_be_traced_is_named(self):
        with pytest.raises(TypeError, match="Sequential.0, of class Branching, cannot be traced.*planar_form.register"):
            to_planar(nn.Sequential(Branching(P4ConvP4, 2, 2)))

    def test_a_rule_for_a_layer_of_ones_own_is_followed(self):
        class Ruled(DoubledConv):
            pass

        @planar_form.register
        def _(layer: Ruled):
            plain = P4ConvZ2(layer.in_channels, layer.out_channels, layer.kernel_size)
            plain.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
            return plain  # a layer of this project, replaced in its turn

        assert_planar_is_same(nn.Sequential(integers(Ruled(1, 2, 3))), picture(1, 1, 5, 5))


class TestEqualityReport:
    @pytest.fixture
    def net(self):
        return Net()

    @pytest.fixture
    def x(self):
        return picture(2, 2, 8, 8)

    def test_equal_models_are_the_same_bits(self, net, x):
        report = equality_report(net, to_planar(net), x)
        assert report.same and report.unexplained == ()
        replaced = ["lift", "bn", "rest.0", "rest.1.bn1", "rest.1.conv1", "rest.1.bn2", "rest.1.conv2", "rest.1"]
        assert [c.path for c in report.comparisons] == [*replaced, "rest.2", "rest.3", ""]

    def test_a_turned_filter_is_found_in_its_layer(self, net, x):
        planar = to_planar(net)
        with torch.no_grad():
            planar.rest[2].conv.weight[3] = planar.rest[2].conv.weight[3].rot90(1, (1, 2))
        report = equality_report(net, planar, x)
        assert [c.path for c in report.unexplained] == ["rest.2", ""] and not report.same
        assert [c.path for c in report.comparisons if not c.same] == ["rest.2", ""]
        assert "UNEQUAL" in str(report)

    def test_a_rounding_error_is_told_from_a_fault(self, net, x):
        planar = to_planar(net)
        with torch.no_grad():
            planar.rest[2].conv.weight *= 1 + torch.finfo(torch.float32).eps
        report = equality_report(net, planar, x)
        assert not report.same and report.unexplained == ()
        (conv,) = (c for c in report.comparisons if c.path == "rest.2")
        assert 0 < conv.difference <= conv.bound < 1e-3 * net(x).abs().max()
        assert "but for rounding" in str(report)

    @pytest.mark.parametrize(
        "model, shape",
        [
            (
                lambda: nn.Sequential(torch_gconv.OConvZ3(2, 2, 3), GBatchNorm(2), torch_gconv.CosetMeanPool()),
                (2, 5, 4, 5),
            ),
            (lambda: nn.Sequential(torch_gconv.P6ConvZ2(2, 2, 3), GBatchNorm(2, hexagonal=True)), (2, 7, 7)),
        ],
        ids=["in space", "hexagonal"],
    )
    def test_rounding_is_bounded_in_space_and_on_hexagons(self, model, shape):
        model = model().eval()
        planar, x = to_planar(model), torch.randn(2, *shape, generator=torch.manual_seed(0))
        with torch.no_grad():
            planar[0].conv.weight *= 1 + torch.finfo(torch.float32).eps
        report = equality_report(model, planar, x)
        assert not report.same and report.comparisons[0].bound > 0 and report.unexplained == ()
        with torch.no_grad():
            planar[0].conv.weight *= 1.01
        assert equality_report(model, planar, x).unexplained

    def test_a_difference_between_layers_that_agree_is_unexplained(self, net, x):
        planar = to_planar(net)
        planar.rest.append(nn.Hardtanh())
        assert [c.path for c in equality_report(net, planar, x).unexplained] == [""]

    def test_other_shapes_are_unequal(self, net, x):
        planar = to_planar(net)
        planar.rest[3] = nn.Identity()
        assert equality_report(net, planar, x).comparisons[-1].difference == float("inf")

    def test_nan_is_nan_and_nothing_else(self, net, x):
        assert equality_report(net, to_planar(net), x * float("nan")).same
        planar = to_planar(net)
        with torch.no_grad():
            planar.rest[2].conv.bias.fill_(float("nan"))
        assert [c.path for c in equality_report(net, planar, x).unexplained] == ["rest.2", ""]

    def test_both_models_are_left_as_they_were(self, net, x):
        net.rest.train()
        planar = to_planar(net)
        before = [m.training for model in (net, planar) for m in model.modules()]
        statistics = net.rest[1].bn1.running_mean.clone()
        equality_report(net, planar, x)
        assert [m.training for model in (net, planar) for m in model.modules()] == before
        assert torch.equal(net.rest[1].bn1.running_mean, statistics)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())

    def test_it_is_plain_data_for_json(self, net, x):
        data = json.loads(json.dumps(equality_report(net, to_planar(net), x).to_dict()))
        assert data["same"] is True and data["unexplained"] == []
        assert data["comparisons"][0] == {
            "path": "lift",
            "kind": "P4MConvZ2",
            "same": True,
            "difference": 0.0,
            "bound": None,
        }

    def test_outputs_may_be_structures(self, x):
        class Pair(nn.Module):
            def __init__(self):
                super().__init__()
                self.net = Net()

            def forward(self, x, scale):
                y = self.net(x)
                return {"scores": [y, scale * y], "name": "pair"}

        pair = Pair()
        planar = to_planar(pair)
        assert equality_report(pair, planar, x, scale=2).same
        with torch.no_grad():
            planar.net.lift.conv.bias += 1
        assert "" in [c.path for c in equality_report(pair, planar, x, scale=2).unexplained]
