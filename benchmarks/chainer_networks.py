"""Training steps of the published networks in Chainer: chainer_gconv.models, or the same with other convolutions."""

import chainer_gconv  # noqa: F401 - it bridges Chainer to today's NumPy, so it comes first

import chainer  # isort: skip
import chainer.functions as F
import numpy as np

from benchmarks.networks import LEARNING_RATE, MOMENTUM, NETWORKS, batch_of, published_sizes
from chainer_gconv.models import build
from chainer_gconv.splitgconv import SplitGConv


def published_network(shape):
    """The network of chainer_gconv.models that a NetworkShape names, in its dtype."""
    with chainer.using_config("dtype", np.dtype(shape.dtype)):
        return build(NETWORKS[shape.network])


def replace_convolutions(network, make):
    """Put make(layer) in the place of every layer of chainer_gconv in a network; returns the network."""
    for chain in list(network.links()):
        if isinstance(chain, chainer.Chain):
            for layer in [child for child in chain.children() if isinstance(child, SplitGConv)]:
                delattr(chain, layer.name)
                with chain.init_scope():
                    setattr(chain, layer.name, make(layer))
    return network


def training_step(network, shape, device):
    """A call: loss of a batch, its gradients, an update by SGD with momentum."""
    pictures, labels = batch_of(shape)
    pictures, labels = device.send(pictures.astype(np.dtype(shape.dtype))), device.send(labels)
    network.to_device(device)
    optimizer = chainer.optimizers.MomentumSGD(LEARNING_RATE, MOMENTUM).setup(network)

    def step():
        network.cleargrads()
        F.softmax_cross_entropy(network(pictures), labels).backward()
        optimizer.update()

    with published_sizes():  # each layer warns but once
        step()
    return step
