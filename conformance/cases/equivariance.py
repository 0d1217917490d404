"""Equivariance: network(L_k x) = L_k network(x), bit for bit on integers.

k runs over the elements of the stabilizer, or of the subgroup that a network's symmetry is lowered to;
and over a translation, away from the border.
"""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import integer_data
from conformance.network import border_reach, total_stride
from conformance.sizes import elements_tried, layer_subjects, network_subjects, subgroup_network_subjects, subjects
from groupy.gconv.reference import domain, left_translate


def cases():
    """The elements tried for every subject; translations for the layers and networks that convolve."""
    for subject in subjects():
        yield from cases_of(subject)
    for subject in layer_subjects() + network_subjects() + subgroup_network_subjects():
        yield Case("equivariance.translation", subject.name, BITWISE, partial(under_translation, subject=subject))


def cases_of(subject):
    """One case for each element of the stabilizer that is tried."""
    for position in elements_tried(subject):
        word = subject.group.stabilizer.words[position]
        run = partial(under_element, subject=subject, word=word, h=subject.group[position])
        yield Case(f"equivariance.{word}", subject.name, BITWISE, run)


def under_element(backend, subject, word, h):
    """The output of the moved input is the moved output."""
    data = integer_data(subject)
    of_input, of_output = subject.groups
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y = backend.forward(model, data.x, subject.training)
    moved_x = np.ascontiguousarray(left_translate(data.x, of_input, same_element(h, of_input)))
    y_of_moved = backend.forward(model, moved_x, subject.training)
    due = left_translate(y, of_output, same_element(h, of_output))
    return assert_identical(y_of_moved, due, f"output for the input moved by {word}, against the output moved by it")


def same_element(h, group):
    """The element of the group that moves the grid as h does."""
    return group[int(group.stabilizer.index_of(h.reparameterize("mat").data))]


def under_translation(backend, subject):
    """An input moved by one stride along each axis, down and to the left, moves the output by a pixel each."""
    data, stride = integer_data(subject), total_stride(subject.network)
    step = (1, -1, 1)[: subject.group.stabilizer.ndim]
    stays = subject.domain & _moved(subject.domain, tuple(-stride * n for n in step))
    x = data.x * stays  # what moves must stay in the picture
    moved_x = np.ascontiguousarray(_moved(x, tuple(stride * n for n in step)))
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y, y_of_moved = backend.forward(model, x), backend.forward(model, moved_x)
    # A single convolution sees zeros outside the picture, padded or not; further layers do not.
    crop = border_reach(subject.network) if len(subject.network) > 1 else 0
    inside = _away_from_the_border(subject.groups[1], y.shape[3:], crop)
    compared = inside & _moved(inside, step)
    if not compared.any():
        raise ValueError(f"{subject.name}: nothing is left away from the border.")
    got, due = y_of_moved[..., compared], _moved(y, step)[..., compared]
    return assert_identical(got, due, "output for the translated input, against the translated output")


def _moved(array, step):
    """An array moved along its last axes, with zeros (or False) for what comes in."""
    moved, axes = np.zeros_like(array), array.shape[-len(step) :]
    to, of = (
        (..., *(slice(max(sign * n, 0), size + min(sign * n, 0)) for n, size in zip(step, axes))) for sign in (1, -1)
    )
    moved[to] = array[of]
    return moved


def _away_from_the_border(group, size, crop):
    inner = tuple(slice(crop, n - crop) for n in size)
    inside = np.zeros(size, dtype=bool)
    inside[inner] = domain(group, inside[inner].shape)
    return inside
