"""The PyTorch backend: networks of torch_gconv's layers, on the CPU."""

from importlib.util import find_spec

import numpy as np

from conformance.backends.sequential import SequentialBackend
from conformance.network import weight_keys


class TorchBackend(SequentialBackend):
    """torch_gconv on CPU tensors."""

    name = "torch"
    attributes = {
        "W": "weight",
        "b": "bias",
        "mask": "filter_mask",
        "gamma": "weight",
        "beta": "bias",
        "mean": "running_mean",
        "var": "running_var",
    }

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
        model = torch.nn.Sequential(*self.layers(network, parameters, dtype))
        model.network = network
        with torch.no_grad():
            for key, value in parameters.items():
                value = torch.from_numpy(np.asarray(value))
                self.attribute(model, key).copy_(value[..., None, None] if key.endswith(".mask") else value)
        return model

    def forward(self, model, x, training=False):
        import torch

        model.train(training)
        with torch.no_grad():
            return self.apply(model, torch.from_numpy(x)).numpy()

    def gradients(self, model, x, gy, training=False):
        import torch

        model.train(training)
        model.zero_grad()
        x = torch.from_numpy(x).requires_grad_()
        self.apply(model, x).backward(torch.from_numpy(gy))
        return x.grad.numpy(), {key: self.attribute(model, key).grad.numpy() for key in weight_keys(model.network)}

    def transformed_filters(self, model):
        layer = model[0]
        folded = layer.folded_filters().detach().numpy()
        return folded.reshape(layer.out_channels, layer.output_stabilizer_size, *layer.weight.shape[1:])

    def array(self, value):
        return value.detach().numpy()

    def save(self, model, path):
        import torch

        torch.save(model.state_dict(), path)

    def load(self, model, path):
        import torch

        model.load_state_dict(torch.load(path, weights_only=True))

    def conv(self, op, parameters, dtype):
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

    def batch_norm(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.GBatchNorm(op.channels, eps=op.eps, momentum=op.momentum, dtype=dtype)

    def relu(self, op, parameters, dtype):
        import torch

        return torch.nn.ReLU()

    def spatial_max_pool(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.GMaxPool2d(op.ksize, op.stride)

    def coset_max_pool(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.CosetMaxPool()
