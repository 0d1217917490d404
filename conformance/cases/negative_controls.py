"""Negative controls: where equivariance must be seen to fail.

A suite in which these did not fail could not tell a broken layer from a correct one.
"""

import warnings
from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import assert_different
from conformance.data import integer_data
from conformance.network import Conv, Restrict, SpatialMaxPool
from conformance.sizes import Subject
from groupy.garray.C4_array import C4
from groupy.garray.C4h_array import C4h
from groupy.garray.C6_array import C6
from groupy.garray.D4_array import D4
from groupy.garray.D6_array import D6
from groupy.garray.O_array import O
from groupy.garray.Oh_array import Oh
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.reference import domain, left_translate

MUST_DIFFER = "must differ"


def cases():
    """One case for each."""
    for name, check, network, group, x_shape, element in _controls():
        subject = Subject(f"negative/{name}", network, group, x_shape, "float32")
        yield Case("negative-control", name, MUST_DIFFER, partial(check, subject=subject, h=element))


def _controls():
    """Name, check, network, group, shape of x, element: the network does not follow the element."""
    strided = (Conv("P4ConvZ2", 2, 3, 3, stride=2, pad=1),)
    yield "stride-2-on-8x8", of_the_size, strided, C4, (2, 2, 1, 8, 8), _element(C4, "r")
    pooled = (Conv("P4MConvZ2", 2, 3, 3, pad=1), SpatialMaxPool(2, 2))
    yield "pooling-2-on-7x7", of_the_size, pooled, D4, (2, 2, 1, 7, 7), _element(D4, "m")
    strided = (Conv("C4HConvZ3", 1, 2, 3, stride=2, pad=1),)
    yield "stride-2-on-4x4x4", of_the_size, strided, C4h, (1, 1, 1, 4, 4, 4), _element(C4h, "r")

    pooled = (Conv("P6ConvZ2", 2, 3, 3, pad=1), SpatialMaxPool(3, 1, pad=1))
    yield "square-windows-on-p6", of_the_size, pooled, C6, (2, 2, 1, 7, 7), _element(C6, "r")
    lifted = (Conv("P6ConvZ2", 2, 3, 3, pad=1),)
    yield "p6-without-the-border", of_the_border, lifted, C6, (2, 2, 1, 7, 7), _element(C6, "r")

    group_conv = (Conv("P6ConvP6", 2, 3, 3, pad=1),)
    yield "nan-inside-the-hexagon", of_a_point, group_conv, C6, (2, 2, 6, 7, 7), None
    group_conv = (Conv("P4ConvP4", 2, 3, 3, pad=1),)
    yield "another-order-of-memory", of_the_order, group_conv, C4, (2, 2, 4, 5, 5), None

    # A group without mirrors: its feature maps do not follow one, in any order of the orientations.
    group_conv = (Conv("P4ConvP4", 2, 3, 3, pad=1),)
    yield "p4-under-a-mirror", of_the_mirror, group_conv, C4, (2, 2, 4, 7, 7), _element(D4, "m")
    group_conv = (Conv("P6ConvP6", 2, 3, 3, pad=1),)
    yield "p6-under-a-mirror", of_the_mirror, group_conv, C6, (2, 2, 6, 7, 7), _element(D6, "m")
    lifted = (Conv("OConvZ3", 1, 1, 3, pad=1),)
    yield "O-under-the-inversion", of_the_mirror, lifted, O, (1, 1, 1, 4, 4, 4), _element(Oh, "i")

    # The same where the input is a map on the group with mirrors: what follows the restriction has none.
    restricted = (Conv("P4MConvP4M", 1, 1, 3), Restrict("p4m", "p4"), Conv("P4ConvP4", 2, 2, 3, pad=1))
    yield "p4m-restricted-to-p4-under-a-mirror", of_the_mirror, restricted, C4, (1, 1, 8, 6, 6), _element(D4, "m")
    restricted = (Conv("OHConvOH", 1, 1, 2), Restrict("Oh", "O"), Conv("OConvO", 2, 1, 2))
    yield "Oh-restricted-to-O-under-the-inversion", of_the_mirror, restricted, O, (1, 1, 48, 3, 3, 3), _element(Oh, "i")


def _element(group, word):
    return group[group.stabilizer.words.index(word)]


def of_the_size(backend, subject, h):
    """The size breaks equivariance under h."""
    x = integer_data(subject).x
    y, y_of_moved = _outputs(backend, subject, x, [left_translate(x, subject.group, h)])
    inside = domain(subject.group, y.shape[3:])
    due = left_translate(y, subject.group, h)
    return assert_different(y_of_moved * inside, due, "outputs that a broken size keeps apart")


def of_the_border(backend, subject, h):
    """Outside of the hexagon nothing is seen, but each border of the hexagon is, and so is what turns there."""
    x, inner = integer_data(subject).x, np.zeros_like(subject.domain)
    inner[1:-1, 1:-1] = domain(subject.group, tuple(n - 2 for n in inner.shape))
    for side in (np.triu(~inner), np.tril(~inner)):
        y, y_of_moved = _outputs(backend, subject, x, [left_translate(x * ~side, subject.group, h)])
        due = left_translate(y, subject.group, h)
        evidence = assert_different(y_of_moved, due, "outputs for a hexagon and for one without half of its border")
    return evidence


def of_a_point(backend, subject, h):
    """What is not finite is seen inside the hexagon, at its middle."""
    x = integer_data(subject).x
    spoiled = x.copy()
    spoiled[(..., *(n // 2 for n in x.shape[3:]))] = np.nan
    y, y_of_spoiled = (np.isnan(y).astype(int) for y in _outputs(backend, subject, x, [spoiled]))
    return assert_different(y_of_spoiled, y, "which outputs are NaN, with a NaN at a point of the hexagon and without")


def of_the_order(backend, subject, h):
    """The numbers in the order in which a channels-last array holds them are another input."""
    x = integer_data(subject).x
    other = np.moveaxis(x, (1, 2), (-2, -1)).reshape(x.shape)
    y, y_of_other = _outputs(backend, subject, x, [other])
    return assert_different(y_of_other, y, "outputs for the same numbers in another order")


def of_the_mirror(backend, subject, h):
    """The mirrored input's maps against the mirrored maps, in each order that a mirror could put them in."""
    x, (of_input, of_output) = integer_data(subject).x, subject.groups
    orders = _orders(of_output, h)
    if of_input is not of_output:
        inputs = [left_translate(x, of_input, h)]  # a map on a group that has the mirror
    elif x.shape[2] == 1:
        inputs = [_moved_pixels(x, h)]
    else:
        inputs = [_moved_pixels(x[:, :, order], h) for order in orders]
    y, *of_moved = _outputs(backend, subject, x, inputs)
    evidence = {}
    for y_of_moved in of_moved:
        for order in orders:
            due = _moved_pixels(y[:, :, order], h)
            evidence = assert_different(y_of_moved, due, "feature maps on a group without mirrors, under a mirror")
    return evidence


def _orders(group, mirror):
    """The orders of a stabilizer axis that a mirror m could put it in: m g m^-1 k for all g in turn, for each k."""
    stabilizer = group.stabilizer
    m, inverse = (h.reparameterize("mat").data for h in (mirror, mirror.inv()))
    return [stabilizer.index_of(m @ stabilizer.matrices @ inverse @ k) for k in stabilizer.matrices]


def _moved_pixels(x, h):
    """A map (N, C, S, H, W) whose pixels an element moves, each element of the stabilizer by itself."""
    folded = x.reshape(x.shape[0], -1, 1, *x.shape[3:])
    return left_translate(folded, None, h).reshape(x.shape)


def _outputs(backend, subject, x, moved_inputs):
    """The network's outputs for x and for each of the others."""
    model = backend.build(subject.network, integer_data(subject).parameters, np.dtype(subject.dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)  # that is the point
        return [backend.forward(model, np.ascontiguousarray(each)) for each in (x, *moved_inputs)]
