"""Convolution of NumPy arrays as Chainer functions: what the layers compute with on the CPU.

x: (N, C, H, W); W: (O, C, k, k'); b: (O / S,), each entry for S outputs in a row; y: (N, O, H', W'), contiguous. In
three dimensions (D, H, W) stands for (H, W). The functions are one another's gradients:
    y = Convolution(x, W),  gx = InputGradient(gy, W),  gW = FilterGradient(x, gy)
are the trilinear form <gy, Convolution(x, W)> with one argument left open, so that each can be differentiated as
often as one likes.

How it is computed is in chainer_gconv.winograd, for 3x3 kernels between many channels, and chainer_gconv.patches.
Products are taken in the widest dtype of the two arguments and float32 (NumPy multiplies no matrices of halves in
hardware), and the result rounded once: outputs and gradients of inputs to the dtype of x, of filters to that of W.
"""

import chainer
import chainer.functions as F
import numpy as np
from chainer.utils import type_check

from chainer_gconv import patches, winograd
from groupy.gconv.geometry import Window


def convolution(x, W, b=None, *, window, kept=None):
    """The correlation of x with the filters W, plus the bias b.

    window: groupy.gconv.geometry.Window, of W's kernel
    kept: the KeptFilters that W is from, to keep what is made of it too
    """
    return Convolution(window, kept).apply((x, W) if b is None else (x, W, b))[0]


class Convolution(chainer.FunctionNode):
    """x (N, C, H, W), W (O, C, k, k') and, if there is one, b (O / S,) -> y (N, O, H', W')."""

    def __init__(self, window, kept=None):
        self.window, self.kept = window, kept

    def check_type_forward(self, in_types):
        type_check.expect(2 <= in_types.size(), in_types.size() <= 3)
        x, W, ndim = in_types[0], in_types[1], len(self.window.ksize)
        type_check.expect(x.dtype.kind == "f", W.dtype.kind == "f", x.ndim == 2 + ndim, W.ndim == 2 + ndim)
        type_check.expect(x.shape[1] == W.shape[1], *(W.shape[2 + a] == k for a, k in enumerate(self.window.ksize)))
        if type_check.eval(in_types.size()) == 3:
            b = in_types[2]
            type_check.expect(b.dtype.kind == "f", b.ndim == 1, W.shape[0] % b.shape[0] == 0)

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        x, W, *bias = inputs
        y = _correlate(x, W, self.window, self.kept)
        for b in bias:
            shared = y.reshape(_with_shared_outputs(y.shape, len(b)))
            shared += b.reshape(-1, *(1,) * (y.ndim - 1))
        return (y.astype(x.dtype, copy=False),)

    def backward(self, target_input_indexes, grad_outputs):
        x, W = self.get_retained_inputs()
        (gy,) = grad_outputs
        gradient_of = {
            0: lambda: InputGradient(self.window, x.shape[2:]).apply((gy, W))[0],
            1: lambda: FilterGradient(self.window, W.dtype).apply((x, gy))[0],
            2: lambda: _bias_gradient(gy, *self.inputs[2].shape, self.inputs[2].dtype),
        }
        return [gradient_of[i]() for i in target_input_indexes]


class InputGradient(chainer.FunctionNode):
    """gy (N, O, H', W') and W (O, C, k, k') -> gx (N, C, H, W).

    size: (H, W)
    """

    def __init__(self, window, size):
        self.window, self.size = window, tuple(size)

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        gy, W = inputs
        return (_input_gradient(gy, W, self.window, self.size).astype(gy.dtype, copy=False),)

    def backward(self, target_input_indexes, grad_outputs):
        gy, W = self.get_retained_inputs()
        (ggx,) = grad_outputs
        gradient_of = {
            0: lambda: convolution(ggx, W, window=self.window),
            1: lambda: FilterGradient(self.window, W.dtype).apply((ggx, gy))[0],
        }
        return [gradient_of[i]() for i in target_input_indexes]


class FilterGradient(chainer.FunctionNode):
    """x (N, C, H, W) and gy (N, O, H', W') -> gW (O, C, k, k').

    dtype: of gW
    """

    def __init__(self, window, dtype):
        self.window, self.dtype = window, dtype

    def forward(self, inputs):
        self.retain_inputs((0, 1))
        x, gy = inputs
        return (_filter_gradient(x, gy, self.window, self.dtype).astype(self.dtype, copy=False),)

    def backward(self, target_input_indexes, grad_outputs):
        x, gy = self.get_retained_inputs()
        (ggW,) = grad_outputs
        gradient_of = {
            0: lambda: InputGradient(self.window, x.shape[2:]).apply((gy, ggW))[0],
            1: lambda: convolution(x, ggW, window=self.window),
        }
        return [gradient_of[i]() for i in target_input_indexes]


def _bias_gradient(gy, size, dtype):
    """gy (N, O, H', W') -> (size,), summed in float32 at least."""
    gy = F.cast(gy, np.promote_types(gy.dtype, np.float32))
    shared = F.reshape(gy, _with_shared_outputs(gy.shape, size))
    return F.cast(F.sum(shared, axis=(0, *range(2, shared.ndim))), dtype)


def _with_shared_outputs(shape, size):
    """(N, O, H', W') -> (N, size, O / size, H', W')."""
    N, O, *points = shape
    return (N, size, O // size, *points)


def _correlate(x, W, window, kept=None):
    """x (N, C, H, W) and W (O, C, k, k') -> (N, O, H', W'), in the dtype of the products."""
    dtype = _dtype_of_products(x, W)
    method = _method(window, x.shape, W)
    if kept is None:
        filters = _filters(W, method, dtype)
    else:
        filters = kept.made_of(W, _filters, method, dtype)
    y = np.empty((len(x), len(W), *window.output_size(x.shape[2:])), dtype)
    method.correlate(np.ascontiguousarray(x, dtype), filters, window, y)
    return y


def _filters(W, method, dtype):
    return method.filters(W.astype(dtype, copy=False))


def _input_gradient(gy, W, window, size):
    """gy (N, O, H', W') and W (O, C, k, k') -> (N, C, H, W), in the dtype of the products."""
    mirrored = _mirrored(window)
    if mirrored is not None:
        # At stride 1 it is a correlation too. By patches that copies what scattering would add, O times, not C.
        flipped = np.flip(W, tuple(range(2, W.ndim))).swapaxes(0, 1)
        if len(W) <= len(flipped) or _method(mirrored, gy.shape, flipped, n_uses=len(W)) is winograd:
            return _correlate(gy, flipped, mirrored)
    dtype = _dtype_of_products(gy, W)
    gx = np.empty((len(gy), W.shape[1], *size), dtype)
    patches.input_gradient(np.ascontiguousarray(gy, dtype), np.ascontiguousarray(W, dtype), window, gx)
    return gx


def _mirrored(window):
    """The Window by which gy, correlated with the mirrored filters, is the gradient of the input; None if none does."""
    before, after = (tuple(k - 1 - p for k, p in zip(window.ksize, pad)) for pad in (window.before, window.after))
    if set(window.stride) != {1} or min(before + after) < 0:
        return None
    return Window(window.ksize, window.stride, before, after)


def _filter_gradient(x, gy, window, dtype):
    """x (N, C, H, W) and gy (N, O, H', W') -> (O, C, k, k'), in the dtype of the products, for filters of a dtype."""
    dtype = np.promote_types(_dtype_of_products(x, gy), dtype)
    method = winograd if winograd.is_faster(window, x.shape, gy.shape[1]) else patches
    return method.filter_gradient(np.ascontiguousarray(x, dtype), np.ascontiguousarray(gy, dtype), window)


def _method(window, x_shape, W, n_uses=None):
    is_faster = winograd.is_faster(window, x_shape, len(W), n_uses)
    return winograd if is_faster and winograd.has_all_taps(W) else patches


def _dtype_of_products(*arrays):
    return np.result_type(np.float32, *(array.dtype for array in arrays))
