"""Gradients with respect to input, weights and biases: bits on integers, derived bound on real numbers."""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, DERIVED_BOUND, assert_identical, assert_within
from conformance.data import expected_gradients_on_reals, expected_on_integers, integer_data, real_data
from conformance.network import weight_keys
from conformance.sizes import layer_subjects, subjects


def cases():
    """On integers every weight of every subject; on real numbers those of the layers."""
    for kind, check, tolerance, tried in (
        ("integer", on_integers, BITWISE, subjects()),
        ("real", on_reals, DERIVED_BOUND, layer_subjects()),
    ):
        for subject in tried:
            for key in ["x"] + weight_keys(subject.network):
                run = partial(check, subject=subject, key=key)
                yield Case(f"gradient.{key}.{kind}", subject.name, tolerance, run)


def on_integers(backend, subject, key):
    """The gradient's bits."""
    got = _gradient(backend, subject, integer_data(subject), key)
    return assert_identical(got, expected_on_integers(subject).gradients[key], f"gradient of {key}")


def on_reals(backend, subject, key):
    """The gradient within the bound for its sums of products."""
    expected, bound = expected_gradients_on_reals(subject)[key]
    return assert_within(_gradient(backend, subject, real_data(subject), key), expected, bound, f"gradient of {key}")


def _gradient(backend, subject, data, key):
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    gx, gradients = backend.gradients(model, data.x, data.gy, subject.training)
    return gx if key == "x" else gradients[key]
