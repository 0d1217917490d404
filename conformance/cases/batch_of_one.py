"""A batch of one in evaluation: half the gradients of the same example twice, and the same gradient of the input.

In evaluation examples do not meet. But an axis of length 1 may have any stride, and a framework that tells the
memory format by it can misread one. The network is smooth behind its normalization, so that its gradient is
another at each point; a ReLU would hide much of it.
"""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, assert_identical
from conformance.data import expected_on_integers, integer_data
from conformance.sizes import batch_of_one_subjects


def cases():
    """One case for each subject, whose batch is one."""
    for subject in batch_of_one_subjects():
        yield Case("batch-of-one", subject.name, BITWISE, partial(check, subject=subject))


def check(backend, subject):
    """The example once, against the reference, then twice: on integers doubling is exact."""
    data, expected = integer_data(subject), expected_on_integers(subject)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    for times, what in ((1, "a batch of one"), (2, "the same example twice")):
        x, gy = (np.concatenate([array] * times) for array in (data.x, data.gy))
        assert_identical(backend.forward(model, x), np.concatenate([expected.y] * times), f"output of {what}")
        gx, gradients = backend.gradients(model, x, gy)
        due = np.concatenate([expected.gradients["x"]] * times)
        evidence = assert_identical(gx, due, f"gradient of x of {what}")
        for key, gradient in gradients.items():
            assert_identical(gradient, times * expected.gradients[key], f"gradient of {key} of {what}")
    return evidence
