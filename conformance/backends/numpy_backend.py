"""The NumPy backend: index tables and ordinary convolutions, with no framework.

What it proves is the idea itself, an index table plus a convolution, against the definition, in two and
three dimensions, on square, hexagonal and cubic grids. It
is also the smallest complete backend, and the body into which faults are planted. (The slow
reference is not a backend: it shares no code with the tables and is what all backends, this one
included, are held against.)
"""

import numpy as np

from conformance.backends.base import Backend
from conformance.interpreter import Interpreter
from groupy.gconv.geometry import grid_support
from groupy.gconv.subgroups import subgroup_of


class TableConvolution(Interpreter):
    """A network whose convolutions and subgroup maps go by index tables, in the network's own dtype."""

    def transformation(self, operation):
        """The FilterTransformation of a convolution."""
        return operation.spec.transformation(operation.ksize)

    def taps(self, operation):
        """The taps that a filter has, booleans (k, ...): on the hexagonal grid a hexagon; None where it has all."""
        return operation.spec.filter_support(operation.ksize)

    def points(self, operation, size):
        """The points that a map has, booleans of its size: a hexagon likewise; None where it has all."""
        return grid_support(operation.spec.stabilizer, size)

    def only(self, where, values):
        """The values at the places of a mask, zero elsewhere; all of them where there is none."""
        return values if where is None else np.where(where, values, 0)

    def transform(self, operation, W):
        """Folded filters (O * S_out, I * S_in, k, ...) of canonical ones."""
        transformation = self.transformation(operation)
        O, I, S_in, *kernel = W.shape
        folded = self.only(self.taps(operation), W).reshape(O, -1)[:, transformation.folded_gather(I)]
        return folded.reshape(O * transformation.output_stabilizer_size, I * S_in, *kernel)

    def unfold_gradient(self, operation, gradient):
        """The gradient (O, I, S_in, k, ...) of canonical filters from that of the folded ones."""
        spec, I = operation.spec, operation.in_channels
        gather = self.transformation(operation).folded_inverse(I)
        landed = gradient.reshape(operation.out_channels, -1)[:, gather]
        summed = landed.reshape(operation.out_channels, spec.output_stabilizer_size, -1).sum(axis=1)
        gW = summed.reshape(operation.out_channels, I, spec.input_stabilizer_size, *operation.kernel)
        return self.only(self.taps(operation), gW)

    def convolve(self, operation, W, b, x):
        d, windows = operation.spec.ndim, self._windows(operation, x)
        taps = tuple(range(2 + d, 2 + 2 * d))
        y = np.tensordot(windows, self.transform(operation, W), axes=((1, *taps), (1, *range(2, 2 + d))))
        y = np.moveaxis(y, -1, 1).reshape(len(x), operation.out_channels, -1, *y.shape[1:-1])
        return self.only(self.points(operation, y.shape[3:]), y if b is None else self.add_bias(y, b))

    def add_bias(self, y, b):
        """One bias for each output channel, shared over the stabilizer."""
        return y + b.reshape(-1, *(1,) * (y.ndim - 2))

    def convolution_gradients(self, operation, W, x, gy):
        gy = self.only(self.points(operation, gy.shape[3:]), gy)
        folded_gy, windows = gy.reshape(len(gy), -1, *gy.shape[3:]), self._windows(operation, x)
        places = (0, *range(2, 2 + operation.spec.ndim))
        gW = self.unfold_gradient(operation, np.tensordot(folded_gy, windows, axes=(places, places)))
        return self._input_gradient(operation, W, x, folded_gy), gW, self.bias_gradient(gy)

    def bias_gradient(self, gy):
        """The gradient (O,) of the bias."""
        return gy.sum(axis=(0, *range(2, gy.ndim)))

    def _input_gradient(self, operation, W, x, folded_gy):
        folded, s, (before, after) = self.transform(operation, W), operation.stride, self.padding(operation)
        N, I, S, *size = x.shape
        padded = np.zeros((N, I * S, *(before + n + after for n in size)), self.dtype)
        for tap in np.ndindex(*operation.kernel):
            reached = tuple(slice(t, t + s * n, s) for t, n in zip(tap, folded_gy.shape[2:]))
            at_tap = np.tensordot(folded[(..., *tap)], folded_gy, axes=((0,), (1,)))  # (I * S_in, N, ...)
            padded[(..., *reached)] += np.moveaxis(at_tap, 0, 1)
        gx = padded[(..., *(slice(before, before + n) for n in size))].reshape(x.shape)
        return self.only(self.points(operation, x.shape[3:]), gx)

    def padding(self, operation):
        """The zeros before and after the picture, along each axis."""
        return operation.pad, operation.pad

    def _windows(self, operation, x):
        """(N, I * S_in, H', W', k, k), or (N, I * S_in, D', H', W', k, k, k)."""
        N, I, S, *size = x.shape
        d, s = len(size), operation.stride
        x = self.only(self.points(operation, x.shape[3:]), x)
        padded = np.pad(x.reshape(N, I * S, *size), [(0, 0)] * 2 + [self.padding(operation)] * d)
        windows = np.lib.stride_tricks.sliding_window_view(padded, operation.kernel, axis=tuple(range(2, 2 + d)))
        return windows[(slice(None),) * 2 + (slice(None, None, s),) * d]

    def cosets(self, operation):
        return subgroup_of(operation.group, operation.subgroup).cosets


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
