"""Inputs and parameters for the subjects, and what the reference makes of them.

Integer data are chosen so that every product and partial sum is exact in the subject's dtype, in
whatever order it is summed: then two correct implementations agree bit for bit. In units of the
smallest fraction that occurs, no sum of absolute values may reach 2^24 (float32) or 2^53.
"""

import zlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from conformance.interpreter import over
from conformance.network import CosetMaxPool, parameter_shapes
from conformance.reference import Reference, forward_with_error, gradient_bounds
from groupy.gconv.reference import domain

LAYER_MAGNITUDE = 8  # of a layer's inputs, weights and gradients: 8 * 8 * 16 * 48 * 27 < 2^21
NETWORK_MAGNITUDE = 2  # the sums of two layers multiply
MOST_DRAWS = 100  # until no gradient vanishes


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


def generator(subject, purpose):
    """A random generator of the subject's own: its data do not depend on which others are run."""
    return np.random.default_rng(zlib.crc32((subject.name + purpose).encode()))


def integer_data(subject):
    """Small integers (and halves, where batch normalization divides)."""
    return _on_integers(subject)[0]


def expected_on_integers(subject):
    """The reference's outputs and gradients on integer_data."""
    return _on_integers(subject)[1]


@cache
def _on_integers(subject):
    """Data and Expected: drawn until no gradient vanishes, as all do behind a ReLU that lets nothing through."""
    for attempt in range(MOST_DRAWS):
        data = _draw_integers(subject, generator(subject, f"integers {attempt}"))
        expected = _expect(subject, data)
        if all(gradient.any() for gradient in expected.gradients.values()):
            return data, expected
    raise ValueError(f"{subject.name}: a gradient vanished in {MOST_DRAWS} draws: a fault of the suite.")


def _expect(subject, data):
    model = Reference(subject.network, data.parameters)
    y = model.forward(data.x, subject.training)
    gx, gradients = model.backward(data.gy)
    return Expected(y, {"x": gx, **gradients}, model.parameters)


def _draw_integers(subject, rng):
    magnitude = LAYER_MAGNITUDE if len(subject.network) == 1 else NETWORK_MAGNITUDE
    parameters = {}
    for key, shape in parameter_shapes(subject.network).items():
        name = key.split(".")[1]
        if name == "var":
            value = np.full(shape, 3)  # var + eps = 4
        elif name == "gamma":
            value = rng.integers(1, 3, shape)
        elif name == "mask":
            value = rng.permutation(np.arange(np.prod(shape)) % 2).reshape(shape)
        else:
            value = rng.integers(-magnitude, magnitude + 1, shape)
        parameters[key] = value.astype(subject.dtype)
    if subject.training:
        x, gy = _training_data(rng, subject)
    else:
        if subject.picture is not None:
            x = subject.picture.pixels[:, :, None]
        else:
            x = rng.integers(-magnitude, magnitude + 1, subject.x_shape) * subject.domain
        gy = _integer_gradient(rng, subject, parameters, x)
    return Data(parameters, *(np.ascontiguousarray(array, subject.dtype) for array in (x, gy)))


def _training_data(rng, subject):
    """x and gy of a batch normalization in training, whose means are exact in any order of summation.

    Channel c of x is c - 1 and c + 1 equally often: its mean is c, its variance 1. Over each half, gy is pairs
    of opposite numbers about an even one: its sums are whole multiples of the number of values.
    """
    N, channels, *rest = subject.x_shape
    inside = np.broadcast_to(subject.domain, (N, *rest)).reshape(-1)
    x, gy = np.zeros((2, channels, inside.size), dtype=np.int64)
    n = inside.sum() // 2
    for channel in range(channels):
        noise = rng.integers(-LAYER_MAGNITUDE, LAYER_MAGNITUDE + 1, (2, n // 2))
        gradient = np.concatenate([noise, -noise], axis=1) + 2 * rng.permutation([[1], [2]])
        order = rng.permutation(2 * n)
        x[channel, inside] = (channel + np.repeat([-1, 1], n))[order]
        gy[channel, inside] = gradient.reshape(-1)[order]
        # What is outside the hexagon must not matter.
        gy[channel, ~inside] = rng.integers(-LAYER_MAGNITUDE, LAYER_MAGNITUDE + 1, (~inside).sum())
    return (np.moveaxis(values.reshape(channels, N, *rest), 0, 1) for values in (x, gy))


def _integer_gradient(rng, subject, parameters, x):
    model = Reference(subject.network, parameters)
    shape, unit = model.forward(x).shape, _shared_unit(model)
    if len(subject.network) == 1:
        return unit * rng.integers(-LAYER_MAGNITUDE, LAYER_MAGNITUDE + 1, shape)
    # Through a network the sums multiply, so only a few elements of the output have a gradient.
    gy = np.zeros(shape, dtype=np.int64)
    places = rng.choice(np.flatnonzero(_in_domain(subject, shape)), size=4, replace=False)
    gy.flat[places] = unit * np.array([1, 1, 1, -1])  # with a sum that is not zero: it is the gradient of a bias
    return gy


def _in_domain(subject, shape):
    """The elements of an output of this shape that are inside the hexagon, where there is one."""
    return np.broadcast_to(domain(subject.groups[1], shape[3:]), shape)


def _shared_unit(model):
    """A number that every coset pooling can divide among its equal values without a fraction."""
    shares = [
        attained.sum(axis=2).reshape(-1)
        for operation, (_, attained) in zip(model.network, model._saved)
        if isinstance(operation, CosetMaxPool)
    ]
    return int(np.lcm.reduce(np.unique(np.concatenate(shares)))) if shares else 1


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
    x = (rng.standard_normal(subject.x_shape) * subject.domain).astype(subject.dtype)
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
        W = W * over(data.parameters["0.mask"], W)
    bounds = gradient_bounds(conv, W, data.x.astype(np.float64), data.gy.astype(np.float64), subject.dtype)
    values = {"x": gx, "0.W": gradients["0.W"], "0.b": gradients.get("0.b")}
    return {key: (value, bound) for (key, value), bound in zip(values.items(), bounds)}
