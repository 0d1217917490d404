"""Bridge Chainer to today's NumPy before any test module here imports it; a CuPy without a GPU."""

import contextlib
import sys
import types

import numpy as np
import pytest

import chainer_gconv  # noqa: F401


class CpuCupyArray(np.ndarray):
    """A NumPy array with what is used here of CuPy's."""

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.ctypes.data)

    @property
    def device(self):
        device = contextlib.nullcontext()
        device.id = 0
        return device


@pytest.fixture
def cpu_cupy(monkeypatch):
    """`import cupy` gives what is used here of CuPy, on NumPy arrays; its stream is number 7."""
    cupy = types.ModuleType("cupy")
    cupy.ndarray = CpuCupyArray
    cupy.asarray = lambda a: np.asarray(a).view(CpuCupyArray)
    cupy.ascontiguousarray = lambda a: np.ascontiguousarray(a).view(CpuCupyArray)
    cupy.empty = lambda shape, dtype: np.full(shape, 99, dtype).view(CpuCupyArray)
    stream = types.SimpleNamespace(ptr=7, synchronize=lambda: None)
    cupy.cuda = types.SimpleNamespace(
        get_current_stream=lambda: stream,
        Device=lambda _: contextlib.nullcontext(),
        set_allocator=lambda _: None,
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    return cupy
