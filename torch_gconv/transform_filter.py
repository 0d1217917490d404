"""The filter transformation as a PyTorch function: canonical filters to folded filters, by gathering.

w: (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k), in one index_select.
The gradient gathers with the inverse table and sums over S_out, in a fixed order: deterministic
on every device, and differentiable again, forward and backward.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import torch


def transform_filter(w, gather, inverse, output_stabilizer_size, folded=None):
    """Transform a filter bank (O, I, S_in, k, k) to the folded filters (O * S_out, I * S_in, k, k).

    gather, inverse: int64 (S_out * I * C,), a FilterTransformation's folded_gather(I) and
        folded_inverse(I), on w's device
    folded: the folded filters, if they are known already; the result is differentiable all the same
    """
    O, I, S_in, *kernel = w.shape
    w, shape = w.reshape(O, -1), (O * output_stabilizer_size, I * S_in, *kernel)
    if not (torch.is_grad_enabled() and w.requires_grad):
        return (w.index_select(1, gather) if folded is None else folded).view(shape)
    known = () if folded is None else (folded.view(O, -1),)
    return _fold(w, gather, inverse, output_stabilizer_size, *known).view(shape)


def _fold(*arguments):
    return (FoldFilters if torch.compiler.is_compiling() else ForwardModeFoldFilters).apply(*arguments)


class FoldFilters(torch.autograd.Function):
    """w (O, I * C) -> folded filters (O, S_out * I * C), where C = S_in * k * k."""

    generate_vmap_rule = True

    @staticmethod
    def forward(w, gather, inverse, S_out, folded=None):
        return w.index_select(1, gather) if folded is None else folded

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, gather, inverse, ctx.S_out = inputs[:4]
        ctx.save_for_backward(gather, inverse)
        ctx.save_for_forward(gather, inverse)

    @staticmethod
    def backward(ctx, grad):
        return _unfold(grad, *ctx.saved_tensors, ctx.S_out), None, None, None, None


def _unfold(*arguments):
    return (UnfoldFilterGradients if torch.compiler.is_compiling() else ForwardModeUnfoldFilterGradients).apply(
        *arguments
    )


class UnfoldFilterGradients(torch.autograd.Function):
    """Gradient of the folded filters (O, S_out * I * C) -> of w (O, I * C)."""

    generate_vmap_rule = True
    setup_context = staticmethod(FoldFilters.setup_context)

    @staticmethod
    def forward(grad, gather, inverse, S_out):
        return grad.index_select(1, inverse).view(grad.shape[0], S_out, -1).sum(1)

    @staticmethod
    def backward(ctx, grad):
        return _fold(grad, *ctx.saved_tensors, ctx.S_out), None, None, None


# Both are linear, so that each is its own derivative. torch.compile takes no Function with a rule for forward
# mode, hence the two pairs.


class ForwardModeFoldFilters(FoldFilters):
    """FoldFilters that torch.func.jvp can differentiate."""

    @staticmethod
    def jvp(ctx, tangent, *_):
        return FoldFilters.forward(tangent, *ctx.saved_tensors, ctx.S_out)


class ForwardModeUnfoldFilterGradients(UnfoldFilterGradients):
    """UnfoldFilterGradients that torch.func.jvp can differentiate."""

    @staticmethod
    def jvp(ctx, tangent, *_):
        return UnfoldFilterGradients.forward(tangent, *ctx.saved_tensors, ctx.S_out)
