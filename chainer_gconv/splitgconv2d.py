"""SplitGConv2D: the group convolution of split plane groups, in Chainer.

A group is split if each of its elements is a translation times an element of the stabilizer H
of the origin. Then the group convolution
    [x * w](t, h) = sum over s of  x(s) [L_th w](s) = sum over s of  x(s) [L_h w](t^-1 s)
is, for each h in H, the planar correlation of x with the filter transformed by h. So a layer is
an index table, which makes all transformed filters at once, and one ordinary convolution.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import chainer
import chainer.functions as F
import numpy as np
from chainer import initializers

from chainer_gconv.transform_filter import KeptFilters, transform_filter
from groupy.gconv import geometry
from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LayerSpec


class SplitGConv2D(chainer.Link):
    """Group convolution over a split plane group; a subclass names its LayerSpec as `spec`.

    x: (N, I, S_in, H, W), or with channels folded, (N, I * S_in, H, W); float16, 32 or 64
    W: (O, I, S_in, k, k); b: (O,), one bias for each output channel, shared over the stabilizer
    y: (N, O, S_out, H', W'), or (N, O * S_out, H', W') if flat_channels

    in_channels: None to take it from the first input, or from a snapshot
    ksize: the side of the square kernel, odd or even
    filter_mask: (O, I, S_in), multiplied into W; zeros restrict the filters' support on the group
    stride, pad: an integer or a pair (u, v)
    wscale: factor on the standard deviation sqrt(1 / (I * S_in * k * k)) of the initial W
    use_cudnn: False keeps the forward pass off cuDNN; for gradients too, set chainer.config.use_cudnn
    initialW, initial_bias: an array or list of W's or b's shape, a number, or a Chainer initializer
    strict: True to raise EquivarianceError for an input size that breaks equivariance
    dtype: of W and b, and by default chainer.config.dtype, float16 where that is mixed16; x may have another

    Raises TypeError or ValueError, naming the argument, if one does not fit. An input size that
    breaks equivariance at the given stride is warned of once (EquivarianceWarning).

    In evaluation (chainer.config.train false) the transformed filters are kept for as long as W's
    values stay what they were; see KeptFilters.
    """

    spec: LayerSpec

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
        self.ksize = geometry.square_kernel(layer, "ksize", ksize)
        self.stride = geometry.as_pair(layer, "stride", stride, minimum=1)
        self.pad = geometry.as_pair(layer, "pad", pad, minimum=0)
        self.use_cudnn = use_cudnn
        self.flat_channels = flat_channels
        self.usebias = not nobias
        self.strict = strict
        self._warned = False
        self._kept = KeptFilters()

        self.add_persistent("inds", self.make_transformation_indices(self.ksize))
        spec = getattr(self, "spec", None)
        shared = spec.transformation(self.ksize) if spec else None
        own_table = shared is None or not np.array_equal(self.inds, shared.table)
        self.transformation = FilterTransformation(self.inds) if own_table else shared
        self.filter_mask = None
        if filter_mask is not None:
            self.filter_mask = np.asarray(filter_mask, dtype)[..., None, None]
            self.register_persistent("filter_mask")
        if initialW is None:
            initialW = initializers.LeCunNormal(wscale)
        with self.init_scope():
            self.W = chainer.Parameter(_Initializer(layer, "initialW", initialW, dtype))
            if self.usebias:
                initial_bias = 0 if initial_bias is None else initial_bias
                initial_bias = _Initializer(layer, "initial_bias", initial_bias, dtype)
                self.b = chainer.Parameter(initial_bias, self.out_channels)
        if in_channels is not None:
            self._initialize_W(in_channels)

    def _initialize_W(self, in_channels):
        self._check_mask(in_channels)
        self.W.initialize(self._shape_of_W(in_channels))
        self._note_in_channels()

    def _check_mask(self, in_channels):
        if self.filter_mask is not None:
            sizes = (self.out_channels, in_channels, self.input_stabilizer_size)
            geometry.check_mask(type(self).__name__, self.filter_mask[..., 0, 0], *sizes)

    def _note_in_channels(self):
        if self.W.is_initialized:
            self.in_channels = self.W.shape[1]

    def _shape_of_W(self, in_channels):
        return (self.out_channels, in_channels, self.input_stabilizer_size, self.ksize, self.ksize)

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
        return geometry.Window((self.ksize, self.ksize), self.stride, self.pad, self.pad)

    def make_transformation_indices(self, ksize):
        """The index table, int32 (S_out, S_in, ksize, ksize, 3); a subclass without a spec makes its own."""
        return np.array(self.spec.transformation(ksize).table)

    def masked_W(self):
        """The canonical filters, (O, I, S_in, k, k): W, times the filter mask if there is one."""
        return self.W if self.filter_mask is None else self.W * self.xp.broadcast_to(self.filter_mask, self.W.shape)

    def forward(self, x):
        """x: (N, I, S_in, H, W) or (N, I * S_in, H, W) -> y: (N, O, S_out, H', W'), folded if flat_channels."""
        x = chainer.as_variable(x)
        self._check(x)
        if chainer.config.train:
            self._kept.drop()
        folded = transform_filter(self.masked_W(), self.transformation, None if chainer.config.train else self._kept)
        size = x.shape[-2:]
        x = F.reshape(x, (x.shape[0], self.in_channels * self.input_stabilizer_size, *size))
        b = F.repeat(F.cast(self.b, x.dtype), self.output_stabilizer_size, axis=0) if self.usebias else None
        with chainer.using_config("use_cudnn", chainer.config.use_cudnn if self.use_cudnn else "never"):
            y = F.convolution_2d(x, folded, b, stride=self.stride, pad=self.pad)
        if self.flat_channels:
            return y
        return F.reshape(y, (y.shape[0], self.out_channels, self.output_stabilizer_size, *y.shape[2:]))

    def _check(self, x):
        layer, S_in = type(self).__name__, self.input_stabilizer_size
        self._note_in_channels()  # a copy that shares W may have initialized it
        in_channels = self.in_channels or geometry.channels_of(layer, x.shape, S_in)
        geometry.check_input(layer, x.shape, x.dtype.kind, in_channels, S_in)
        self.window.check_size(layer, x.shape[-2:])
        geometry.announce_break(self, self.window.equivariance_break(layer, x.shape[-2:]), stacklevel=4)
        if not self.W.is_initialized:
            self._initialize_W(in_channels)

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
        if in_channels is None and W is not None and W.ndim == 5:
            in_channels = W.shape[1]
        shapes = {"W": self._shape_of_W(in_channels or "I"), "b": (self.out_channels,)}
        shapes["filter_mask"] = (*shapes["W"][:3], 1, 1)
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


class _Initializer(chainer.Initializer):
    """A user's initial value (an array, a number, an initializer) for a parameter of the layer's dtype."""

    def __init__(self, layer, name, initial, dtype):
        super().__init__(dtype)
        own = getattr(initial, "dtype", None) if callable(initial) else None
        if own is not None and np.dtype(own) != dtype:
            raise ValueError(f"{layer}: {name} initializes {np.dtype(own)}, but the layer's dtype is {dtype}.")
        if isinstance(initial, (list, tuple)):
            initial = np.array(initial, dtype)
        self.layer, self.name = layer, name
        self.fill = initial if callable(initial) else initializers.Constant(initial)
        self.shape = None if callable(initial) or np.ndim(initial) == 0 else tuple(np.shape(initial))

    def __call__(self, array):
        if self.shape not in (None, array.shape):
            raise ValueError(f"{self.layer}: {self.name} must have shape {array.shape}, got {self.shape}.")
        self.fill(array)
