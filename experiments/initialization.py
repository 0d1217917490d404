"""Which initial weights train best: small networks on MNIST, one epoch from each initialization.

Measure all, on one thread (about 20 minutes; what --out holds already is not measured again):
  python -m experiments.initialization --data ../shared/data/mnist --out build/initialization

Measure a part:
  python -m experiments.initialization --data ../shared/data/mnist --networks p4 "p4, normalized" --seeds 1

Print the table of docs/initialization.md:
  python -m experiments.initialization --table --out experiments/results

Each run trains one network by one optimizer, from one initialization of its group convolutions and one seed, on
MNIST's first training digits, and counts the test digits that it knows then. The seed draws the weights and the
order of the digits; the linear layers start as PyTorch's do, from the same weights under each initialization.

Exit status: 0 all is measured or printed, 1 a run ended with a loss that is no number, or was interrupted (run the
same command again to go on), 2 bad use
"""

import argparse
import csv
import os
import sys
import time
from dataclasses import astuple, dataclass, fields
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import nn

from experiments.mnist import as_pictures, as_volumes, read_digits
from groupy.gconv.initialization import INITIALIZATIONS
from torch_gconv import (
    GBatchNorm,
    GMaxPool2d,
    GMaxPool3d,
    OConvO,
    OConvZ3,
    P4ConvP4,
    P4ConvZ2,
    P4MConvP4M,
    P4MConvZ2,
)
from torch_gconv.splitgconv import SplitGConv

FILE = "initialization.csv"


@dataclass(frozen=True)
class Network:
    """Four group convolutions, each with a ReLU, max pooling by pairs after each second one, and two linear layers.

    lifting, conv, pool: the layers' classes
    channels: of each convolution's output; kernels: their sides
    inputs: makes MNIST's images the network's inputs
    normalized: whether GBatchNorm follows each convolution
    """

    lifting: type
    conv: type
    pool: type
    channels: tuple
    kernels: tuple = (3, 3, 3, 3)
    padding: tuple = (0, 0, 0, 0)
    inputs: object = as_pictures
    normalized: bool = False

    def build(self, example):
        """The module; example: one input (1, 1, H, W) or (1, 1, D, H, W), for the first linear layer's size."""
        layers, channels = [], (1, *self.channels)
        for i, (kernel, pad) in enumerate(zip(self.kernels, self.padding)):
            conv = self.conv if i else self.lifting
            layers.append(conv(channels[i], channels[i + 1], kernel, padding=pad))
            layers += [GBatchNorm(channels[i + 1])] if self.normalized else []
            layers += [nn.ReLU(), self.pool(2)] if i % 2 else [nn.ReLU()]
        features = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            width = features.eval()(example).shape[1]
        return nn.Sequential(features, nn.Linear(width, 50), nn.ReLU(), nn.Linear(50, 10))


# p4 is the network of the examples of GrouPy's port, github.com/adambielski/pytorch-gconv-experiments, mnist/mnist.py.
_P4 = partial(Network, P4ConvZ2, P4ConvP4, GMaxPool2d, (10, 10, 20, 20))
_P4M = partial(Network, P4MConvZ2, P4MConvP4M, GMaxPool2d, (4, 4, 8, 8))
NETWORKS = {
    "p4": _P4(),
    "p4, normalized": _P4(normalized=True),
    "p4m": _P4M(),
    "p4m, normalized": _P4M(normalized=True),
    # 10 -> 8 -> 6, pooled 3 -> 3 -> 2, pooled 1: maps of an even size are pooled, so that it stays equivariant.
    "O": Network(OConvZ3, OConvO, GMaxPool3d, (2, 2, 4, 4), (3, 3, 3, 2), (0, 0, 1, 0), inputs=as_volumes),
}
OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.01, momentum=0.5),
    "Adam": partial(torch.optim.Adam, lr=1e-3),
}


@dataclass(frozen=True)
class Run:
    """What one row of the CSV names: the training, and how many digits it is trained and tested on."""

    network: str
    optimizer: str
    init: str
    seed: int
    trained: int
    tested: int


@dataclass(frozen=True)
class Digits:
    """Training and test inputs, float32 with the training inputs' mean at 0 and deviation 1, and their labels."""

    x: torch.Tensor
    labels: torch.Tensor
    test_x: torch.Tensor
    test_labels: torch.Tensor


def prepare(inputs, train, test):
    """Digits from `inputs`, a function of images, and the images and labels of both parts."""
    (images, labels), (test_images, test_labels) = train, test
    x, test_x = inputs(images), inputs(test_images)
    mean, deviation = x.mean(), x.std()
    arrays = ((x - mean) / deviation, labels, (test_x - mean) / deviation, test_labels)
    return Digits(*map(torch.from_numpy, arrays))


def train(run, digits, batch=64):
    """Train for one epoch. Returns how many test digits the network knows, and the last step's loss."""
    torch.manual_seed(run.seed)
    model = NETWORKS[run.network].build(digits.x[:1])
    for layer in model.modules():
        if isinstance(layer, SplitGConv):
            layer.reset_parameters(init=run.init)
    optimizer = OPTIMIZERS[run.optimizer](model.parameters())
    order = torch.randperm(len(digits.x), generator=torch.Generator().manual_seed(run.seed))
    model.train()
    for chosen in order.split(batch):
        loss = nn.functional.cross_entropy(model(digits.x[chosen]), digits.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return known_digits(model, digits), loss.item()


def known_digits(model, digits, batch=100):
    """How many test digits have their largest score at their label."""
    model.eval()
    with torch.inference_mode():
        pairs = zip(digits.test_x.split(batch), digits.test_labels.split(batch))
        return sum((model(x).argmax(1) == labels).sum().item() for x, labels in pairs)


class Results:
    """The CSV of what is measured: one row a run, with `known`, of `tested` digits.

    Raises OSError if the file cannot be read, ValueError if it is not such a file.
    """

    columns = (*(field.name for field in fields(Run)), "known")

    def __init__(self, path):
        self.path = path
        self.known = {}
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self._read(csv.DictReader(file))

    def _read(self, rows):
        if tuple(rows.fieldnames or ()) != self.columns:
            raise ValueError(f"{self.path}: the columns must be {', '.join(self.columns)}.")
        for row in rows:
            try:
                numbers = [int(row[name]) for name in ("seed", "trained", "tested", "known")]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{self.path}, line {rows.line_num}: a row without its numbers.") from error
            *rest, known = numbers
            self.known[Run(row["network"], row["optimizer"], row["init"], *rest)] = known

    def accuracies(self, network, optimizer, init):
        """In percent, one for each seed."""
        return [
            100 * known / run.tested
            for run, known in self.known.items()
            if (run.network, run.optimizer, run.init) == (network, optimizer, init)
        ]

    def add(self, run, known):
        """Write one more row; the file is whole at every moment."""
        self.known[run] = known
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_name(f"{self.path.name}.unfinished")
        with unfinished.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows((*astuple(run), known) for run, known in self.known.items())
        os.replace(unfinished, self.path)


def table(results):
    """Markdown: the test accuracies from each initialization in percent, least to most; and how far it falls behind.

    The last row has for each initialization the largest difference, over the rows, between the best one's mean
    accuracy and its own, in percentage points.
    Raises ValueError if the results are not of one number of digits, or there are none.
    """
    sizes = {(run.trained, run.tested) for run in results.known}
    if len(sizes) != 1:
        raise ValueError(f"{results.path} must have results of one number of digits, and has {len(sizes)} of them.")
    names = [name for name in INITIALIZATIONS if any(run.init == name for run in results.known)]
    lines = [["network", "optimizer", *(f"`{name}`" for name in names)], ["---"] * (2 + len(names))]
    behind = dict.fromkeys(names, 0.0)
    for network, optimizer in product(NETWORKS, OPTIMIZERS):
        accuracies = {name: results.accuracies(network, optimizer, name) for name in names}
        means = {name: sum(values) / len(values) for name, values in accuracies.items() if values}
        if means:
            lines.append([network, optimizer, *map(_range, accuracies.values())])
        for name, mean in means.items():
            behind[name] = max(behind[name], max(means.values()) - mean)
    lines.append(["furthest behind the best", "", *(f"{points:.0f}" for points in behind.values())])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _range(accuracies):
    return f"{min(accuracies):.0f}-{max(accuracies):.0f}" if accuracies else "-"


def measure(runs, results, train_part, test_part):
    """Train all runs that have no row yet, and report each. Returns the runs whose loss is no number."""
    left = [run for run in runs if run not in results.known]
    print(f"{len(runs)} runs, {len(runs) - len(left)} of them in {results.path}", flush=True)
    prepared, failed, start = {}, [], time.monotonic()
    for done, run in enumerate(left, start=1):
        inputs = NETWORKS[run.network].inputs
        if inputs not in prepared:
            prepared[inputs] = prepare(inputs, train_part, test_part)
        known, loss = train(run, prepared[inputs])
        results.add(run, known)
        if not np.isfinite(loss):
            failed.append(run)
        minutes = (time.monotonic() - start) / 60
        print(
            f"[{done}/{len(left)}] {run.network}; {run.optimizer}; {run.init}; seed {run.seed}: "
            f"{100 * known / run.tested:.1f} %, last loss {loss:.3f}; "
            f"{minutes:.1f} min, about {minutes / done * (len(left) - done):.0f} left",
            flush=True,
        )
    return failed


def chosen_runs(options):
    """The runs asked for, seed by seed, so that what is there after an interrupt tells something of all."""
    names = product(range(options.seeds), options.networks, options.optimizers, options.inits)
    return [Run(*rest, seed, options.digits, options.tested) for seed, *rest in names]


def read_options(arguments):
    """The command line's options; whatever does not fit ends the process with a sentence and status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.initialization",
        description=__doc__.partition("\n\n")[0],
        epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="the folder with MNIST's gzipped IDX files")
    parser.add_argument(
        "--out", type=Path, default=Path("build/initialization"), help=f"the folder of {FILE} (default: %(default)s)"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing; print what --out holds, as Markdown")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS], metavar="NETWORK")
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=[*OPTIMIZERS], metavar="OPTIMIZER")
    parser.add_argument("--inits", nargs="+", choices=INITIALIZATIONS, default=[*INITIALIZATIONS], metavar="INIT")
    parser.add_argument("--seeds", type=int, default=3, help="runs from each initialization (default: %(default)s)")
    parser.add_argument("--digits", type=int, default=4096, help="to train on (default: %(default)s)")
    parser.add_argument("--tested", type=int, default=10000, help="test digits (default: %(default)s)")
    options = parser.parse_args(arguments)
    for name in ("seeds", "digits", "tested"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}.")
    if not (options.table or options.data):
        parser.error("--data is needed, the folder with MNIST's gzipped IDX files.")
    return options


def main(arguments=None):
    """Measure or print; returns the exit status."""
    options = read_options(arguments)
    try:
        results = Results(options.out / FILE)
        if options.table:
            print(table(results))
            return 0
        parts = [read_digits(options.data, *part) for part in (("train", options.digits), ("test", options.tested))]
        failed = measure(chosen_runs(options), results, *parts)
    except (OSError, ValueError) as error:
        print(f"python -m experiments.initialization: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 1
    print(table(results))
    for run in failed:
        print(f"The loss is no number: {run}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    torch.set_num_threads(1)  # so that sums are taken in the same order, however many cores there are
    sys.exit(main())
