"""Convolutions through cuDNN's graphs, without a GPU: the graphs are recorded, and carried out by Chainer on the CPU.

What is tested is all that lies between Chainer and cuDNN: which operation is asked for, with which
shapes, strides and types, and when. That cuDNN itself does it is for tests on a GPU.
"""

import ctypes
import sys
import threading
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

import chainer
import chainer.functions as F
import numpy as np
import pytest
from chainer.functions.connection import convolution_2d, deconvolution_2d

from chainer_gconv import cudnn


class Tensor:
    """A tensor of a graph."""

    def __init__(self, dim, stride, data_type):
        self.dim, self.stride, self.data_type = dim, stride, data_type

    def array(self, pointer):
        dtype = np.dtype({"HALF": "f2", "FLOAT": "f4", "DOUBLE": "f8"}[self.data_type])
        size = int(np.prod(self.dim)) * dtype.itemsize
        flat = np.frombuffer((ctypes.c_char * size).from_address(pointer), dtype)
        assert self.stride == [s // dtype.itemsize for s in np.empty(self.dim, dtype).strides]  # contiguous
        return flat.reshape(self.dim)

    def __getattr__(self, name):  # set_dim(...) and so on
        def set_attribute(value):
            setattr(self, name[len("set_") :], value)
            return self

        return set_attribute


STEPS = [
    "validate",
    "build_operation_graph",
    "create_execution_plans",
    "deselect_numeric_notes",
    "check_support",
    "build_plans",
]


class Graph:
    """A graph of one operation, carried out by Chainer on the CPU."""

    built: list = []

    def __init__(self, handle, io_data_type, intermediate_data_type, compute_data_type):
        self.computed, self.steps, self.left_out = compute_data_type, [], ()

    def tensor(self, dim, stride, data_type):
        return Tensor(dim, stride, data_type)

    def _operation(self, name, inputs, geometry):
        self.name, self.inputs, self.geometry, self.output = name, inputs, geometry, Tensor(None, None, None)
        return self.output

    def conv_fprop(self, image, weight, **geometry):
        return self._operation("conv_fprop", (image, weight), geometry)

    def conv_dgrad(self, loss, filter, **geometry):
        return self._operation("conv_dgrad", (loss, filter), geometry)

    def conv_wgrad(self, image, loss, **geometry):
        return self._operation("conv_wgrad", (image, loss), geometry)

    def deselect_numeric_notes(self, notes):
        self.left_out = notes
        self.steps.append("deselect_numeric_notes")

    def check_support(self):
        self.steps.append("check_support")
        if self.geometry["dilation"] == [3, 3]:
            raise NotSupported
        if self.geometry["dilation"] == [4, 4]:
            raise RuntimeError("CUDNN_BACKEND_API_FAILED")

    def validate(self):
        self.steps.append("validate")

    def build_operation_graph(self):
        self.steps.append("build_operation_graph")

    def create_execution_plans(self, modes):
        self.steps.append("create_execution_plans")

    def build_plans(self):
        self.steps.append("build_plans")

    def get_workspace_size(self):
        return 24

    def execute(self, pointers, workspace, handle):
        Graph.built.append(self)
        assert self.steps == STEPS  # in this order: plans are left out once they are there, before they are built
        (ctypes.c_char * 24).from_address(workspace)[:] = bytes([99] * 24)  # as large as was asked for
        first, second = (tensor.array(pointers[tensor]).astype(np.float64) for tensor in self.inputs)
        result = self.output.array(pointers[self.output])
        settings = {
            "stride": self.geometry["stride"],
            "pad": self.geometry["padding"],
            "dilate": self.geometry["dilation"],
        }
        if self.name == "conv_fprop":
            result[...] = F.convolution_2d(first, second, **settings).array
        elif self.name == "conv_dgrad":
            result[...] = F.deconvolution_2d(first, second, outsize=self.output.dim[2:], **settings).array
        else:
            W = chainer.Variable(np.zeros(self.output.dim))
            y = F.convolution_2d(first, W, **settings)
            y.grad = second
            y.backward()
            result[...] = W.grad


class NotSupported(Exception):
    pass


class Names:
    """Any name is its own value."""

    def __getattr__(self, name):
        return name


@pytest.fixture
def machine(cpu_cupy, monkeypatch):
    """A machine whose cuDNN is the one above; Chainer's classes with the mends, apart from Chainer's own."""
    library = types.ModuleType("cudnn")
    library.data_type = library.numerical_note = library.heur_mode = Names()
    library.cudnnGraphNotSupportedError, library.pygraph, library.create_handle = NotSupported, Graph, object
    library.set_stream = lambda handle, stream: streams.append(stream)
    streams: list = []
    monkeypatch.setitem(sys.modules, "cudnn", library)
    monkeypatch.setattr(Graph, "built", [])
    monkeypatch.setattr(cudnn, "_of_thread", threading.local())
    monkeypatch.setattr(cudnn, "is_usable", lambda: True)

    def by_im2col(self, *inputs):
        return "im2col"

    classes = (
        convolution_2d.Convolution2DFunction,
        convolution_2d.Convolution2DGradW,
        deconvolution_2d.Deconvolution2DFunction,
    )
    mended = {c.__name__: type(c.__name__, (c,), {"_forward_gpu_core": by_im2col}) for c in classes}
    mended = types.SimpleNamespace(**mended, streams=streams)
    cudnn.convolution_2d(mended, lambda: None)
    cudnn.deconvolution_2d(mended, lambda: None)
    return mended


GEOMETRIES = [
    {"stride": 1, "pad": 0, "dilate": 1},
    {"stride": 2, "pad": 1, "dilate": 1},
    {"stride": (2, 1), "pad": (0, 2), "dilate": (1, 2)},
]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


def integers(rng, *shape, dtype):
    return sys.modules["cupy"].asarray(rng.integers(-3, 4, shape).astype(dtype))


@every_geometry
@every_dtype
def test_forward_and_both_gradients_are_those_of_the_cpu(machine, geometry, dtype, rng):
    x, W = integers(rng, 2, 3, 8, 9, dtype=dtype), integers(rng, 4, 3, 3, 2, dtype=dtype)
    b = integers(rng, 4, dtype=dtype)
    expected_x, expected_W = chainer.Variable(np.array(x)), chainer.Variable(np.array(W))
    expected = F.convolution_2d(expected_x, expected_W, np.array(b), **geometry)
    gy = integers(rng, *expected.shape, dtype=dtype)
    expected.grad = np.array(gy)
    expected.backward()

    settings = {"stride": geometry["stride"], "pad": geometry["pad"], "dilate": geometry["dilate"]}
    node = machine.Convolution2DFunction(**settings)
    (y,) = node._forward_gpu_core(x, W, b)
    np.testing.assert_array_equal(y, expected.array)
    node._use_ideep = False
    differentiated = machine.Convolution2DGradW(node, W.shape, W.dtype, None)._forward_gpu_core(x, gy)
    if dtype == np.float32:  # there cuDNN rounds
        assert differentiated == "im2col"
    else:
        np.testing.assert_array_equal(differentiated[0], expected_W.grad)
    transposed = machine.Deconvolution2DFunction(outsize=x.shape[2:], **settings)
    transposed.cover_all = False
    (gx,) = transposed._forward_gpu_core(gy, W, None)
    np.testing.assert_array_equal(gx, expected_x.grad)
    by_cudnn = ["conv_fprop", *([] if dtype == np.float32 else ["conv_wgrad"]), "conv_dgrad"]
    assert [graph.name for graph in Graph.built] == by_cudnn
    assert machine.streams == [7] * len(by_cudnn)


@every_dtype
def test_nothing_is_rounded_otherwise_than_in_sums_of_products(machine, dtype, rng):
    x, W = integers(rng, 1, 1, 4, 4, dtype=dtype), integers(rng, 1, 1, 3, 3, dtype=dtype)
    machine.Convolution2DFunction()._forward_gpu_core(x, W, None)
    (graph,) = Graph.built
    assert graph.computed == ("DOUBLE" if dtype == np.float64 else "FLOAT")  # halves are summed in float32
    always = {"NONDETERMINISTIC", "REDUCED_PRECISION_REDUCTION", "FFT", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13"}
    rounding_to_tf32 = {"TENSOR_CORE", "DOWN_CONVERT_INPUTS"} if dtype == np.float32 else set()
    assert set(graph.left_out) == always | rounding_to_tf32


def test_a_geometry_is_planned_once_in_each_thread(machine, rng):
    x, W = integers(rng, 1, 1, 4, 4, dtype=np.float32), integers(rng, 1, 1, 3, 3, dtype=np.float32)
    for _ in range(2):
        machine.Convolution2DFunction()._forward_gpu_core(x, W, None)
    thread = threading.Thread(target=machine.Convolution2DFunction()._forward_gpu_core, args=(x, W, None))
    thread.start()
    thread.join()
    assert Graph.built[0] is Graph.built[1] is not Graph.built[2]


@pytest.mark.parametrize(
    "settings, use_cudnn, dtypes",
    [
        ({}, "never", (np.float32, np.float32)),
        ({"cover_all": True}, "auto", (np.float32, np.float32)),
        ({}, "auto", (np.float16, np.float32)),
        ({"dilate": 3}, "auto", (np.float32, np.float32)),  # cuDNN, as it is above, supports no such dilation
        ({"dilate": 4}, "auto", (np.float32, np.float32)),  # and rejects this one
    ],
)
def test_chainers_own_path_serves_where_cudnn_does_not(machine, settings, use_cudnn, dtypes, rng):
    x, W = integers(rng, 1, 1, 9, 9, dtype=dtypes[0]), integers(rng, 1, 1, 3, 3, dtype=dtypes[1])
    with chainer.using_config("use_cudnn", use_cudnn):
        assert machine.Convolution2DFunction(**settings)._forward_gpu_core(x, W, None) == "im2col"


def test_a_gradient_for_filters_of_another_dtype_is_chainers(machine, rng):
    node = machine.Convolution2DFunction()
    x, gy = integers(rng, 1, 1, 4, 4, dtype=np.float16), integers(rng, 1, 1, 2, 2, dtype=np.float16)
    assert machine.Convolution2DGradW(node, (1, 1, 3, 3), np.float32, None)._forward_gpu_core(x, gy) == "im2col"


@pytest.mark.parametrize("reason", ["CHAINER_CUDNN=0", "no cuDNN library"])
def test_it_can_be_switched_off_and_may_be_missing(machine, reason, rng, monkeypatch):
    if reason == "CHAINER_CUDNN=0":
        monkeypatch.setenv("CHAINER_CUDNN", "0")
    else:
        monkeypatch.setattr(cudnn, "is_usable", lambda: False)
    x, W = integers(rng, 1, 1, 4, 4, dtype=np.float32), integers(rng, 1, 1, 3, 3, dtype=np.float32)
    assert machine.Convolution2DFunction()._forward_gpu_core(x, W, None) == "im2col"


@pytest.mark.parametrize("version, usable", [(lambda: 90100, True), (lambda: 1 / 0, None), (None, False)])
def test_a_front_end_without_its_library_is_not_usable(version, usable, monkeypatch):
    def missing():
        raise RuntimeError("Unable to find symbol cudnnGetVersion")

    library = types.ModuleType("cudnn")
    library.__spec__, library.backend_version = ModuleSpec("cudnn", None), version or missing
    monkeypatch.setitem(sys.modules, "cudnn", library)
    cudnn.is_usable.cache_clear()
    try:
        if usable is None:  # any other error is not hidden
            with pytest.raises(ZeroDivisionError):
                cudnn.is_usable()
        else:
            assert cudnn.is_usable() is usable
    finally:
        cudnn.is_usable.cache_clear()


def test_an_empty_batch_is_left_to_chainer(machine, rng):
    x, W = integers(rng, 0, 1, 4, 4, dtype=np.float32), integers(rng, 1, 1, 3, 3, dtype=np.float32)
    assert machine.Convolution2DFunction()._forward_gpu_core(x, W, None) == "im2col"


def test_the_names_are_cudnns():
    if find_spec("cudnn") is None:
        pytest.skip("nvidia-cudnn-frontend is not installed")
    import cudnn as library

    for name in cudnn._LEFT_OUT + cudnn._LEFT_OUT_IN_FLOAT32:
        assert hasattr(library.numerical_note, name)
    for method, *_ in cudnn._OPERATIONS.values():
        assert hasattr(library.pygraph, method)
