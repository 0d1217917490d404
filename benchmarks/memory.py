"""Peak memory of a training step, as a fresh process sees it.

    python -m benchmarks.memory CONTENDER POINT     POINT: of a layer or a network, JSON, as the results have it

prints {"peak_bytes": ..., "process_bytes": ..., "by": ...}, JSON.

The process first trains a tiny layer, so that libraries, thread pools and kernels of the framework are there. Then
it notes its size, makes the layer and its input, takes a step, resets the high-water mark, takes three steps, and
reads the mark. peak_bytes is how far that lies over the size noted; process_bytes is the mark itself. So input,
parameters and gradients count, and also what the framework allocates behind its own account.

On Linux size and mark are VmRSS and VmHWM, and the mark is reset by /proc/self/clear_refs. Other systems have no
reset: there the mark is ru_maxrss, which also holds whatever was larger before, so that peak_bytes may be too small;
"by" says which it was. On a GPU the size is the bytes that PyTorch has allocated; with CuPy, those that its pool
holds, which never shrink within a step.

The process gives memory back to the system as soon as it is freed, by glibc's MALLOC_ variables. Left alone, glibc
raises the size from which on it does so with what is freed, and keeps more: the peak then depends on the history of
the heap. At P4MConvP4M with 32 channels four runs of torch_gconv gave 39 to 43 MiB; with the variables 28.7 to 28.8.
What lives at once is the same, and a process of its own settings may hold the more. With another C library the
variables mean nothing.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable

from benchmarks.contenders import load_contenders
from benchmarks.pairing import computing_threads
from benchmarks.sizes import CORES, NetworkShape, Shape, point_named_by

ROOT = Path(__file__).parent.parent
# From 64 KiB on each array is pages of its own, which go back when it is freed; so does the end of the heap.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
_STEPS = 3
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # to clear_refs, see proc_pid_clear_refs(5)


class MemoryNotMeasured(Exception):
    """The process that was to measure did not; the message says why."""


class BadUse(Exception):
    """The command cannot be carried out as given; the message is for the user."""


@dataclass(frozen=True)
class Gauge:
    """A way to see a peak. name: in words; size(), peak(): bytes; reset(): the peak is now the size."""

    name: str
    size: Callable
    peak: Callable
    reset: Callable


def training_step_peak(contender_name, shape):
    """Peak bytes of a training step of a contender, measured in a fresh process. shape: Shape or NetworkShape.

    Raises MemoryNotMeasured if that process fails, with what it said last.
    """
    command = [sys.executable, "-m", "benchmarks.memory", contender_name, json.dumps(shape.point())]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, **MALLOC}, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"it ended with status {ran.returncode}"]
        raise MemoryNotMeasured(f"{contender_name}, {shape}: peak memory was not measured: {said[-1]}")
    return json.loads(ran.stdout)["peak_bytes"]


def measure(contender, shape):
    """{"peak_bytes", "process_bytes", "by"} of a training step, measured in this process: it should be a fresh one."""
    _take_steps(contender, _tiny(shape), _step(contender, _tiny(shape)))
    gauge = _gauge(contender.pool, shape.device)
    gc.collect()
    before = gauge.size()
    step = _step(contender, shape)
    _take_steps(contender, shape, step, 1)  # what is allocated once, or by a compiler, is not of the step
    gauge.reset()
    _take_steps(contender, shape, step)
    peak = gauge.peak()
    return {"peak_bytes": peak - before, "process_bytes": peak, "by": gauge.name}


def _tiny(shape):
    """The same layer with hardly any channels and pixels, or the same network with hardly any pictures."""
    return replace(shape, batch=2) if isinstance(shape, NetworkShape) else replace(shape, channels=1, size=4, batch=1)


def _step(contender, shape):
    if isinstance(shape, NetworkShape):
        return contender.network_training_step(shape)
    return contender.training_step(shape)


def _take_steps(contender, shape, step, number=_STEPS):
    for _ in range(number):
        step()
    contender.synchronize(shape)


def _gauge(pool, device):
    if device == "cpu":
        return _linux_gauge() if _CLEAR_REFS.exists() else _unix_gauge()
    return {"torch": _torch_gauge, "numpy": _cupy_gauge}[pool]()


def _linux_gauge():
    return Gauge(
        name="VmHWM, reset by clear_refs",
        size=lambda: _status_bytes("VmRSS"),
        peak=lambda: _status_bytes("VmHWM"),
        reset=lambda: _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii"),
    )


def _status_bytes(field):
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kilobytes) * 2**10


def _unix_gauge():
    import resource

    unit = 1 if sys.platform == "darwin" else 2**10

    def mark():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    return Gauge("ru_maxrss, which nothing resets", size=mark, peak=mark, reset=lambda: None)


def _torch_gauge():
    import torch

    return Gauge(
        name="torch.cuda.max_memory_allocated",
        size=torch.cuda.memory_allocated,
        peak=torch.cuda.max_memory_allocated,
        reset=torch.cuda.reset_peak_memory_stats,
    )


def _cupy_gauge():
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    return Gauge("CuPy's memory pool", size=pool.total_bytes, peak=pool.total_bytes, reset=pool.free_all_blocks)


def main(arguments=None):
    """The command line; returns the exit status: 0 measured, 2 bad use."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description="Measure the peak memory of a training step, in this process.",
        epilog="exit status: 0 measured, 2 bad use",
    )
    parser.add_argument("contender", metavar="CONTENDER", help="its name, as the results have it")
    parser.add_argument("point", metavar="POINT", help="of a layer or a network, JSON, as the results have it")
    options = parser.parse_args(arguments)
    try:
        shape, contender = _read_shape(options.point), _load(options.contender)
    except BadUse as problem:
        print(f"python -m benchmarks.memory: {problem}", file=sys.stderr)
        return 2
    with computing_threads(shape.threads or CORES):
        print(json.dumps(measure(contender, shape)))
    return 0


def _read_shape(text):
    try:
        shape = point_named_by(json.loads(text), CORES)
    except (KeyError, TypeError, ValueError) as error:
        raise BadUse(f"POINT must be a point as the results have it, JSON; got {text!r} ({error}).") from None
    if not isinstance(shape, (Shape, NetworkShape)):
        raise BadUse(f"POINT must be of a layer or a network, which can be trained; got {shape}.")
    return shape


def _load(name):
    contenders, left_out = load_contenders()
    if name not in contenders:
        reasons = "".join(f" Left out: {what}, since: {why}." for what, why in left_out.items())
        raise BadUse(f"CONTENDER must be one of {', '.join(contenders) or 'none'}; got {name!r}.{reasons}")
    return contenders[name]


if __name__ == "__main__":
    sys.exit(main())
