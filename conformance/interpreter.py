"""Interpreter: runs a network description in NumPy, forward and backward, one operation at a time.

The reference and the NumPy backend are interpreters that differ in their convolution, their cosets
and their dtype: the reference goes by the definition over group elements in float64, the NumPy backend
by index tables in the network's own dtype. The other operations stand here once, for any dimension.
"""

from abc import ABC, abstractmethod

import numpy as np

from conformance.network import (
    BatchNorm,
    Conv,
    CosetMaxPool,
    Induce,
    ReLU,
    Restrict,
    SpatialMaxPool,
    Square,
    Unrestrict,
    parameters_of,
)
from groupy.garray.C6_array import C6
from groupy.gconv.reference import domain


class Interpreter(ABC):
    """One network with its parameters.

    forward(x) keeps what backward(gy) needs; parameters holds the running statistics too and is
    updated in training, as a framework's layer would.
    """

    def __init__(self, network, parameters, dtype):
        self.network = network
        self.dtype = np.dtype(dtype)
        self.parameters = {key: np.array(value, dtype=self.dtype) for key, value in parameters.items()}
        # The same arrays, by position: what is updated in place here is updated in both.
        self._layers = [(op, parameters_of(self.parameters, i)) for i, op in enumerate(network)]
        self._saved = []

    def forward(self, x, training=False):
        """x (N, C, S, H, W) -> y (N, C', S', H', W'); in three dimensions (..., D, H, W)."""
        x = np.asarray(x, dtype=self.dtype)
        self._training, self._saved = training, []
        for operation, parameters in self._layers:
            forward, _ = self._METHODS[type(operation)]
            y, saved = getattr(self, forward)(operation, parameters, x)
            self._saved.append((x, saved))
            x = y
        return x

    def backward(self, gy):
        """The gradients of sum(y * gy) for the last forward(x): gx, and a dict by parameter key."""
        gradient = np.asarray(gy, dtype=self.dtype)
        gradients = {}
        for position in reversed(range(len(self.network))):
            operation, parameters = self._layers[position]
            x, saved = self._saved[position]
            _, backward = self._METHODS[type(operation)]
            gradient, of_parameters = getattr(self, backward)(operation, parameters, x, saved, gradient)
            gradients.update({f"{position}.{name}": value for name, value in of_parameters.items()})
        return gradient, gradients

    @abstractmethod
    def convolve(self, operation, W, b, x):
        """y of one convolution; W is masked already, b may be None."""

    @abstractmethod
    def convolution_gradients(self, operation, W, x, gy):
        """gx, gW, gb of one convolution; W is masked already."""

    @abstractmethod
    def cosets(self, operation):
        """Positions (|H| / |K|, |K|) in the group's list: the right cosets of the subgroup, itself first."""

    def conv(self, operation, parameters, x):
        W = self._masked(parameters["W"], parameters)
        return self.convolve(operation, W, parameters.get("b"), x), W

    def conv_backward(self, operation, parameters, x, W, gy):
        gx, gW, gb = self.convolution_gradients(operation, W, x, gy)
        gradients = {"W": self._masked(gW, parameters)}
        if operation.bias:
            gradients["b"] = gb
        return gx, gradients

    def _masked(self, W, parameters):
        if "mask" not in parameters:
            return W
        mask = over(parameters["mask"], W)
        return np.where(mask != 0, W, 0) * mask

    def relu(self, operation, parameters, x):
        return np.maximum(x, 0), None

    def relu_backward(self, operation, parameters, x, saved, gy):
        return gy * (x > 0), {}

    def square(self, operation, parameters, x):
        return x * x, None

    def square_backward(self, operation, parameters, x, saved, gy):
        return 2 * x * gy, {}

    def spatial_max_pool(self, operation, parameters, x):
        k, s, taps = operation.ksize, operation.stride, (operation.ksize,) * operation.ndim
        if operation.hexagonal:
            x = np.where(domain(C6, x.shape[3:]), x, -np.inf)
        grid = tuple(range(3, x.ndim))
        padded = np.pad(x, [(0, 0)] * 3 + [(operation.pad,) * 2] * operation.ndim, constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=grid)
        windows = windows[(slice(None),) * 3 + (slice(None, None, s),) * operation.ndim]
        windows = np.where(self._domain(operation, taps), windows, -np.inf)
        windows = windows.reshape(windows.shape[: x.ndim] + (k**operation.ndim,))
        winner = windows.argmax(axis=-1)
        y = np.take_along_axis(windows, winner[..., None], axis=-1)[..., 0]
        return np.where(self._domain(operation, y.shape[3:]), y, 0), winner

    def spatial_max_pool_backward(self, operation, parameters, x, winner, gy):
        p, grid = operation.pad, x.shape[3:]
        gy = np.where(self._domain(operation, gy.shape[3:]), gy, 0)
        places = np.indices(gy.shape)
        taps = np.unravel_index(winner, (operation.ksize,) * operation.ndim)
        reached = [operation.stride * place + tap for place, tap in zip(places[3:], taps)]
        padded = np.zeros(x.shape[:3] + tuple(n + 2 * p for n in grid), self.dtype)
        np.add.at(padded, (*places[:3], *reached), gy)
        return padded[(..., *(slice(p, p + n) for n in grid))], {}

    def _domain(self, operation, size):
        """The points of the grid, or of a window, that an operation works on: booleans of this size."""
        return domain(C6, size) if operation.hexagonal else np.ones(size, dtype=bool)

    def coset_max_pool(self, operation, parameters, x):
        y = x.max(axis=2, keepdims=True)
        return y, x == y

    def coset_max_pool_backward(self, operation, parameters, x, attained, gy):
        return attained * (gy / attained.sum(axis=2, keepdims=True).astype(self.dtype)), {}

    def restrict(self, operation, parameters, x):
        cosets = self.cosets(operation)
        return x[:, :, cosets.reshape(-1)].reshape(len(x), -1, cosets.shape[1], *x.shape[3:]), None

    def restrict_backward(self, operation, parameters, x, saved, gy):
        return self.unrestrict(operation, parameters, gy)[0], {}

    def unrestrict(self, operation, parameters, x):
        cosets = self.cosets(operation)
        y = x.reshape(len(x), -1, cosets.size, *x.shape[3:])
        return y[:, :, np.argsort(cosets.reshape(-1))], None

    def unrestrict_backward(self, operation, parameters, x, saved, gy):
        return self.restrict(operation, parameters, gy)[0], {}

    def induce(self, operation, parameters, x):
        cosets = self.cosets(operation)
        y = np.zeros(x.shape[:2] + (cosets.size,) + x.shape[3:], self.dtype)
        y[:, :, cosets[0]] = x
        return y, None

    def induce_backward(self, operation, parameters, x, saved, gy):
        return gy[:, :, self.cosets(operation)[0]], {}

    def statistics(self, points):
        """Mean and variance (C,) of (N, C, S, P), over batch, stabilizer and points."""
        mean = points.mean(axis=_ALL_BUT_CHANNELS)
        return mean, ((points - _over_channels(mean)) ** 2).mean(axis=_ALL_BUT_CHANNELS)

    def batch_norm(self, operation, parameters, x):
        inside = self._domain(operation, x.shape[3:])
        points = x[..., inside]  # (N, C, S, P)
        mean, var = parameters["mean"], parameters["var"]
        if self._training:
            mean, var = self.statistics(points)
            count = points.size // points.shape[1]
            for name, batch in (("mean", mean), ("var", var * (count / (count - 1)))):  # the running one is unbiased
                parameters[name] += operation.momentum * (batch - parameters[name])
        inverse = 1 / np.sqrt(var + self.dtype.type(operation.eps))
        normalized = (points - _over_channels(mean)) * _over_channels(inverse)
        y = np.zeros_like(x)
        y[..., inside] = _over_channels(parameters["gamma"]) * normalized + _over_channels(parameters["beta"])
        return y, (inside, normalized, inverse)

    def batch_norm_backward(self, operation, parameters, x, saved, gy):
        inside, normalized, inverse = saved
        gradient = gy[..., inside]
        sums = {
            "gamma": (gradient * normalized).sum(axis=_ALL_BUT_CHANNELS),
            "beta": gradient.sum(axis=_ALL_BUT_CHANNELS),
        }
        if self._training:  # mean and variance depend on x
            count = self.dtype.type(gradient.size // gradient.shape[1])
            of_mean, of_variance = (_over_channels(sums[name] / count) for name in ("beta", "gamma"))
            gradient = gradient - of_mean - normalized * of_variance
        gx = np.zeros_like(x)
        gx[..., inside] = gradient * _over_channels(parameters["gamma"] * inverse)
        return gx, sums

    _METHODS = {
        Conv: ("conv", "conv_backward"),
        BatchNorm: ("batch_norm", "batch_norm_backward"),
        ReLU: ("relu", "relu_backward"),
        Square: ("square", "square_backward"),
        SpatialMaxPool: ("spatial_max_pool", "spatial_max_pool_backward"),
        CosetMaxPool: ("coset_max_pool", "coset_max_pool_backward"),
        Restrict: ("restrict", "restrict_backward"),
        Unrestrict: ("unrestrict", "unrestrict_backward"),
        Induce: ("induce", "induce_backward"),
    }


_ALL_BUT_CHANNELS = (0, 2, 3)


def _over_channels(values):
    return values[:, None, None]


def over(values, array):
    """values with further axes of length 1, to meet the first axes of the array."""
    return values.reshape(values.shape + (1,) * (array.ndim - values.ndim))
