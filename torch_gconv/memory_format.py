"""Which memory format a layer's planar convolution takes: the faster one, on the CPU.

PyTorch convolves in torch.channels_last where the input or the filters have that format, and puts out
the same. So the format of the folded filters decides, and nothing of the caller's is changed: an input
in channels_last gives an output in channels_last, whatever is chosen here. An output in channels_last
that was not asked for has the same values in another order in memory: reshape works on it, view may not.

By default the choice is made by the numbers of channels, and by whether the layer is in training: the
same on every machine, so that runs repeat bit for bit. With `torch_gconv.memory_format.benchmark = True`,
as with torch.backends.cudnn.benchmark, both formats are timed at the first call with each shape, and the
faster one is taken from then on.
"""

import statistics
import time
from functools import lru_cache

import torch
import torch.nn.functional as F

benchmark = False

# Measured on two cores with AVX-512, 3 x 3 filters, batches of 32; channels are folded ones, the fewer of I and O:
#   fewer than 16 (lifting):  channels_last takes 0.34 to 0.98 of the time, in evaluation and in training
#   16 to 63:                 0.75 to 0.97 in evaluation (once 1.08); in training 0.97, but batch normalization, which
#                             shares statistics over the stabilizer, then takes longer than that saves
#   64 to 255:                0.85 to 1.14, above 1 more often than below
#   256 and more:             0.94 to 1.00
_LIFTING, _FEW, _MANY = 16, 64, 256
# Volumes stay as they are. channels_last_3d gains in lifting convolutions alone (0.2 to 0.8 of their time), and a small
# network then takes 0.8 to 0.95 of its time in evaluation, but 1.0 to 1.2 in training; from 96 channels on it loses.

_ROUNDS = 5


def choose(x, filters_shape, dtype, training, stride, padding, dilation, groups):
    """The memory format for the folded filters (O * S_out, I * S_in, k, ...): channels_last, or what they have.

    x: the folded input, (N, C, H, W) or (N, C, D, H, W), on the CPU and in eager mode; dtype: of the convolution
    training: whether the layer is; the others as of torch.nn.functional.conv2d
    """
    # oneDNN has both formats; PyTorch's own loops, which compute float64, have not.
    if x.dim() != 4 or dtype == torch.float64:
        return torch.preserve_format
    if benchmark and not torch.are_deterministic_algorithms_enabled():
        options = (stride, padding, dilation, groups)
        return _faster(tuple(x.shape), tuple(filters_shape), dtype, options, training, torch.get_num_threads())
    channels = min(filters_shape[:2])
    faster = channels >= _MANY or channels < (_LIFTING if training else _FEW)
    return torch.channels_last if faster else torch.preserve_format


@lru_cache(maxsize=4096)
def _faster(x_shape, filters_shape, dtype, options, training, _threads):
    """The faster format for filters, given an input that is not in channels_last; medians of alternating rounds."""
    seconds = {torch.preserve_format: [], torch.channels_last: []}
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        x = torch.zeros(x_shape, dtype=dtype, requires_grad=training)
        filters = torch.zeros(filters_shape, dtype=dtype, requires_grad=training)
        for _ in range(1 + _ROUNDS):
            for memory_format, times in seconds.items():
                start = time.perf_counter()
                y = F.conv2d(x, filters.contiguous(memory_format=memory_format), None, *options)
                if training:
                    torch.autograd.grad(y.sum(), (x, filters))
                times.append(time.perf_counter() - start)
    return min(seconds, key=lambda memory_format: statistics.median(seconds[memory_format][1:]))
