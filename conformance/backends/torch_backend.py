"""The PyTorch backend: networks of torch_gconv's layers, on the CPU."""

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

# Neutral names of parameters to PyTorch's attributes.
_ATTRIBUTES = {
    "W": "weight",
    "b": "bias",
    "mask": "filter_mask",
    "gamma": "weight",
    "beta": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


class TorchBackend(Backend):
    """torch_gconv on CPU tensors."""

    name = "torch"

    def unavailable_because(self):
        if find_spec("torch") is None:
            return "PyTorch is not installed: pip install 'groupy-gconv[torch]'."
        return None

    def versions(self):
        import torch

        return {"torch": torch.__version__, "numpy": np.__version__}

    def build(self, network, parameters, dtype):
        import torch

        dtype = torch.from_numpy(np.empty(0, dtype)).dtype
        layers = (_MAKERS[type(op)](op, parameters_of(parameters, i), dtype) for i, op in enumerate(network))
        model = torch.nn.Sequential(*layers)
        model.network = network
        with torch.no_grad():
            for key, value in parameters.items():
                value = torch.from_numpy(np.asarray(value))
                _attribute(model, key).copy_(value[..., None, None] if key.endswith(".mask") else value)
        return model

    def forward(self, model, x, training=False):
        import torch

        model.train(training)
        with torch.no_grad():
            return _apply(model, torch.from_numpy(x)).numpy()

    def gradients(self, model, x, gy, training=False):
        import torch

        model.train(training)
        model.zero_grad()
        x = torch.from_numpy(x).requires_grad_()
        _apply(model, x).backward(torch.from_numpy(gy))
        return x.grad.numpy(), {key: _attribute(model, key).grad.numpy() for key in weight_keys(model.network)}

    def transformed_filters(self, model):
        layer = model[0]
        folded = layer.folded_filters().detach().numpy()
        return folded.reshape(layer.out_channels, layer.output_stabilizer_size, *layer.weight.shape[1:])

    def parameters(self, model):
        arrays = {key: _attribute(model, key).detach().numpy() for key in parameter_shapes(model.network)}
        return {key: value[..., 0, 0] if key.endswith(".mask") else value for key, value in arrays.items()}

    def save(self, model, path):
        import torch

        torch.save(model.state_dict(), path)

    def load(self, model, path):
        import torch

        model.load_state_dict(torch.load(path, weights_only=True))


def _apply(model, x):
    """X and y are (N, C, S, H, W); lifting layers take pictures (N, C, H, W), as their users give them."""
    if x.shape[2] == 1 and isinstance(model.network[0], Conv):
        x = x[:, :, 0]
    y = model(x)
    return y[:, :, None] if y.ndim == 4 else y


def _attribute(model, key):
    position, name = key.split(".")
    return getattr(model[int(position)], _ATTRIBUTES[name])


def _conv(op, parameters, dtype):
    import torch_gconv

    return getattr(torch_gconv, op.layer)(
        op.in_channels,
        op.out_channels,
        op.ksize,
        op.stride,
        op.pad,
        bias=op.bias,
        filter_mask=parameters.get("mask"),
        dtype=dtype,
    )


def _batch_norm(op, parameters, dtype):
    import torch_gconv

    return torch_gconv.GBatchNorm(op.channels, eps=op.eps, momentum=op.momentum, dtype=dtype)


def _relu(op, parameters, dtype):
    import torch

    return torch.nn.ReLU()


def _spatial_max_pool(op, parameters, dtype):
    import torch_gconv

    return torch_gconv.GMaxPool2d(op.ksize, op.stride)


def _coset_max_pool(op, parameters, dtype):
    import torch_gconv

    return torch_gconv.CosetMaxPool()


_MAKERS = {
    Conv: _conv,
    BatchNorm: _batch_norm,
    ReLU: _relu,
    SpatialMaxPool: _spatial_max_pool,
    CosetMaxPool: _coset_max_pool,
}
