"""Train a P4 network on MNIST in Chainer twice and in PyTorch once, from the same weights, and compare the losses.

python examples/mnist_in_both.py --data ../shared/data/mnist --out build/mnist

Two claims are checked, and the exit status is 1 if one fails:
- Chainer's losses are the same in both runs, bit for bit, at every step;
- Chainer's and PyTorch's losses differ by no more than rounding can explain in the first steps.

How much rounding can explain is derived in p4_on_mnist.py.
"""

import argparse
import json
import sys
from pathlib import Path

import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
import chainer
import chainer.functions as F
import numpy as np
import torch
from torch import nn

from conformance.network import Conv, ReLU

sys.path.insert(0, str(Path(__file__).parent))  # where a test imports this file, its folder is not on the path
from p4_on_mnist import (
    NETWORK,
    explained_by_rounding,
    initial_parameters,
    read_digits,
    torch_network,
    write_whole,
)


def read_batches(folder, steps, size):
    """`steps` batches of MNIST's training digits: (images float32 (size, 1, 28, 28), labels int64 (size,))."""
    images, labels = read_digits(folder, steps * size)
    if len(images) < steps * size:
        raise ValueError(f"{steps} steps of {size} digits are more than the {len(images)} there are.")
    return [*zip((images / np.float32(255)).reshape(steps, size, 1, 28, 28), labels.reshape(steps, size))]


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
    net = torch_network(parameters)
    optimizer = torch.optim.SGD(net.parameters(), rate)
    losses = []
    for x, labels in batches:
        loss = nn.functional.cross_entropy(net(torch.from_numpy(x))[:, :, 0, 0], torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses, np.float32)


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
        text = json.dumps({**result, "repeated": repeated, "within": within})
        write_whole(options.out / "losses.json", text.encode())
    return 0 if repeated and within else 1


if __name__ == "__main__":
    sys.exit(main())
