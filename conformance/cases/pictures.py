"""The same properties on real pictures: two convolutions on integer pixels, bit for bit."""

from functools import partial

import numpy as np

from conformance.backends import Declined
from conformance.case import Case
from conformance.cases import equivariance, outputs
from conformance.checks import BITWISE, assert_different
from conformance.data import integer_data
from conformance.sizes import picture_subjects
from groupy.gconv.reference import left_translate


def cases(pictures):
    """Outputs, equivariance under every element, and a control for each picture and group."""
    for subject in picture_subjects(pictures):
        yield Case("outputs.integer", subject.name, BITWISE, partial(outputs.on_integers, subject=subject))
        yield from equivariance.cases_of(subject)
        yield Case("negative-control", subject.name, "must differ", partial(is_moved, subject=subject))


def is_moved(backend, subject):
    """The moved picture's feature maps are not those of the picture as it stood."""
    data, h = integer_data(subject), subject.group[subject.group.size // 2]  # a half turn, or a mirror
    moved = np.ascontiguousarray(left_translate(data.x, subject.group, h))
    if np.array_equal(moved, data.x):
        raise Declined("the picture is symmetric: moved, it is itself, so its feature maps show nothing.")
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y, y_of_moved = backend.forward(model, data.x), backend.forward(model, moved)
    return assert_different(y_of_moved, y, "feature maps of the picture and of the moved picture")
