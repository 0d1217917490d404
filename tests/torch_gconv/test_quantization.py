"""PT2E quantization of planar models: it fuses as it does for nn.Conv2d, and equivariance holds to quantization error.

`python -m pytest tests/torch_gconv/test_quantization.py -s` prints the figures of docs/deployment.md.
"""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv.layer_specs import GROUPS
from groupy.gconv.reference import left_translate
from torch_gconv import GBatchNorm, GMaxPool2d, P4MConvP4M, P4MConvZ2, to_planar
from torch_gconv.splitgconv import SplitGConv

# Warnings of torchao and torch.export's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def quantized(model, *batches):
    """The model quantized to 8 bits, calibrated on the batches; also what is prepared, before it is converted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pt2e = pytest.importorskip(
            "torchao.quantization.pt2e.quantize_pt2e",
            reason="PT2E quantization is in torchao: pip install 'groupy-gconv[quantization]'",
        )
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = pt2e.prepare_pt2e(torch.export.export(model, batches[:1]).module(), quantizer)
    operations = list(map(operation, prepared.graph.nodes))
    with torch.no_grad():
        for batch in batches:
            prepared(batch)
    return pt2e.convert_pt2e(prepared), operations


def operation(node):
    """'conv2d', 'relu', 'observer' and so on, but '' for parameters and reshapes."""
    if node.op == "call_module" and node.target.startswith("activation_post_process"):
        return "observer"
    name = node.target.overloadpacket.__name__ if isinstance(node.target, torch._ops.OpOverload) else ""
    return name if name in ("conv2d", "batch_norm", "relu", "max_pool2d", "amax") else ""


class Stock(nn.Sequential):
    """Three planar convolutions, with normalization and ReLU."""

    def __init__(self):
        sizes = ((1, 8), (8, 8), (8, 8))
        blocks = ((nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU()) for i, o in sizes)
        super().__init__(*(layer for block in blocks for layer in block))


class OnGroup(nn.Sequential):
    """Three group convolutions, with normalization and ReLU."""

    def __init__(self):
        convs = (P4MConvZ2(1, 4, 3, padding=1), P4MConvP4M(4, 4, 3, padding=1), P4MConvP4M(4, 4, 3, padding=1))
        super().__init__(*(layer for conv in convs for layer in (conv, GBatchNorm(4), nn.ReLU())))


class Functional(OnGroup):
    """The same with functions in the user's own forward."""

    def forward(self, x):
        layers = list(self)
        for conv, norm in zip(layers[::3], layers[1::3]):
            x = F.relu(norm(conv(x)))
        return x


def trained(model):
    """The model in evaluation, with statistics of some batches, and scales and shifts that are not 1 and 0."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 1, 16, 16))
    return model.eval()


@pytest.mark.parametrize("model", [OnGroup, Functional])
def test_convolution_normalization_and_relu_are_fused_as_those_of_stock_models_are(model):
    x = torch.randn(4, 1, 16, 16)
    due = quantized(trained(Stock()), x)[1]
    got = quantized(to_planar(trained(model()), fold_batch_norm=True), x)[1]

    def fused(operations):
        """From each convolution on, as far as the next observer: what is computed without quantizing in between."""
        words = " ".join(filter(None, operations)).split("conv2d")[1:]
        return [" ".join(dict.fromkeys(word.partition("observer")[0].split())) for word in words]

    assert fused(due) == fused(got) == ["relu"] * 3
    assert [name for name in due if name in ("conv2d", "observer")] == [
        name for name in got if name in ("conv2d", "observer")
    ]


def test_without_folding_it_finds_no_such_pattern():
    x = torch.randn(4, 1, 16, 16)
    assert "batch_norm" in quantized(to_planar(trained(OnGroup())), x)[1]


def network():
    return nn.Sequential(OnGroup(), GMaxPool2d(2), P4MConvP4M(4, 4, 3, padding=1), GBatchNorm(4), nn.ReLU())


def moved(x, h):
    """A feature map on p4m (N, C, 8, H, W), or a picture (N, C, H, W), moved by an element of D4."""
    maps = (x if x.dim() == 5 else x[:, :, None]).numpy()
    return torch.from_numpy(np.ascontiguousarray(left_translate(maps, GROUPS["p4m"], h))).reshape(x.shape)


def figures(run, model, x):
    """Over all elements L of D4 the largest |f(L x) - L f(x)| and |f(x) - model(x)|, relative to the largest |f(x)|."""
    with torch.no_grad():
        y, largest, off = run(x), 0.0, 0.0
        for h in GROUPS["p4m"]:
            got = run(moved(x, h))
            largest = max(largest, (got - moved(y, h)).abs().max().item())
            off = max(off, (got - model(moved(x, h))).abs().max().item())
    return largest / y.abs().max().item(), off / y.abs().max().item()


@pytest.fixture(scope="module")
def in_8_bits():
    """A model, its planar form, what that is in 8 bits, and pictures."""
    model, x = trained(network()), torch.randn(4, 1, 16, 16, generator=torch.manual_seed(1))
    planar = to_planar(model, fold_batch_norm=True)
    return model, planar, quantized(planar, *(moved(x, h) for h in GROUPS["p4m"]))[0], x


def test_quantized_filters_are_turned_copies_of_each_other(in_8_bits):
    model, _, run, _ = in_8_bits
    layers = [module for module in model.modules() if isinstance(module, SplitGConv)]
    filters = [b for b in run.buffers() if b.dtype == torch.int8]
    scales = [b for b in run.buffers() if b.dtype == torch.float32]
    assert len(filters) == len(scales) == len(layers)
    for layer, weight, scale in zip(layers, filters, scales):
        S = layer.output_stabilizer_size
        canonical = P4MConvP4M if layer.input_stabilizer_size == S else P4MConvZ2
        copies = canonical(layer.in_channels, layer.out_channels, 3)
        with torch.no_grad():  # the first filter of each orbit is that of the identity
            copies.weight.copy_(weight[::S].reshape(copies.weight.shape))
        assert weight.any() and torch.equal(copies.folded_filters().to(torch.int8), weight)
        assert torch.equal(scale, scale[::S].repeat_interleave(S))


def test_a_quantized_model_is_equivariant_to_quantization_error(in_8_bits):
    model, planar, run, x = in_8_bits
    equivariance, quantization = figures(run, model, x)
    in_float, _ = figures(planar, model, x)
    print(
        f"\nOf the largest output: equivariance error {equivariance:.1e} in 8 bits, {in_float:.1e} in float32; "
        f"quantization error {quantization:.1e}; a step of the last convolution's input {1 / 255:.1e}"
    )
    # Calibrated on pictures in all positions, all that quantization rounds moves with the picture. What is left is
    # rounding in float32, which here and there moves a value over the middle between two steps.
    assert equivariance <= quantization < 0.1


def test_a_filter_that_is_not_turned_shows(in_8_bits):
    model, planar, _, x = in_8_bits
    with torch.no_grad():
        planar[2].conv.weight[1] = planar[2].conv.weight[0]
    run = quantized(planar, x)[0]
    equivariance, _ = figures(run, model, x)
    assert equivariance > 0.1
