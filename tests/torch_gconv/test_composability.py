"""What PyTorch's own machinery makes of the layers: compile, function transforms, checkpointing, autocast, meta."""

import warnings
from shutil import which

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import torch_gconv
from groupy.gconv.geometry import EquivarianceError
from groupy.gconv.layer_specs import LAYER_SPECS

# The square grid, and one each of the hexagonal grid and of space; test_splitgconv has all of them.
every_layer = pytest.mark.parametrize(
    "layer", ["P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M", "P6ConvP6", "C4HConvZ3", "C4HConvC4H"]
)
# PyTorch 2.13 does what it warns of here, in its own code, when it compiles and when it first differentiates forward.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]


def integers(*shape):
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(0)).float()


def make(layer, channels=(2, 3), ksize=3, **options):
    """A layer with small integers as parameters."""
    module = getattr(torch_gconv, layer)(*channels, ksize, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(integers(*parameter.shape))
    return module


def feature_map(layer, channels=2, size=None):
    """Of a size that keeps equivariance at stride 2, unless one is given: on the hexagonal grid 9 does, 7 does not."""
    spec = LAYER_SPECS[layer]
    sides = (size or (9 if spec.ndim == 2 else 5),) * spec.ndim
    return integers(2, channels, spec.input_stabilizer_size, *sides)


def network():
    """One of everything, exact on small integers: with unit statistics and eps 3 batch normalization halves."""
    return nn.Sequential(
        make("P4MConvZ2", (1, 2), padding=1),
        torch_gconv.GBatchNorm(2, eps=3.0),
        nn.ReLU(),
        torch_gconv.GMaxPool2d(2),
        torch_gconv.GDropout(),
        make("P4MConvP4M", (2, 2), stride=2),
        torch_gconv.GAvgPool2d(2),
        torch_gconv.CosetSumPool(),
    )


def results(module, x):
    """Output and all gradients; the module's own are cleared."""
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = module(x)
    y.backward(integers(*y.shape))
    return [y.detach(), x.grad, *(p.grad.clone() for p in module.parameters())]


def assert_same_bits(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert torch.equal(a, b)


OPTIONS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "same": {"padding": "same"},
    "circular": {"padding": 1, "padding_mode": "circular", "dilation": 2},
    "mask": {"filter_mask": True},
    "flat": {"flat_channels": True, "bias": False},
}


@every_layer
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_every_layer_is_traced_whole_and_equals_eager_in_every_bit(layer, option, training):
    options = dict(OPTIONS[option])
    if "filter_mask" in options:
        options["filter_mask"] = integers(3, 2, LAYER_SPECS[layer].input_stabilizer_size) > 0
    module, x = make(layer, **options).train(training), feature_map(layer)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert_same_bits(results(compiled, x), results(module, x))


@pytest.mark.skipif(which("g++") is None, reason="torch.compile needs a C++ compiler, g++, on the CPU")
@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_network_equals_eager_in_every_bit(training):
    """With code generated for this machine, by PyTorch's default backend."""
    module, x = network(), integers(2, 1, 18, 18)
    module.train(training)
    for part in module:
        if isinstance(part, (torch_gconv.GDropout, torch_gconv.GBatchNorm)):
            part.eval()
    torch.compiler.reset()
    assert_same_bits(results(torch.compile(module, fullgraph=True), x), results(module, x))


@every_layer
def test_compiled_layers_see_other_weights_other_batches_and_other_sizes(layer):
    module = make(layer).eval()
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    for batch, size in ((2, 7), (3, 7), (3, 9)):
        x = integers(batch, 2, LAYER_SPECS[layer].input_stabilizer_size, *(size,) * LAYER_SPECS[layer].ndim)
        assert torch.equal(compiled(x), module(x))
        with torch.no_grad():
            module.weight.add_(1)
            assert torch.equal(compiled(x), module(x))


def test_a_strict_layer_refuses_a_size_when_it_is_compiled():
    module = torch_gconv.P4ConvZ2(1, 1, 3, stride=2, strict=True)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="aot_eager")
    assert compiled(torch.zeros(1, 1, 7, 7)).shape[-1] == 3
    with pytest.raises(EquivarianceError, match="P4ConvZ2: height 8 breaks equivariance"):
        compiled(torch.zeros(1, 1, 8, 8))


@every_layer
def test_functional_call_and_vmap_over_weights(layer):
    module, x = make(layer), feature_map(layer)
    stack = torch.stack([module.weight.detach(), integers(*module.weight.shape) + 1])
    bias = module.bias.detach()

    def call(weight):
        return torch.func.functional_call(module, {"weight": weight, "bias": bias}, (x,))

    batched = torch.func.vmap(call)(stack)
    gradients = torch.func.vmap(torch.func.grad(lambda w: (call(w) ** 2).sum()))(stack)
    for weight, y, gradient in zip(stack, batched, gradients):
        assert torch.equal(call(weight), y)
        weight = weight.clone().requires_grad_()
        (call(weight) ** 2).sum().backward()
        assert torch.equal(weight.grad, gradient)


@every_layer
def test_jvp_is_the_layer_itself_since_it_is_linear_in_its_weight(layer):
    module, x = make(layer, bias=False), feature_map(layer)
    weight, tangent = module.weight.detach(), integers(*module.weight.shape) - 1

    def call(weight):
        return torch.func.functional_call(module, {"weight": weight}, (x,))

    y, moved = torch.func.jvp(call, (weight,), (tangent,))
    assert torch.equal(y, call(weight)) and torch.equal(moved, call(tangent))


@every_layer
def test_forward_mode_over_reverse_mode_is_reverse_mode_over_itself(layer):
    module = make(layer, (1, 1), 3 if layer.startswith("P6") else 2, bias=False)
    x = integers(1, 1, module.input_stabilizer_size, *(3,) * module.spec.ndim)

    def loss(weight):
        return (torch.func.functional_call(module, {"weight": weight}, (x,)) ** 2).sum()

    weight = module.weight.detach()
    assert torch.equal(torch.func.hessian(loss)(weight), torch.autograd.functional.hessian(loss, weight))


@every_layer
def test_forward_mode_through_a_layers_own_parameter(layer):
    """Outside torch.func, with a weight that requires a gradient as well."""
    module, x = make(layer, bias=False), feature_map(layer)
    tangent = integers(*module.weight.shape) - 1
    with torch.autograd.forward_ad.dual_level():
        weight = torch.autograd.forward_ad.make_dual(module.weight, tangent)
        y = torch.func.functional_call(module, {"weight": weight}, (x,))
        moved = torch.autograd.forward_ad.unpack_dual(y).tangent
    assert torch.equal(moved, torch.func.functional_call(module, {"weight": tangent}, (x,)))


@pytest.mark.parametrize("training", [True, False])
def test_activation_checkpointing_changes_no_bit(training):
    module, x = network().train(training), integers(2, 1, 18, 18)

    class Checkpointed(nn.Sequential):
        def forward(self, x):
            for part in self:
                x = checkpoint(part, x, use_reentrant=False)
            return x

    torch.manual_seed(0)
    plain = results(module, x)
    torch.manual_seed(0)
    assert_same_bits(results(Checkpointed(*module), x), plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("training", [True, False])
@every_layer
def test_autocast_casts_the_folded_filters_and_keeps_the_gradients_in_float32(layer, dtype, training):
    """On integers the cast is exact: a result off by one rounding would show that something was cast twice."""
    module, x = make(layer).train(training), feature_map(layer).clamp(-1, 1)
    y, *gradients = results(module, x)
    module.zero_grad()
    x.requires_grad_()
    with torch.autocast("cpu", dtype):
        half = module(x)
    assert half.dtype == dtype
    assert torch.equal(half, y.to(dtype))
    half.backward(integers(*half.shape).to(dtype))
    assert module.weight.grad.dtype == module.bias.grad.dtype == torch.float32
    # One output channel's gradient is a sum over the stabilizer, taken in float32 of planar gradients in `dtype`.
    roundoff = torch.finfo(dtype).eps / 2
    scale = torch.autograd.grad(module(x.abs()), module.weight, torch.full_like(y, 4.0))[0]
    assert ((module.weight.grad - gradients[1]).abs() <= roundoff * scale).all()


def test_autocast_does_not_touch_float64():
    module, x = torch_gconv.P4ConvZ2(1, 1, 3, dtype=torch.float64), torch.randn(1, 1, 4, 4, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        assert module(x).dtype == nn.Conv2d(1, 1, 3, dtype=torch.float64)(x).dtype == torch.float64


def test_a_network_on_the_meta_device_has_shapes_alone():
    with torch.device("meta"):
        module = network()
    assert module(torch.empty(2, 1, 18, 18, device="meta")).shape == (2, 2, 2, 2)
    materialized = module.to_empty(device="cpu")
    assert {t.device.type for t in (*materialized.parameters(), *materialized.buffers())} == {"cpu"}


def test_materialized_layers_have_their_tables_again():
    """A layer made on the meta device takes its weights from a snapshot, copied or assigned, and has all it needs."""
    x, module = feature_map("P4MConvP4M"), make("P4MConvP4M")
    with torch.device("meta"):
        copied, assigned = torch_gconv.P4MConvP4M(2, 3, 3), torch_gconv.P4MConvP4M(2, 3, 3)
    copied.to_empty(device="cpu").load_state_dict(module.state_dict())
    assigned.load_state_dict(module.state_dict(), assign=True)
    assert_same_bits(results(copied, x), results(module, x))
    assert torch.equal(assigned(x), module(x))


def test_the_state_and_the_buffers_hold_nothing_that_follows_from_the_shapes():
    """DistributedDataParallel broadcasts buffers in each step."""
    assert not list(torch_gconv.P4MConvP4M(2, 3, 3).buffers())


def test_the_same_call_has_the_same_bits_under_deterministic_algorithms():
    module, x = torch_gconv.P4MConvP4M(3, 5, 3), torch.randn(2, 3, 8, 7, 7)
    torch.use_deterministic_algorithms(True)
    try:
        assert_same_bits(results(module, x), results(module, x))
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_layer_that_broke_the_trace_would_be_found():
    """The checks above can fail: a Python-side decision on values is no whole graph."""

    class Deciding(torch_gconv.P4ConvZ2):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else super().forward(-x)

    torch.compiler.reset()
    with warnings.catch_warnings(), pytest.raises(torch._dynamo.exc.Unsupported):
        warnings.simplefilter("ignore")
        torch.compile(Deciding(1, 1, 3), fullgraph=True, backend="aot_eager")(integers(1, 1, 5, 5))
