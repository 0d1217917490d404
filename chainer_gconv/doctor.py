"""What `python -m chainer_gconv --doctor` says: versions, what was bridged, what is missing and how to install it."""

import platform
import textwrap

from chainer_gconv import bridge, cudnn, startup

# How to install Chainer: its build needs an older setuptools than pip would take.
INSTALL_CHAINER = (
    "echo 'setuptools<81' > build.txt && PIP_BUILD_CONSTRAINT=build.txt pip install 'groupy-gconv[chainer]'"
)
INSTALL_CUPY = "pip install 'groupy-gconv[cuda13]' (CUDA 13) or 'groupy-gconv[cuda12]' (CUDA 12)"


def report():
    """The doctor's findings as lines of text."""
    lines = [f"Python      {platform.python_version()}"]
    for name in ("numpy", "chainer", "setuptools"):
        lines.append(f"{name:11} {bridge.installed_version(name) or 'not installed'}")
    lines += _gpu_lines()
    lines.append(f"start-up    {'hook installed' if all(map(_exists, startup.hook_files())) else 'no hook installed'}")
    lines += ["", "bridged, and why:"]
    by_reason: dict = {}
    for repair in bridge.REPAIRS:
        by_reason.setdefault((repair.what in bridge.added(), repair.since, repair.why), []).append(repair.what)
    for (is_added, since, why), whats in sorted(by_reason.items(), reverse=True):
        state = f"needed since {since}" if is_added else f"not done here (for {since} on)"
        lines.append(f"  {state}: {why}")
        lines += textwrap.wrap(", ".join(whats), 112, initial_indent="      ", subsequent_indent="      ")
    missing = _missing()
    if missing:
        lines += ["", "to install what is missing:", *(f"  {what}: {command}" for what, command in missing)]
    return lines


def _missing():
    missing = []
    if bridge.installed_version("chainer") is None:
        missing.append(("Chainer", INSTALL_CHAINER))
    cupy = _cupy()
    if cupy is None:
        missing.append(("CuPy, if there is a GPU", INSTALL_CUPY))
    elif _CUDNN[_cudnn_state(cupy)][1]:
        missing.append(("cuDNN", _CUDNN[_cudnn_state(cupy)][1]))
    return missing


def _gpu_lines():
    cupy = _cupy()
    if cupy is None:
        return ["CuPy        not installed: layers run on the CPU"]
    lines = [f"CuPy        {cupy.__version__}"]
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        lines.append(f"GPU         none seen ({error})")
        devices = 0
    for device in range(devices):
        name = cupy.cuda.runtime.getDeviceProperties(device)["name"].decode()
        lines.append(f"GPU         {device}: {name}")
    nccl = getattr(getattr(cupy.cuda, "nccl", None), "available", False)
    lines.append(f"NCCL        {'available' if nccl else 'not available: one GPU for each process'}")
    return [*lines, f"cuDNN       {_CUDNN[_cudnn_state(cupy)][0]}"]


# How planar convolutions are computed on a GPU: what to say of it, and how to install what is missing.
_CUDNN = {
    "cupy": ("available, through CuPy", None),
    "frontend": ("available, through nvidia-cudnn-frontend: planar convolutions alone", None),
    "no library": (
        "nvidia-cudnn-frontend is installed, but finds no cuDNN library; until then as if it were not",
        "pip install nvidia-cudnn-cu13 (CUDA 13) or nvidia-cudnn-cu12 (CUDA 12)",
    ),
    "none": (
        "not available: each convolution first copies its input, once for each of the k x k taps\n"
        "            (im2col), then multiplies matrices: k x k times the input's memory is written and read again",
        "pip install 'groupy-gconv[cudnn]' nvidia-cudnn-cu13 (CUDA 13) or nvidia-cudnn-cu12 (CUDA 12)",
    ),
    "none, CuPy before 14": (
        "not available: Chainer convolves by im2col",
        "python -m cupyx.tools.install_library --library cudnn --cuda 12.x",
    ),
}


def _cudnn_state(cupy):
    """A key of _CUDNN."""
    if getattr(getattr(cupy.cuda, "cudnn", None), "available", False):
        return "cupy"
    if int(cupy.__version__.split(".")[0]) < 14:
        return "none, CuPy before 14"
    if cudnn.is_installed():
        return "frontend" if cudnn.is_usable() else "no library"
    return "none"


def _cupy():
    try:
        import cupy
    except ImportError:
        return None
    return cupy if hasattr(cupy, "__version__") else None  # a folder left behind is no CuPy


def _exists(path):
    return path.exists()
