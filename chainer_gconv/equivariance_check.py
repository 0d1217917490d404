"""check_equivariance: which link or function of a Chainer model breaks equivariance, and why.

The model runs as a copy, on the CPU, in float64 and in evaluation. Links of Chainer and of this
package are recorded by a LinkHook; what else a chain's `forward` calls (F.max_pooling_2d,
F.reshape, x + y) by a FunctionHook.
"""

import contextlib
import copy
import warnings
from functools import partial

import chainer
import chainer.links as L
import numpy as np
from chainer.utils import type_check

from chainer_gconv.splitgconv import SplitGConv
from groupy.gconv.equivariance.check import TOLERANCE, check
from groupy.gconv.equivariance.trace import Facts, Tensors, Tracer, vary_untrained, window_of, window_of_padding
from groupy.gconv.geometry import EquivarianceWarning, Window

# How links and functions refuse shapes that they cannot take.
_REFUSALS = (type_check.InvalidType, RuntimeError, ValueError, TypeError, IndexError)


def check_equivariance(model, x, group, *, tolerance=TOLERANCE):
    """An EquivarianceReport: the error of each link under each element of the stabilizer, what breaks first, and why.

    model: a chainer.Link or Chain that takes x alone and returns variables, in tuples, lists or dicts if several
    x: array or Variable, (N, C, H, W), or on a group (N, C, S, H, W), in three dimensions (N, C, D, H, W) or
        (N, C, S, D, H, W); random numbers show most. On the hexagonal grid H = W is odd, and what is outside of the
        hexagon counts as zero
    group: a name in groupy.gconv.layer_specs.GROUPS, as 'p4', 'p6m' or 'Oh', or its stabilizer; the dimension
        follows from it
    tolerance: errors, relative to a link's largest output, that count as rounding in float64

    Biases, scales and statistics whose entries are all equal, as before training, are varied in the copy:
    while they are equal it would not show that each orientation has its own. The model itself and the
    random generators stay as they are. All feature maps of two runs are kept in float64: a batch of two
    pictures is enough.

    Raises TypeError if model or x is not of its kind; ValueError as groupy.gconv.equivariance.check.check.
    """
    if not isinstance(model, chainer.Link):
        raise TypeError(f"model must be a chainer.Link, got {type(model).__name__}.")
    array = x.array if isinstance(x, chainer.Variable) else x
    if not isinstance(array, chainer.get_array_types()) or array.dtype.kind != "f":
        kind = getattr(array, "dtype", type(x).__name__)
        raise TypeError(f"x must be an array or Variable of real floating-point numbers, got {kind}.")
    array = chainer.cuda.to_cpu(array)
    with _numpys_generator_kept(), _evaluation(), warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)  # the report says it, and more
        trace_of = partial(_trace, _working_copy(model, array))
        return check(trace_of, array.astype(np.float64), group, tolerance, _REFUSALS)


@contextlib.contextmanager
def _numpys_generator_kept():
    """Links that take their sizes from the first input draw their weights from it."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)


@contextlib.contextmanager
def _evaluation():
    with chainer.using_config("train", False), chainer.using_config("use_ideep", "never"), chainer.no_backprop_mode():
        yield


def _working_copy(model, x):
    """A copy of the model in float64 on the CPU, not strict, its untrained values varied."""
    model = _deep_copy(model)
    model.to_device("@numpy")
    links = list(model.links())
    for link in links:
        if getattr(link, "strict", False) and hasattr(link, "window"):
            link.strict = False  # what it would raise becomes a finding
    if not all(parameter.is_initialized for parameter in model.params()):
        model(x)
    rng = np.random.default_rng(0)
    for parameter in model.params():
        parameter.array = vary_untrained(parameter.array.astype(np.float64), rng)
    for link in links:
        for name in link._persistent:
            value = getattr(link, name)
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                setattr(link, name, vary_untrained(value.astype(np.float64), rng))
        if isinstance(link, L.BatchNormalization):
            link._highprec_dtype = np.dtype(np.float64)  # of the scale and shift that it makes up if it has none
    return model


def _deep_copy(model):
    """copy.deepcopy, which by itself refuses a Sequential that has lambda functions."""
    memo: dict = {}
    for link in reversed(list(model.links())):  # the inner ones before those that have them
        if type(link) is chainer.Sequential:
            twin = chainer.Sequential(*(copy.deepcopy(layer, memo) for layer in link))
            twin.name = link.name
            memo[id(link)] = twin
    return copy.deepcopy(model, memo)


def _trace(model, x):
    """Run the model on an array and return the Trace."""
    tracer = Tracer(_ChainerTensors())
    x = chainer.Variable(x)
    tracer.add(x)
    recorder = _Recorder(model, tracer)
    with _LinkRecorder(recorder), _FunctionRecorder(recorder):
        result = model(x)
    return tracer.trace(result)


class _ChainerTensors(Tensors):
    def is_tensor(self, thing):
        return isinstance(thing, (chainer.Variable, np.ndarray))

    def identity(self, tensor):
        return tensor.array if isinstance(tensor, chainer.Variable) else tensor

    def to_array(self, tensor):
        return self.identity(tensor).copy()

    def to_tensor(self, array):
        return chainer.Variable(array.copy())


class _Recorder:
    """Reports the calls of leaf links, and of functions outside them, to a Tracer; the two hooks tell it of them."""

    def __init__(self, model, tracer):
        self._tracer = tracer
        self._path = {id(link): name.strip("/").replace("/", ".") for name, link in model.namedlinks()}
        self._inside = []  # links being run, with what `before` made of their arguments
        self._is_silent = False

    def enter(self, link, args, kwargs):
        """A link is about to run."""
        if not self._is_silent:
            self._inside.append((link, self._tracer.before((args, kwargs))))
            self._is_silent = _is_leaf(link)

    def leave(self, link, result):
        """A link has run."""
        if not self._inside or self._inside[-1][0] is not link:
            return
        _, before = self._inside.pop()
        # A link that computes with arrays, where no hook sees it, is taken as a whole.
        if before and (self._is_silent or not self._tracer.seen(result)):
            name = self._path.get(id(link)) or type(link).__name__
            self._tracer.after(before, name, type(link).__name__, link, result, _facts_of_link(link))
        self._is_silent = False

    def before(self, inputs):
        """A function is about to run; None if that is not to be recorded."""
        return None if self._is_silent else self._tracer.before((inputs, {}))

    def ran(self, node, inputs, outputs, pristine, before):
        """A function has run. pristine: a copy of its node from before, which can be applied."""
        kind = type(node).__name__.strip("_")
        path = self._path.get(id(self._inside[-1][0]), "") if self._inside else ""
        name = f"{path}.{kind}" if path else kind

        def apply(*arrays):
            return copy.copy(pristine).apply(arrays)

        self._tracer.after(before, name, kind, apply, outputs, _facts_of_function(kind, node, inputs))


class _LinkRecorder(chainer.LinkHook):
    name = "groupy-gconv: links of check_equivariance"

    def __init__(self, recorder):
        self.recorder = recorder

    def forward_preprocess(self, args):
        self.recorder.enter(args.link, args.args, args.kwargs)

    def forward_postprocess(self, args):
        self.recorder.leave(args.link, args.out)


class _FunctionRecorder(chainer.FunctionHook):
    name = "groupy-gconv: functions of check_equivariance"

    def __init__(self, recorder):
        self.recorder = recorder

    def forward_preprocess(self, function, in_data):
        before = self.recorder.before(in_data)
        if before is None:
            return
        pristine, forward = copy.copy(function), function.forward

        # Hooks are not told what a function gives, so this one node, used once, tells it.
        def tell(inputs):
            outputs = forward(inputs)
            self.recorder.ran(function, inputs, outputs, pristine, before)
            return outputs

        function.forward = tell


def _is_leaf(link):
    """Whether the link is recorded as a whole: a layer of Chainer or of this package."""
    has_children = next(link.children(), None) is not None
    is_stock = type(link).__module__.startswith(("chainer.links.", f"{__package__}."))
    return isinstance(link, SplitGConv) or (is_stock and not has_children)


# What is known of links and functions


def _of_convolution_2d(node, inputs):
    return window_of(2, inputs[1].shape[2:], (node.sy, node.sx), (node.ph, node.pw), (node.dy, node.dx))


def _of_convolution_nd(node, inputs):
    return window_of(node.ndim, inputs[1].shape[2:], node.stride, node.pad, node.dilate)


def _of_pooling_2d(node, inputs):
    return window_of(2, (node.kh, node.kw), (node.sy, node.sx), (node.ph, node.pw))


def _of_pooling_nd(node, inputs):
    return window_of(node.ndim, node.ksize, node.stride, node.pad)


def _of_pad(node, inputs):
    return window_of_padding(*np.broadcast_to(node.pad_width, (inputs[0].ndim, 2)).T.tolist())


_ROLES_OF_LINKS = {
    **dict.fromkeys((L.Convolution2D, L.Deconvolution2D, L.DepthwiseConvolution2D), "convolution"),
    **dict.fromkeys((L.ConvolutionND, L.DeconvolutionND, L.DeformableConvolution2D), "convolution"),
    **dict.fromkeys((L.Linear, L.Bilinear), "linear"),
    **dict.fromkeys((L.BatchNormalization, L.GroupNormalization, L.LayerNormalization), "normalization"),
}
_ROLES_OF_FUNCTIONS = {
    **dict.fromkeys(("Convolution2DFunction", "Deconvolution2DFunction", "ConvolutionND"), "convolution"),
    **dict.fromkeys(("LinearFunction", "MatMul", "TensorDot"), "linear"),
    **dict.fromkeys(("FixedBatchNormalization", "LayerNormalization"), "normalization"),
    **dict.fromkeys(("MaxPooling2D", "AveragePooling2D", "MaxPoolingND", "AveragePoolingND"), "pooling"),
}
_WINDOWS_OF_LINKS = {
    L.Convolution2D: lambda link: window_of(2, link.W.shape[2:], link.stride, link.pad, link.dilate),
    L.ConvolutionND: lambda link: window_of(link.W.ndim - 2, link.W.shape[2:], link.stride, link.pad, link.dilate),
}
_WINDOWS_OF_FUNCTIONS = {
    "Convolution2DFunction": _of_convolution_2d,
    "ConvolutionND": _of_convolution_nd,
    "AveragePooling2D": _of_pooling_2d,
    "MaxPoolingND": _of_pooling_nd,
    "AveragePoolingND": _of_pooling_nd,
    "Pad": _of_pad,
}
_REARRANGING_FUNCTIONS = frozenset(
    "Reshape Transpose Rollaxis Swapaxes Moveaxis ExpandDims Squeeze BroadcastTo Tile Repeat GetItem Concat "
    "SplitAxis Flip Stack Depth2Space Space2Depth Im2Col SelectItem Permutate".split()
)


def _facts_of_link(link):
    window = getattr(link, "window", None)
    if not isinstance(window, Window):
        window = next((of(link) for kind, of in _WINDOWS_OF_LINKS.items() if isinstance(link, kind)), None)
    role = next((role for kind, role in _ROLES_OF_LINKS.items() if isinstance(link, kind)), "")
    return Facts(role, window, hexagonal=getattr(link, "hexagonal", False))


def _facts_of_function(kind, node, inputs):
    window = _WINDOWS_OF_FUNCTIONS[kind](node, inputs) if kind in _WINDOWS_OF_FUNCTIONS else None
    return Facts(_ROLES_OF_FUNCTIONS.get(kind, ""), window, kind in _REARRANGING_FUNCTIONS)
