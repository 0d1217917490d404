"""What `python -m chainer_gconv --doctor` says: versions, what was bridged, what is missing and how to install it."""

import importlib.metadata
import platform
import textwrap

from chainer_gconv import bridge, cudnn, startup

# How to install Chainer: its build needs an older setuptools than pip would take.
INSTALL_CHAINER = (
    "echo 'setuptools<81' > build.txt && PIP_BUILD_CONSTRAINT=build.txt pip install 'groupy-gconv[chainer]'"
)
INSTALL_CUDNN = "pip install 'groupy-gconv[cudnn]' nvidia-cudnn-cu13 (CUDA 13) or nvidia-cudnn-cu12 (CUDA 12)"
INSTALL_CUDNN_FOR_OLD_CUPY = "python -m cupyx.tools.install_library --library cudnn --cuda 12.x"
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
    cupy = _cupy()
    if cupy is None:
        missing.append(("CuPy, if there is a GPU", INSTALL_CUPY))
    elif "not available" in _cudnn_line(cupy):
        old = int(cupy.__version__.split(".")[0]) < 14
        missing.append(("cuDNN", INSTALL_CUDNN_FOR_OLD_CUPY if old else INSTALL_CUDNN))
    return missing


def _gpu_lines():
    cupy = _cupy()
    if cupy is None:
        return ["CuPy        not installed: layers run on the CPU"]
    lines = [f"CuPy        {cupy.__version__}"]
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return [*lines, f"GPU         none seen ({error})", _cudnn_line(cupy)]
    for device in range(devices):
        name = cupy.cuda.runtime.getDeviceProperties(device)["name"].decode()
        lines.append(f"GPU         {device}: {name}")
    nccl = getattr(getattr(cupy.cuda, "nccl", None), "available", False)
    lines.append(f"NCCL        {'available' if nccl else 'not available: one GPU for each process'}")
    return [*lines, _cudnn_line(cupy)]


def _cudnn_line(cupy):
    if getattr(getattr(cupy.cuda, "cudnn", None), "available", False):
        return "cuDNN       available, through CuPy"
    if cudnn.is_installed():
        return (
            f"cuDNN       through nvidia-cudnn-frontend {_version('nvidia-cudnn-frontend')}: planar convolutions alone"
        )
    return (
        "cuDNN       not available: each convolution first copies its input, once for each of the k x k taps\n"
        "            (im2col), then multiplies matrices: k x k times the input's memory is written and read again"
    )


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
