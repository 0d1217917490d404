"""The example of GrouPy's README on today's Chainer, and the same two layers in PyTorch.

python examples/groupy_readme.py
"""

import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
import numpy as np
import torch
from chainer import Variable

import torch_gconv


def with_chainer(x):
    C1 = chainer_gconv.P4ConvZ2(in_channels=3, out_channels=64, ksize=3, stride=1, pad=1)
    C2 = chainer_gconv.P4ConvP4(in_channels=64, out_channels=64, ksize=3, stride=1, pad=1)
    return C2(C1(Variable(x))).array, C1, C2


def with_torch(x, weights):
    C1 = torch_gconv.P4ConvZ2(3, 64, kernel_size=3, padding=1)
    C2 = torch_gconv.P4ConvP4(64, 64, kernel_size=3, padding=1)
    with torch.no_grad():
        for layer, link in zip((C1, C2), weights):
            layer.weight.copy_(torch.from_numpy(link.W.array))
            layer.bias.copy_(torch.from_numpy(link.b.array))
        return C2(C1(torch.from_numpy(x))).numpy()


def main():
    x = np.random.default_rng(0).standard_normal((10, 3, 9, 9)).astype("float32")
    y, *weights = with_chainer(x)
    print("Chainer:", y.shape)
    z = with_torch(x, weights)
    print("PyTorch:", z.shape)
    print("largest difference:", np.abs(y - z).max())


if __name__ == "__main__":
    main()
