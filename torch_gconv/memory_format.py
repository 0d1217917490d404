"""Which memory format a layer's planar convolution takes: the faster one, on the CPU.

PyTorch convolves in torch.channels_last where the input or the filters have that format, and puts out
the same. So the format of the folded filters decides, and nothing of the caller's is changed: an input
in channels_last gives an output in channels_last, whatever is chosen here. An output in channels_last
that was not asked for has the same values in another order in memory: reshape works on it, view may not.

By default the choice is made by the number of channels, the same on every machine, so that runs repeat
bit for bit. With `torch_gconv.memory_format.benchmark = True`, as with torch.backends.cudnn.benchmark,
both formats are timed at the first call with each shape, and the faster one is taken from then on.
"""

import statistics
import time
from functools import lru_cache

import torch
import torch.nn.functional as F

benchmark = False

# Measured on two cores with AVX-512 (batches of 32, 28 x 28 and 32 x 32 pixels, 3 x 3 filters): training steps with
# 512 folded channels take 0.93 to 0.96 of the time in channels_last; with 64 to 128 channels 1.04 to 1.11.
_MANY_CHANNELS = 512

_ROUNDS = 5


def choose(x, filters_shape, dtype, stride, padding, dilation, groups):
    """The memory format for the folded filters (O * S_out, I * S_in, k, k): channels_last, or what they have.

    x: the folded input (N, C, H, W); dtype: of the convolution; the others as of torch.nn.functional.conv2d
    """
    # oneDNN has both formats; PyTorch's own loops, which compute float64, have not.
    if x.device.type != "cpu" or dtype == torch.float64 or torch.compiler.is_compiling():
        return torch.preserve_format
    if benchmark and not torch.are_deterministic_algorithms_enabled():
        trains = torch.is_grad_enabled()
        options = (stride, padding, dilation, groups)
        return _faster(tuple(x.shape), tuple(filters_shape), dtype, options, trains, torch.get_num_threads())
    return torch.channels_last if min(filters_shape[:2]) >= _MANY_CHANNELS else torch.preserve_format


@lru_cache(maxsize=4096)
def _faster(x_shape, filters_shape, dtype, options, trains, _threads):
    """The faster format for filters, given an input that is not in channels_last; medians of alternating rounds."""
    seconds = {torch.preserve_format: [], torch.channels_last: []}
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        x = torch.zeros(x_shape, dtype=dtype, requires_grad=trains)
        filters = torch.zeros(filters_shape, dtype=dtype, requires_grad=trains)
        for _ in range(1 + _ROUNDS):
            for memory_format, times in seconds.items():
                start = time.perf_counter()
                y = F.conv2d(x, filters.contiguous(memory_format=memory_format), None, *options)
                if trains:
                    torch.autograd.grad(y.sum(), (x, filters))
                times.append(time.perf_counter() - start)
    return min(seconds, key=lambda memory_format: statistics.median(seconds[memory_format][1:]))
