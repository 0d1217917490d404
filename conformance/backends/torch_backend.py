"""The PyTorch backends: networks of torch_gconv's layers, on the CPU and on a CUDA device."""

from importlib.util import find_spec

import numpy as np

from conformance.backends.sequential import SequentialBackend
from conformance.network import weight_keys


class TorchBackend(SequentialBackend):
    """torch_gconv on CPU tensors."""

    name = "torch"
    device = "cpu"
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
        model = torch.nn.Sequential(*self.layers(network, parameters, dtype)).to(self.device)
        model.network = network
        with torch.no_grad():
            for key, value in parameters.items():
                own = self.attribute(model, key)
                own.copy_(torch.from_numpy(np.asarray(value)).reshape(own.shape))
        return model

    def forward(self, model, x, training=False):
        import torch

        model.train(training)
        with torch.no_grad():
            return self.array(self.apply(model, self._tensor(x)))

    def gradients(self, model, x, gy, training=False):
        model.train(training)
        model.zero_grad()
        x = self._tensor(x).requires_grad_()
        self.backward(self.apply(model, x), self._tensor(gy))
        return self.array(x.grad), {
            key: self.array(self.attribute(model, key).grad) for key in weight_keys(model.network)
        }

    def backward(self, y, gy):
        """Take the gradients of y, given y's, back through the model."""
        y.backward(gy)

    def transformed_filters(self, model):
        layer = model[0]
        folded = self.array(layer.folded_filters())
        return folded.reshape(layer.out_channels, layer.output_stabilizer_size, *layer.weight.shape[1:])

    def _tensor(self, x):
        """x on the device, with the strides that it has; to(device) keeps a dense array's order of axes."""
        import torch

        if min(x.strides, default=0) < 0:
            x = x.copy()  # a tensor has no negative strides, so PyTorch's users have to copy too
        return torch.from_numpy(x).to(self.device)

    def array(self, value):
        return value.detach().cpu().numpy()

    def save(self, model, path):
        import torch

        torch.save(model.state_dict(), path)

    def load(self, model, path):
        import torch

        model.load_state_dict(torch.load(path, weights_only=True, map_location=self.device))

    def conv(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.layer_of(op.spec)(
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

        return torch_gconv.GBatchNorm(
            op.channels, eps=op.eps, momentum=op.momentum, hexagonal=op.hexagonal, dtype=dtype
        )

    def relu(self, op, parameters, dtype):
        import torch

        return torch.nn.ReLU()

    def square(self, op, parameters, dtype):
        import torch

        class Square(torch.nn.Module):
            def forward(self, x):
                return torch.square(x)

        return Square()

    def spatial_max_pool(self, op, parameters, dtype):
        import torch_gconv

        if op.ndim == 3:
            return torch_gconv.GMaxPool3d(op.ksize, op.stride, op.pad)
        return torch_gconv.GMaxPool2d(op.ksize, op.stride, op.pad, hexagonal=op.hexagonal)

    def coset_max_pool(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.CosetMaxPool()

    def restrict(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.Restrict(op.group, op.subgroup)

    def unrestrict(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.Unrestrict(op.group, op.subgroup)

    def induce(self, op, parameters, dtype):
        import torch_gconv

        return torch_gconv.Induce(op.group, op.subgroup)


class TorchCudaBackend(TorchBackend):
    """torch_gconv on a CUDA device, in float32 proper: without TF32, and without what cuDNN rounds in backward."""

    name = "torch-cuda"
    device = "cuda"

    def unavailable_because(self):
        reason = super().unavailable_because()
        if reason is not None:
            return reason
        import torch

        return None if torch.cuda.is_available() else "PyTorch sees no CUDA device."

    def versions(self):
        import torch

        return {**super().versions(), "cuda": torch.version.cuda, "device": torch.cuda.get_device_name()}

    def apply(self, model, x):
        import torch

        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            return super().apply(model, x)

    def backward(self, y, gy):
        import torch

        # For some gradients of filters cuDNN takes a Winograd transform, which rounds integers; PyTorch has no switch
        # for it, but kernels of its own.
        with torch.backends.cudnn.flags(enabled=False):
            super().backward(y, gy)
