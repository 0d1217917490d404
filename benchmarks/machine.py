"""The machine that measures, and the versions of what is measured: the header of every result.

Nothing in it is personal: no name of the host, no name of a user, no path.
"""

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import cpuinfo
import numpy as np
import threadpoolctl

import groupy
from benchmarks.sizes import CORES

# What the versions are of, and the packages that bring it.
_PACKAGES = {
    "torch": ("torch",),
    "chainer": ("chainer",),
    "cupy": ("cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x", "cupy"),
    "escnn": ("escnn",),
    "numpy": ("numpy",),
    "pytest-benchmark": ("pytest-benchmark",),
}
_CACHES = Path("/sys/devices/system/cpu")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}
_NOISE = re.compile(r"\((r|tm|c)\)|\b(cpu|processor|\d+-core)\b|@.*")  # in the names that makers give


@dataclass(frozen=True, order=True)
class Cache:
    """Caches of one kind, for data: the level, the bytes of each, and how many the machine has."""

    level: int
    size: int
    count: int

    def __str__(self):
        number = f"{self.count} x " if self.count > 1 else ""
        return f"L{self.level} {number}{in_binary_units(self.size)}"


def describe_machine():
    """{what: value}, JSON; what does not apply, or cannot be found out, is None."""
    cpu, gpu = cpuinfo.get_cpu_info().get("brand_raw") or platform.machine(), _gpu()
    return {
        "name": machine_name(cpu, CORES, gpu),
        "CPU": cpu,
        "cores": CORES,
        "memory_bytes": _memory_bytes(),
        "caches": ", ".join(map(str, data_caches())) or None,
        "system": _system(),
        "Python": platform.python_version(),
        "GPU": gpu,
        **_torch_settings(),
        "BLAS": _blas_of_numpy(),
        "versions": {
            "groupy-gconv": groupy.__version__,
            **{name: _version(packages) for name, packages in _PACKAGES.items()},
        },
    }


def lines(machine):
    """What describe_machine gave, in words: a line on the hardware, one on the software, one on versions."""
    memory = machine["memory_bytes"] and in_binary_units(machine["memory_bytes"])
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    capability = machine["capability"] and f"{machine['capability']} in PyTorch"
    oneDNN = machine["oneDNN"] and f"oneDNN {machine['oneDNN']}"
    blas = machine["BLAS"] and f"NumPy on {machine['BLAS']}"
    hardware = (machine["GPU"], machine["CPU"], cores, memory and f"memory {memory}", machine["caches"])
    software = (machine["system"], f"Python {machine['Python']}", capability, oneDNN, blas)
    versions = (f"{name} {number}" for name, number in machine["versions"].items() if number)
    return [
        f"machine {machine['name']}: {', '.join(filter(None, hardware))}",
        ", ".join(filter(None, software)),
        f"versions: {', '.join(versions)}",
    ]


def machine_name(cpu, cores, gpu=None):
    """A name for files: 'amd-epyc-2-cores', 'nvidia-h100-amd-epyc-16-cores'."""
    parts = [_NOISE.sub(" ", part.lower()) for part in (gpu, cpu) if part]
    parts.append("1 core" if cores == 1 else f"{cores} cores")
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts)).strip("-")


def data_caches(folder=_CACHES):
    """The Caches that the system tells of, from the first level on; none where it does not (Linux does)."""
    found = {}  # (level, bytes): the sets of cores that share one
    for path in folder.glob("cpu[0-9]*/cache/index[0-9]*/size"):  # some machines tell all but the sizes
        kind, level, size, cores = (
            (path.parent / name).read_text(encoding="ascii").strip()
            for name in ("type", "level", "size", "shared_cpu_list")
        )
        if kind != "Instruction":
            found.setdefault((int(level), _bytes(size)), set()).add(cores)
    return sorted(Cache(level, size, len(shared)) for (level, size), shared in found.items())


def in_binary_units(number):
    """Bytes in words, as '32 KiB' or '23.5 GiB'."""
    for name, unit in reversed(_UNITS.items()):
        if number >= unit:
            return f"{number / unit:.3g} {name}iB"
    return f"{number} bytes"


def _bytes(size):
    return int(size[:-1]) * _UNITS[size[-1]] if size[-1] in _UNITS else int(size)


def _system():
    """As 'Linux 6.1.0, x86_64, glibc 2.36': of the kernel its number alone, since a name may follow that says whose."""
    number = re.match(r"[\d.]*", platform.release()).group().rstrip(".")
    words = (f"{platform.system()} {number}", platform.machine(), " ".join(platform.libc_ver()))
    return ", ".join(filter(None, map(str.strip, words)))


def _memory_bytes():
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):  # Windows
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gpu():
    """The name of the first GPU that PyTorch sees, or else CuPy."""
    if find_spec("torch"):
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name(0)
    if find_spec("cupy"):
        import cupy

        if cupy.cuda.is_available():
            return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return None


def _torch_settings():
    if find_spec("torch") is None:
        return {"capability": None, "oneDNN": None}
    import torch

    one_dnn = re.search(r"(?:MKL-DNN|oneDNN) v([\d.]+)", torch.__config__.show())
    return {"capability": torch.backends.cpu.get_cpu_capability(), "oneDNN": one_dnn and one_dnn.group(1)}


def _blas_of_numpy():
    """The library and the architecture that it chose its kernels for; None if it is none that threadpoolctl knows."""
    np.dot(np.ones((2, 2)), np.ones((2, 2)))  # so that it is loaded
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    names = (
        " ".join(filter(None, (pool["internal_api"], pool["version"], pool.get("architecture")))) for pool in found
    )
    return ", ".join(sorted(set(names))) or None  # their order changes from process to process


def _version(packages):
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            pass
    return None
