"""Contenders in Chainer: chainer_gconv, and what GrouPy did, both with NumPy; with CuPy on a GPU."""

import chainer_gconv  # it bridges Chainer to today's NumPy, so it comes first

import chainer  # isort: skip
import chainer.functions as F
import numpy as np

from benchmarks import chainer_networks
from benchmarks.contenders import Contender
from benchmarks.sizes import KSIZE, PADDING, NetworkShape
from benchmarks.targets import CONSTRUCTION, INDEX_TABLE, OPERATIONS
from chainer_gconv.transform_filter import transform_filter
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4

_DEVICES = {"cpu": "@numpy", "cuda": "@cupy:0"}  # as Chainer calls them


def _device_of(shape):
    return chainer.get_device(_DEVICES[shape.device])


class ChainerContender(Contender):
    """A layer of Chainer, on (N, I, S_in, H, W).

    operations: that it has
    devices, dtypes: on which, and in which, it computes
    """

    pool = "numpy"
    operations = frozenset(OPERATIONS) - {INDEX_TABLE}
    devices = ("cpu", "cuda") if chainer.backends.cuda.available else ("cpu",)
    dtypes = ("float16", "float32", "float64")

    def takes(self, operation, shape):
        # The variances of a network's batch normalization overflow in halves.
        dtypes = set(self.dtypes) - ({"float16"} if isinstance(shape, NetworkShape) else set())
        return operation in self.operations and shape.device in self.devices and shape.dtype in dtypes

    def layer(self, spec, in_channels, out_channels, ksize, **keywords):
        """Its layer for a LayerSpec; keywords: stride, pad and dtype."""
        raise NotImplementedError

    def folded_filters(self, layer):
        """The folded filters of the layer's canonical ones, a variable."""
        raise NotImplementedError

    def network(self, shape):
        """The network of a NetworkShape, of the contender's layers."""
        raise NotImplementedError

    def construct(self, shape):
        dtype = np.dtype(shape.dtype)
        layer = self.layer(shape.spec, shape.in_channels, shape.channels, KSIZE, pad=PADDING, dtype=dtype)
        return layer.to_device(_device_of(shape))

    def input(self, shape):
        """What the layer is given: (N, I, S_in, H, W), in the shape's layout and dtype, on its device; a variable."""
        x = shape.feature_map().astype(np.dtype(shape.dtype))
        if shape.layout == "channels_last":
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        if not shape.spec.lifting:
            x = x.reshape(len(x), shape.in_channels, -1, *x.shape[2:])  # a view
        return chainer.Variable(_device_of(shape).send(x))

    def output_gradient(self, y):
        """What comes from the layers that follow: it lies in memory as y does."""
        xp = chainer.backend.get_array_module(y)
        gy = xp.empty_like(y)
        gy[...] = xp.random.standard_normal(y.shape)
        return gy

    def training_step(self, shape):
        layer, x = self.construct(shape), self.input(shape)
        gy = self.output_gradient(layer(x).array)

        def step():
            layer.cleargrads()
            x.cleargrad()
            y = layer(x)
            y.grad = gy
            y.backward()

        return step

    def evaluation(self, shape):
        layer, x = self.construct(shape), self.input(shape)

        def evaluate():
            with chainer.using_config("train", False), chainer.no_backprop_mode():
                return layer(x)

        return evaluate

    def filter_transformation(self, shape, gradient):
        layer = self.construct(shape)
        folded_gradient = self.output_gradient(self.folded_filters(layer).array)

        def transform():
            with chainer.no_backprop_mode():
                return self.folded_filters(layer)

        def transform_and_back():
            layer.cleargrads()
            folded = self.folded_filters(layer)
            folded.grad = folded_gradient
            folded.backward()

        return transform_and_back if gradient else transform

    def network_training_step(self, shape):
        return chainer_networks.training_step(self.network(shape), shape, _device_of(shape))

    def synchronize(self, shape):
        if shape.device == "cuda":
            chainer.backends.cuda.cupy.cuda.Device().synchronize()


class ChainerGConv(ChainerContender):
    """chainer_gconv."""

    rival = "chainer_gconv"

    def layer(self, spec, *arguments, **keywords):
        return getattr(chainer_gconv, spec.name)(*arguments, **keywords)

    def folded_filters(self, layer):
        return transform_filter(layer.masked_W(), layer.transformation)

    def network(self, shape):
        return chainer_networks.published_network(shape)


class GrouPyInChainer(ChainerContender):
    """What GrouPy does, for the groups that it has; made anew here on NumPy, since its own kernels are for GPUs."""

    rival = "GrouPy in Chainer"
    operations = ChainerContender.operations - {CONSTRUCTION}  # in which GrouPy makes its table in a way of its own
    devices = ("cpu",)
    dtypes = ("float32", "float64")  # in halves NumPy multiplies one by one, which takes hundreds of times as long

    def takes(self, operation, shape):
        has_group = isinstance(shape, NetworkShape) or shape.spec.group in (C4, D4)
        return super().takes(operation, shape) and has_group

    def layer(self, *arguments, **keywords):
        return GrouPyGConv(*arguments, **keywords)

    def folded_filters(self, layer):
        return layer.folded_filters()

    def network(self, shape):
        def like(layer):
            keywords = {"stride": layer.stride, "pad": layer.pad, "dtype": layer.dtype}
            return self.layer(layer.spec, layer.in_channels, layer.out_channels, layer.ksize, **keywords)

        return chainer_networks.replace_convolutions(chainer_networks.published_network(shape), like)


class GrouPyGConv(chainer.Link):
    """The group convolution as GrouPy computes it.

    x: (N, I, S_in, H, W), or (N, I, H, W) where S_in is 1 -> y: (N, O, S_out, H', W'); W: (O, I, S_in, k, k); b: (O,)

    Each forward transforms the filters, in training and evaluation alike, convolves by Chainer's function, and adds
    the bias to what comes out.
    Source: github.com/tscohen/GrouPy, groupy/gconv/chainer_gconv, of 2016. Nothing is copied from it.
    """

    def __init__(self, spec, in_channels, out_channels, ksize, stride=1, pad=0, dtype=np.float32):
        super().__init__()
        self.table = spec.transformation(ksize).table
        self.stride, self.pad = stride, pad
        with self.init_scope():
            shape = (out_channels, in_channels, *self.table.shape[1:-1])
            self.W = chainer.Parameter(chainer.initializers.LeCunNormal(dtype=dtype), shape)
            self.b = chainer.Parameter(chainer.initializers.Zero(dtype), out_channels)

    def folded_filters(self):
        """The folded filters, (O * S_out, I * S_in, k, k)."""
        (orbit,) = TransformGFilter(self.table).apply((self.W,))
        O, S_out, I, S_in, *kernel = orbit.shape
        return F.reshape(orbit, (O * S_out, I * S_in, *kernel))

    def forward(self, x):
        """x -> y."""
        folded = self.folded_filters()
        x = F.reshape(x, (len(x), folded.shape[1], *x.shape[-2:]))
        y = F.convolution_2d(x, folded, None, self.stride, self.pad)
        y = F.reshape(y, (len(y), len(self.b), -1, *y.shape[-2:]))
        return y + F.broadcast_to(F.reshape(self.b, (1, -1, 1, 1, 1)), y.shape)


class TransformGFilter(chainer.FunctionNode):
    """w (O, I, S_in, k, k) -> its orbit (O, S_out, I, S_in, k, k), by an index array for each coordinate.

    The gradient is added up, entry by entry, where the indices lead, as GrouPy's kernel adds it; it is not
    differentiable again.
    """

    def __init__(self, table):
        self.cells = tuple(np.moveaxis(table, -1, 0))  # (g, u, v), each (S_out, S_in, k, k)

    def forward(self, inputs):
        (w,) = inputs
        self.shape = w.shape
        return (np.ascontiguousarray(w[(..., *self.cells)].swapaxes(1, 2)),)

    def backward(self, target_input_indexes, grad_outputs):
        gradient = np.zeros(self.shape, grad_outputs[0].dtype)
        np.add.at(gradient, (slice(None), slice(None), *self.cells), grad_outputs[0].array.swapaxes(1, 2))
        return (chainer.as_variable(gradient),)


CONTENDERS = {"chainer_gconv": ChainerGConv(), "GrouPy in Chainer": GrouPyInChainer()}
