"""Everything that needs a GPU, in one command and one report.

make gpu-check                                       with the Python that has CuPy and PyTorch
python -m benchmarks.gpu_check --report build/gpu    the same, said in full

It runs the tests marked gpu and the conformance suite on chainer-cuda and torch-cuda side by side; then,
each alone, compute-sanitizer where it is installed, and the benchmarks of the layers and of the kernels.
report.json and report.md are written anew after each step, so an interrupted run leaves what it found.
Nothing is fetched: packages that are not installed are taken from the wheels in a folder (make
chainer-wheel makes Chainer's, on any machine); anything else that is missing is named.

exit status: 0 all passed, 1 something failed, 2 this machine cannot run it
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).parent.parent
PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


# What the steps import, Chainer aside; module: package.
_NEEDED = {
    "cupy": "cupy-cuda13x or cupy-cuda12x",
    "torch": "torch",
    **{name: name for name in ("filelock", "hypothesis", "jinja2", "matplotlib", "pytest", "rich", "six")},
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}


class CannotRun(Exception):
    """The machine lacks something; the message says what, and what to do."""


def environment_with_wheels(wheels, folder):
    """os.environ for the steps, in which this checkout, Chainer, and cuDNN's front end if carried, are importable.

    Raises CannotRun if Chainer is neither installed nor in `wheels`.
    """
    for module, pattern in (("chainer", "chainer-*.whl"), ("cudnn", "nvidia_cudnn_frontend-*.whl")):
        found = sorted(wheels.glob(pattern))
        if find_spec(module) is None and found:
            with zipfile.ZipFile(found[-1]) as wheel:
                wheel.extractall(folder)
        elif find_spec(module) is None and module == "chainer":
            raise CannotRun(
                f"Chainer is not installed, and there is no {pattern} in {wheels}. "
                "Make one with `make chainer-wheel` (on any machine) and carry it here."
            )
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder), *([known] if known else [])])}


def check_machine():
    """Raises CannotRun unless CuPy and PyTorch see a CUDA device."""
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise CannotRun(f"not installed in {sys.executable}: {', '.join(missing)}.")
    import cupy

    if not cupy.cuda.is_available():
        raise CannotRun("CuPy sees no CUDA device.")
    import torch

    if not torch.cuda.is_available():
        raise CannotRun("PyTorch sees no CUDA device.")


def python(*arguments):
    """A command of this Python."""
    return [sys.executable, *map(str, arguments)]


def describe_machine():
    """Processor, GPU and versions, in a line."""
    import cupy
    import numpy
    import torch

    return (
        f"{platform.system()} {platform.machine()}, {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, CuPy {cupy.__version__}, "
        f"NumPy {numpy.__version__}"
    )


@dataclass(frozen=True)
class Step:
    """A command of the check.

    limit: seconds after which it is stopped and counts as failed
    alone: True for a measurement, which runs after all others
    results: the JSON file that it writes, or None
    """

    name: str
    command: list
    limit: int = 300
    alone: bool = False
    results: Optional[Path] = None


def steps(report):
    """The Steps of a check that is reported in a folder."""
    in_parallel = ("-n", "6") if find_spec("xdist") else ()
    yield Step("doctor", python("-m", "chainer_gconv", "--doctor"))
    for backend in ("chainer-cuda", "torch-cuda"):
        yield Step(
            f"conformance {backend}",
            python("-m", "conformance", "run", "--backends", backend, "--report", report / backend),
        )
    options = (
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "--benchmark-disable",
        f"--junitxml={report / 'tests.xml'}",
        *in_parallel,
    )
    yield Step("tests", python("-m", "pytest", "tests", *options))
    for tool in ("memcheck", "racecheck"):
        sanitizer = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "1", "--print-limit", "5"]
        command = sanitizer + python("-m", "benchmarks.gpu_kernels", "--once")
        yield Step(f"compute-sanitizer {tool}", command, alone=True)
    measured = ("--quick", "--device", "cuda", "--results", report / "layers", "--page", report / "layers.md")
    yield Step(
        "layer benchmark", python("-m", "pytest", "benchmarks", "--benchmark-quiet", *measured), limit=200, alone=True
    )
    rows = report / "kernels.json"
    yield Step("kernel benchmark", python("-m", "benchmarks.gpu_kernels", "--json", rows), alone=True, results=rows)


def run_step(step, environment):
    """What a step did: outcome, seconds, the end of what it printed, its results."""
    if shutil.which(step.command[0]) is None:
        return {"name": step.name, "outcome": NOT_RUN, "seconds": 0, "output": f"{step.command[0]} is not installed"}
    start = time.perf_counter()
    try:
        ran = subprocess.run(
            step.command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=step.limit,
            check=False,
        )
        printed, passed = ran.stdout, ran.returncode == 0
    except subprocess.TimeoutExpired as late:
        printed, passed = (late.stdout or b"") + f"\nstopped after {step.limit} s".encode(), False
    found = {
        "name": step.name,
        "command": _without_root(" ".join(step.command[1:] if step.command[0] == sys.executable else step.command)),
        "outcome": PASSED if passed else FAILED,
        "seconds": round(time.perf_counter() - start, 1),
        "output": _without_root(shortened(printed.decode(errors="replace").splitlines())),
    }
    if step.results is not None and step.results.exists():
        found["results"] = json.loads(step.results.read_text(encoding="utf-8"))
    return found


def _without_root(text):
    """The text with paths as seen from this checkout, so that a report can be read, and kept, elsewhere."""
    text = text.replace(f"{ROOT}{os.sep}", "").replace(str(ROOT), ".")
    return text.replace(sys.executable, "python").replace(sys.prefix, "(prefix)")


def shortened(lines, most=100):
    """The first and last lines of what was printed, as text."""
    if len(lines) > 2 * most:
        lines = [*lines[:most], f"... {len(lines) - 2 * most} lines left out ...", *lines[-most:]]
    return "\n".join(lines)


def run_all(chosen, environment):
    """What each step did, as each comes to its end: first those that run side by side, then those that run alone."""
    with ThreadPoolExecutor(max_workers=len(chosen) or 1) as together:
        running = [together.submit(run_step, step, environment) for step in chosen if not step.alone]
        for done in as_completed(running):
            yield done.result()
    for step in chosen:
        if step.alone:
            yield run_step(step, environment)


def as_text(report):
    """The report as Markdown."""
    lines = [f"# GPU check, {report['date']}", "", report["machine"], ""]
    lines += ["| step | outcome | seconds |", "|---|---|---|"]
    lines += [f"| {step['name']} | {step['outcome']} | {step['seconds']} |" for step in report["steps"]]
    for step in report["steps"]:
        lines += ["", f"## {step['name']}", "", "```", step["output"], "```"]
    return "\n".join(lines) + "\n"


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--report", type=Path, default=Path("build/gpu-check"), help="folder (default: %(default)s)")
    parser.add_argument(
        "--wheels", type=Path, default=Path("wheels"), help="where wheels may lie (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="the steps whose name has one of these words in it")
    options = parser.parse_args(arguments)
    from conformance.report import ReportError, report_directory

    report_folder = options.report.resolve()
    chosen = [step for step in steps(report_folder) if any(word in step.name for word in options.only or [""])]
    if not chosen:
        parser.error(
            f"--only {' '.join(options.only)}: the steps are {', '.join(step.name for step in steps(report_folder))}."
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_machine()
            environment = environment_with_wheels(options.wheels, Path(folder))
            report = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(), "steps": []}
            for done in run_all(chosen, environment):
                print(f"{done['name']}: {done['outcome']}, {done['seconds']} s", flush=True)
                report["steps"].append(done)
                with report_directory(report_folder) as write:
                    write({"report.json": json.dumps(report, indent=1), "report.md": as_text(report)})
        except (CannotRun, ReportError) as problem:
            print(f"python -m benchmarks.gpu_check: {problem}", file=sys.stderr)
            return 2
    print(f"report: {options.report / 'report.md'}")
    return 1 if any(step["outcome"] == FAILED for step in report["steps"]) else 0


if __name__ == "__main__":
    sys.exit(main())
