"""The filter transformation as a PyTorch function: canonical filters to folded filters, by gathering.

w: (O, I, S_in, k, k) -> folded filters (O * S_out, I * S_in, k, k), in one index_select.
The gradient gathers with the inverse table and sums over S_out, in a fixed order: deterministic
on every device, and differentiable again.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import torch


def transform_filter(w, gather, inverse, output_stabilizer_size):
    """Transform a filter bank (O, I, S_in, k, k) to the folded filters (O * S_out, I * S_in, k, k).

    gather, inverse: int64 (S_out * I * C,), a FilterTransformation's folded_gather(I) and
        folded_inverse(I), on w's device
    """
    O, I, S_in, *kernel = w.shape
    folded = FoldFilters.apply(w.reshape(O, -1), gather, inverse, output_stabilizer_size)
    return folded.view(O * output_stabilizer_size, I * S_in, *kernel)


class FoldFilters(torch.autograd.Function):
    """w (O, I * C) -> folded filters (O, S_out * I * C), where C = S_in * k * k."""

    generate_vmap_rule = True

    @staticmethod
    def forward(w, gather, inverse, S_out):
        return w.index_select(1, gather)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, gather, inverse, ctx.S_out = inputs
        ctx.save_for_backward(gather, inverse)

    @staticmethod
    def backward(ctx, grad):
        return UnfoldFilterGradients.apply(grad, *ctx.saved_tensors, ctx.S_out), None, None, None


class UnfoldFilterGradients(torch.autograd.Function):
    """Gradient of the folded filters (O, S_out * I * C) -> of w (O, I * C)."""

    generate_vmap_rule = True
    setup_context = staticmethod(FoldFilters.setup_context)

    @staticmethod
    def forward(grad, gather, inverse, S_out):
        return grad.index_select(1, inverse).view(grad.shape[0], S_out, -1).sum(1)

    @staticmethod
    def backward(ctx, grad):
        return FoldFilters.apply(grad, *ctx.saved_tensors, ctx.S_out), None, None, None
