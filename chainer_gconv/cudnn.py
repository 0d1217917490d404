"""Planar convolutions by cuDNN where CuPy no longer has it (CuPy 14), through nvidia-cudnn-frontend.

A convolution, its gradient for the input and its gradient for the filters are one operation of a
cuDNN graph each, planned once for each geometry, dtype and device. What cuDNN has no plan for,
Chainer convolves by im2col, as it does without this. So it does the filters' gradients in float32:
there cuDNN 9 takes a transform that rounds, whatever is left out (10 gradients of the suite on integers, on an H200).

x: (N, I, H, W); W: (O, I, k, k'); y: (N, O, H', W'); all float16, float32 or float64
"""

import functools
import os
import threading
from importlib.util import find_spec

# Operation of the graph, the names of its two inputs.
_OPERATIONS = {
    "convolution": ("conv_fprop", "image", "weight"),
    "input gradient": ("conv_dgrad", "loss", "filter"),
    "filter gradient": ("conv_wgrad", "image", "loss"),
}
# Type of the elements, and of what is computed with them.
_TYPES = {"float16": ("HALF", "FLOAT"), "float32": ("FLOAT", "FLOAT"), "float64": ("DOUBLE", "DOUBLE")}
# Plans left out: what is not the same bits every time, and transforms that round where sums of products would not.
_LEFT_OUT = ("NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", "FFT", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13")
# In float32 Tensor Cores would round the inputs to TF32.
_LEFT_OUT_IN_FLOAT32 = ("TENSOR_CORE", "DOWN_CONVERT_INPUTS")

# What cuDNN rounds all the same.
_ROUNDED = {("filter gradient", "float32")}

_of_thread = threading.local()


def is_installed():
    """Whether nvidia-cudnn-frontend is; it may still lack the cuDNN library that it loads."""
    return find_spec("cudnn") is not None


@functools.cache
def is_usable():
    """Whether nvidia-cudnn-frontend is installed, and finds cuDNN."""
    if not is_installed():
        return False
    import cudnn

    try:
        return cudnn.backend_version() > 0
    except RuntimeError:  # "Unable to find symbol", where there is no library
        return False


def convolution_2d(module, run):
    """Mend Chainer's convolution and its gradient for the filters: by cuDNN where it would be im2col."""
    run()
    convolve, differentiate = (
        module.Convolution2DFunction._forward_gpu_core,
        module.Convolution2DGradW._forward_gpu_core,
    )

    @functools.wraps(convolve)
    def convolved(self, x, W, b):
        shape = (x.shape[0], W.shape[0], *self._get_out_size(x.shape, W.shape))
        return _with_bias(_by_cudnn("convolution", self, x, W, shape), b) or convolve(self, x, W, b)

    @functools.wraps(differentiate)
    def differentiated(self, x, gy):
        gW = None if x.dtype != self.W_dtype else _by_cudnn("filter gradient", self, x, gy, self.W_shape)
        return differentiate(self, x, gy) if gW is None else (gW,)

    module.Convolution2DFunction._forward_gpu_core = convolved
    module.Convolution2DGradW._forward_gpu_core = differentiated


def deconvolution_2d(module, run):
    """Mend Chainer's deconvolution, which is a convolution's gradient for the input too."""
    run()
    deconvolve = module.Deconvolution2DFunction._forward_gpu_core

    @functools.wraps(deconvolve)
    def deconvolved(self, x, W, b):
        shape = (x.shape[0], W.shape[1], self.outh, self.outw)
        return _with_bias(_by_cudnn("input gradient", self, x, W, shape), b) or deconvolve(self, x, W, b)

    module.Deconvolution2DFunction._forward_gpu_core = deconvolved


def no_advice_to_reinstall(module, run):
    """Chainer does not advise to reinstall CuPy for its cuDNN, which CuPy no longer has."""
    run()
    module.check_cuda_available._already_warned = True


def _with_bias(y, b):
    if y is None:
        return None
    if b is not None:
        y += b[:, None, None]
    return (y,)


def _by_cudnn(operation, node, first, second, shape):
    """The result of an operation, or None if it is not to be cuDNN's, or cuDNN has no plan for it."""
    import chainer

    if chainer.config.use_cudnn == "never" or os.environ.get("CHAINER_CUDNN", "1") == "0" or not is_usable():
        return None
    sizes = (*first.shape, *second.shape, *shape)
    if node.cover_all or first.dtype != second.dtype or first.dtype.name not in _TYPES or 0 in sizes:
        return None
    if (operation, first.dtype.name) in _ROUNDED:
        return None
    geometry = {"padding": (node.ph, node.pw), "stride": (node.sy, node.sx), "dilation": (node.dy, node.dx)}
    with first.device:
        return _execute(operation, first, second, tuple(shape), tuple(geometry.items()))


def _execute(operation, first, second, shape, geometry):
    import cudnn
    import cupy

    arrays = [cupy.ascontiguousarray(first), cupy.ascontiguousarray(second)]
    key = (first.device.id, operation, first.dtype.name, (first.shape, second.shape, shape), geometry)
    # Handles and plans are a thread's own, and go with it.
    plans = _of_thread.__dict__.setdefault("plans", {})
    if key not in plans:
        plans[key] = _plan(*key)
    if plans[key] is None:
        return None
    graph, tensors = plans[key]
    arrays.append(cupy.empty(shape, first.dtype))
    workspace = cupy.empty(max(graph.get_workspace_size(), 1), "uint8")
    handle = _handle(first.device.id)
    cudnn.set_stream(handle=handle, stream=cupy.cuda.get_current_stream().ptr)
    pointers = {tensor: array.data.ptr for tensor, array in zip(tensors, arrays)}
    graph.execute(pointers, workspace.data.ptr, handle=handle)
    return arrays[-1]


def _handle(device):
    """The cuDNN handle of this thread on a device, which is the current one."""
    import cudnn

    handles = _of_thread.__dict__.setdefault("handles", {})
    if device not in handles:
        handles[device] = cudnn.create_handle()
    return handles[device]


def _plan(device, operation, dtype, shapes, geometry):
    """A planned graph and its tensors (the two inputs, the output), or None if cuDNN supports none."""
    import cudnn

    method, *names = _OPERATIONS[operation]
    elements, computed = (getattr(cudnn.data_type, name) for name in _TYPES[dtype])
    graph = cudnn.pygraph(
        handle=_handle(device),
        io_data_type=elements,
        intermediate_data_type=computed,
        compute_data_type=computed,
    )
    inputs = [graph.tensor(dim=list(s), stride=_strides(s), data_type=elements) for s in shapes[:2]]
    output = getattr(graph, method)(**dict(zip(names, inputs)), **{name: list(pair) for name, pair in geometry})
    output.set_output(True).set_dim(list(shapes[2])).set_stride(_strides(shapes[2])).set_data_type(elements)
    left_out = _LEFT_OUT + (_LEFT_OUT_IN_FLOAT32 if dtype == "float32" else ())
    try:
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        graph.deselect_numeric_notes([getattr(cudnn.numerical_note, name) for name in left_out])
        graph.check_support()
        graph.build_plans()
    except (cudnn.cudnnGraphNotSupportedError, RuntimeError):  # the latter where cuDNN rejects a description
        return None
    return graph, (*inputs, output)


def _strides(shape):
    """The strides of a contiguous array, in elements."""
    strides = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    return strides
