"""The Chainer backend: networks of chainer_gconv's layers."""

from functools import partial
from importlib.util import find_spec

import numpy as np

from conformance.backends.base import Backend
from conformance.network import (
    BatchNorm,
    Conv,
    CosetMaxPool,
    ReLU,
    SpatialMaxPool,
    parameter_shapes,
    parameters_of,
    weight_keys,
)

# Neutral names of parameters to Chainer's attributes.
_ATTRIBUTES = {
    "W": "W",
    "b": "b",
    "mask": "filter_mask",
    "gamma": "gamma",
    "beta": "beta",
    "mean": "avg_mean",
    "var": "avg_var",
}


class ChainerBackend(Backend):
    """chainer_gconv on NumPy arrays."""

    name = "chainer"

    def unavailable_because(self):
        if find_spec("chainer") is None:
            return "Chainer is not installed: pip install 'groupy-gconv[chainer]'."
        return None

    def versions(self):
        chainer = _bridged_chainer()
        return {"chainer": chainer.__version__, "numpy": np.__version__}

    def build(self, network, parameters, dtype):
        chainer = _bridged_chainer()
        links = (_MAKERS[type(op)](op, parameters_of(parameters, i), dtype) for i, op in enumerate(network))
        model = chainer.Sequential(*links)
        model.network = network
        return model

    def forward(self, model, x, training=False):
        chainer = _bridged_chainer()
        with chainer.using_config("train", training), chainer.no_backprop_mode():
            return _apply(model, chainer.Variable(x)).array

    def gradients(self, model, x, gy, training=False):
        chainer = _bridged_chainer()
        x = chainer.Variable(x)
        model.cleargrads()
        with chainer.using_config("train", training):
            y = _apply(model, x)
            y.grad = gy
            y.backward()
        return x.grad, {key: _attribute(model, key).grad for key in weight_keys(model.network)}

    def transformed_filters(self, model):
        from chainer_gconv import TransformGFilter

        layer = model[0]
        return TransformGFilter(layer.inds)(layer.masked_W()).array

    def parameters(self, model):
        values = {key: _attribute(model, key) for key in parameter_shapes(model.network)}
        arrays = {key: getattr(value, "array", value) for key, value in values.items()}
        return {key: value[..., 0, 0] if key.endswith(".mask") else value for key, value in arrays.items()}

    def save(self, model, path):
        with open(path, "wb") as file:
            _bridged_chainer().serializers.save_npz(file, model)

    def load(self, model, path):
        _bridged_chainer().serializers.load_npz(path, model)


def _bridged_chainer():
    import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
    import chainer

    del chainer_gconv
    return chainer


def _apply(model, x):
    """X and y are (N, C, S, H, W); lifting layers take pictures (N, C, H, W), as their users give them."""
    import chainer.functions as F

    if x.shape[2] == 1 and isinstance(model.network[0], Conv):
        x = x[:, :, 0]
    y = model(x)
    return F.expand_dims(y, 2) if y.ndim == 4 else y


def _attribute(model, key):
    position, name = key.split(".")
    return getattr(model[int(position)], _ATTRIBUTES[name])


def _conv(op, parameters, dtype):
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


def _batch_norm(op, parameters, dtype):
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


def _relu(op, parameters, dtype):
    import chainer.functions as F

    return F.relu


def _spatial_max_pool(op, parameters, dtype):
    from chainer_gconv import plane_group_spatial_max_pooling

    return partial(plane_group_spatial_max_pooling, ksize=op.ksize, stride=op.stride, cover_all=False)


def _coset_max_pool(op, parameters, dtype):
    from chainer_gconv import coset_max_pooling

    return coset_max_pooling


_MAKERS = {
    Conv: _conv,
    BatchNorm: _batch_norm,
    ReLU: _relu,
    SpatialMaxPool: _spatial_max_pool,
    CosetMaxPool: _coset_max_pool,
}
