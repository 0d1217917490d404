"""Models with pruning, weight and spectral norm, other parametrizations, and hooks: planar, compared, and checked."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from torch_gconv import (
    CosetMaxPool,
    GBatchNorm,
    GGroupNorm,
    GMaxPool2d,
    P4ConvP4,
    P4ConvZ2,
    check_equivariance,
    equality_report,
    to_planar,
)
from torch_gconv.residual import GResidualBlock

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")


class Noisy(nn.Module):
    """A parametrization that is another one in training."""

    def forward(self, w):
        return w + torch.randn_like(w) if self.training else 2 * w


def pruned_norm(module):
    """Weight norm whose direction is pruned in its turn: a hook that another one's result depends on."""
    weight_norm(module)
    prune.random_unstructured(module, "weight_v", 0.5)


def pruned_twice(module):
    prune.random_unstructured(module, "weight", 0.3)
    prune.l1_unstructured(module, "weight", 0.3)


WAYS = {
    "pruned": lambda m: prune.random_unstructured(m, "weight", 0.5),
    "pruned twice": pruned_twice,
    "pruned bias": lambda m: prune.random_unstructured(m, "bias", 0.5),
    "weight norm by a hook": weight_norm,
    "weight norm": parametrizations.weight_norm,
    "parametrized": lambda m: parametrize.register_parametrization(m, "weight", Noisy()),
    "parametrized bias": lambda m: parametrize.register_parametrization(m, "bias", Noisy()),
}
OF_MATRICES = {  # not for the vectors that normalizations have
    "weight norm by a hook, pruned": pruned_norm,
    "spectral norm by a hook": spectral_norm,
    "spectral norm": parametrizations.spectral_norm,
}
LAYERS = ("lift", "conv", "linear")
NORMS = ("batch", "group")


class Net(nn.Module):
    """A layer and a companion of each kind that has weights, and a stock module."""

    def __init__(self):
        super().__init__()
        self.lift = P4ConvZ2(1, 4, 3, padding=1)
        self.batch = GBatchNorm(4)
        self.pool = GMaxPool2d(2, padding=0)
        self.conv = P4ConvP4(4, 4, 3)
        self.group = GGroupNorm(2, 4)
        self.coset = CosetMaxPool()
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        y = self.pool(torch.relu(self.batch(self.lift(x))))
        return self.linear(self.coset(torch.relu(self.group(self.conv(y)))).mean((-1, -2)))


X = torch.randn(2, 1, 14, 14, generator=torch.manual_seed(0))


@pytest.fixture(params=[(way, training) for way in (*WAYS, *OF_MATRICES) for training in (False, True)], ids=str)
def net(request):
    torch.manual_seed(0)
    way, training = request.param
    net = Net().train(training)
    with torch.no_grad():
        for norm in (net.batch, net.group):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-1, 1)
    for name in LAYERS + (NORMS if way in WAYS else ()):
        {**WAYS, **OF_MATRICES}[way](getattr(net, name))
    net(X)  # what hooks compute has a gradient now
    return net


def evaluated(net):
    """What the modules compute with in evaluation, by names; this runs the model."""
    training = net.training
    with torch.no_grad():
        net.eval()(X)
        values = {
            f"{name}.{part}": getattr(getattr(net, name), part).clone()
            for name in ("lift", "batch", "conv", "group")
            for part in ("weight", "bias")
        }
    net.train(training)
    return values


def test_planar_weights_are_those_of_evaluation_bit_for_bit(net):
    planar = to_planar(net)
    plain = Net()
    plain.load_state_dict(evaluated(net), strict=False)
    for name in ("lift", "conv"):
        assert torch.equal(getattr(planar, name).conv.weight, getattr(plain, name).folded_filters())
        assert torch.equal(getattr(planar, name).conv.bias, getattr(plain, name).folded_bias())
    for name in ("batch", "group"):
        for part in ("weight", "bias"):
            assert torch.equal(getattr(getattr(planar, name).norm, part), getattr(getattr(plain, name), part))
    left = {name for name, _ in (*planar.named_parameters(), *planar.named_buffers()) if "linear" not in name}
    parts = {f"{layer}.conv.{part}" for layer in ("lift", "conv") for part in ("weight", "bias")}
    parts |= {f"{norm}.norm.{part}" for norm in ("batch", "group") for part in ("weight", "bias")}
    assert left == parts | {f"batch.norm.{name}" for name, _ in GBatchNorm(1).named_buffers()}
    assert all(parameter.requires_grad for parameter in planar.parameters())


def test_models_are_compared_and_checked_and_stay_as_they_are(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    hooks = {name: list(module._forward_pre_hooks.values()) for name, module in net.named_modules()}
    classes = [type(module) for module in net.modules()]
    report, checked = equality_report(net, to_planar(net), X), check_equivariance(net, X, "p4")
    assert report.unexplained == () and checked
    assert [c.kind for c in report.comparisons][:2] == ["P4ConvZ2", "GBatchNorm"]
    assert [step.kind for step in checked.steps][:2] == ["P4ConvZ2", "GBatchNorm"]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert hooks == {name: list(module._forward_pre_hooks.values()) for name, module in net.named_modules()}
    assert classes == [type(module) for module in net.modules()]
    net(X).sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in net.lift.parameters())


def test_a_model_that_was_never_run_is_copied():
    net = nn.Sequential(weight_norm(P4ConvZ2(1, 2, 3)))
    assert equality_report(net, to_planar(net), X).unexplained == () and check_equivariance(net, X, "p4")


def test_a_frozen_norm_gives_a_frozen_weight():
    layer = weight_norm(P4ConvZ2(1, 2, 3)).requires_grad_(False)
    assert not to_planar(layer).conv.weight.requires_grad


def test_a_parametrized_buffer_stays_a_buffer():
    norm = GBatchNorm(2).eval()
    norm.running_var.fill_(4)
    parametrize.register_parametrization(norm, "running_var", Noisy().eval())
    planar = to_planar(norm)
    assert torch.equal(dict(planar.named_buffers())["norm.running_var"], torch.full((2,), 8.0))


def test_a_parameter_that_two_layers_prune_differently_is_folded_for_each():
    a, b = P4ConvP4(2, 2, 3), P4ConvP4(2, 2, 3)
    b.weight = a.weight
    for layer in (a, b):
        prune.random_unstructured(layer, "weight", 0.5)
    planar = to_planar(nn.Sequential(a, b))
    assert not torch.equal(a.weight, b.weight)
    for layer, form in zip((a, b), planar):
        assert torch.equal(form.conv.weight, layer.folded_filters())


def test_pruned_models_of_integers_are_the_same_bits():
    net = nn.Sequential(P4ConvZ2(1, 2, 3), nn.ReLU(), P4ConvP4(2, 2, 3)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=torch.manual_seed(0)))
    for layer in (net[0], net[2]):
        prune.random_unstructured(layer, "weight", 0.5)
    x = torch.randint(-3, 4, (2, 1, 8, 8), generator=torch.manual_seed(1)).float()
    assert equality_report(net, to_planar(net), x).same and net(x).any()


def test_a_pickle_of_a_traced_model_holds_no_parametrizations():
    net = nn.Sequential(P4ConvZ2(1, 2, 3), CosetMaxPool(), nn.Flatten(), parametrizations.weight_norm(nn.Linear(72, 2)))
    file, x = io.BytesIO(), torch.randn(2, 1, 8, 8)
    torch.save(to_planar(net, trace=True), file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), to_planar(net)(x))


def test_hooks_of_stock_modules_stay():
    net = nn.Sequential(P4ConvZ2(1, 2, 3), nn.ReLU(), CosetMaxPool())
    seen = []
    net[1].register_forward_hook(lambda module, args, output: seen.append(output.shape))
    net[1].register_forward_hook(lambda module, args, output: 2 * output)
    x = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(to_planar(net)(x), net(x))
    assert len(seen) == 2
    assert equality_report(net, to_planar(net), x).unexplained == () and check_equivariance(net, x, "p4")


def doubled(module, args, output):
    return 2 * output


@pytest.mark.parametrize(
    "layer", [P4ConvZ2(1, 2, 3), GBatchNorm(2), CosetMaxPool(), GMaxPool2d(2), GResidualBlock(P4ConvP4, 2, 2)]
)
def test_a_hook_that_has_no_planar_form_is_named_with_what_removes_it(layer):
    net = nn.Sequential(nn.Sequential(copy.deepcopy(layer)))
    net[0][0].register_forward_hook(doubled)
    message = (
        rf"Sequential.0.0, of class {type(layer).__name__}, has a forward hook, doubled, .*remove\(\) on what "
        r"register_forward_hook returned, or (model.get_submodule\('0.0'\)._forward_hooks.clear\(\))\."
    )
    with pytest.raises(ValueError, match=message):
        to_planar(net)
    net.get_submodule("0.0")._forward_hooks.clear()
    to_planar(net)


def test_so_is_a_hook_before_the_call():
    net = P4ConvZ2(1, 2, 3)
    net.register_forward_pre_hook(lambda module, args: (2 * args[0],))
    with pytest.raises(ValueError, match=r"P4ConvZ2, has a forward pre hook, .*get_submodule\(''\)._forward_pre_hooks"):
        to_planar(net)


def test_a_hook_that_breaks_equivariance_is_found():
    net = nn.Sequential(P4ConvZ2(1, 2, 3), CosetMaxPool())
    net[0].register_forward_hook(lambda module, args, output: output * torch.arange(1.0, 5)[:, None, None])
    assert check_equivariance(net, X, "p4").first_break.name == "0"


class Remembers(nn.Module):
    """A model of the user's that keeps its feature maps, which PyTorch does not copy."""

    def __init__(self):
        super().__init__()
        self.conv = P4ConvZ2(1, 2, 3)
        self.maps = []

    def forward(self, x):
        self.maps.append({"conv": self.conv(x)})
        return self.maps[-1]["conv"].amax(2)


def test_models_that_keep_feature_maps_are_copied():
    net, x = Remembers(), torch.randn(1, 1, 6, 6)
    net(x)
    kept = net.maps[0]["conv"]
    assert equality_report(net, to_planar(net), x).unexplained == () and check_equivariance(net, x, "p4")
    assert net.maps[0]["conv"] is kept and kept.grad_fn is not None


def test_inputs_that_were_computed_with_gradients_are_compared():
    net, x = nn.Sequential(P4ConvZ2(1, 2, 3)), 2 * torch.randn(1, 1, 6, 6, requires_grad=True)
    assert equality_report(net, to_planar(net), x).unexplained == ()


class Scaled(nn.Module):
    """A module of the user's whose forward has two steps."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return torch.relu(x * self.weight)


def test_a_parametrized_module_of_the_users_is_checked_step_by_step():
    scaled = parametrize.register_parametrization(Scaled(), "weight", nn.Softplus())
    report = check_equivariance(nn.Sequential(P4ConvZ2(1, 2, 3), scaled), X, "p4")
    assert report and [step.name for step in report.steps] == ["0", "1.mul", "1.relu"]
