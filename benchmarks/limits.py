"""The limits beside each measurement: what the machine can do at most, and what an operation asks of it at least.

The machine's peaks are measured, in the same run as all else:

arithmetic    the best of matrix products and 1x1 convolutions, at a few sizes, by dtype and number of threads
bytes         the best of copies between arrays that no cache holds; what is read plus what is written

They are the best of many calls, not medians: a limit is what the machine does when nothing disturbs it. On a GPU
float32 convolutions may compute in TF32, as PyTorch has it by default; then so does the peak.

The work of a layer is that of the planar convolution of its folded shape. With x of N * I * S_in * P numbers, y of
N * O * S_out * P (P pixels; padding 1 and stride 1 keep them), and O * S_out * I * S_in * k^d folded weights:

    operation                             flops                          bytes / itemsize
    evaluation                            2 N P * folded weights         x + folded weights + y
    training step                         three times that: y, gx, gw    twice that: gradients too
    filter transformation                 0                              canonical weights + folded weights
    filter transformation with gradient   0                              twice that
    network training step                 the sum over its convolutions; that of the image has no gx

Each array is read or written once; biases, index tables and all that is no convolution are left out. Hexagonal
kernels count as the squares that they are computed in. So whoever needs fewer multiplications (by Winograd's or a
Fourier transform, or by the group's own) may go below the limit of arithmetic, and whoever never writes the folded
weights below that of bytes.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from math import prod
from typing import Callable

import numpy as np

from benchmarks.machine import data_caches
from benchmarks.networks import NETWORKS, published_sizes
from benchmarks.pairing import computing_threads
from benchmarks.sizes import KSIZE
from benchmarks.targets import (
    EVALUATION,
    NETWORK_TRAINING,
    TRAINING,
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
)

_SECONDS = 0.08  # for each way and size
_FEWEST_CALLS = 3
_SLOW_CALL = 0.01  # seconds; once a call took longer, larger ones are left out: they do not reach more


@dataclass(frozen=True)
class Way:
    """One way to reach a peak.

    module: the framework that it needs; device: where it computes
    prepare: (dtype, device, size) -> (call, how many flops or bytes that is)
    sizes: ascending; dtypes: those that it has
    """

    name: str
    module: str
    device: str
    prepare: Callable
    sizes: tuple
    dtypes: tuple

    def is_here(self):
        """Whether the framework is, and sees the device; it is imported to tell."""
        if find_spec(self.module) is None:
            return False
        framework = import_module(self.module)
        return self.device == "cpu" or framework.cuda.is_available()

    def rates(self, dtype, seconds):
        """Flops or bytes per second, the best at each size; seconds: for each of them."""
        for size in self.sizes:
            call, amount = self.prepare(dtype, self.device, size)
            fastest = _fastest(call, _CLOCKS[self.module, self.device], seconds)
            yield amount / fastest
            if fastest > _SLOW_CALL:
                return


@dataclass(frozen=True)
class Convolution:
    """A planar convolution. x, weights, y: how many numbers each has; positions: pixels of y, in the whole batch."""

    x: int
    weights: int
    y: int
    positions: int
    itemsize: int

    def forward(self):
        """(flops, bytes)."""
        return 2 * self.positions * self.weights, self.itemsize * (self.x + self.weights + self.y)

    def training_step(self, gradient_to_x=True):
        """(flops, bytes), gradients included."""
        flops, n_bytes = self.forward()
        if gradient_to_x:
            return 3 * flops, 2 * n_bytes
        return 2 * flops, 2 * n_bytes - self.itemsize * self.x


def measure_limits(dtypes, threads, device, seconds=_SECONDS):
    """The peaks of a device, for each dtype and number of threads: a list of dicts, as the results have them.

    dtypes: their names; threads: numbers of threads; device: "cpu" or "cuda"
    seconds: for each way and size that is tried; there are about ten for each dtype and number of threads
    A peak that nothing installed can measure is None, and so is the name of what reached it.
    """
    # Found, so imported, before threads are chosen: that concerns the pools of what is imported.
    arithmetic, copies = _ways_here(_ARITHMETIC, device), _ways_here(_copies(), device)
    limits, rates = [], defaultdict(list)
    for number in sorted(threads):  # what fewer threads reach, more of them may do too: so the rates are kept
        with computing_threads(number):
            rates[_COPIED] += _rates(copies, _COPIED, seconds)
            n_bytes, bytes_by = _peak(rates[_COPIED])
            for dtype in dtypes:
                rates[dtype] += _rates(arithmetic, dtype, seconds)
                flops, flops_by = _peak(rates[dtype])
                limits.append(
                    {
                        "device": device,
                        "dtype": dtype,
                        "threads": number,
                        "flops_per_second": flops,
                        "flops_by": flops_by,
                        "bytes_per_second": n_bytes,
                        "bytes_by": bytes_by,
                    }
                )
    return limits


def limit_seconds(flops, n_bytes, limit):
    """{"arithmetic", "bytes"}: the least seconds that the work takes at one of measure_limits; None where unknown."""

    def least(amount, rate):
        return None if amount is None or rate is None else amount / rate

    return {
        "arithmetic": least(flops, limit["flops_per_second"]),
        "bytes": least(n_bytes, limit["bytes_per_second"]),
    }


def work_of(operation, point):
    """(flops, bytes) of one call, as defined above; (None, None) where they are not.

    point: Shape, NetworkShape or Table; of networks the work is known where PyTorch is installed
    """
    work = _WORK.get(operation)
    return (None, None) if work is None else work(point)


def _layer(shape):
    """The planar convolution of a layer's folded shape."""
    pixels = shape.batch * shape.size**shape.ndim
    return Convolution(
        x=pixels * shape.folded_in_channels,
        weights=shape.folded_filter_bytes // shape.itemsize,
        y=pixels * shape.folded_out_channels,
        positions=pixels,
        itemsize=shape.itemsize,
    )


def _evaluation(shape):
    return _layer(shape).forward()


def _training(shape):
    return _layer(shape).training_step()


def _transformation(shape):
    canonical = shape.channels * shape.folded_in_channels * KSIZE**shape.ndim
    return 0, canonical * shape.itemsize + shape.folded_filter_bytes


def _transformation_with_gradient(shape):
    flops, n_bytes = _transformation(shape)
    return flops, 2 * n_bytes


def _network_training(shape):
    if find_spec("torch") is None:
        return None, None
    first, *others = _convolutions(shape)
    works = [first.training_step(gradient_to_x=False), *(convolution.training_step() for convolution in others)]
    flops, n_bytes = map(sum, zip(*works))
    return flops, n_bytes


_WORK = {
    EVALUATION: _evaluation,
    TRAINING: _training,
    TRANSFORMATION: _transformation,
    TRANSFORMATION_WITH_GRADIENT: _transformation_with_gradient,
    NETWORK_TRAINING: _network_training,
}


def _convolutions(shape):
    """Those of a network, in the order in which it calls them: seen in a forward pass that computes nothing."""
    import torch

    from benchmarks.torch_networks import published_network
    from torch_gconv.splitgconv import SplitGConv

    network = published_network(replace(shape, device="meta"))
    pictures = (shape.batch, *NETWORKS[shape.network].input_shape)
    found = []

    def note(layer, inputs, y):
        weights = layer.weight.numel() * layer.output_stabilizer_size
        positions = len(y) * prod(y.shape[3:])
        found.append(Convolution(inputs[0].numel(), weights, y.numel(), positions, y.element_size()))

    for module in network.modules():
        if isinstance(module, SplitGConv):
            module.register_forward_hook(note)
    with published_sizes():
        network(torch.empty(pictures, device="meta", dtype=getattr(torch, shape.dtype)))
    return found


def _torch_product(dtype, device, size):
    import torch

    a, b, c = torch.randn(3, size, size, device=device, dtype=getattr(torch, dtype))
    return lambda: torch.mm(a, b, out=c), 2 * size**3


def _torch_convolution(dtype, device, channels):
    import torch

    in_format = {"memory_format": torch.channels_last}
    of_kind = {"device": device, "dtype": getattr(torch, dtype)}
    x = torch.randn(_BATCH[device], channels, _SIDE, _SIDE, **of_kind).contiguous(**in_format)
    weight = torch.randn(channels, channels, 1, 1, **of_kind).contiguous(**in_format)
    return lambda: torch.nn.functional.conv2d(x, weight), 2 * x.numel() * channels


def _product(xp, dtype, size):
    a, b = xp.random.default_rng(0).standard_normal((2, size, size)).astype(dtype)
    c = xp.empty_like(a)
    return lambda: xp.matmul(a, b, out=c), 2 * size**3


def _numpy_product(dtype, device, size):
    return _product(np, dtype, size)


def _cupy_product(dtype, device, size):
    import cupy

    return _product(cupy, dtype, size)


def _torch_copy(dtype, device, n_bytes):
    import torch

    a, b = torch.ones(2, n_bytes, device=device, dtype=getattr(torch, dtype))
    return lambda: b.copy_(a), 2 * n_bytes


def _numpy_copy(dtype, device, n_bytes):
    a, b = np.ones((2, n_bytes), dtype)
    return lambda: np.copyto(b, a), 2 * n_bytes


def _cupy_copy(dtype, device, n_bytes):
    import cupy

    a, b = cupy.ones((2, n_bytes), dtype)
    return lambda: cupy.copyto(b, a), 2 * n_bytes


_BATCH, _SIDE = {"cpu": 8, "cuda": 128}, 32  # of what is convolved
_OF_TORCH = ("float32", "float64", "bfloat16", "float16")
_OF_CUPY = ("float32", "float64", "float16")
_OF_BLAS = ("float32", "float64")
_COPIED = "uint8"
_EDGES = {"cpu": (256, 512, 1024, 2048, 4096), "cuda": (2048, 4096, 8192)}
_CHANNELS = {"cpu": (128, 256, 512, 1024), "cuda": (512, 1024, 2048)}
_ARITHMETIC = (
    *(Way("torch.mm", "torch", device, _torch_product, _EDGES[device], _OF_TORCH) for device in _EDGES),
    *(
        Way("torch 1x1 convolution, channels_last", "torch", device, _torch_convolution, _CHANNELS[device], _OF_TORCH)
        for device in _CHANNELS
    ),
    Way("numpy.matmul", "numpy", "cpu", _numpy_product, _EDGES["cpu"], _OF_BLAS),
    Way("cupy.matmul", "cupy", "cuda", _cupy_product, _EDGES["cuda"], _OF_CUPY),
)


def _copies():
    """The Ways to copy. On the CPU, each of the arrays is at least twice what all caches of the last level hold."""
    cached = max((cache.size * cache.count for cache in data_caches()), default=0)
    on_cpu, on_gpu = (max(2**28, 2 * cached),), (2**30,)
    return (
        Way("torch copy_", "torch", "cpu", _torch_copy, on_cpu, (_COPIED,)),
        Way("numpy.copyto", "numpy", "cpu", _numpy_copy, on_cpu, (_COPIED,)),
        Way("torch copy_", "torch", "cuda", _torch_copy, on_gpu, (_COPIED,)),
        Way("cupy.copyto", "cupy", "cuda", _cupy_copy, on_gpu, (_COPIED,)),
    )


def _ways_here(ways, device):
    return [way for way in ways if way.device == device and way.is_here()]


def _rates(ways, dtype, seconds):
    """(rate, name) of each size of each way that has the dtype."""
    return [(rate, way.name) for way in ways if dtype in way.dtypes for rate in way.rates(dtype, seconds)]


def _peak(rates):
    return max(rates, default=(None, None))


def _fastest(call, clock, seconds):
    """The shortest time of a call, after one that warms up."""
    call()
    times, begin = [], time.perf_counter()
    while len(times) < _FEWEST_CALLS or time.perf_counter() - begin < seconds:
        times.append(clock(call))
    return min(times)


def _time_on_cpu(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _time_by_torch(call):
    from torch.cuda import Event

    begin, end = Event(enable_timing=True), Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def _time_by_cupy(call):
    from cupy.cuda import Event, get_elapsed_time

    begin, end = Event(), Event()
    begin.record()
    call()
    end.record()
    end.synchronize()
    return get_elapsed_time(begin, end) / 1e3


_CLOCKS = {
    ("torch", "cpu"): _time_on_cpu,
    ("numpy", "cpu"): _time_on_cpu,
    ("torch", "cuda"): _time_by_torch,
    ("cupy", "cuda"): _time_by_cupy,
}
