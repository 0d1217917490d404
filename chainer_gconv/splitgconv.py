"""SplitGConv: the group convolution of split groups in Chainer, on whatever grid.

A group is split if each of its elements is a translation times an element of the stabilizer H
of the origin. Then the group convolution
    [x * w](t, h) = sum over s of  x(s) [L_th w](s) = sum over s of  x(s) [L_h w](t^-1 s)
is, for each h in H, the correlation on the grid of x with the filter transformed by h. So a layer is
an index table, which makes all transformed filters at once, and one ordinary convolution.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7; HexaConv paper (Hoogeboom
et al. 2018, arXiv:1803.02108), section 4.
"""

import math
from typing import Callable, ClassVar, Optional

import chainer
import chainer.functions as F
import numpy as np
from chainer import initializers

from chainer_gconv.convolution import convolution
from chainer_gconv.hexagonal import zero_outside
from chainer_gconv.transform_filter import KeptFilters, transform_filter
from groupy.gconv import geometry
from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.initialization import named_initialization
from groupy.gconv.layer_specs import LayerSpec

# How groupy.gconv.initialization's distributions of weights are drawn.
_DRAW = {"normal": initializers.Normal, "uniform": initializers.Uniform}


class SplitGConv(chainer.Link):
    """What SplitGConv2D and SplitGConv3D have in common: all but the dimension and the ordinary convolution.

    Arguments and shapes: see SplitGConv2D; in three dimensions (D, H, W) stands for (H, W).
    """

    ndim: ClassVar[int]
    _convolve: ClassVar[Callable]
    spec: Optional[LayerSpec] = None  # a subclass without one has GrouPy's attributes and method instead

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.spec is not None and cls.spec.ndim != cls.ndim:
            raise TypeError(
                f"{cls.__name__}: the group of its spec, {cls.spec.name}, acts on a grid of {cls.spec.ndim} "
                f"dimensions; derive it from SplitGConv{cls.spec.ndim}D."
            )

    def __init__(
        self,
        in_channels,
        out_channels,
        ksize=3,
        filter_mask=None,
        flat_channels=False,
        stride=1,
        pad=0,
        wscale=1,
        nobias=False,
        use_cudnn=True,
        initialW=None,
        initial_bias=None,
        dtype=None,
        strict=False,
        output_mask=True,
    ):
        super().__init__()
        layer = type(self).__name__
        dtype = chainer.get_dtype(dtype, map_mixed16=np.float16)
        if dtype.name not in ("float16", "float32", "float64"):
            raise TypeError(f"{layer}: dtype must be float16, float32 or float64, got {dtype}.")
        self.dtype = dtype
        self.in_channels = None  # until W has its shape
        if in_channels is not None:
            in_channels = geometry.check_channels(layer, "in_channels", in_channels)
        self.out_channels = geometry.check_channels(layer, "out_channels", out_channels)
        self.ksize = self._as_ksize(layer, ksize)
        self.stride = geometry.as_sides(layer, "stride", stride, self.ndim, minimum=1)
        self.pad = geometry.as_sides(layer, "pad", pad, self.ndim, minimum=0)
        self.use_cudnn = use_cudnn
        self.flat_channels = flat_channels
        self.usebias = not nobias
        self.strict = strict
        self.output_mask = self._as_output_mask(layer, output_mask)
        self._warned = False
        self._kept = KeptFilters()

        self.add_persistent("inds", self.make_transformation_indices(self.ksize))
        shared = self.spec.transformation(self.ksize) if self.spec else None
        own_table = shared is None or not np.array_equal(self.inds, shared.table)
        self.transformation = FilterTransformation(self.inds) if own_table else shared
        self.filter_mask = None
        if filter_mask is not None:
            self.filter_mask = np.asarray(filter_mask, dtype)[(..., *(None,) * self.ndim)]
            self.register_persistent("filter_mask")
        # Follows from the group and ksize, so no snapshot holds it.
        self._filter_support = self.spec.filter_support(self.ksize) if self.spec else None
        with self.init_scope():
            self.W = chainer.Parameter(self._initializer_of_W(layer, initialW, wscale))
            if self.usebias:
                initial_bias = 0 if initial_bias is None else initial_bias
                initial_bias = _Initializer(layer, "initial_bias", initial_bias, dtype)
                self.b = chainer.Parameter(initial_bias, self.out_channels)
        if in_channels is not None:
            self._initialize_W(in_channels)

    def _as_ksize(self, layer, ksize):
        """The side of the kernel, an int as in GrouPy, or its sides if they differ."""
        if self.spec is None:
            sides = geometry.as_sides(layer, "ksize", ksize, self.ndim, minimum=1)
        else:
            sides = self.spec.kernel(layer, "ksize", ksize)
        return sides[0] if len(set(sides)) == 1 else sides

    def _as_output_mask(self, layer, mask):
        """True, False, or booleans (H', W')."""
        if isinstance(mask, (bool, np.bool_)):
            return bool(mask)
        array = chainer.cuda.to_cpu(mask) if isinstance(mask, chainer.get_array_types()) else np.asarray(mask)
        if array.dtype != np.bool_ or array.ndim != self.ndim:
            raise ValueError(
                f"{layer}: output_mask must be True, False, or booleans with {self.ndim} axes, those of the output's "
                f"grid; got {array.dtype} of shape {array.shape}."
            )
        return array

    def _initializer_of_W(self, layer, initialW, wscale):
        if initialW is None:
            counted = 1 if self._filter_support is None else self._filter_support.mean()
            initialW = initializers.LeCunNormal(wscale / counted**0.5)  # it counts all taps
        elif isinstance(initialW, str):
            rule = named_initialization(layer, "initialW", initialW)
            initialW = _NamedInitializer(rule, self._filter_support)
        return _Initializer(layer, "initialW", initialW, self.dtype, self._filter_support)

    def _initialize_W(self, in_channels):
        self._check_mask(in_channels)
        self.W.initialize(self._shape_of_W(in_channels))
        self._note_in_channels()

    def _check_mask(self, in_channels):
        if self.filter_mask is not None:
            sizes = (self.out_channels, in_channels, self.input_stabilizer_size)
            mask = self.filter_mask[(..., *(0,) * self.ndim)]
            geometry.check_mask(type(self).__name__, mask, *sizes)

    def _note_in_channels(self):
        if self.W.array is not None:
            self.in_channels = self.W.shape[1]

    def _shape_of_W(self, in_channels):
        return (self.out_channels, in_channels, self.input_stabilizer_size, *self.transformation.kernel)

    @property
    def input_stabilizer_size(self):
        """S_in: 1 for a lifting convolution, else S_out."""
        return self.spec.input_stabilizer_size

    @property
    def output_stabilizer_size(self):
        """S_out: the order of the stabilizer."""
        return self.spec.output_stabilizer_size

    @property
    def window(self):
        """How the kernel steps over the grid."""
        return geometry.Window(self.transformation.kernel, self.stride, self.pad, self.pad)

    def make_transformation_indices(self, ksize):
        """The index table, int32 (S_out, S_in, k, k, 3); a subclass without a spec makes its own."""
        return np.array(self.spec.transformation(ksize).table)

    def masked_W(self):
        """The canonical filters, (O, I, S_in, k, k): W, times the filter mask if there is one, zero off the hexagon.

        What W holds where it is masked, or off the hexagon, is not looked at.
        """
        W = zero_outside(self.W, self._filter_support)
        if self.filter_mask is None:
            return W
        # A product alone would make NaN of 0 times infinity.
        return zero_outside(W, self.filter_mask != 0) * self.xp.broadcast_to(self.filter_mask, W.shape)

    def __call__(self, x, *args, **kwargs):
        """forward, between the link hooks that there are."""
        if self.W.array is None:
            # Hooks want the shape of W too. From x they would take I * S_in for I where its channels are folded.
            self._initialize_W(self._check(x, stacklevel=3))
        return super().__call__(x, *args, **kwargs)

    def forward(self, x):
        """x: (N, I, S_in, H, W) or (N, I * S_in, H, W) -> y: (N, O, S_out, H', W'), folded if flat_channels."""
        x = chainer.as_variable(x)
        in_channels = self._check(x, stacklevel=5)
        if self.W.array is None:  # forward was called by itself
            self._initialize_W(in_channels)
        size, window = x.shape[-self.ndim :], self.window
        if chainer.config.train:
            self._kept.drop()
        folded = transform_filter(self.masked_W(), self.transformation, None if chainer.config.train else self._kept)
        x = F.reshape(x, (x.shape[0], in_channels * self.input_stabilizer_size, *size))
        x = zero_outside(x, self._input_support(size))
        y = self._correlate(x, folded, window)
        y = zero_outside(y, self._output_support(y.shape[2:]))
        if self.flat_channels:
            return y
        S_out = self.output_stabilizer_size
        return F.reshape(y, (y.shape[0], y.shape[1] // S_out, S_out, *y.shape[2:]))

    def _correlate(self, x, folded, window):
        """x (N, I * S_in, H, W) and folded filters (O * S_out, I * S_in, k, k) -> (N, O * S_out, H', W')."""
        b = self.b if self.usebias else None
        if isinstance(x.array, np.ndarray) and isinstance(folded.array, np.ndarray):
            return convolution(x, folded, b, window=window, kept=self._kept)
        if b is not None:
            b = F.repeat(F.cast(b, x.dtype), self.output_stabilizer_size, axis=0)
        with chainer.using_config("use_cudnn", chainer.config.use_cudnn if self.use_cudnn else "never"):
            return self._convolve(x, folded, b, stride=self.stride, pad=self.pad)

    def _check(self, x, stacklevel):
        """The number of input channels, if x fits the layer; stacklevel: as of warnings.warn, for a caller of this."""
        layer, S_in = type(self).__name__, self.input_stabilizer_size
        size, window = x.shape[-self.ndim :], self.window
        self._note_in_channels()  # a copy that shares W may have initialized it
        in_channels = self.in_channels or geometry.channels_of(layer, x.shape, S_in, self.ndim)
        geometry.check_input(layer, x.shape, x.dtype.kind, in_channels, S_in, self.ndim)
        window.check_size(layer, size)
        self._output_support(window.output_size(size))  # refuses a mask of another size
        stabilizer = self.spec.stabilizer if self.spec else None
        geometry.announce_break(self, window.equivariance_break(layer, size, stabilizer), stacklevel)
        return in_channels

    def _input_support(self, size):
        """The points of the input, booleans of its size; None if all are, as where one's own mask says which are."""
        if self.spec is None or self.output_mask is not True:
            return None
        return geometry.grid_support(self.spec.stabilizer, size)

    def _output_support(self, size):
        """The points of the output, booleans of its size; None if all are."""
        if self.output_mask is True:
            return geometry.grid_support(self.spec.stabilizer, size) if self.spec else None
        if self.output_mask is False:
            return None
        if self.output_mask.shape != size:
            raise ValueError(
                f"{type(self).__name__}: output_mask has shape {self.output_mask.shape}, but the output's grid has "
                f"{size}. Give a mask of that shape."
            )
        return self.output_mask

    def serialize(self, serializer):
        """Save or load W, b, filter_mask and inds.

        Raises ValueError, with nothing loaded into this layer, if a snapshot's arrays are not of this layer.
        """
        if isinstance(serializer, chainer.Deserializer):
            names = [name for name in ("W", "b", "filter_mask", "inds") if getattr(self, name, None) is not None]
            self._check_snapshot(**{name: serializer(name, None) for name in names})
        super().serialize(serializer)
        self._note_in_channels()

    def _check_snapshot(self, W, inds, b=None, filter_mask=None):  # None: the snapshot does not have it
        layer, in_channels = type(self).__name__, self.in_channels
        if in_channels is None and W is not None and W.ndim == 3 + self.ndim:
            in_channels = W.shape[1]
        shapes = {"W": self._shape_of_W(in_channels or "I"), "b": (self.out_channels,)}
        shapes["filter_mask"] = (*shapes["W"][:3], *(1,) * self.ndim)
        for name, array in (("W", W), ("b", b), ("filter_mask", filter_mask)):
            if array is not None and array.shape != shapes[name]:
                expected = str(shapes[name]).replace("'", "")
                raise ValueError(
                    f"{layer}: the snapshot's {name} has shape {array.shape}, but this layer's has {expected}."
                )
        if self.in_channels is None and in_channels is not None and filter_mask is None:
            self._check_mask(in_channels)
        if inds is not None and not np.array_equal(inds, self.transformation.table):
            raise ValueError(
                f"{layer}: the snapshot's index table 'inds' is not this layer's. Its filters were "
                "trained with group elements in another order, and would be transformed wrongly here."
            )


class _NamedInitializer(chainer.Initializer):
    """W's values by groupy.gconv.initialization; support: the hexagon's taps, or None."""

    def __init__(self, rule, support):
        super().__init__()
        self.rule, self.support = rule, support

    def __call__(self, array):
        taps = math.prod(array.shape[3:]) if self.support is None else int(self.support.sum())
        _DRAW[self.rule.weight](self.rule.scale(*array.shape[1:3], taps))(array)


class _Initializer(chainer.Initializer):
    """A user's initial value (an array, a number, an initializer) for a parameter of the layer's dtype.

    support: booleans that broadcast to the parameter; where they are false it is zero, unless it is given as an array
    """

    def __init__(self, layer, name, initial, dtype, support=None):
        super().__init__(dtype)
        own = getattr(initial, "dtype", None) if callable(initial) else None
        if own is not None and np.dtype(own) != dtype:
            raise ValueError(f"{layer}: {name} initializes {np.dtype(own)}, but the layer's dtype is {dtype}.")
        if isinstance(initial, (list, tuple)):
            initial = np.array(initial, dtype)
        self.layer, self.name = layer, name
        self.fill = initial if callable(initial) else initializers.Constant(initial)
        self.shape = None if callable(initial) or np.ndim(initial) == 0 else tuple(np.shape(initial))
        self.support = support if self.shape is None else None

    def __call__(self, array):
        if self.shape not in (None, array.shape):
            raise ValueError(f"{self.layer}: {self.name} must have shape {array.shape}, got {self.shape}.")
        self.fill(array)
        if self.support is not None:
            array *= chainer.backend.get_device_from_array(array).send(self.support)
