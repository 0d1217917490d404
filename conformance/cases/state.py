"""State: what is saved and loaded back is the same network, and is used at once."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import integer_data, real_data
from conformance.network import parameter_shapes
from conformance.sizes import subjects


def cases():
    """One case for each subject that has parameters."""
    for subject in subjects():
        if parameter_shapes(subject.network):
            yield Case("state", subject.name, BITWISE, partial(check, subject=subject))


def check(backend, subject):
    """A model with other weights, already used once, becomes the saved one by loading it."""
    saved, other = real_data(subject), integer_data(subject)
    dtype = np.dtype(subject.dtype)
    model = backend.build(subject.network, saved.parameters, dtype)
    copy = backend.build(subject.network, other.parameters, dtype)
    backend.forward(copy, saved.x)  # a filter kept from before the loading would be stale
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "parameters")
        backend.save(model, path)
        backend.load(copy, path)
    for key, value in backend.parameters(model).items():
        assert_identical(backend.parameters(copy)[key], value, f"parameter {key} after loading")
    return assert_identical(backend.forward(copy, saved.x), backend.forward(model, saved.x), "output after loading")
