"""Equivariance: network(L_k x) = L_k network(x), bit for bit on integers.

k runs over every element of the stabilizer; and over a translation, away from the border.
"""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import integer_data
from conformance.network import border_reach, total_stride
from conformance.sizes import layer_subjects, network_subjects, subjects
from groupy.gconv.equivariance.laws import elements_of
from groupy.gconv.reference import left_translate


def cases():
    """Every element for every subject; translations for the layers and networks that convolve."""
    for subject in subjects():
        yield from cases_of(subject)
    for subject in layer_subjects() + network_subjects():
        yield Case("equivariance.translation", subject.name, BITWISE, partial(under_translation, subject=subject))


def cases_of(subject):
    """One case for each element of the stabilizer."""
    for word, element in elements_of(subject.group).items():
        run = partial(under_element, subject=subject, word=word, h=element.garray)
        yield Case(f"equivariance.{word}", subject.name, BITWISE, run)


def under_element(backend, subject, word, h):
    """The output of the moved input is the moved output."""
    data = integer_data(subject)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y = backend.forward(model, data.x, subject.training)
    moved_x = np.ascontiguousarray(left_translate(data.x, subject.group, h))
    y_of_moved = backend.forward(model, moved_x, subject.training)
    due = left_translate(y, subject.group, h)
    return assert_identical(y_of_moved, due, f"output for the input moved by {word}, against the output moved by it")


def under_translation(backend, subject):
    """An input moved by one stride down and one to the left moves the output by a pixel each."""
    data, stride = integer_data(subject), total_stride(subject.network)
    x = np.zeros_like(data.x)  # what moves must not meet the border
    inside = (Ellipsis, slice(stride, -stride), slice(stride, -stride))
    x[inside] = data.x[inside]
    moved_x = np.roll(x, (stride, -stride), axis=(-2, -1))
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y, y_of_moved = backend.forward(model, x), backend.forward(model, moved_x)
    # A single convolution sees zeros outside the picture, padded or not; further layers do not.
    crop = border_reach(subject.network) if len(subject.network) > 1 else 0
    rows, columns = (slice(crop + 1, n - crop) for n in y.shape[-2:])
    down = slice(rows.start - 1, rows.stop - 1)
    left, here = slice(columns.start, columns.stop), slice(columns.start - 1, columns.stop - 1)
    got, due = y_of_moved[..., rows, here], y[..., down, left]
    if got.size == 0:
        raise ValueError(f"{subject.name}: nothing is left away from the border.")
    return assert_identical(got, due, "output for the translated input, against the translated output")
