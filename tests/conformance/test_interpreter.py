"""The operations that the reference and the NumPy backend share: their gradients, by what must hold of them."""

import numpy as np
import pytest

from conformance.data import integer_data
from conformance.network import BatchNorm
from conformance.reference import Reference
from conformance.sizes import companion_subjects, subgroup_subjects

SUBJECTS = [s for s in companion_subjects() + subgroup_subjects() if not isinstance(s.network[0], BatchNorm)]
NORMALIZED = [s for s in companion_subjects() if isinstance(s.network[0], BatchNorm)]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_what_scales_with_its_input_has_the_gradient_of_eulers_identity(subject):
    """f(c x) = c f(x) for c > 0, of poolings, ReLU and maps that only move values: then <y, gy> = <x, gx>."""
    data = integer_data(subject)
    model = Reference(subject.network, data.parameters)
    y = model.forward(data.x)
    gx, _ = model.backward(data.gy)
    assert np.sum(y * data.gy) == np.sum(data.x * gx)


@pytest.mark.parametrize("subject", NORMALIZED, ids=lambda subject: subject.name)
def test_the_gradient_of_a_normalization_is_its_slope(subject):
    """By central differences in one direction: the function is smooth."""
    data = integer_data(subject)
    direction = np.random.default_rng(0).standard_normal(data.x.shape)

    def value(step):
        model = Reference(subject.network, data.parameters)
        return np.sum(model.forward(data.x + step * direction, subject.training) * data.gy)

    model = Reference(subject.network, data.parameters)
    model.forward(data.x, subject.training)
    gx, _ = model.backward(data.gy)
    # The error of central differences is step^2 times a third derivative, and u / step times the values.
    np.testing.assert_allclose((value(1e-4) - value(-1e-4)) / 2e-4, np.sum(gx * direction), rtol=1e-6, atol=1e-4)
