"""The machine that measures, and the versions of what is measured: the header of every result."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import cpuinfo

_PACKAGES = ("groupy-gconv", "torch", "chainer", "escnn", "numpy", "pytest-benchmark")


def describe_machine():
    """{what: value}, JSON."""
    return {
        "machine": platform.platform(),
        "CPU": cpuinfo.get_cpu_info().get("brand_raw", platform.machine()),
        "cores": os.cpu_count(),
        "Python": platform.python_version(),
        **_torch_settings(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _torch_settings():
    if find_spec("torch") is None:
        return {}
    import torch

    return {"threads": torch.get_num_threads(), "capability": torch.backends.cpu.get_cpu_capability()}


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return None
