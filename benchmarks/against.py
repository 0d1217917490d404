"""The PyTorch layers and networks of this checkout against those of another one, in pairs.

    git worktree add ../before v1.2          any commit
    python -m benchmarks.against ../before   a table of ratios, below 1 where this checkout is faster
    python -m benchmarks.against ../before --only ResNet --json build/against.json

Each checkout runs in a process of its own. A round is one call in each, in an order drawn anew; a ratio is the median
over the rounds, with its quartiles. Inputs come contiguous and in channels_last.

exit status: 0 measured, 2 bad use
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

if __package__:  # a checkout's process runs this file as a script, beside packages of another checkout
    from benchmarks.files import write_whole

ROOT = Path(__file__).parent.parent

# name: (layer, channels in, channels out, size, batch), of 3x3 filters with padding 1
LAYERS = {
    "P4ConvZ2, 3 to 16": ("P4ConvZ2", 3, 16, 32, 16),
    "P4ConvP4, 10": ("P4ConvP4", 10, 10, 28, 16),
    "P4ConvP4, 32": ("P4ConvP4", 32, 32, 16, 8),
    "P4MConvZ2, 3 to 32": ("P4MConvZ2", 3, 32, 32, 8),
    "P4MConvP4M, 8": ("P4MConvP4M", 8, 8, 16, 8),
    "P4MConvP4M, 32": ("P4MConvP4M", 32, 32, 16, 8),
    "P4MConvP4M, 64": ("P4MConvP4M", 64, 64, 16, 4),
    "P6ConvZ2, 3 to 16": ("P6ConvZ2", 3, 16, 33, 8),
    "P6ConvP6, 16": ("P6ConvP6", 16, 16, 17, 8),
    "OConvO, 4": ("OConvO", 4, 4, 8, 2),
}
# name: (class, arguments, channels in, size, batch)
NETWORKS = {
    "P4CNN": ("P4CNN", (), 1, 28, 64),
    "p4m ResNet-44": ("ResNet44", ("p4m",), 3, 33, 4),
}
MODES = ("evaluation", "training")
FORMATS = ("contiguous", "channels_last")
POINTS = [" | ".join(point) for point in product([*LAYERS, *NETWORKS], MODES, FORMATS)]


def call_of(point):
    """The function that is timed: one evaluation, or one training step."""
    import torch

    import torch_gconv
    from torch_gconv import models

    name, mode, memory_format = point.split(" | ")
    torch.manual_seed(0)
    if name in LAYERS:
        layer, I, O, size, batch = LAYERS[name]
        module = getattr(torch_gconv, layer)(I, O, 3, padding=1)
        channels, ndim = I * module.input_stabilizer_size, module.spec.ndim
    else:
        network, arguments, channels, size, batch = NETWORKS[name]
        module, ndim = getattr(models, network)(*arguments), 2
    x = torch.randn(batch, channels, *(size,) * ndim)
    if memory_format == "channels_last":
        x = x.to(memory_format=torch.channels_last if ndim == 2 else torch.channels_last_3d)
    module.train(mode == "training")

    def evaluate():
        with torch.no_grad():
            return module(x)

    gy = torch.randn_like(evaluate())
    x.requires_grad_(name in LAYERS)  # a network's pictures are not trained

    def train():
        module.zero_grad()
        module(x).backward(gy)

    return train if mode == "training" else evaluate


def serve():
    """The process of a checkout: reads a line, answers with the seconds of one call; a new point is warmed up first."""
    import torch_gconv

    print(Path(torch_gconv.__file__).parent.parent, flush=True)
    call, prepared = None, None
    for line in sys.stdin:
        if line.strip() != prepared:
            prepared = line.strip()
            call = call_of(prepared)
            for _ in range(3):
                call()
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, flush=True)


class Checkout:
    """A checkout's process, as a context. Raises ValueError if it does not import the torch_gconv that lies there."""

    def __init__(self, folder):
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, str(Path(__file__).resolve()), "--serve"]
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        found = self.process.stdout.readline().strip()
        if Path(found) != folder:
            self.__exit__()
            raise ValueError(f"{folder} has no torch_gconv that can be imported.")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def seconds(self, point):
        """How long one call takes."""
        self.process.stdin.write(point + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def measure(point, here, there, seconds):
    """The ratios of a point, here over there, in as many rounds as the seconds allow: at least 9, at most 200."""
    first = here.seconds(point) + there.seconds(point)
    rounds = max(9, min(200, int(seconds / first)))
    pairs = []
    for _ in range(rounds):
        order = random.sample([here, there], 2)
        found = {checkout: checkout.seconds(point) for checkout in order}
        pairs.append((found[here], found[there]))
    low, median, high = statistics.quantiles((a / b for a, b in pairs), n=4)
    return {"point": point, "milliseconds": 1e3 * statistics.median(a for a, _ in pairs), "ratio": [low, median, high]}


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkout", type=Path, nargs="?", help="folder of the other checkout")
    parser.add_argument("--only", default="", metavar="WORD", help="the points with this word in their name")
    parser.add_argument("--seconds", type=float, default=3, help="for each point (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    points = [point for point in POINTS if options.only in point]
    if options.checkout is None or not (options.checkout / "torch_gconv").is_dir():
        parser.error(f"the other checkout must be a folder with torch_gconv in it, got {options.checkout}.")
    if not points:
        parser.error(f"--only {options.only}: no point has this in its name. There are:\n  " + "\n  ".join(POINTS))
    print(f"{'point':52} {'here, ms':>9}   here / there (quartiles)")
    rows = []
    try:
        with Checkout(ROOT.resolve()) as here, Checkout(options.checkout.resolve()) as there:
            for point in points:
                rows.append(measure(point, here, there, options.seconds))
                low, median, high = rows[-1]["ratio"]
                time_here = rows[-1]["milliseconds"]
                print(f"{point:52} {time_here:9.2f}   {median:.2f} ({low:.2f}-{high:.2f})", flush=True)
    except ValueError as error:
        parser.error(str(error))
    if options.json:
        write_whole(options.json, (json.dumps(rows, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
