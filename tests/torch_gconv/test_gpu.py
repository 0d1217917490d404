"""What needs a GPU: the layers on CUDA tensors. `make gpu-check` runs these."""

import copy

import numpy as np
import pytest
import torch

import torch_gconv
from groupy.gconv.layer_specs import LAYER_SPECS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device"),
    # What PyTorch does in its own code when it compiles.
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning"),
]


@pytest.fixture
def exact_convolutions():
    """cuDNN rounds integers, to TF32 and in Winograd's transform; PyTorch's own kernels do not."""
    with torch.backends.cudnn.flags(enabled=False):
        yield


@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"bias": False, "flat_channels": True}])
def test_a_layer_on_integers_gives_the_bits_of_the_cpu_forward_and_backward(layer, options, rng, exact_convolutions):
    S = LAYER_SPECS[layer].input_stabilizer_size
    net = getattr(torch_gconv, layer)(3, 4, 3, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-3, 4, parameter.shape)))
    x = torch.from_numpy(rng.integers(-3, 4, (2, 3 * S, *(9,) * LAYER_SPECS[layer].ndim)).astype(np.float32))

    def run(device):
        net.to(device).zero_grad()
        moved = x.to(device).requires_grad_()
        moved.retain_grad()
        y = net(moved)
        (y * y).sum().backward()
        return [tensor.detach().cpu().numpy() for tensor in (y, moved.grad, *(p.grad for p in net.parameters()))]

    for got, expected in zip(run("cuda"), run("cpu")):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_a_layer_by_cudnn_rounds_as_float32_may(layer):
    S, ndim = LAYER_SPECS[layer].input_stabilizer_size, LAYER_SPECS[layer].ndim
    net = getattr(torch_gconv, layer)(3, 4, 3).cuda()
    x = torch.randn(2, 3, S, *(9,) * ndim, device="cuda", requires_grad=True)

    def run(dtype):
        net.to(dtype).zero_grad()
        given = x.detach().to(dtype).requires_grad_()
        y = net(given)
        y.square().sum().backward()
        return [tensor.double() for tensor in (y.detach(), given.grad, *(p.grad for p in net.parameters()))]

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for exact, rounded in zip(run(torch.float64), run(torch.float32)):
            # Sums of at most a few thousand products; Winograd's transform loses up to three more bits.
            assert (exact - rounded).norm() <= 1e-5 * exact.norm()


def test_a_gradient_is_the_same_bits_every_time():
    net = torch_gconv.P4MConvP4M(32, 32, 3, padding=1).cuda()
    x = torch.randn(8, 32, 8, 16, 16, device="cuda")
    torch.use_deterministic_algorithms(True)
    try:
        gradients = []
        for _ in range(2):
            net.zero_grad()
            net(x).square().sum().backward()
            gradients.append(net.weight.grad.clone())
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_on_a_gpu_filters_are_folded_anew_and_never_stale(layer):
    S = LAYER_SPECS[layer].input_stabilizer_size
    net, x = (
        getattr(torch_gconv, layer)(2, 3, 3).cuda().eval(),
        torch.randn(2, 2, S, *(5,) * LAYER_SPECS[layer].ndim, device="cuda"),
    )
    with torch.no_grad():
        net(x)
        net.weight.data.mul_(2)
        assert net._kept._kept is None
        assert torch.equal(net(x), net.train()(x))


@pytest.mark.parametrize("layer", LAYER_SPECS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_keeps_the_gradients_in_float32(layer, dtype):
    S = LAYER_SPECS[layer].input_stabilizer_size
    net, x = (
        getattr(torch_gconv, layer)(2, 3, 3).cuda(),
        torch.randn(2, 2, S, *(5,) * LAYER_SPECS[layer].ndim, device="cuda"),
    )
    with torch.autocast("cuda", dtype):
        y = net(x)
    assert y.dtype == dtype
    y.float().square().sum().backward()
    assert net.weight.grad.dtype == torch.float32 and net.weight.grad.isfinite().all()


def test_channels_last_is_kept_on_a_gpu():
    net = torch_gconv.P4ConvP4(4, 4, 3, flat_channels=True).cuda()
    x = torch.randn(2, 16, 8, 8, device="cuda").to(memory_format=torch.channels_last)
    assert net(x).is_contiguous(memory_format=torch.channels_last)
    assert net(x.contiguous()).is_contiguous()


def test_a_compiled_layer_on_a_gpu_equals_eager_in_every_bit(rng, exact_convolutions):
    net = torch_gconv.P4MConvP4M(2, 3, 3).cuda()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-3, 4, parameter.shape)))
    x = torch.from_numpy(rng.integers(-3, 4, (2, 2, 8, 9, 9)).astype(np.float32)).cuda()
    assert torch.equal(torch.compile(net, fullgraph=True)(x), net(x))


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_the_memory_format_goes_through_a_network_on_a_gpu_and_gradients_are_right(memory_format, batch, training):
    parts = torch_gconv.P4ConvZ2(3, 4, 3), torch_gconv.GBatchNorm(4), torch.nn.SiLU(), torch_gconv.CosetMaxPool()
    net = torch.nn.Sequential(*parts).cuda().train(training)
    x = torch.randn(batch, 3, 9, 9, device="cuda")
    x = x.to(memory_format=torch.channels_last) if memory_format == "channels_last" else x

    def run(dtype):
        model, given = copy.deepcopy(net).to(dtype), x.detach().to(dtype).requires_grad_()
        y = model(given)
        y.square().sum().backward()
        return y.detach(), [
            tensor.double() for tensor in (y.detach(), given.grad, *(p.grad for p in model.parameters()))
        ]

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        (y, rounded), (_, exact) = run(torch.float32), run(torch.float64)
    assert y.is_contiguous(memory_format=getattr(torch, memory_format + "_format", None) or torch.channels_last)
    largest = max(tensor.norm() for tensor in exact)
    for due, got in zip(exact, rounded):
        assert (got - due).norm() <= 1e-5 * max(due.norm(), largest / 100)


@pytest.mark.parametrize("pool", [torch_gconv.GMaxPool2d(3, 1, 1), torch_gconv.GMaxPool3d(3, 1, 1)], ids=["2d", "3d"])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_the_gradient_of_overlapping_maxima_is_the_same_bits_every_time(pool, memory_format):
    x = torch.randn(8, 32, *(16,) * pool.ndim, device="cuda")
    if memory_format == "channels_last":
        x = x.to(memory_format=torch.channels_last if pool.ndim == 2 else torch.channels_last_3d)
    y = pool(x.requires_grad_())
    gy = torch.randn_like(y)
    first, *others = (torch.autograd.grad(y, x, gy, retain_graph=True)[0] for _ in range(5))
    assert all(torch.equal(first, other) for other in others)
