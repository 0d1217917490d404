"""The law: what is put out has the memory format of what came in, with a new tensor's strides, and is right in both.

Every layer, companion, block and model; a batch of one and of two; training, evaluation, frozen statistics; each
activation of torch.nn after a normalization. Outputs and all gradients are held against float64.
"""

import copy
import inspect
import warnings

import pytest
import torch
from torch import nn

import torch_gconv
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import models

FORMATS = ("contiguous", "channels_last")
MODES = ("training", "evaluation", "frozen statistics")

every_format = pytest.mark.parametrize("memory_format", FORMATS)
every_batch = pytest.mark.parametrize("batch", [1, 2])
every_mode = pytest.mark.parametrize("mode", MODES)


def fibers_last(x, ndim):
    fiber = tuple(range(1, x.dim() - ndim))
    return x.movedim(fiber, tuple(range(-len(fiber), 0)))


def in_format(x, memory_format, ndim):
    """A new tensor with x's values in a format."""
    if memory_format == "contiguous":
        return x.clone(memory_format=torch.contiguous_format)
    fiber = tuple(range(1, x.dim() - ndim))
    last = fibers_last(x, ndim).clone(memory_format=torch.contiguous_format)
    return last.movedim(tuple(range(-len(fiber), 0)), fiber)


def set_mode(module, mode):
    module.train(mode == "training")
    if mode == "frozen statistics":  # fine-tuning: all is trained but the statistics
        module.train()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()


def outputs_and_gradients(module, x):
    module.zero_grad()
    x = x.detach().requires_grad_()
    y = module(x)
    gy = torch.arange(y.numel(), dtype=torch.float64).sin().view(y.shape).to(y.dtype)
    y.backward(gy)
    return y.detach(), {"x": x.grad, **{name: p.grad for name, p in module.named_parameters()}}


def assert_law(module, x, memory_format, mode, ndim=2, map_out=True):
    """The law for a module on x, which is float64 and contiguous."""
    set_mode(module, mode)
    exact = copy.deepcopy(module).double()
    expected_y, expected = outputs_and_gradients(exact, x)
    y, gradients = outputs_and_gradients(module, in_format(x.float(), memory_format, ndim))
    if map_out:
        assert y.stride() == in_format(y, memory_format, ndim).stride(), "strides of a new tensor of this format"
    # A few hundred roundings, through up to four layers. What is zero but for rounding, as the gradient of a bias
    # before a normalization, is off by roundings of the sums that it is the difference of.
    largest = max(gradient.norm().item() for gradient in expected.values())
    for name, got in {"y": y, **gradients}.items():
        due = expected_y if name == "y" else expected[name]
        allowed = 500 * 2**-24 * max(due.norm().item(), largest / 100)
        assert (got.double() - due).norm() <= allowed, f"{name} in {memory_format}"


# With one channel or one pixel both formats are the same places in memory, and the strides tell which was meant.
@every_format
@every_batch
@pytest.mark.parametrize(
    "channels, sides", [(1, (5, 5)), (3, (1, 1)), (1, (1, 5)), (1, (5, 1)), (3, (1, 5)), (1, (1, 1))]
)
def test_what_looks_alike_in_both_formats_is_told_apart_as_conv2d_does(channels, sides, batch, memory_format):
    x = torch.randn(batch, channels, *sides).to(memory_format=getattr(torch, memory_format, torch.contiguous_format))
    folded = torch_gconv.P4ConvZ2(channels, 2, 1, flat_channels=True)(x)
    assert folded.stride() == nn.Conv2d(channels, 8, 1)(x).stride()
    on_group = torch_gconv.P4ConvZ2(channels, 2, 1)(x)
    assert torch_gconv.P4ConvP4(2, 2, 1, flat_channels=True)(on_group).stride() == folded.stride()


def maps(batch, channels, S, ndim=2, size=7):
    return torch.randn(batch, channels, *([S] if S else []), *(size,) * ndim, dtype=torch.float64)


@every_format
@every_batch
@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("flat", [True, False])
def test_a_layer(layer, memory_format, batch, training, flat):
    spec = LAYER_SPECS[layer]
    module = getattr(torch_gconv, layer)(3, 4, 3, padding=1, flat_channels=flat)
    x = maps(batch, 3, None if spec.lifting else spec.input_stabilizer_size, spec.ndim, 5 if spec.ndim == 2 else 3)
    x = x.flatten(1, 2) if flat and not spec.lifting else x
    assert_law(module, x, memory_format, "training" if training else "evaluation", spec.ndim)


@every_format
@every_batch
@pytest.mark.parametrize(
    "options",
    [*({"padding": 1, "padding_mode": mode} for mode in ("reflect", "replicate", "circular")), {"padding": "same"}],
    ids=str,
)
def test_a_layer_that_pads_by_itself(options, memory_format, batch):
    kernel = 2 if options["padding"] == "same" else 3  # of an even kernel PyTorch pads one side more
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)
        assert_law(torch_gconv.P4ConvP4(3, 4, kernel, **options), maps(batch, 3, 4), memory_format, "evaluation")


COMPANIONS = {
    "batch norm": lambda: torch_gconv.GBatchNorm(4),
    "batch norm without weights": lambda: torch_gconv.GBatchNorm(4, affine=False),
    "batch norm of hexagons": lambda: torch_gconv.GBatchNorm(4, hexagonal=True),
    "group norm": lambda: torch_gconv.GGroupNorm(2, 4),
    "dropout of nothing": lambda: torch_gconv.GDropout(0.0),
    "dropout by channel": lambda: torch_gconv.GDropout(0.0, per_channel=True, stabilizer_size=6),
    "max pooling": lambda: torch_gconv.GMaxPool2d(3, 2),
    "max pooling of hexagons": lambda: torch_gconv.GMaxPool2d(3, 1, 1, hexagonal=True),
    "mean pooling": lambda: torch_gconv.GAvgPool2d(3, 2),
    "coset max": lambda: torch_gconv.CosetMaxPool(6),
    "coset mean": lambda: torch_gconv.CosetMeanPool(6),
    "coset sum": lambda: torch_gconv.CosetSumPool(6),
    "coset norm": lambda: torch_gconv.CosetL2Pool(6),
}


@every_format
@every_batch
@every_mode
@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("name", COMPANIONS)
def test_a_companion(name, folded, mode, batch, memory_format):
    module = randomized(COMPANIONS[name]())
    x = maps(batch, 4, 6)
    assert_law(module, x.flatten(1, 2) if folded else x, memory_format, mode)


@every_format
@every_batch
@pytest.mark.parametrize("name", ["Restrict", "Unrestrict", "Induce"])
def test_a_map_between_groups(name, batch, memory_format):
    groups = ("p4m", "p4")
    S = 8 if name == "Restrict" else 4
    assert_law(getattr(torch_gconv, name)(*groups), maps(batch, 4, S), memory_format, "evaluation")


@every_format
@every_batch
@every_mode
def test_companions_in_space(mode, batch, memory_format):
    x = maps(batch, 4, 8, ndim=3, size=4)
    for module in (
        randomized(torch_gconv.GBatchNorm(4)),
        torch_gconv.GGroupNorm(2, 4),
        torch_gconv.GMaxPool3d(2),
        torch_gconv.GAvgPool3d(2),
        torch_gconv.CosetMaxPool(),
    ):
        assert_law(module, x, memory_format, mode, ndim=3)


# What torch.nn calls an activation and takes a tensor alone; those that draw numbers or take other arguments aside.
ACTIVATIONS = [
    name
    for name in nn.modules.activation.__all__
    if name not in ("MultiheadAttention", "RReLU", "GLU", "Threshold", "Softmax2d", "Softmin", "Softmax", "LogSoftmax")
    and not inspect.signature(getattr(nn, name)).parameters.keys() & {"dim"}
]


def randomized(module):
    """With statistics and weights unlike those that a new module has."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            draw = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
            tensor.data.copy_(draw + 0.5 if "var" in name else draw - 0.4)
    return module


@every_format
@every_batch
@every_mode
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_after_a_normalization(activation, mode, batch, memory_format):
    norm = randomized(torch_gconv.GBatchNorm(4))
    parts = torch_gconv.P4ConvZ2(3, 4, 3), norm, getattr(nn, activation)(), torch_gconv.CosetMaxPool()
    keeps_format = activation != "LogSigmoid"  # it puts out contiguous tensors
    assert_law(nn.Sequential(*parts), maps(batch, 3, None), memory_format, mode, map_out=keeps_format)


@every_format
def test_the_gradient_of_a_batch_of_one_is_half_that_of_the_same_twice(memory_format):
    parts = torch_gconv.P4ConvZ2(3, 4, 3), torch_gconv.GBatchNorm(4), nn.SiLU(), torch_gconv.CosetMaxPool()
    net, x = nn.Sequential(*parts).eval(), torch.randn(1, 3, 9, 9)

    def gradient(x):
        x = in_format(x, memory_format, 2).requires_grad_()
        net(x).square().mean().backward()
        return x.grad[:1]

    torch.testing.assert_close(gradient(x), 2 * gradient(x.repeat(2, 1, 1, 1)))


@pytest.mark.parametrize("hexagonal", [True, False])
def test_a_picture_with_its_channels_last_and_an_axis_before_it_is_a_batch_of_one(hexagonal):
    """Its batch axis has a stride that no new tensor has; PyTorch's own batch normalization misreads it."""
    norm = randomized(torch_gconv.GBatchNorm(2, hexagonal=hexagonal)).eval()
    picture = torch.randn(9, 9, 12).permute(2, 0, 1).unsqueeze(0)
    assert picture.stride(0) == 12

    def gradient(x):
        x = x.detach().requires_grad_()
        nn.functional.silu(norm(x)).square().sum().backward()
        return x.grad

    torch.testing.assert_close(gradient(picture), gradient(picture.contiguous(memory_format=torch.contiguous_format)))
    assert norm(picture).stride()[1:] == picture.stride()[1:]


@every_format
@every_batch
@every_mode
@pytest.mark.parametrize("stride", [1, 2])
def test_a_residual_block(stride, mode, batch, memory_format):
    block = torch_gconv.GResidualBlock(torch_gconv.P4MConvP4M, 3, 4, stride)
    assert_law(block, maps(batch, 3, 8), memory_format, mode)


MODELS = {
    "P4CNN": lambda: models.P4CNN(channels=4),
    "AllCNNC": lambda: models.AllCNNC("p4", in_channels=1, widths=(4, 4)),
    "ResNet44": lambda: models.ResNet44("p4m", in_channels=1, widths=(2, 2, 4), blocks=1),
}


@every_format
@every_batch
@every_mode
@pytest.mark.parametrize("name", MODELS)
def test_a_model(name, mode, batch, memory_format):
    model = MODELS[name]()
    for part in model.modules():
        if isinstance(part, (nn.Dropout, torch_gconv.GDropout)):
            part.p = 0.0
    x = torch.randn(batch, 1, *(2 * [28 if name == "P4CNN" else 33]), dtype=torch.float64)
    assert_law(model, x, memory_format, mode, map_out=False)


@every_format
@every_batch
def test_view_works_where_it_does_on_what_conv2d_puts_out(batch, memory_format):
    x = in_format(torch.randn(batch, 3, 8, 8), memory_format, 2)
    for module in (torch_gconv.P4ConvZ2(3, 4, 3), torch_gconv.P4ConvZ2(3, 32, 3)):
        for net in (module.train(), module.eval()):
            y = torch_gconv.plane_group_spatial_max_pooling(net(x), 2)
            if memory_format == "contiguous":
                assert y.view(batch, -1).shape == (batch, y.numel() // batch)
            assert y.stride() == in_format(y, memory_format, 2).stride()
