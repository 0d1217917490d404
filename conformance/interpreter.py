"""Interpreter: runs a network description in NumPy, forward and backward, one operation at a time.

The reference and the NumPy backend are interpreters that differ in their convolution and their
dtype: the reference goes by the definition over group elements in float64, the NumPy backend by
index tables in the network's own dtype. The other operations stand here once.
"""

from abc import ABC, abstractmethod

import numpy as np

from conformance.network import BatchNorm, Conv, CosetMaxPool, ReLU, SpatialMaxPool, parameters_of


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
        """x (N, C, S, H, W) -> y (N, C', S', H', W')."""
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
        return W * parameters["mask"][..., None, None] if "mask" in parameters else W

    def relu(self, operation, parameters, x):
        return np.maximum(x, 0), None

    def relu_backward(self, operation, parameters, x, saved, gy):
        return gy * (x > 0), {}

    def spatial_max_pool(self, operation, parameters, x):
        k, s = operation.ksize, operation.stride
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(-2, -1))[..., ::s, ::s, :, :]
        windows = windows.reshape(windows.shape[:-2] + (k * k,))
        winner = windows.argmax(axis=-1)
        return np.take_along_axis(windows, winner[..., None], axis=-1)[..., 0], winner

    def spatial_max_pool_backward(self, operation, parameters, x, winner, gy):
        u, v = (operation.stride * index for index in np.indices(gy.shape)[-2:])
        du, dv = np.divmod(winner, operation.ksize)
        gx = np.zeros_like(x)
        np.add.at(gx, (*np.indices(gy.shape)[:3], u + du, v + dv), gy)
        return gx, {}

    def coset_max_pool(self, operation, parameters, x):
        y = x.max(axis=2, keepdims=True)
        return y, x == y

    def coset_max_pool_backward(self, operation, parameters, x, attained, gy):
        return attained * (gy / attained.sum(axis=2, keepdims=True).astype(self.dtype)), {}

    def statistics(self, x):
        """Mean and variance (C,) over batch, stabilizer and pixels."""
        mean = x.mean(axis=_ALL_BUT_CHANNELS)
        return mean, ((x - _per_channel(mean)) ** 2).mean(axis=_ALL_BUT_CHANNELS)

    def batch_norm(self, operation, parameters, x):
        mean, var = parameters["mean"], parameters["var"]
        if self._training:
            mean, var = self.statistics(x)
            count = x.size // x.shape[1]
            for name, batch in (("mean", mean), ("var", var * (count / (count - 1)))):  # the running one is unbiased
                parameters[name] += operation.momentum * (batch - parameters[name])
        inverse = 1 / np.sqrt(var + self.dtype.type(operation.eps))
        normalized = (x - _per_channel(mean)) * _per_channel(inverse)
        y = _per_channel(parameters["gamma"]) * normalized + _per_channel(parameters["beta"])
        return y, (normalized, inverse)

    def batch_norm_backward(self, operation, parameters, x, saved, gy):
        normalized, inverse = saved
        sums = {
            "gamma": (gy * normalized).sum(axis=_ALL_BUT_CHANNELS),
            "beta": gy.sum(axis=_ALL_BUT_CHANNELS),
        }
        if self._training:  # mean and variance depend on x
            count = self.dtype.type(x.size // x.shape[1])
            gy = gy - _per_channel(sums["beta"] / count) - normalized * _per_channel(sums["gamma"] / count)
        return gy * _per_channel(parameters["gamma"] * inverse), sums

    _METHODS = {
        Conv: ("conv", "conv_backward"),
        BatchNorm: ("batch_norm", "batch_norm_backward"),
        ReLU: ("relu", "relu_backward"),
        SpatialMaxPool: ("spatial_max_pool", "spatial_max_pool_backward"),
        CosetMaxPool: ("coset_max_pool", "coset_max_pool_backward"),
    }


_ALL_BUT_CHANNELS = (0, 2, 3, 4)


def _per_channel(values):
    return values[:, None, None, None]
