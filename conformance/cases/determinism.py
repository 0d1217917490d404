"""Determinism: the same call twice gives the same bits, gradients included."""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import real_data
from conformance.sizes import subjects


def cases():
    """One case for each subject."""
    for subject in subjects():
        yield Case("determinism", subject.name, BITWISE, partial(check, subject=subject))


def check(backend, subject):
    """Real numbers, whose sums would show another order of summation."""
    data = real_data(subject)

    def run():
        model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
        y = np.array(backend.forward(model, data.x, subject.training))
        gx, gradients = backend.gradients(model, data.x, data.gy, subject.training)
        return {"output": y, "gradient of x": gx, **{f"gradient of {key}": g for key, g in gradients.items()}}

    first, second = run(), run()
    for what, value in first.items():
        assert_identical(second[what], value, f"{what}, the second time against the first")
