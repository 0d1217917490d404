"""Counting what a step of a layer costs: calls, bytes and instructions, which repeat exactly where times do not.

Counted are operators, functions and array methods by name, launches of kernels, bytes allocated, bytes alive at once,
and instructions of the Python interpreter by package. But for bytes they hardly depend on the size of the layer: a loop
over blocks takes a few instructions more.
Each of FRAMEWORKS constructs a layer of a Shape, makes its steps ready, and counts a call.
"""

import gc
import json
import platform
import re
import sys
import sysconfig
import tempfile
import tracemalloc
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np

from benchmarks.sizes import KSIZE, PADDING
from benchmarks.targets import EVALUATION, TRAINING

FORWARD = "forward in training"
WARM_UP = 2  # calls: the first evaluation keeps the filters, the first training step allocates the gradients


class CountingError(Exception):
    """What keeps counts from being taken, compared or written, in words."""


@dataclass(frozen=True)
class Quantity:
    """Something that is counted.

    depends_on: what has to be of the table's version (see versions()) for its counts to be comparable
    relative, absolute: how far a count may be from the table's, a fraction of it and so many on top
    """

    depends_on: tuple = ()
    relative: float = 0
    absolute: int = 0


@dataclass(frozen=True)
class Count:
    """One quantity of one step of a layer: values is {what: how often}, with "" for what if there is but one number."""

    framework: str
    layer: str
    step: str
    quantity: str
    values: dict

    @property
    def key(self):
        """What is counted here, without how often."""
        return self.framework, self.layer, self.step, self.quantity


def _instructions(*packages):
    return Quantity(("Python", *packages), relative=0.05)  # a line more is a matter of style, ten are not


# Whatever computes a convolution, in whatever version, it is called through these.
_CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


class TorchLayers:
    """torch_gconv's layers on the CPU.

    The convolution is PyTorch's own, not oneDNN's: that one uses operators and memory as the processor and the number
    of threads ask for it, so that its counts are another machine's.
    """

    package = "torch"
    quantities = {
        "convolutions": Quantity(),
        "operators": Quantity(("torch", "platform")),
        "bytes allocated": Quantity(("torch", "platform")),
        "peak bytes": Quantity(("torch", "platform")),
        "Python instructions": _instructions("torch"),
    }

    def construct(self, shape):
        """The layer."""
        import torch_gconv

        return getattr(torch_gconv, shape.layer)(shape.in_channels, shape.channels, KSIZE, padding=PADDING)

    def steps(self, layer, shape):
        """(step, call) of each step, made ready in turn: count a call before asking for the next."""
        import torch

        x = torch.from_numpy(shape.feature_map())

        def evaluate():
            with torch.no_grad():
                layer(x)

        layer.eval()
        yield EVALUATION, evaluate

        layer.train()
        x.requires_grad_()
        yield FORWARD, lambda: layer(x)

        gy = torch.ones_like(layer(x))  # in memory as y lies: so it comes from the layers that follow

        def train():
            layer.zero_grad()
            x.grad = None
            layer(x).backward(gy)

        yield TRAINING, train

    def count(self, call):
        """{quantity: values} of a call."""
        with _without_onednn():
            operators, allocations = _profile(call)
            instructions = count_instructions(call)
        return {
            "convolutions": {name: operators[name] for name in _CONVOLUTIONS if name in operators},
            "operators": operators,
            "bytes allocated": {"": sum(change for change in allocations if change > 0)},
            "peak bytes": {"": max(accumulate(allocations), default=0)},
            "Python instructions": instructions,
        }


class ChainerLayers:
    """chainer_gconv's layers on NumPy."""

    package = "chainer"
    quantities = {
        "functions": Quantity(("chainer",)),
        "array methods": Quantity(("Python", "chainer", "numpy")),
        # The interpreter's own objects are among them, some hundred bytes more or less at each call.
        "peak bytes": Quantity(("chainer",), absolute=4096),
        "Python instructions": _instructions("chainer", "numpy"),
    }

    def construct(self, shape):
        """The layer."""
        import chainer_gconv

        return getattr(chainer_gconv, shape.layer)(shape.in_channels, shape.channels, KSIZE, pad=PADDING)

    def steps(self, layer, shape):
        """(step, call) of each step."""
        import chainer

        x = chainer.Variable(shape.feature_map())

        def evaluate():
            with chainer.using_config("train", False), chainer.no_backprop_mode():
                layer(x)

        yield EVALUATION, evaluate

        yield FORWARD, lambda: layer(x)

        gy = np.ones_like(layer(x).array)

        def train():
            layer.cleargrads()
            x.cleargrad()
            y = layer(x)
            y.grad = gy
            y.backward()

        yield TRAINING, train

    def count(self, call):
        """{quantity: values} of a call."""
        return {
            "functions": _count_functions(call),
            "array methods": _count_array_methods(call),
            "peak bytes": {"": _peak_of_traced_bytes(call)},
            "Python instructions": count_instructions(call),
        }


class CudaKernels:
    """chainer_gconv's filter transformation on a GPU, as far as CuPy is asked for something; no GPU is needed."""

    package = "chainer"
    quantities = {"calls to CuPy": Quantity()}

    def construct(self, shape):
        """The filter transformation of the layer."""
        return shape.spec.transformation(KSIZE)

    def steps(self, transformation, shape):
        """(step, call) of both directions."""
        from chainer_gconv import kernels

        self.cupy = NoteTakingCuPy()
        folded = (shape.folded_out_channels, shape.folded_in_channels, *transformation.kernel)
        canonical = (shape.channels, shape.in_channels, *transformation.table.shape[1:-1])
        for step, function, size in (
            ("filter transformation", kernels.fold_filters, canonical),
            ("its gradient", kernels.unfold_filter_gradients, folded),
        ):
            yield step, partial(self._call, function, self.cupy.empty(size, np.dtype("float32")), transformation)

    def _call(self, function, *arguments):
        with mock.patch.dict(sys.modules, {"cupy": self.cupy}):
            function(*arguments)

    def count(self, call):
        """{quantity: values} of a call."""
        self.cupy.notes.clear()
        call()
        return {"calls to CuPy": dict(self.cupy.notes)}


class NoteTakingCuPy:
    """What chainer_gconv.kernels uses of CuPy. It computes nothing, and notes how often it is asked for what."""

    def __init__(self):
        self.notes = Counter()
        device = nullcontext()
        device.id = object()  # hashable, and nobody else's: kernels keeps modules and tables by it
        self._device = device
        stream = SimpleNamespace(synchronize=lambda: self._note("synchronize"))
        self.cuda = SimpleNamespace(Device=lambda _: device, get_current_stream=lambda: stream)

    def _note(self, what):
        self.notes[what] += 1

    def _array(self, what, shape, dtype):
        self._note(what)
        return SimpleNamespace(shape=shape, dtype=dtype, size=int(np.prod(shape)), device=self._device)

    def empty(self, shape, dtype):
        return self._array("empty", shape, dtype)

    def asarray(self, array):
        return self._array("asarray", array.shape, array.dtype)

    def ascontiguousarray(self, array):
        return self._array("ascontiguousarray", array.shape, array.dtype)

    def RawModule(self, code, options):
        self._note("compilation")
        return SimpleNamespace(get_function=lambda name: lambda *_: self._note(f"launch of {name}"))


FRAMEWORKS = {"torch_gconv": TorchLayers(), "chainer_gconv": ChainerLayers(), "chainer_gconv on a GPU": CudaKernels()}


def count_layer(name, shape, layer=None):
    """The Counts of all steps of a layer.

    name: of FRAMEWORKS; layer: in place of the one that is constructed by the shape
    """
    framework = FRAMEWORKS[name]
    counts = []
    with _without_garbage_collection():
        for step, call in framework.steps(layer or framework.construct(shape), shape):
            for _ in range(WARM_UP):
                call()
            counted = framework.count(call).items()
            counts += [Count(name, str(shape), step, quantity, values) for quantity, values in counted]
    return counts


def is_installed(name):
    """Whether one of FRAMEWORKS can be counted here."""
    return find_spec(FRAMEWORKS[name].package) is not None


def count_instructions(call):
    """Instructions that the Python interpreter executes during a call, by package: {"chainer": 6700, ...}.

    Those of this module are left out. How many there are depends on the version of Python, too.
    """
    instructions = Counter()

    def trace(frame, event, _):
        if event == "call":
            frame.f_trace = trace  # before what follows: from Python 3.13 on, frames without one do not take it
            frame.f_trace_lines, frame.f_trace_opcodes = False, frame.f_globals is not globals()
        if event == "opcode":
            instructions[frame.f_globals.get("__name__", "").partition(".")[0]] += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return dict(instructions)


def _count_functions(call):
    """Chainer's functions that are applied, forward and for gradients, by name."""
    import chainer

    class CountFunctions(chainer.FunctionHook):
        name = "CountFunctions"
        counts = Counter()

        def forward_preprocess(self, function, in_data):
            self.counts[type(function).__name__] += 1

    with CountFunctions() as hook:
        call()
    return dict(hook.counts)


def _count_array_methods(call):
    """Methods of NumPy's arrays that are called, by name. Ufuncs and numpy.dot are none, and not seen."""
    counts = Counter()

    def note(frame, event, function):
        if event == "c_call" and isinstance(getattr(function, "__self__", None), np.ndarray):
            counts[function.__name__] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return dict(counts)


def _peak_of_traced_bytes(call):
    """The most that Python and NumPy had allocated at once during the call, over what was before."""
    if tracemalloc.is_tracing():
        raise CountingError("tracemalloc is at work already (python -X tracemalloc?), and can count for one only.")
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# aten::view, or of another library; autograd's nodes (torch::autograd::AccumulateGrad) are named otherwise.
_OPERATOR = re.compile(r"\w+::\w+")


def _profile(call):
    """({operator: calls}, bytes allocated (positive) and freed (negative) in turn) of a call, by PyTorch's profiler.

    It hears of every operator, those that others call too, and of every allocation of PyTorch on the CPU, to the
    byte. A TorchDispatchMode would miss what operators use inside; the process's size counts pages that the C
    library keeps. The trace is read as exported: that is public.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    operators = Counter(event["name"] for event in events if _OPERATOR.fullmatch(event["name"]))
    allocations = sorted(
        (event["ts"], event["args"]["Ev Idx"], event["args"]["Addr"], event["args"]["Bytes"])
        for event in events
        if event["name"] == "[memory]"
    )
    return dict(operators), list(_of_blocks_allocated(allocations))


def _of_blocks_allocated(allocations):
    """The changes in bytes, but for blocks that were there before: the profiler guesses their sizes, or is silent."""
    live = set()
    for *_, address, change in allocations:
        if change > 0:
            live.add(address)
            yield change
        elif address in live:
            live.remove(address)
            yield change


@contextmanager
def _without_onednn():
    from torch.backends import mkldnn

    before, mkldnn.enabled = mkldnn.enabled, False
    try:
        yield
    finally:
        mkldnn.enabled = before


@contextmanager
def _without_garbage_collection():
    """Else what is collected meanwhile would be counted."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def versions():
    """{what counts may depend on: its version here, without the patch level; None if it is not installed}."""
    packages = {package: _version(package) for package in ("chainer", "numpy", "torch")}
    return {"Python": _minor(platform.python_version()), "platform": sysconfig.get_platform(), **packages}


def _version(package):
    try:
        return _minor(version(package))
    except PackageNotFoundError:
        return None


def _minor(number):
    return ".".join(number.split(".")[:2])
