"""Comparisons, and what they say when they fail: what was seen, what was due, where."""

import hashlib

import numpy as np

BITWISE = "bitwise"
DERIVED_BOUND = "10 u sqrt(n) |a| |b| (see conformance/reference.py)"


class CheckFailed(AssertionError):
    """A property does not hold; the message says what was seen and what was due."""


def assert_identical(got, expected, what):
    """Every bit equal: shape, dtype and values (0.0 and -0.0 are equal, NaNs are not). Returns evidence."""
    _assert_is_array(got, what)
    expected = _exactly(expected, got.dtype)
    _assert_same_form(got, expected, what)
    different = ~(got == expected)
    if different.any():
        raise CheckFailed(f"{what}: {_describe(got, expected, different)}")
    return {"sha256": digest(got)}


def assert_within(got, expected, bound, what):
    """|got - expected| <= bound, elementwise; expected in float64. Returns evidence."""
    _assert_is_array(got, what)
    _assert_same_form(got, expected.astype(got.dtype), what)
    error = np.abs(got.astype(np.float64) - expected)
    # A result that is not a number is no result.
    outside = ~(error <= bound)
    if outside.any():
        raise CheckFailed(
            f"{what}: {_describe(got, expected, outside)}; the bound there is {_first(bound, outside):.3g}"
        )
    # Where the bound is 0 the error is too.
    used = np.divide(error, bound, out=np.zeros_like(error), where=bound > 0)
    return {"largest_error": float(error.max(initial=0)), "share_of_bound": float(used.max(initial=0))}


def assert_different(got, other, what):
    """A negative control: the two must not be equal. Returns evidence."""
    if got.shape == other.shape and (got == other).all():
        raise CheckFailed(f"{what}: they are equal, so this suite could not tell a fault from a correct layer.")
    largest = float(np.abs(got - other).max()) if got.shape == other.shape else None
    return {"equivariance_error": largest}


def digest(array):
    """A fingerprint of an array's values, the same for equal values in any dtype and memory order."""
    return hashlib.sha256(np.ascontiguousarray(array, dtype=np.float64) + 0.0).hexdigest()[:16]


def _exactly(expected, dtype):
    """The float64 reference in the backend's dtype; it must fit without rounding, or the data are not exact."""
    converted = np.asarray(expected).astype(dtype)
    if not np.array_equal(converted.astype(np.float64), expected):
        raise ValueError("the suite's integer data overflow this dtype: a fault of the suite, not of the backend.")
    return converted


def _assert_is_array(got, what):
    if not isinstance(got, np.ndarray):
        raise CheckFailed(f"{what}: the backend gave a {type(got).__name__}, expected a numpy.ndarray.")


def _assert_same_form(got, expected, what):
    if got.shape != expected.shape:
        raise CheckFailed(f"{what}: shape {got.shape}, expected {expected.shape}.")
    if got.dtype != expected.dtype:
        raise CheckFailed(f"{what}: dtype {got.dtype}, expected {expected.dtype}.")


def _describe(got, expected, different):
    place = tuple(int(i) for i in np.argwhere(different)[0])
    largest = np.nanmax(np.abs(got.astype(np.float64) - expected), initial=0)
    return (
        f"{np.count_nonzero(different)} of {got.size} elements differ, by up to {largest:.3g}; "
        f"the first at {place}: {got[place]}, expected {expected[place]}"
    )


def _first(values, where):
    return np.broadcast_to(values, where.shape)[where][0]
