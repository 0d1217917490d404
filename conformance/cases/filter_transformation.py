"""Transformed filters are a pure gather: bit-identical to the definition, in every dtype."""

from dataclasses import replace
from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import generator
from conformance.network import parameter_shapes
from conformance.sizes import layer_subjects
from groupy.gconv.reference import transform_filters


def cases():
    """One case for each layer subject."""
    for subject in layer_subjects():
        yield Case("filters", subject.name, BITWISE, partial(check, subject=subject))


def check(backend, subject):
    """Every tap of every filter lands where the group element takes it."""
    rng = generator(subject, "filters")
    network = tuple(replace(conv, masked=False) for conv in subject.network)
    parameters = {
        key: rng.standard_normal(shape).astype(subject.dtype) for key, shape in parameter_shapes(network).items()
    }
    model = backend.build(network, parameters, np.dtype(subject.dtype))
    expected = transform_filters(parameters["0.W"], subject.group)
    return assert_identical(backend.transformed_filters(model), expected, "transformed filters")
