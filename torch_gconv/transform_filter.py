"""The filter transformation as a PyTorch function: canonical filters to folded filters, by gathering.

w: (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k), in one index_select.
The gradient gathers with the inverse table and sums over S_out, in a fixed order: deterministic
on every device, and differentiable again, forward and backward.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import torch
from torch.autograd import Function, forward_ad

# The GNU C library maps blocks of this size anew at each allocation, and the kernel then clears them page by page,
# which takes longer than the gather itself. So gathered gradients of this size are made a few rows at a time.
_MAPPED_BYTES = 2**25
_BLOCK_BYTES = 2**22


def transform_filter(w, gather, inverse, output_stabilizer_size, folded=None):
    """Transform a filter bank (O, I, S_in, k, k) to the folded filters (O * S_out, I * S_in, k, k).

    gather, inverse: int64 (S_out * I * S_in * k * k,), a FilterTransformation's folded_gather(I) and
        folded_inverse(I), on w's device
    folded: the folded filters, if they are known already; the result is differentiable all the same
    """
    if _is_constant(w) or torch.jit.is_tracing():  # a trace holds PyTorch's own operations, so that it can be saved
        return _fold(w, gather, output_stabilizer_size) if folded is None else folded
    known = () if folded is None else (folded.view_as(folded),)  # what a Function returns it marks as its own
    return (TransformableFold if _is_transformed() else Fold).apply(w, gather, inverse, output_stabilizer_size, *known)


def _unfold_gradient(grad, gather, inverse, shape):
    """The gradient of transform_filter with respect to w, of that shape; as differentiable as itself."""
    if _is_constant(grad):
        return _unfold(grad, inverse, shape)
    return (TransformableUnfold if _is_transformed() else Unfold).apply(grad, gather, inverse, shape)


def _is_constant(tensor):
    return not (torch.is_grad_enabled() and tensor.requires_grad)


def _is_transformed():
    """Whether torch.func or forward mode is at work, and so a Function is asked for its rules.

    With those rules each call of a Function takes 20 us longer, as long as a small convolution; and torch.compile
    takes no Function that has one for forward mode. Hence the two pairs below.
    """
    if torch.compiler.is_compiling():
        return False
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


def _fold(w, gather, S_out):
    """w (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k)."""
    O, I, S_in, *kernel = w.shape
    return w.reshape(O, -1).index_select(1, gather).view(O * S_out, I * S_in, *kernel)


def _unfold(grad, inverse, shape):
    """Gradient of the folded filters (O * S_out, I * S_in, k, k) -> of w, of shape (O, I, S_in, k, k)."""
    O, *fiber = shape
    rows = grad.reshape(O, -1)
    row_bytes = rows.shape[1] * rows.element_size()
    if O * row_bytes < _MAPPED_BYTES or grad.device.type != "cpu" or torch.compiler.is_compiling():
        return rows.index_select(1, inverse).view(O, -1, *fiber).sum(1)
    blocks = rows.split(max(1, _BLOCK_BYTES // row_bytes))
    return torch.cat([block.index_select(1, inverse).view(len(block), -1, *fiber).sum(1) for block in blocks])


class Fold(Function):
    """w (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k)."""

    @staticmethod
    def forward(ctx, w, gather, inverse, S_out, folded=None):
        ctx.save_for_backward(gather, inverse)
        ctx.shape = w.shape
        return _fold(w, gather, S_out) if folded is None else folded

    @staticmethod
    def backward(ctx, grad):
        return _unfold_gradient(grad, *ctx.saved_tensors, ctx.shape), None, None, None, None


class Unfold(Function):
    """Gradient of the folded filters -> of w, of the given shape."""

    @staticmethod
    def forward(ctx, grad, gather, inverse, shape):
        ctx.save_for_backward(gather, inverse)
        ctx.S_out = grad.shape[0] // shape[0]
        return _unfold(grad, inverse, shape)

    @staticmethod
    def backward(ctx, grad):
        return transform_filter(grad, *ctx.saved_tensors, ctx.S_out), None, None, None


# Both are linear, so that each is its own derivative.


class TransformableFold(Function):
    """Fold, with the rules that torch.func and forward mode ask for."""

    generate_vmap_rule = True
    backward = staticmethod(Fold.backward)

    @staticmethod
    def forward(w, gather, inverse, S_out, folded=None):
        return _fold(w, gather, S_out) if folded is None else folded

    @staticmethod
    def setup_context(ctx, inputs, output):
        w, gather, inverse, ctx.S_out = inputs[:4]
        ctx.shape = w.shape
        ctx.save_for_backward(gather, inverse)
        ctx.save_for_forward(gather, inverse)

    @staticmethod
    def jvp(ctx, tangent, *_):
        return _fold(tangent, ctx.saved_tensors[0], ctx.S_out)


class TransformableUnfold(Function):
    """Unfold, with those rules."""

    generate_vmap_rule = True
    backward = staticmethod(Unfold.backward)

    @staticmethod
    def forward(grad, gather, inverse, shape):
        return _unfold(grad, inverse, shape)

    @staticmethod
    def setup_context(ctx, inputs, output):
        grad, gather, inverse, ctx.shape = inputs
        ctx.S_out = grad.shape[0] // ctx.shape[0]
        ctx.save_for_backward(gather, inverse)
        ctx.save_for_forward(gather, inverse)

    @staticmethod
    def jvp(ctx, tangent, *_):
        return _unfold(tangent, ctx.saved_tensors[1], ctx.shape)
