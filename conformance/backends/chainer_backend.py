"""The Chainer backend: networks of chainer_gconv's layers."""

from functools import partial
from importlib.util import find_spec

import numpy as np

from conformance.backends.sequential import SequentialBackend
from conformance.network import weight_keys


class ChainerBackend(SequentialBackend):
    """chainer_gconv on NumPy arrays."""

    name = "chainer"
    attributes = {
        "W": "W",
        "b": "b",
        "mask": "filter_mask",
        "gamma": "gamma",
        "beta": "beta",
        "mean": "avg_mean",
        "var": "avg_var",
    }

    def unavailable_because(self):
        if find_spec("chainer") is None:
            return "Chainer is not installed: pip install 'groupy-gconv[chainer]'."
        return None

    def versions(self):
        chainer = _bridged_chainer()
        return {"chainer": chainer.__version__, "numpy": np.__version__}

    def build(self, network, parameters, dtype):
        chainer = _bridged_chainer()
        model = chainer.Sequential(*self.layers(network, parameters, dtype))
        model.network = network
        return model

    def forward(self, model, x, training=False):
        chainer = _bridged_chainer()
        with chainer.using_config("train", training), chainer.no_backprop_mode():
            return self.apply(model, chainer.Variable(x)).array

    def gradients(self, model, x, gy, training=False):
        chainer = _bridged_chainer()
        x = chainer.Variable(x)
        model.cleargrads()
        with chainer.using_config("train", training):
            y = self.apply(model, x)
            y.grad = gy
            y.backward()
        return x.grad, {key: self.attribute(model, key).grad for key in weight_keys(model.network)}

    def transformed_filters(self, model):
        from chainer_gconv import TransformGFilter

        layer = model[0]
        return TransformGFilter(layer.inds)(layer.masked_W()).array

    def array(self, value):
        return getattr(value, "array", value)

    def save(self, model, path):
        with open(path, "wb") as file:
            _bridged_chainer().serializers.save_npz(file, model)

    def load(self, model, path):
        _bridged_chainer().serializers.load_npz(path, model)

    def conv(self, op, parameters, dtype):
        import chainer_gconv

        return getattr(chainer_gconv, op.layer)(
            op.in_channels,
            op.out_channels,
            op.ksize,
            filter_mask=parameters.get("mask"),
            stride=op.stride,
            pad=op.pad,
            nobias=not op.bias,
            initialW=parameters["W"],
            initial_bias=parameters.get("b"),
            dtype=dtype,
        )

    def batch_norm(self, op, parameters, dtype):
        import chainer_gconv

        return chainer_gconv.GBatchNorm(
            op.channels,
            decay=1 - op.momentum,
            eps=op.eps,
            dtype=dtype,
            initial_gamma=parameters["gamma"],
            initial_beta=parameters["beta"],
            initial_avg_mean=parameters["mean"],
            initial_avg_var=parameters["var"],
        )

    def relu(self, op, parameters, dtype):
        import chainer.functions as F

        return F.relu

    def spatial_max_pool(self, op, parameters, dtype):
        from chainer_gconv import plane_group_spatial_max_pooling

        return partial(plane_group_spatial_max_pooling, ksize=op.ksize, stride=op.stride, cover_all=False)

    def coset_max_pool(self, op, parameters, dtype):
        from chainer_gconv import coset_max_pooling

        return coset_max_pooling


def _bridged_chainer():
    import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
    import chainer

    del chainer_gconv
    return chainer
