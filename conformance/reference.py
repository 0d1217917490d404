"""The truth that backends are held against: networks in float64, convolutions from the definition.

Also how large an error may be, from the same definition.
"""

import numpy as np

from conformance.interpreter import Interpreter
from conformance.network import BatchNorm, Conv, ReLU, Square, parameters_of
from groupy.gconv import reference

# Probabilistic rounding error analysis (Higham & Mary, SIAM J. Sci. Comput. 41(5), 2019, theorem 3.1):
# a sum of n products has |error| <= lambda * sqrt(n) * u * sum |a_j b_j|, but for a probability of at
# most 2 n exp(-lambda^2 / 2) (u: unit roundoff, first order). With lambda = 10 a run of a million sums
# of ten thousand terms exceeds it with probability 4e-12. Since sum |a_j b_j| <= |a| |b| (Cauchy-Schwarz),
# the bound used, C * u * sqrt(n) * |a| * |b|, also holds for algorithms that mix the terms before they
# multiply (Winograd, Fourier), whose errors are bounded by norms only.
C = 10


class Reference(Interpreter):
    """A network by the definition, in float64."""

    def __init__(self, network, parameters):
        super().__init__(network, parameters, np.float64)

    def convolve(self, operation, W, b, x):
        return reference.gconv(x, W, b, operation.spec.group, operation.stride, operation.pad)

    def convolution_gradients(self, operation, W, x, gy):
        return reference.gconv_gradients(x, W, gy, operation.spec.group, operation.stride, operation.pad)

    def cosets(self, operation):
        group, subgroup = operation.stabilizers
        members = group.garray_type(subgroup[:].reparameterize("mat").data, p="mat")
        cosets = []
        for r in range(group.size):
            if not any(r in coset for coset in cosets):
                cosets.append((members[:, None] * group[r] == group[None, :]).argmax(axis=1))
        return np.array(cosets)


def output_bound(operation, W, b, x, dtype):
    """How far y of one convolution in `dtype` may be from the float64 one, elementwise."""

    def forward(w_, x_, b_):
        return reference.gconv(x_, w_, b_, operation.spec.group, operation.stride, operation.pad)

    # A bias is one product more, b * 1. The number of terms at the border follows from ones as well.
    one_w, one_x, one_b, b_squared = np.ones_like(W), np.ones_like(x), None, None
    if b is not None:
        one_b, b_squared = np.ones_like(b), b**2
    terms = forward(one_w, one_x, one_b)
    return _bound(dtype, terms, forward(W**2, one_x, b_squared), forward(one_w, x**2, one_b))


def gradient_bounds(operation, W, x, gy, dtype):
    """How far gx, gW and gb of one convolution in `dtype` may be from the float64 ones, elementwise."""

    def backward(w_, x_, gy_):
        return reference.gconv_gradients(x_, w_, gy_, operation.spec.group, operation.stride, operation.pad)

    one_w, one_x, one_gy = np.ones_like(W), np.ones_like(x), np.ones_like(gy)
    terms = backward(one_w, one_x, one_gy)
    squares = backward(W**2, x**2, one_gy)[:2] + (terms[2],)  # gx sums squares of W, gW of x, gb of ones
    gy_squares = backward(one_w, one_x, gy**2)
    return tuple(_bound(dtype, *three) for three in zip(terms, squares, gy_squares))


def _bound(dtype, terms, a_squared, b_squared):
    return C * (np.finfo(dtype).eps / 2) * np.sqrt(terms) * np.sqrt(a_squared) * np.sqrt(b_squared)


def forward_with_error(network, parameters, x, dtype):
    """A network's float64 output in evaluation mode, and how far an output in `dtype` may be from it.

    Each operation passes on the error of its input and adds its own (running error analysis,
    Higham, Accuracy and Stability of Numerical Algorithms, section 3.3).
    """
    u = np.finfo(dtype).eps / 2
    model = Reference(network, parameters)
    y = model.forward(x)
    inputs = [x for x, _ in model._saved]
    error = np.zeros_like(inputs[0])
    for position, operation in enumerate(network):
        p = {name: np.asarray(value, np.float64) for name, value in parameters_of(parameters, position).items()}
        x = inputs[position]
        if isinstance(operation, Conv):
            W = model._masked(p["W"], p)
            passed_on = model.convolve(operation, np.abs(W), None, error) if error.any() else 0
            error = passed_on + output_bound(operation, W, p.get("b"), np.abs(x) + error, dtype)
        elif isinstance(operation, BatchNorm):
            inside, _, _ = model._saved[position][1]
            scale = np.abs(p["gamma"]) / np.sqrt(p["var"] + operation.eps)
            scale, mean, beta = (np.abs(v)[:, None, None] for v in (scale, p["mean"], p["beta"]))
            before, error = error[..., inside], np.zeros_like(error)
            # At most eight roundings on the way: eps, +, sqrt, 1/, gamma *, mean, *, + (in any order of steps).
            error[..., inside] = scale * before + 8 * u * (scale * (np.abs(x[..., inside]) + before + mean) + beta)
        elif isinstance(operation, Square):
            error = (2 * np.abs(x) + error) * error + u * (np.abs(x) + error) ** 2
        elif not isinstance(operation, ReLU):
            # Maps that only move values pass on their errors; a maximum at most the largest in its window,
            # since |max a - max b| <= max |a - b|.
            forward, _ = model._METHODS[type(operation)]
            error, _ = getattr(model, forward)(operation, p, error)
    return y, error
