"""Inputs and parameters for the subjects, and what the reference makes of them.

Integer data are chosen so that every product and partial sum is exact in the subject's dtype, in
whatever order it is summed: then two correct implementations agree bit for bit. In units of the
smallest fraction that occurs, no sum of absolute values may reach 2^24 (float32) or 2^53.
"""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from conformance.network import CosetMaxPool, parameter_shapes
from conformance.reference import Reference, forward_with_error, gradient_bounds

LAYER_MAGNITUDE = 8  # of a layer's inputs, weights and gradients: 8 * 8 * 32 * 8 * 9 < 2^18
NETWORK_MAGNITUDE = 2  # the sums of two layers multiply
# Coset pooling may divide a gradient among 1 to 8 equal values; their least common multiple keeps
# the quotients whole.
SHARED_GRADIENT = 840


@dataclass(frozen=True, eq=False)
class Data:
    """Parameters and input of a subject, and the gradient of its output, in the subject's dtype."""

    parameters: dict
    x: np.ndarray
    gy: np.ndarray


@dataclass(frozen=True, eq=False)
class Expected:
    """What the reference makes of them, in float64; `parameters` holds the running statistics after it."""

    y: np.ndarray
    gradients: dict
    parameters: dict


def generator(subject, purpose=""):
    """A random generator of the subject's own: its data do not depend on which others are run."""
    return np.random.default_rng(zlib.crc32((subject.name + purpose).encode()))


@cache
def integer_data(subject):
    """Small integers (and halves, where batch normalization divides)."""
    rng = generator(subject)
    magnitude = LAYER_MAGNITUDE if len(subject.network) == 1 else NETWORK_MAGNITUDE
    parameters = {}
    for key, shape in parameter_shapes(subject.network).items():
        name = key.split(".")[1]
        if name == "var":
            value = np.full(shape, 3)  # var + eps = 4
        elif name == "gamma":
            value = rng.integers(1, 3, shape)
        elif name == "mask":
            value = rng.integers(0, 2, shape)
        else:
            value = rng.integers(-magnitude, magnitude + 1, shape)
        parameters[key] = value.astype(subject.dtype)
    if subject.picture is not None:
        x = subject.picture.pixels[:, :, None]
    elif subject.training:
        x = _two_valued(rng, subject)
    else:
        x = rng.integers(-magnitude, magnitude + 1, subject.x_shape)
    y_shape = Reference(subject.network, parameters).forward(x, subject.training).shape
    return Data(parameters, x.astype(subject.dtype), _integer_gradient(rng, subject, y_shape).astype(subject.dtype))


def _two_valued(rng, subject):
    """c - 1 and c + 1 equally often in each channel c: mean c, variance exactly 1, in any order of summation."""
    N, channels, *rest = subject.x_shape
    x = np.empty((channels, N * int(np.prod(rest))), dtype=np.int64)
    x[:] = np.where(np.arange(x.shape[1]) % 2, 1, -1)
    x = rng.permuted(x, axis=1) + np.arange(channels)[:, None]
    return np.moveaxis(x.reshape(channels, N, *rest), 0, 1)


def _integer_gradient(rng, subject, shape):
    network = subject.network
    pools = any(isinstance(operation, CosetMaxPool) for operation in network)
    unit = SHARED_GRADIENT if pools else 1
    if len(network) == 1:
        return unit * rng.integers(-LAYER_MAGNITUDE, LAYER_MAGNITUDE + 1, shape)
    # Through a network the sums multiply, so only a few elements of the output have a gradient.
    gy = np.zeros(shape, dtype=np.int64)
    places = rng.choice(gy.size, size=4, replace=False)
    gy.flat[places] = unit * rng.choice([-1, 1], size=4)
    return gy


@cache
def expected_on_integers(subject):
    """The reference's outputs and gradients on integer_data."""
    data = integer_data(subject)
    model = Reference(subject.network, data.parameters)
    y = model.forward(data.x, subject.training)
    gx, gradients = model.backward(data.gy)
    return Expected(y, {"x": gx, **gradients}, model.parameters)


@cache
def real_data(subject):
    """Normally distributed numbers; batch normalization as integer_data has it, with other variances."""
    rng = generator(subject, "real")
    parameters = dict(integer_data(subject).parameters)
    for key, value in parameters.items():
        name = key.split(".")[1]
        if name == "var":
            parameters[key] = rng.uniform(0.5, 2, value.shape).astype(subject.dtype)
        elif name != "mask":
            parameters[key] = rng.standard_normal(value.shape).astype(subject.dtype)
    x = rng.standard_normal(subject.x_shape).astype(subject.dtype)
    gy = rng.standard_normal(integer_data(subject).gy.shape).astype(subject.dtype)
    return Data(parameters, x, gy)


@cache
def expected_output_on_reals(subject):
    """The reference's output on real_data in evaluation mode, and how far a backend's may be from it."""
    data = real_data(subject)
    return forward_with_error(subject.network, data.parameters, data.x, subject.dtype)


@cache
def expected_gradients_on_reals(subject):
    """For a single convolution: the reference's gradients on real_data and their bounds, by key."""
    data = real_data(subject)
    model = Reference(subject.network, data.parameters)
    model.forward(data.x)
    gx, gradients = model.backward(data.gy)
    (conv,) = subject.network
    W = data.parameters["0.W"].astype(np.float64)
    if conv.masked:
        W = W * data.parameters["0.mask"][..., None, None]
    bounds = gradient_bounds(conv, W, data.x.astype(np.float64), data.gy.astype(np.float64), subject.dtype)
    values = {"x": gx, "0.W": gradients["0.W"], "0.b": gradients.get("0.b")}
    return {key: (value, bound) for (key, value), bound in zip(values.items(), bounds)}
