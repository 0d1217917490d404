"""Layers against the planar convolution of the same folded shape: `make bench`.

Absolute times on a shared machine mean little; read the ratios within one group of the table.
The planar convolution is the limit of every implementation that folds the transformed filters.
"""

import numpy as np
import pytest

from groupy.gconv.layer_specs import LAYER_SPECS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
chainer_gconv = pytest.importorskip("chainer_gconv")  # it bridges Chainer to today's NumPy, so it comes first
chainer = pytest.importorskip("chainer", reason="Chainer is not installed")

import torch_gconv  # noqa: E402

BATCH, SIZE = 32, 28
SHAPES = [("P4ConvP4", 10), ("P4ConvP4", 32), ("P4MConvP4M", 16)]
every_shape = pytest.mark.parametrize("layer, channels", SHAPES, ids=lambda value: str(value))


def feature_map(layer, channels):
    rng = np.random.default_rng(0)
    shape = (BATCH, channels, LAYER_SPECS[layer].input_stabilizer_size, SIZE, SIZE)
    return rng.standard_normal(shape).astype(np.float32)


def planar_torch(layer, channels):
    folded = channels * LAYER_SPECS[layer].output_stabilizer_size
    conv, x = torch.nn.Conv2d(folded, folded, 3, padding=1), torch.tensor(feature_map(layer, channels)).flatten(1, 2)
    return conv, x


def gconv_torch(layer, channels):
    return getattr(torch_gconv, layer)(channels, channels, 3, padding=1), torch.tensor(feature_map(layer, channels))


def gconv_chainer(layer, channels):
    return getattr(chainer_gconv, layer)(channels, channels, 3, pad=1), feature_map(layer, channels)


CONTENDERS = {"planar-torch": planar_torch, "torch_gconv": gconv_torch, "chainer_gconv": gconv_chainer}
every_contender = pytest.mark.parametrize("contender", CONTENDERS)


@every_shape
@every_contender
def test_evaluation(benchmark, layer, channels, contender):
    benchmark.group = f"evaluation, {layer}, {channels} channels"
    module, x = CONTENDERS[contender](layer, channels)

    def evaluate():
        with torch.no_grad():
            return module(x)

    benchmark(evaluate)


@every_shape
@every_contender
def test_training_step(benchmark, layer, channels, contender):
    benchmark.group = f"training step, {layer}, {channels} channels"
    module, x = CONTENDERS[contender](layer, channels)
    if contender == "chainer_gconv":

        def step():
            module.cleargrads()
            y = module(chainer.Variable(x))
            y.grad = np.ones_like(y.array)
            y.backward()
    else:

        def step():
            module.zero_grad()
            module(x.requires_grad_()).sum().backward()

    benchmark(step)


@pytest.mark.parametrize("ksize", [3, 7])
def test_index_table(benchmark, ksize):
    from groupy.gconv.make_gconv_indices import make_d4_p4m_indices

    benchmark.group = f"index table of P4MConvP4M, ksize {ksize}"
    benchmark(make_d4_p4m_indices, ksize)
