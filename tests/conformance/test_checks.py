"""Comparisons: what they let pass, and what they say when they do not."""

import numpy as np
import pytest

from conformance.checks import CheckFailed, assert_different, assert_identical, assert_within, digest


def test_equal_bits_pass_and_leave_a_fingerprint():
    a = np.array([1, 2, 3], np.float32)
    assert assert_identical(a, a.astype(np.float64), "y") == {"sha256": digest(a)}
    assert digest(a) == digest(a.astype(np.float64)) != digest(a[::-1])
    assert digest(np.zeros(1)) == digest(-np.zeros(1))


@pytest.mark.parametrize(
    "got, message",
    [
        (
            np.array([1, 2, 4], np.float32),
            r"y: 1 of 3 elements differ, by up to 1; the first at \(2,\): 4.0, expected 3.0",
        ),
        (np.array([1, 2, np.nan], np.float32), "1 of 3 elements differ"),
        (np.array([1, 2], np.float32), r"y: shape \(2,\), expected \(3,\)"),
        ([1, 2, 3], "y: the backend gave a list"),
    ],
)
def test_anything_else_fails_and_says_where(got, message):
    expected = np.array([1.0, 2, 3])
    with pytest.raises(CheckFailed, match=message):
        assert_identical(got, expected, "y")


def test_a_neighbouring_float_is_not_identical():
    a = np.array([1.0], np.float32)
    with pytest.raises(CheckFailed):
        assert_identical(np.nextafter(a, np.float32(2)), a, "y")


def test_data_that_do_not_fit_the_dtype_are_the_suites_own_fault():
    with pytest.raises(ValueError, match="a fault of the suite"):
        assert_identical(np.zeros(1, np.float32), np.array([2.0**24 + 1]), "y")


def test_errors_within_the_bound_pass_and_say_how_much_of_it_they_use():
    evidence = assert_within(np.array([1.0, 2.5]), np.array([1.0, 2.0]), np.array([0.0, 1.0]), "y")
    assert evidence == {"largest_error": 0.5, "share_of_bound": 0.5}


@pytest.mark.parametrize("got", [[1.0, 3.5], [1.1, 2.0], [np.nan, 2.0], [np.inf, 2.0]])
def test_errors_outside_the_bound_fail(got):
    with pytest.raises(CheckFailed, match="the bound there is"):
        assert_within(np.array(got), np.array([1.0, 2.0]), np.array([0.0, 1.0]), "y")


def test_a_negative_control_fails_when_things_are_equal():
    assert assert_different(np.ones(2), np.zeros(2), "y") == {"equivariance_error": 1.0}
    with pytest.raises(CheckFailed, match="they are equal"):
        assert_different(np.ones(2), np.ones(2), "y")
