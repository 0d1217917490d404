"""The same numbers in other places of memory: outputs and gradients are bit for bit those for a contiguous input.

A backend is given views, and passes their strides on as its framework's users would.
"""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import expected_on_integers, integer_data
from conformance.sizes import layout_subjects


def every_second(array):
    """Every second number of a larger array."""
    larger = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99, array.dtype)
    larger[..., ::2] = array
    return larger[..., ::2]


def backwards(array):
    """Rows and columns from the last to the first: negative strides."""
    return np.ascontiguousarray(array[..., ::-1, ::-1])[..., ::-1, ::-1]


def transposed(array):
    """Columns before rows."""
    return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)


def fortran(array):
    """The first axis runs fastest."""
    return np.asfortranarray(array)


def channels_last(array):
    """(N, H, W, C, S) in memory: the channels of a folded map lie next to each other."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, (1, 2), (-2, -1))), (-2, -1), (1, 2))


LAYOUTS = {
    "every-second": every_second,
    "backwards": backwards,
    "transposed": transposed,
    "fortran": fortran,
    "channels-last": channels_last,
}


def cases():
    """Each layout, for one size of each layer, for each companion, and for a network on each group."""
    for name in LAYOUTS:
        for subject in layout_subjects():
            yield Case(f"layout.{name}", subject.name, BITWISE, partial(check, subject=subject, layout=name))


def check(backend, subject, layout):
    """Of input and of the output's gradient; neither is written to."""
    data, expected, place = integer_data(subject), expected_on_integers(subject), LAYOUTS[layout]
    x, gy = place(data.x), place(data.gy)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y = np.array(backend.forward(model, x, subject.training))
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    gx, gradients = backend.gradients(model, x, gy, subject.training)
    for key, gradient in {"x": gx, **gradients}.items():
        assert_identical(gradient, expected.gradients[key], f"gradient of {key}, input and gradient {layout}")
    assert_identical(x, data.x, f"the input, {layout}, after use")
    assert_identical(gy, data.gy, f"the output's gradient, {layout}, after use")
    return assert_identical(y, expected.y, f"output, input {layout}")
