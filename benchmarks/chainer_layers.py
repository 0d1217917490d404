"""Contender chainer_gconv, on the CPU."""

import chainer_gconv  # it bridges Chainer to today's NumPy, so it comes first

import chainer  # isort: skip
import numpy as np

from benchmarks.contenders import Contender
from benchmarks.sizes import KSIZE, PADDING


class ChainerGConv(Contender):
    """chainer_gconv, on (N, I, S_in, H, W)."""

    rival = "chainer_gconv"
    most_folded_channels = 256  # beyond, it would take most of the time of a run

    def construct(self, shape):
        layer = getattr(chainer_gconv, shape.layer)
        return layer(shape.in_channels, shape.channels, KSIZE, pad=PADDING)

    def training_step(self, shape):
        layer, x = self.construct(shape), chainer.Variable(_input(shape))
        gy = np.random.default_rng(1).standard_normal(layer(x).shape, np.float32)

        def step():
            layer.cleargrads()
            x.cleargrad()
            y = layer(x)
            y.grad = gy
            y.backward()

        return step

    def evaluation(self, shape):
        layer, x = self.construct(shape), _input(shape)

        def evaluate():
            with chainer.using_config("train", False), chainer.no_backprop_mode():
                layer(x)

        return evaluate


def _input(shape):
    x = shape.feature_map()
    return x if shape.spec.lifting else x.reshape(len(x), shape.in_channels, -1, *x.shape[2:])


CONTENDERS = {"chainer_gconv": ChainerGConv()}
