"""Negative controls: where equivariance must be seen to fail.

A suite in which these did not fail could not tell a broken layer from a correct one.
"""

import warnings
from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import assert_different
from conformance.data import integer_data
from conformance.network import Conv, SpatialMaxPool
from conformance.sizes import Subject
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.reference import left_translate

MUST_DIFFER = "must differ"


def _subjects():
    """Name, subject, element: the network does not commute with the element at this size."""
    strided = (Conv("P4ConvZ2", 2, 3, 3, stride=2, pad=1),)
    pooled = (Conv("P4MConvZ2", 2, 3, 3, pad=1), SpatialMaxPool(2, 2))
    unmirrored = (Conv("P4ConvP4", 2, 3, 3, pad=1),)
    quarter_turn, mirror = C4[1], D4[4]
    yield "stride-2-on-8x8", Subject("negative/stride", strided, C4, (2, 2, 1, 8, 8), "float32"), quarter_turn
    yield "pooling-2-on-7x7", Subject("negative/pooling", pooled, D4, (2, 2, 1, 7, 7), "float32"), mirror
    # p4 knows no mirrors: its feature maps do not follow one, in any order of the orientations.
    yield "p4-under-a-mirror", Subject("negative/mirror", unmirrored, C4, (2, 2, 4, 7, 7), "float32"), None


def cases():
    """One case for each."""
    for name, subject, element in _subjects():
        check = mirrored if element is None else broken
        yield Case(
            "negative-control",
            name,
            MUST_DIFFER,
            partial(check, subject=subject, h=element),
        )


def broken(backend, subject, h):
    """The size breaks equivariance under h."""
    y, y_of_moved = _outputs(backend, subject, lambda x: left_translate(x, subject.group, h))
    return assert_different(y_of_moved, left_translate(y, subject.group, h), "outputs that a broken size keeps apart")


def mirrored(backend, subject, h):
    """The mirrored input's maps against the mirrored maps, in each order that reverses the turns."""
    orders = [[(start - g) % 4 for g in range(4)] for start in range(4)]

    def flip(x):
        return x[..., ::-1, :]

    evidence = {}
    for order in orders:
        y, y_of_moved = _outputs(backend, subject, lambda x, order=order: flip(x[:, :, order]))
        for output_order in orders:
            evidence = assert_different(y_of_moved, flip(y[:, :, output_order]), "p4 feature maps under a mirror")
    return evidence


def _outputs(backend, subject, move):
    data = integer_data(subject)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)  # that is the point
        return backend.forward(model, data.x), backend.forward(model, np.ascontiguousarray(move(data.x)))
