"""The NumPy backend: index tables and ordinary convolutions, with no framework.

What it proves is the idea itself, an index table plus a convolution, against the definition. It
is also the smallest complete backend, and the body into which faults are planted. (The slow
reference is not a backend: it shares no code with the tables and is what all backends, this one
included, are held against.)
"""

import numpy as np

from conformance.backends.base import Backend
from conformance.interpreter import Interpreter


class TableConvolution(Interpreter):
    """A network whose convolutions go by index tables, in the network's own dtype."""

    def transformation(self, operation):
        """The FilterTransformation of a convolution."""
        return operation.spec.transformation(operation.ksize)

    def transform(self, operation, W):
        """Folded filters (O * S_out, I * S_in, k, k) of canonical ones."""
        transformation = self.transformation(operation)
        O, I, S_in, k, _ = W.shape
        folded = W.reshape(O, -1)[:, transformation.folded_gather(I)]
        return folded.reshape(O * transformation.output_stabilizer_size, I * S_in, k, k)

    def unfold_gradient(self, operation, gradient):
        """The gradient (O, I, S_in, k, k) of canonical filters from that of the folded ones."""
        spec, I = operation.spec, operation.in_channels
        gather = self.transformation(operation).folded_inverse(I)
        landed = gradient.reshape(operation.out_channels, -1)[:, gather]
        summed = landed.reshape(operation.out_channels, spec.output_stabilizer_size, -1).sum(axis=1)
        return summed.reshape(operation.out_channels, I, spec.input_stabilizer_size, *gradient.shape[2:])

    def convolve(self, operation, W, b, x):
        windows = self._windows(operation, x)
        y = np.einsum("nchwuv,ocuv->nohw", windows, self.transform(operation, W), optimize=True)
        y = y.reshape(len(x), operation.out_channels, -1, *y.shape[2:])
        return y if b is None else self.add_bias(y, b)

    def add_bias(self, y, b):
        """One bias for each output channel, shared over the stabilizer."""
        return y + b[:, None, None, None]

    def convolution_gradients(self, operation, W, x, gy):
        folded_gy = gy.reshape(len(gy), -1, *gy.shape[3:])
        windows = self._windows(operation, x)
        gW = self.unfold_gradient(operation, np.einsum("nchwuv,nohw->ocuv", windows, folded_gy, optimize=True))
        return self._input_gradient(operation, W, x, folded_gy), gW, gy.sum(axis=(0, 2, 3, 4))

    def _input_gradient(self, operation, W, x, folded_gy):
        folded, s, (before, after) = self.transform(operation, W), operation.stride, self.padding(operation)
        N, I, S, H, width = x.shape
        padded = np.zeros((N, I * S, before + H + after, before + width + after), self.dtype)
        rows, columns = folded_gy.shape[2:]
        for u in range(operation.ksize):
            for v in range(operation.ksize):
                tap = np.einsum("oc,nohw->nchw", folded[:, :, u, v], folded_gy, optimize=True)
                padded[:, :, u : u + s * rows : s, v : v + s * columns : s] += tap
        return padded[:, :, before : before + H, before : before + width].reshape(x.shape)

    def padding(self, operation):
        """The rows (and columns) of zeros before and after the picture."""
        return operation.pad, operation.pad

    def _windows(self, operation, x):
        """(N, I * S_in, H', W', k, k)."""
        N, I, S, H, width = x.shape
        k, s = operation.ksize, operation.stride
        padded = np.pad(x.reshape(N, I * S, H, width), [(0, 0)] * 2 + [self.padding(operation)] * 2)
        return np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))[:, :, ::s, ::s]


class NumpyBackend(Backend):
    """Index tables in NumPy."""

    name = "numpy"
    model_type = TableConvolution

    def versions(self):
        return {"numpy": np.__version__}

    def build(self, network, parameters, dtype):
        return self.model_type(network, parameters, dtype)

    def forward(self, model, x, training=False):
        return model.forward(x, training)

    def gradients(self, model, x, gy, training=False):
        model.forward(x, training)
        return model.backward(gy)

    def transformed_filters(self, model):
        conv, parameters = model.network[0], model.parameters
        folded = model.transform(conv, model._masked(parameters["0.W"], model._layers[0][1]))
        return folded.reshape(conv.out_channels, -1, *parameters["0.W"].shape[1:])

    def parameters(self, model):
        return model.parameters

    def save(self, model, path):
        with open(path, "wb") as file:
            np.savez(file, **model.parameters)

    def load(self, model, path):
        with np.load(path, allow_pickle=False) as saved:
            for key, value in model.parameters.items():
                value[...] = saved[key]
