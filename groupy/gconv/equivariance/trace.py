"""Trace: what a network called when it was run, and how to call it again; framework-neutral.

A framework says by its Tensors how its tensors are known, read and written, and reports each call of
a layer or function to a Tracer, before and after. Only calls that take something that depends on the
network's input are kept.
"""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Callable, Optional

import numpy as np

from groupy.gconv.equivariance.report import label_of
from groupy.gconv.geometry import Window, padding_of


@dataclass(frozen=True)
class Value:
    """An array that depends on the network's input. serial: 0 for the input itself, then counted on."""

    serial: int
    array: np.ndarray


@dataclass(frozen=True)
class Facts:
    """What a framework knows of a layer or function.

    role: 'convolution', 'linear', 'normalization', 'pooling', or ''
    window: how it steps over the grid of its first input, if it does
    rearranges: it only changes the places of values, or picks some
    hexagonal: it knows of the hexagons of hexagonal maps
    """

    role: str = ""
    window: Optional[Window] = None
    rearranges: bool = False
    hexagonal: bool = False


@dataclass(frozen=True)
class Call:
    """One call of a layer or function.

    name: where in the network; kind: what was called
    inputs, outputs: the Values it took and gave; what does not depend on the input is inside `run`
    run: arrays in place of the inputs' -> list of arrays in place of the outputs'
    """

    name: str
    kind: str
    inputs: tuple
    outputs: tuple
    run: Callable
    facts: Facts

    @property
    def label(self):
        """Name and kind."""
        return label_of(self.name, self.kind)

    @property
    def input_shape(self):
        """The shape of the first input."""
        return tuple(self.inputs[0].array.shape)

    @property
    def output_shape(self):
        """The shape of the first output."""
        return tuple(self.outputs[0].array.shape)

    @property
    def is_plain(self):
        """Whether it is a convolution or linear map, of which several may make an equivariant one."""
        return self.facts.role in ("convolution", "linear")

    def window_on(self, ndim):
        """How it steps over a grid of so many dimensions, and the size of the grid; None if it has no window."""
        window = self.facts.window
        return window and (_on_last_axes(window, ndim), self.input_shape[-ndim:])

    def window_break(self, stabilizer):
        """Why stride, size or padding break equivariance here, or None."""
        found = self.window_on(stabilizer.ndim)
        return found and found[0].equivariance_break(self.label, found[1], stabilizer)


def window_of(ndim, ksize, stride=1, padding=0, dilation=1):
    """The Window of a function that took these arguments: each one integer, alone or in a tuple, or ndim of them.

    padding: may be 'same' or 'valid'
    """
    ksize, stride, dilation = (tuple(np.broadcast_to(value, ndim).tolist()) for value in (ksize, stride, dilation))
    padding = padding if isinstance(padding, str) else np.broadcast_to(padding, ndim)
    return Window(ksize, stride, *padding_of("", "padding", padding, ksize, stride, dilation), dilation)


def window_of_padding(before, after):
    """The Window of what pads a map, by the sides before and after, for each axis."""
    ones = (1,) * len(before)
    return Window(ones, ones, tuple(before), tuple(after))


def _on_last_axes(window, ndim):
    """The Window on the last ndim axes; along those that it does not have it does nothing."""

    def last(values, fill):
        return ((fill,) * ndim + values)[-ndim:]

    before, after = last(window.before, 0), last(window.after, 0)
    return Window(last(window.ksize, 1), last(window.stride, 1), before, after, last(window.dilation, 1))


@dataclass(frozen=True)
class Trace:
    """One run of a network: its calls in order, and the serials of what it returned."""

    calls: list
    outputs: list


@dataclass(frozen=True)
class _Slot:
    """The place of an input in the arguments of a call."""

    index: int


class Tensors(ABC):
    """The tensors of a framework."""

    @abstractmethod
    def is_tensor(self, thing):
        """Whether it is one."""

    def identity(self, tensor):
        """The object by whose identity a tensor is known."""
        return tensor

    @abstractmethod
    def to_array(self, tensor):
        """A copy as a NumPy array."""

    @abstractmethod
    def to_tensor(self, array):
        """A tensor with a copy of the array's values."""

    def among(self, tree):
        """The tensors in nested tuples, lists and dicts."""
        found: list = []
        _map(tree, self.is_tensor, found.append)
        return found


class Tracer:
    """Keeps the calls of one run.

    Tensors are known by their identity, so a function that works in place gives a new Value.
    """

    def __init__(self, tensors):
        self.tensors = tensors
        self.calls = []
        self._values = {}  # identity of a tensor -> its Value
        self._alive = []  # identities are not reused while their objects live
        self._names = Counter()

    def add(self, tensor):
        """Take a tensor for one that depends on the input, as it is now; returns its Value."""
        key = self.tensors.identity(tensor)
        value = Value(len(self._alive), self.tensors.to_array(tensor))
        self._alive.append(key)
        self._values[id(key)] = value
        return value

    def seen(self, tree):
        """The Values of those tensors in nested tuples, lists and dicts that depend on the input."""
        return [value for value in map(self._value, self.tensors.among(tree)) if value is not None]

    def before(self, arguments):
        """What `after` needs of a call's arguments (args, kwargs); None if they do not depend on the input."""
        inputs: list = []

        def slot(tensor):
            value = self._value(tensor)
            if value is None:
                return tensor
            inputs.append(value)
            return _Slot(len(inputs) - 1)

        template = _map(arguments, self.tensors.is_tensor, slot)
        return (tuple(inputs), template) if inputs else None

    def after(self, before, name, kind, function, result, facts):
        """Keep a call of function(*args, **kwargs) that gave `result`."""
        inputs, template = before
        outputs = tuple(self.add(tensor) for tensor in self.tensors.among(result))
        if outputs:
            self._names[name] += 1
            unique = name if self._names[name] == 1 else f"{name} #{self._names[name]}"
            run = partial(_run, self.tensors, function, template)
            self.calls.append(Call(unique, kind, inputs, outputs, run, facts))

    def trace(self, result):
        """The Trace of a run that returned `result`."""
        return Trace(self.calls, [value.serial for value in self.seen(result)])

    def _value(self, tensor):
        return self._values.get(id(self.tensors.identity(tensor)))


def _run(tensors, function, template, arrays):
    """The arrays that a function gives for these arrays in the slots of its arguments."""
    filling = [tensors.to_tensor(array) for array in arrays]
    args, kwargs = _map(template, lambda leaf: isinstance(leaf, _Slot), lambda slot: filling[slot.index])
    return [tensors.to_array(tensor) for tensor in tensors.among(function(*args, **kwargs))]


def _map(tree, is_leaf, function):
    """The tree of tuples, lists and dicts with function(leaf) for each leaf that counts."""
    if is_leaf(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _map(branch, is_leaf, function) for key, branch in tree.items()}
    if isinstance(tree, (tuple, list)):
        branches = [_map(branch, is_leaf, function) for branch in tree]
        return branches if isinstance(tree, list) else tuple(branches)
    return tree


def vary_untrained(array, rng):
    """The array, or one near it with distinct entries if all of its entries are equal.

    Biases, scales and statistics start as zeros or ones; as long as they do, it does not show that
    each orientation has its own.
    """
    if array.dtype.kind != "f" or array.size < 2 or (array != array.flat[0]).any():
        return array
    return array + rng.uniform(0.1, 0.6, array.shape).astype(array.dtype)
