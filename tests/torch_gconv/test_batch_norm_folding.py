"""to_planar(model, fold_batch_norm=True): where pairs are found, their bits, their bound, and what quantizers see."""

import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

import torch_gconv
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import (
    GBatchNorm,
    P4ConvP4,
    P4ConvZ2,
    P4MConvP4M,
    P4MConvZ2,
    P6ConvP6,
    equality_report,
    layer_of,
    planar_form,
    to_planar,
)
from torch_gconv.residual import GResidualBlock

# Which sizes keep equivariance is not at issue here.
pytestmark = pytest.mark.filterwarnings("ignore::groupy.gconv.geometry.EquivarianceWarning")


def on_integers(model):
    """The model in evaluation, with small integers as parameters; its normalizations divide by 2."""
    generator = torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, GBatchNorm) and module.track_running_stats:
                module.eps = 0.5
                module.running_mean.copy_(torch.randint(-2, 3, module.running_mean.shape, generator=generator))
                module.running_var.fill_(3.5)
    return model.eval()


def on_reals(model):
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, GBatchNorm):
            for tensor in (module.weight, module.bias, module.running_mean):
                nn.init.normal_(tensor)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def integers(*shape):
    return torch.randint(-3, 4, shape, generator=torch.manual_seed(1)).float()


def folded(planar):
    """The paths of normalizations that were folded."""
    return [module.folded_norm for module in planar.modules() if hasattr(module, "folded_norm")]


@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("options", [{}, {"bias": False, "flat_channels": True}, {"stride": 2, "padding": 1}], ids=str)
def test_folding_keeps_the_bits_on_integers_in_every_group(layer, options):
    spec = LAYER_SPECS[layer]
    is_hexagonal = bool(spec.stabilizer.oblique_rows) and spec.ndim == 2
    conv, norm = layer_of(spec)(2, 2, 3, **options), GBatchNorm(2, hexagonal=is_hexagonal)
    net = on_integers(nn.Sequential(conv, norm, nn.ReLU()))
    x = integers(2, 2, spec.input_stabilizer_size, *(5,) * spec.ndim)
    planar = to_planar(net, fold_batch_norm=True)
    report = equality_report(net, planar, x)
    assert folded(planar) == ["1"] and report.same and net(x).any()
    assert [(c.path, c.kind) for c in report.comparisons] == [("0", f"{layer}, GBatchNorm"), ("", "Sequential")]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in planar.modules())


def test_without_parameters_statistics_are_folded():
    net = on_integers(nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2, affine=False)))
    assert equality_report(net, to_planar(net, fold_batch_norm=True), integers(2, 1, 5, 5)).same


def test_nothing_is_folded_unasked():
    assert folded(to_planar(on_integers(nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2))))) == []


class TestRounding:
    @pytest.fixture
    def net(self):
        conv = P4MConvP4M(4, 4, 3)
        return on_reals(nn.Sequential(P4MConvZ2(2, 4, 3), GBatchNorm(4), nn.ReLU(), conv, GBatchNorm(4)))

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
    def test_is_within_its_bound(self, net, dtype):
        net, x = net.to(dtype), torch.randn(2, 2, 9, 9, generator=torch.manual_seed(1)).to(dtype)
        report = equality_report(net, to_planar(net, fold_batch_norm=True), x)
        assert report.unexplained == () and not report.same
        assert all(0 < c.difference <= c.bound for c in report.comparisons if c.path in ("0", "3"))

    @pytest.mark.parametrize("path", ["0", "3"])
    @pytest.mark.parametrize("name", ["weight", "bias"])
    def test_a_fault_is_not(self, net, path, name):
        planar = to_planar(net, fold_batch_norm=True)
        with torch.no_grad():
            getattr(planar.get_submodule(path).conv, name).mul_(1.01)
        report = equality_report(net, planar, torch.randn(2, 2, 9, 9, generator=torch.manual_seed(1)))
        assert [c.path for c in report.unexplained] == [path, ""]


class Functional(nn.Module):
    """A model of the user's, with functions between its layers, and layers in a list."""

    def __init__(self):
        super().__init__()
        self.lift, self.bn = P4ConvZ2(1, 2, 3), GBatchNorm(2)
        self.convs = nn.ModuleList([P4ConvP4(2, 2, 1), P4ConvP4(2, 2, 1)])
        self.norms = nn.ModuleList([GBatchNorm(2), GBatchNorm(2)])

    def forward(self, x):
        x = F.relu(self.bn(self.lift(x)))
        for conv, norm in zip(self.convs, self.norms):
            x = norm(conv(x)).relu_()
        return x


class Branching(nn.Module):
    """One that cannot be traced, around one that can."""

    def __init__(self):
        super().__init__()
        self.left, self.bn = P4ConvZ2(1, 2, 3), GBatchNorm(2)
        self.stages = nn.ModuleList([nn.Sequential(P4ConvP4(2, 2, 1), GBatchNorm(2))])

    def forward(self, x):
        x = self.bn(self.left(x))
        return self.stages[0](x) if x.sum() != 0 else x


class UsesBoth(nn.Module):
    """What the convolution puts out is taken by others too."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = P4ConvZ2(1, 2, 3), GBatchNorm(2)

    def forward(self, x):
        y = self.conv(x)
        return y + self.bn(y)


class NormUsedTwice(UsesBoth):
    """A ReLU that is not alone in taking what the normalization puts out."""

    def forward(self, x):
        y = self.bn(self.conv(x))
        return y + F.relu(y)


class Twice(UsesBoth):
    """One normalization after two calls."""

    def forward(self, x):
        return self.bn(self.conv(x)) + self.bn(self.conv(2 * x))


MODELS = {  # what is folded, and whether ReLU is put in
    "functions and lists": (Functional, {"bn": True, "norms.0": True, "norms.1": True}),
    "across containers": (
        lambda: nn.Sequential(nn.Sequential(P4ConvZ2(1, 2, 3)), nn.Sequential(GBatchNorm(2)), nn.ReLU()),
        {"1.0": True},
    ),
    "other activations": (lambda: nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2), nn.Hardtanh()), {"1": False}),
    "residual blocks": (
        lambda: nn.Sequential(P4ConvZ2(1, 2, 3), GResidualBlock(P4ConvP4, 2, 2)),
        {"1.bn2": True},
    ),
    "not what branches, but what is inside": (Branching, {"stages.0.1": False}),
    "not what is used besides": (UsesBoth, {}),
    "ReLU is not put in where others take its input": (NormUsedTwice, {"bn": False}),
    "not what is called twice": (Twice, {}),
    "not statistics of the input": (
        lambda: nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2, track_running_stats=False)),
        {},
    ),
    "not other normalizations": (lambda: nn.Sequential(P4ConvZ2(1, 2, 3), torch_gconv.GGroupNorm(2, 2, eps=3)), {}),
    "not orientations by themselves": (
        lambda: nn.Sequential(P4ConvZ2(1, 2, 3, flat_channels=True), GBatchNorm(8)),
        {},
    ),
    "not beyond the hexagon": (lambda: nn.Sequential(torch_gconv.P6ConvZ2(1, 2, 3), GBatchNorm(2)), {}),
    "not a mask of one's own": (
        lambda: nn.Sequential(
            torch_gconv.P6ConvZ2(1, 2, 3, output_mask=torch.eye(5).bool()), GBatchNorm(2, hexagonal=True)
        ),
        {},
    ),
    "parametrized": (
        lambda: nn.Sequential(parametrizations.weight_norm(P4ConvZ2(1, 2, 3)), GBatchNorm(2)),
        {"1": False},
    ),
}


@pytest.mark.parametrize("make, due", MODELS.values(), ids=MODELS)
def test_pairs_are_found_where_only_the_normalization_takes_what_the_convolution_puts_out(make, due):
    net, x = on_integers(make()), integers(2, 1, 7, 7)
    planar = to_planar(net, fold_batch_norm=True)
    assert {m.folded_norm: hasattr(m, "relu") for m in planar.modules() if hasattr(m, "folded_norm")} == due
    report = equality_report(net, planar, x)
    assert report.unexplained == () and net(x).any()


def test_a_layer_with_a_rule_of_its_own_keeps_its_normalization():
    class Negated(P4ConvZ2):
        def forward(self, x):
            return -super().forward(x)

    @planar_form.register
    def _(layer: Negated):
        plain = P4ConvZ2(layer.in_channels, layer.out_channels, layer.kernel_size)
        plain.load_state_dict({name: -value for name, value in layer.state_dict().items()})
        return plain

    net = on_integers(nn.Sequential(Negated(1, 2, 3), GBatchNorm(2)))
    planar = to_planar(net, fold_batch_norm=True)
    assert folded(planar) == [] and torch.equal(planar(integers(2, 1, 5, 5)), net(integers(2, 1, 5, 5)))


def test_the_model_is_not_run_and_stays_as_it_is():
    class Counting(Functional):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    net = on_integers(Counting())
    planar = to_planar(net, fold_batch_norm=True)
    assert net.calls == planar.calls == 0 and len(folded(planar)) == 3
    assert type(net.lift) is P4ConvZ2 and type(net.bn) is GBatchNorm


def test_training_is_refused():
    net = nn.Sequential(nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2)))
    with pytest.raises(ValueError, match=r"0\.1, of class GBatchNorm, is in training. Call model.eval\(\) first"):
        to_planar(net, fold_batch_norm=True)


def test_a_hook_of_the_normalization_is_refused():
    net = on_integers(nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2)))
    net[1].register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.raises(ValueError, match="Sequential.1, of class GBatchNorm, has a forward hook"):
        to_planar(net, fold_batch_norm=True)


@pytest.mark.parametrize("frozen, due", [((0,), True), ((1,), True), ((0, 1), False)])
def test_folded_weights_require_gradients_if_one_of_their_parts_does(frozen, due):
    net = on_integers(nn.Sequential(P4ConvZ2(1, 2, 3), GBatchNorm(2)))
    for i in frozen:
        net[i].requires_grad_(False)
    planar = to_planar(net, fold_batch_norm=True)
    assert [p.requires_grad for p in planar.parameters()] == [due, due]


def test_a_traced_model_is_pickled_folded():
    net, file, x = on_integers(Functional()), io.BytesIO(), integers(2, 1, 5, 5)
    torch.save(to_planar(net, trace=True, fold_batch_norm=True), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    assert len(folded(loaded)) == 3 and torch.equal(loaded(x), net(x))


def test_relu_stands_next_to_the_convolution_on_the_hexagonal_grid_too():
    net = on_integers(nn.Sequential(P6ConvP6(2, 2, 3), GBatchNorm(2, hexagonal=True), nn.ReLU()))
    assert list(to_planar(net, fold_batch_norm=True)[0]._modules)[-5:] == ["fold", "conv", "relu", "mask", "unfold"]
