"""What is no part of a map or a filter has no effect, be it NaN or infinite: bit for bit what zeros there give.

Outside of a hexagonal map's points, in the input and in the gradient of the output; at the taps outside of a
hexagonal filter; and where a filter mask is zero, on every grid. A mask that multiplies fails, since 0 times
infinity and 0 times NaN are NaN.
"""

from functools import partial
from itertools import cycle, islice

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import expected_on_integers, integer_data
from conformance.network import Conv
from conformance.sizes import companion_subjects, layer_subjects, network_subjects
from groupy.gconv.reference import domain


def cases():
    """One case for each subject that has such places: layers, companions and networks that select what they use."""
    for subject in layer_subjects() + companion_subjects() + network_subjects():
        if _is_masked(subject) or (not subject.domain.all() and _selects(subject.network[0])):
            yield Case("non-finite", subject.name, BITWISE, partial(check, subject=subject))


def _is_masked(subject):
    return any(isinstance(operation, Conv) and operation.masked for operation in subject.network)


def _selects(operation):
    """Whether an operation knows the hexagon; the others treat all points of an array alike."""
    return isinstance(operation, Conv) or getattr(operation, "hexagonal", False)


def check(backend, subject):
    """The reference's bits for zeros: output and gradients, which are zero at such places."""
    data, expected = integer_data(subject), expected_on_integers(subject)
    parameters = {key: _spoiled(subject, data.parameters, key) for key in data.parameters}
    x, gy = _spoil(data.x, subject.domain), data.gy
    if _selects(subject.network[-1]):
        gy = _spoil(gy, domain(subject.groups[1], gy.shape[3:]))
    with np.errstate(invalid="ignore"):  # NumPy need not keep quiet on what is left out in the end
        model = backend.build(subject.network, parameters, np.dtype(subject.dtype))
        y = backend.forward(model, x, subject.training)
        if subject.training:
            statistics = backend.parameters(model)
            assert_identical(statistics["0.mean"], expected.parameters["0.mean"], "running mean")
            model = backend.build(subject.network, parameters, np.dtype(subject.dtype))
        gx, gradients = backend.gradients(model, x, gy, subject.training)
    for key, gradient in {"x": gx, **gradients}.items():
        assert_identical(gradient, expected.gradients[key], f"gradient of {key}, with numbers outside not finite")
    return assert_identical(y, expected.y, "output, with numbers outside not finite")


def _spoiled(subject, parameters, key):
    """The parameter with numbers that are not finite where the layer has none."""
    position, name = key.split(".")
    operation, value = subject.network[int(position)], parameters[key]
    if name != "W":
        return value
    used = np.broadcast_to(domain(operation.spec.group, operation.kernel), value.shape)
    if operation.masked:
        mask = parameters[f"{position}.mask"]
        used = used & (mask.reshape(mask.shape + (1,) * len(operation.kernel)) != 0)
    return _spoil(value, used)


def _spoil(array, used):
    """The array, with NaN, infinity and minus infinity in turn where `used` is false."""
    spoiled, unused = array.copy(), ~np.broadcast_to(used, array.shape)
    spoiled[unused] = list(islice(cycle([np.nan, np.inf, -np.inf]), int(unused.sum())))
    return spoiled
