"""Train a P4 network on MNIST in Chainer twice and in PyTorch once, from the same weights, and compare the losses.

python examples/mnist_in_both.py --data ../shared/data/mnist --out build/mnist

Two claims are checked, and the exit status is 1 if one fails:
- Chainer's losses are the same in both runs, bit for bit, at every step;
- Chainer's and PyTorch's losses differ by no more than rounding can explain in the first steps.

How much rounding can explain is found by training the float64 reference (conformance.reference,
from the definition over group elements) again and again, with every output and every gradient of
every convolution moved up or down, at random, by its derived bound: C * u * sqrt(n) * |w| * |x|,
with float32's unit roundoff u and the n terms of its sum. The losses of an implementation may
deviate from the exact ones by as much as the largest of these deviations, and two by twice that.
"""

import argparse
import gzip
import json
import struct
import sys
from pathlib import Path

import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
import chainer
import chainer.functions as F
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


def read_idx(path):
    """The array in a gzipped IDX file of bytes. Raises ValueError if it is no such file."""
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


def read_batches(folder, steps, size):
    """`steps` batches of MNIST's training digits: (images float32 (size, 1, 28, 28), labels int64 (size,))."""
    images = read_idx(folder / "train-images-idx3-ubyte.gz")[: steps * size, None] / np.float32(255)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")[: steps * size].astype(np.int64)
    if len(images) < steps * size:
        raise ValueError(f"{steps} steps of {size} digits are more than the {len(images)} there are.")
    return [*zip(images.reshape(steps, size, 1, 28, 28), labels.reshape(steps, size))]


def initial_parameters(seed):
    """He's initialization, float32, by the network's keys."""
    rng = np.random.default_rng(seed)

    def draw(key, shape):
        return rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5 if key.endswith("W") else np.zeros(shape)

    return {key: draw(key, shape).astype(np.float32) for key, shape in parameter_shapes(NETWORK).items()}


def train_in_chainer(batches, parameters, rate):
    """The loss of each step, float32."""
    net = chainer.Sequential()
    for position, op in enumerate(NETWORK):
        if isinstance(op, Conv):
            layer = getattr(chainer_gconv, op.layer)
            initial = {"initialW": parameters[f"{position}.W"], "initial_bias": parameters[f"{position}.b"]}
            net.append(layer(op.in_channels, op.out_channels, op.ksize, stride=op.stride, pad=op.pad, **initial))
        else:
            net.append(F.relu if isinstance(op, ReLU) else chainer_gconv.coset_max_pooling)
    optimizer = chainer.optimizers.SGD(rate).setup(net)
    losses = []
    for x, labels in batches:
        loss = F.softmax_cross_entropy(net(x)[:, :, 0, 0], labels)
        net.cleargrads()
        loss.backward()
        optimizer.update()
        losses.append(loss.array)
    return np.array(losses)


def train_in_torch(batches, parameters, rate):
    """The loss of each step, float32."""
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
    optimizer = torch.optim.SGD(net.parameters(), rate)
    losses = []
    for x, labels in batches:
        loss = nn.functional.cross_entropy(net(torch.from_numpy(x))[:, :, 0, 0], torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses, np.float32)


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
        parameters = {key: value - rate * gradients[key] for key, value in parameters.items()}
    return np.array(losses)


def explained_by_rounding(batches, parameters, rate, trials):
    """For each step, by how much the losses of two float32 implementations may differ."""
    bounds = [[] for _ in batches]
    exact = train_reference(batches, parameters, rate, bounds)
    signs = np.random.default_rng(1)
    moved = [train_reference(batches, parameters, rate, bounds, signs) for _ in range(trials)]
    # The loss itself is one more sum, of ten exponentials and of the batch, and a logarithm.
    own = (10 + len(batches[0][1])) * np.finfo(np.float32).eps / 2 * (1 + np.abs(exact))
    return 2 * (np.abs(moved - exact).max(axis=0) + own)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0],
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST's gzipped IDX files")
    parser.add_argument("--steps", type=int, default=200, help="of SGD in each run (default: %(default)s)")
    parser.add_argument("--compared", type=int, default=20, help="steps compared with PyTorch (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=10, help="digits in a step (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--trials", type=int, default=3, help="perturbed reference runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a folder for losses.json")
    options = parser.parse_args(arguments)
    options.compared = min(options.compared, options.steps)
    for name in ("steps", "compared", "batch", "trials"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1.")

    try:
        batches = read_batches(options.data, options.steps, options.batch)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    parameters = initial_parameters(seed=0)
    first, second = (train_in_chainer(batches, parameters, options.rate) for _ in range(2))
    in_torch = train_in_torch(batches[: options.compared], parameters, options.rate)
    allowed = explained_by_rounding(batches[: options.compared], parameters, options.rate, options.trials)

    difference = np.abs(first[: options.compared].astype(np.float64) - in_torch)
    print("step   Chainer      PyTorch      difference   allowed")
    for step, row in enumerate(zip(first, in_torch, difference, allowed), start=1):
        print("{:4}   {:.8f}   {:.8f}   {:.1e}      {:.1e}".format(step, *row))
    repeated = first.tobytes() == second.tobytes()
    within = bool((difference <= allowed).all())
    start, end = first[:10].mean(), first[-10:].mean()
    print(f"Chainer, {options.steps} steps: loss {start:.3f} (first ten) to {end:.3f} (last ten)")
    print(f"two runs in Chainer: {'the same bits at every step' if repeated else 'DIFFERENT'}")
    print(f"Chainer and PyTorch, {options.compared} steps: {'within' if within else 'BEYOND'} what rounding explains")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        result = {"chainer": first, "torch": in_torch, "allowed": allowed}
        result = {name: losses.tolist() for name, losses in result.items()}
        (options.out / "losses.json").write_text(json.dumps({**result, "repeated": repeated, "within": within}))
    return 0 if repeated and within else 1


if __name__ == "__main__":
    sys.exit(main())
