"""The Chainer backends: networks of chainer_gconv's layers, on NumPy and on CuPy arrays."""

from functools import partial
from importlib.util import find_spec

import numpy as np

from conformance.backends.sequential import SequentialBackend
from conformance.network import weight_keys


class ChainerBackend(SequentialBackend):
    """chainer_gconv on NumPy arrays."""

    name = "chainer"
    device = "@numpy"
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
        model.to_device(self.device)
        return model

    def forward(self, model, x, training=False):
        chainer = _bridged_chainer()
        with chainer.using_config("train", training), chainer.no_backprop_mode():
            return self.array(self.apply(model, self._variable(x)))

    def gradients(self, model, x, gy, training=False):
        chainer = _bridged_chainer()
        x = self._variable(x)
        model.cleargrads()
        with chainer.using_config("train", training):
            y = self.apply(model, x)
            y.grad = chainer.get_device(self.device).send(gy)
            y.backward()
        return self.array(x.grad), {
            key: self.array(self.attribute(model, key).grad) for key in weight_keys(model.network)
        }

    def transformed_filters(self, model):
        from chainer_gconv import TransformGFilter

        layer = model[0]
        return self.array(TransformGFilter(layer.inds)(layer.masked_W()))

    def _variable(self, x):
        chainer = _bridged_chainer()
        return chainer.Variable(chainer.get_device(self.device).send(x))

    def array(self, value):
        return _bridged_chainer().cuda.to_cpu(getattr(value, "array", value))

    def save(self, model, path):
        with open(path, "wb") as file:
            _bridged_chainer().serializers.save_npz(file, model)

    def load(self, model, path):
        _bridged_chainer().serializers.load_npz(path, model)

    def conv(self, op, parameters, dtype):
        import chainer_gconv

        return chainer_gconv.layer_of(op.spec)(
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
            hexagonal=op.hexagonal,
        )

    def relu(self, op, parameters, dtype):
        import chainer.functions as F

        return F.relu

    def square(self, op, parameters, dtype):
        import chainer.functions as F

        return F.square

    def spatial_max_pool(self, op, parameters, dtype):
        from chainer_gconv import plane_group_spatial_max_pooling

        return partial(
            plane_group_spatial_max_pooling,
            ksize=op.ksize,
            stride=op.stride,
            pad=op.pad,
            cover_all=False,
            hexagonal=op.hexagonal,
        )

    def coset_max_pool(self, op, parameters, dtype):
        from chainer_gconv import coset_max_pooling

        return coset_max_pooling

    def restrict(self, op, parameters, dtype):
        from chainer_gconv import restrict

        return partial(restrict, group=op.group, subgroup=op.subgroup)

    def unrestrict(self, op, parameters, dtype):
        from chainer_gconv import unrestrict

        return partial(unrestrict, group=op.group, subgroup=op.subgroup)

    def induce(self, op, parameters, dtype):
        from chainer_gconv import induce

        return partial(induce, group=op.group, subgroup=op.subgroup)


class ChainerCudaBackend(ChainerBackend):
    """chainer_gconv on CuPy arrays."""

    name = "chainer-cuda"
    device = "@cupy:0"

    def unavailable_because(self):
        reason = super().unavailable_because()
        if reason is not None:
            return reason
        if find_spec("cupy") is None:
            return "CuPy is not installed: pip install 'groupy-gconv[cuda13]' (CUDA 13) or 'groupy-gconv[cuda12]'."
        import cupy

        return None if cupy.cuda.is_available() else "CuPy sees no CUDA device."

    def versions(self):
        import cupy

        device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        return {**super().versions(), "cupy": cupy.__version__, "device": device}


def _bridged_chainer():
    import chainer_gconv  # isort: skip - it bridges Chainer to today's NumPy, so it comes first
    import chainer

    del chainer_gconv
    return chainer
