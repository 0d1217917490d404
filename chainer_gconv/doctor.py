"""What `python -m chainer_gconv --doctor` says: versions, what was bridged, what is missing and how to install it."""

import importlib.metadata
import platform
import textwrap

from chainer_gconv import bridge, startup

# How to install Chainer: its build needs an older setuptools than pip would take.
INSTALL_CHAINER = (
    "echo 'setuptools<81' > build.txt && PIP_BUILD_CONSTRAINT=build.txt pip install 'groupy-gconv[chainer]'"
)
INSTALL_CUPY = "pip install 'groupy-gconv[cuda13]' (CUDA 13) or 'groupy-gconv[cuda12]' (CUDA 12)"


def report():
    """The doctor's findings as lines of text."""
    lines = [f"Python      {platform.python_version()}"]
    for name in ("numpy", "chainer", "setuptools"):
        lines.append(f"{name:11} {_version(name) or 'not installed'}")
    lines += _gpu_lines()
    lines.append(f"start-up    {'hook installed' if all(map(_exists, startup.hook_files())) else 'no hook installed'}")
    lines += ["", "bridged, and why:"]
    by_reason: dict = {}
    for repair in bridge.REPAIRS:
        by_reason.setdefault((repair.what in bridge.added(), repair.since, repair.why), []).append(repair.what)
    for (is_added, since, why), whats in sorted(by_reason.items(), reverse=True):
        state = f"needed since {since}" if is_added else f"not needed here (since {since})"
        lines.append(f"  {state}: {why}")
        lines += textwrap.wrap(", ".join(whats), 112, initial_indent="      ", subsequent_indent="      ")
    missing = _missing()
    if missing:
        lines += ["", "to install what is missing:", *(f"  {what}: {command}" for what, command in missing)]
    return lines


def _missing():
    missing = []
    if _version("chainer") is None:
        missing.append(("Chainer", INSTALL_CHAINER))
    if _cupy() is None:
        missing.append(("CuPy, if there is a GPU", INSTALL_CUPY))
    return missing


def _gpu_lines():
    cupy = _cupy()
    if cupy is None:
        return ["CuPy        not installed: layers run on the CPU"]
    lines = [f"CuPy        {cupy.__version__}"]
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return [*lines, f"GPU         none seen ({error})"]
    for device in range(devices):
        name = cupy.cuda.runtime.getDeviceProperties(device)["name"].decode()
        lines.append(f"GPU         {device}: {name}")
    for library, consequence in (("cudnn", "Chainer convolves by im2col"), ("nccl", "one GPU for each process")):
        found = getattr(getattr(cupy.cuda, library, None), "available", False)
        lines.append(f"{library:11} {'available' if found else f'not available: {consequence}'}")
    return lines


def _cupy():
    try:
        import cupy
    except ImportError:
        return None
    return cupy


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _exists(path):
    return path.exists()
