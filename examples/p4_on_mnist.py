"""What the examples on MNIST share: the digits, the network, and by how much rounding may move its losses.

How much rounding can explain is found by training the float64 reference (conformance.reference,
from the definition over group elements) again and again, with every output and every gradient of
every convolution, and every updated parameter, moved up or down, at random, by its derived bound:
C * u * sqrt(n) * |w| * |x| for a convolution, with float32's unit roundoff u and the n terms of its
sum, in whatever order and in however many parts it is taken. The losses of an implementation may
deviate from the exact ones by as much as the largest of these deviations, and two by twice that.
"""

import gzip
import os
import struct

import numpy as np
import torch
from torch import nn

import torch_gconv
from conformance.network import Conv, CosetMaxPool, ReLU, parameter_shapes
from conformance.reference import Reference, gradient_bounds, output_bound

# Strides at which the network stays equivariant: (28 + 2 - 4) % 2 == (14 + 2 - 4) % 2 == 0.
NETWORK = (
    Conv("P4ConvZ2", 1, 8, ksize=4, stride=2, pad=1),  # 28 x 28 -> 14 x 14
    ReLU(),
    Conv("P4ConvP4", 8, 8, ksize=4, stride=2, pad=1),  # -> 7 x 7
    ReLU(),
    Conv("P4ConvP4", 8, 10, ksize=7),  # -> one score for each digit and orientation
    CosetMaxPool(),
)

UNIT_ROUNDOFF = np.finfo(np.float32).eps / 2


def read_digits(folder, count=None):
    """MNIST's training digits, or the first `count`: images uint8 (count, 1, 28, 28), labels int64 (count,).

    Raises OSError or ValueError, naming the file, if they cannot be read.
    """
    images = _read_idx(folder / "train-images-idx3-ubyte.gz")[:count, None]
    return images, _read_idx(folder / "train-labels-idx1-ubyte.gz")[:count].astype(np.int64)


def _read_idx(path):
    try:
        with gzip.open(path) as file:
            data = file.read()
        zeros, kind, axes = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{axes}I", data, 4)
    except (EOFError, gzip.BadGzipFile, struct.error) as error:
        raise ValueError(f"{path} is not an IDX file of bytes, gzipped.") from error
    if zeros != 0 or kind != 8 or len(data) != 4 + 4 * axes + np.prod(shape):
        raise ValueError(f"{path} is not an IDX file of bytes.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def initial_parameters(seed):
    """He's initialization, float32, by the network's keys."""
    rng = np.random.default_rng(seed)

    def draw(key, shape):
        return rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5 if key.endswith("W") else np.zeros(shape)

    return {key: draw(key, shape).astype(np.float32) for key, shape in parameter_shapes(NETWORK).items()}


def torch_network(parameters):
    """The network in PyTorch: (N, 1, 28, 28) -> (N, 10, 1, 1)."""
    net = nn.Sequential()
    for position, op in enumerate(NETWORK):
        if isinstance(op, Conv):
            layer = getattr(torch_gconv, op.layer)
            net.append(layer(op.in_channels, op.out_channels, op.ksize, stride=op.stride, padding=op.pad))
            with torch.no_grad():
                net[-1].weight.copy_(torch.from_numpy(parameters[f"{position}.W"]))
                net[-1].bias.copy_(torch.from_numpy(parameters[f"{position}.b"]))
        else:
            net.append(nn.ReLU() if isinstance(op, ReLU) else torch_gconv.CosetMaxPool())
    return net


class Perturbed(Reference):
    """The float64 reference with each output and gradient of each convolution moved by its bound, up or down.

    The bounds are those at an exact run's values: `bounds` lists them in the order in which one
    step asks for them. An exact run, signs None, writes that list.
    """

    def __init__(self, parameters, bounds, signs):
        super().__init__(NETWORK, parameters)
        self._bounds, self._signs = bounds, signs
        self._asked = iter(bounds)

    def convolve(self, operation, W, b, x):
        y = super().convolve(operation, W, b, x)
        return self._move([y], lambda: [output_bound(operation, W, b, x, np.float32)])[0]

    def convolution_gradients(self, operation, W, x, gy):
        gradients = super().convolution_gradients(operation, W, x, gy)
        return self._move(gradients, lambda: gradient_bounds(operation, W, x, gy, np.float32))

    def update(self, gradients, rate):
        """The parameters after a step of SGD."""
        steps = {key: rate * gradients[key] for key in self.parameters}
        updated = [self.parameters[key] - step for key, step in steps.items()]
        # A step is rounded as a mean over processes and as a product, and then the difference is.
        moved = self._move(
            updated, lambda: [UNIT_ROUNDOFF * (np.abs(p) + 2 * np.abs(s)) for p, s in zip(updated, steps.values())]
        )
        return dict(zip(steps, moved))

    def _move(self, values, bounds):
        if self._signs is None:
            self._bounds.append(bounds())
            return values
        return [v + self._signs.choice((-1, 1), v.shape) * bound for v, bound in zip(values, next(self._asked))]


def train_reference(batches, parameters, rate, bounds, signs=None):
    """The loss of each step in float64; `bounds`, a list with a list for each step, is filled if signs is None."""
    parameters, losses = {key: value.astype(np.float64) for key, value in parameters.items()}, []
    for (x, labels), at_this_step in zip(batches, bounds):
        model = Perturbed(parameters, at_this_step, signs)
        scores = model.forward(x[:, :, None])[:, :, 0, 0, 0]
        scores = scores - scores.max(axis=1, keepdims=True)
        logarithms = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        losses.append(-logarithms[rows, labels].mean())
        gradient = np.exp(logarithms)
        gradient[rows, labels] -= 1
        _, gradients = model.backward((gradient / len(labels))[:, :, None, None, None])
        parameters = model.update(gradients, rate)
    return np.array(losses)


def explained_by_rounding(batches, parameters, rate, trials, report=lambda done, runs: None):
    """For each step, by how much the losses of two float32 implementations may differ.

    batches: [(images float32 (N, 1, 28, 28), labels (N,)), ...], one a step
    trials: how many perturbed runs; report(done, runs) is called after each run
    """
    bounds = [[] for _ in batches]
    exact = train_reference(batches, parameters, rate, bounds)
    report(1, 1 + trials)
    signs, moved = np.random.default_rng(1), []
    for trial in range(trials):
        moved.append(train_reference(batches, parameters, rate, bounds, signs))
        report(2 + trial, 1 + trials)
    # The loss itself is one more sum, of ten exponentials and of the batch, and a logarithm.
    own = (10 + len(batches[0][1])) * UNIT_ROUNDOFF * (1 + np.abs(exact))
    return 2 * (np.abs(moved - exact).max(axis=0) + own)


def write_whole(path, content):
    """Write bytes to a file at once: it is there whole, or as it was before."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
