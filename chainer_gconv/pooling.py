"""Pooling of feature maps on a group (N, C, S, H, W): spatial, over pixels; coset, over the stabilizer."""

import chainer
import chainer.functions as F


def plane_group_spatial_max_pooling(x, ksize, stride=None, pad=0, cover_all=True, use_cudnn=True):
    """Max pooling over pixels, for each channel and stabilizer element alike: (N, C, S, H, W) -> (N, C, S, H', W').

    Arguments as of chainer.functions.max_pooling_2d; stride is ksize if None. Equivariant where the
    windows tile the padded input exactly, (size + 2 * pad - ksize) % stride == 0.
    """
    N, C, S, H, W = x.shape
    with chainer.using_config("use_cudnn", chainer.config.use_cudnn if use_cudnn else "never"):
        y = F.max_pooling_2d(F.reshape(x, (N, C * S, H, W)), ksize, stride, pad, cover_all)
    return F.reshape(y, (N, C, S, *y.shape[2:]))


def coset_max_pooling(x):
    """The largest value over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Where several elements share the largest value, each gets an equal part of the gradient: no
    choice among them would be equivariant.
    """
    return _CosetMax().apply((x,))[0]


def coset_mean_pooling(x):
    """The mean over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return F.mean(x, axis=2)


class _CosetMax(chainer.FunctionNode):
    """The largest value over axis 2; its gradient, shared by equal values."""

    def forward(self, inputs):
        (x,) = inputs
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        return (x.max(axis=2),)

    def backward(self, target_input_indexes, grad_outputs):
        x, y, (gy,) = self.get_retained_inputs()[0].array, self.get_retained_outputs()[0].array, grad_outputs
        attained = x == y[:, :, None]
        shared = gy / attained.sum(axis=2).astype(x.dtype)
        return (F.broadcast_to(F.expand_dims(shared, 2), x.shape) * attained.astype(x.dtype),)
