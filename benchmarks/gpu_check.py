"""Everything that needs a GPU, in one command and one report.

make gpu-check                                       with the Python that has CuPy and PyTorch
python -m benchmarks.gpu_check --report build/gpu    the same, said in full

It runs the tests marked gpu, the conformance suite on chainer-cuda and torch-cuda, compute-sanitizer
where it is installed, and the benchmark of the kernels; it writes report.json and report.md. Nothing
is fetched: if Chainer is not installed, its wheel is taken from a folder (make chainer-wheel makes
one, on any machine); anything else that is missing is named.

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
from importlib.util import find_spec
from pathlib import Path

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


def environment_with_chainer(wheels, folder):
    """os.environ for the steps, in which this checkout and Chainer are importable.

    Raises CannotRun if Chainer is neither installed nor in `wheels`.
    """
    paths = [str(ROOT)]
    if find_spec("chainer") is None:
        found = sorted(wheels.glob("chainer-*.whl"))
        if not found:
            raise CannotRun(
                f"Chainer is not installed, and there is no chainer-*.whl in {wheels}. "
                "Make one with `make chainer-wheel` (on any machine) and carry it here."
            )
        with zipfile.ZipFile(found[-1]) as wheel:
            wheel.extractall(folder)
        paths.append(str(folder))
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths + ([known] if known else []))}


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


def steps(report):
    """Name, command, and the file of results that it writes (or None), in the order in which they run."""
    yield "doctor", python("-m", "chainer_gconv", "--doctor"), None
    yield (
        "tests",
        python("-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={report / 'tests.xml'}"),
        None,
    )
    yield (
        "conformance",
        python(
            *("-m", "conformance", "run", "--backends", "numpy,chainer-cuda,torch-cuda"),
            *("--report", report / "conformance"),
        ),
        None,
    )
    for tool in ("memcheck", "racecheck"):
        sanitizer = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "1"]
        yield f"compute-sanitizer {tool}", sanitizer + python("-m", "benchmarks.gpu_kernels", "--once"), None
    rows = report / "kernels.json"
    yield "kernel benchmark", python("-m", "benchmarks.gpu_kernels", "--json", rows), rows


def run_step(name, command, results, environment):
    """What a step did: outcome, seconds, the end of what it printed, its results."""
    if shutil.which(command[0]) is None:
        return {"name": name, "outcome": NOT_RUN, "seconds": 0, "output": f"{command[0]} is not installed"}
    start = time.perf_counter()
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    step = {
        "name": name,
        "command": " ".join(command[1:] if command[0] == sys.executable else command),
        "outcome": PASSED if ran.returncode == 0 else FAILED,
        "seconds": round(time.perf_counter() - start, 1),
        "output": "\n".join(ran.stdout.splitlines()[-100:]),
    }
    if results is not None and results.exists():
        step["results"] = json.loads(results.read_text(encoding="utf-8"))
    return step


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
    parser.add_argument("--wheels", type=Path, default=Path("wheels"), help="where a Chainer wheel may lie")
    options = parser.parse_args(arguments)
    from conformance.report import ReportError, report_directory

    with tempfile.TemporaryDirectory() as folder:
        try:
            check_machine()
            environment = environment_with_chainer(options.wheels, Path(folder))
            with report_directory(options.report) as write:
                options.report.mkdir(exist_ok=True)  # some steps write there themselves
                report = {
                    "date": time.strftime("%Y-%m-%d"),
                    "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
                    "steps": [],
                }
                for step in steps(options.report.resolve()):
                    print(f"{step[0]} ...", flush=True)
                    report["steps"].append(run_step(*step, environment))
                    print(f"  {report['steps'][-1]['outcome']}", flush=True)
                write({"report.json": json.dumps(report, indent=1), "report.md": as_text(report)})
        except (CannotRun, ReportError) as problem:
            print(f"python -m benchmarks.gpu_check: {problem}", file=sys.stderr)
            return 2
    print(f"report: {options.report / 'report.md'}")
    return 1 if any(step["outcome"] == FAILED for step in report["steps"]) else 0


if __name__ == "__main__":
    sys.exit(main())
