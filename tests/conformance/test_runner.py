"""The runner: five outcomes, expected failures, backends by name."""

import numpy as np
import pytest

from conformance import runner
from conformance.backends import KNOWN, Backend, Declined, UnknownBackend, load_backend
from conformance.backends.numpy_backend import NumpyBackend
from conformance.backends.sequential import SequentialBackend
from conformance.case import Case
from conformance.cases import all_cases
from conformance.checks import CheckFailed
from conformance.network import Square
from conformance.runner import ExpectedFailures, run_case


def raising(error):
    def check(backend):
        raise error

    return Case("outputs", "subject", "bitwise", check)


def passing():
    return Case("outputs", "subject", "bitwise", lambda backend: {"sha256": "0"})


EXPECTED = ExpectedFailures({"outputs/*": "not done yet"})


@pytest.mark.parametrize(
    "case, expected_failures, outcome, message",
    [
        (passing(), None, runner.PASSED, ""),
        (raising(CheckFailed("3 of 4 differ")), None, runner.FAILED, "3 of 4 differ"),
        (raising(KeyError("0.W")), None, runner.FAILED, "KeyError: '0.W'"),
        (raising(Declined("no masks")), None, runner.DECLINED, "no masks"),
        (raising(CheckFailed("3 of 4 differ")), EXPECTED, runner.EXPECTED_FAILURE, "not done yet (3 of 4 differ)"),
        (passing(), EXPECTED, runner.UNEXPECTED_PASS, "listed as an expected failure (not done yet), but it passes"),
        (raising(Declined("no masks")), EXPECTED, runner.DECLINED, "no masks"),
    ],
)
def test_outcomes(case, expected_failures, outcome, message):
    result = run_case(case, NumpyBackend(), expected_failures)
    assert result.outcome == outcome
    assert result.message.startswith(message)
    assert result.id == "outputs/subject" and result.backend == "numpy"


def test_an_interrupt_is_not_a_result():
    with pytest.raises(KeyboardInterrupt):
        run_case(raising(KeyboardInterrupt()), NumpyBackend())


def test_expected_failures_are_lines_with_a_reason():
    expected = ExpectedFailures.parse("# a comment\n\noutputs/*  # later\nstate/x # never\n")
    assert expected.reasons == {"outputs/*": "later", "state/x": "never"}
    assert expected.reason_for("outputs/P4ConvZ2") == "later" and expected.reason_for("filters/P4ConvZ2") is None
    assert expected.stale(["outputs/P4ConvZ2"]) == ["state/x"]
    with pytest.raises(ValueError, match="line 1: 'outputs/a' has no '# reason'"):
        ExpectedFailures.parse("outputs/a")


@pytest.mark.parametrize("name", KNOWN)
def test_the_kept_lists_name_cases_and_on_the_cpu_they_are_empty(name):
    kept = ExpectedFailures.of(name)
    assert kept.stale([case.id for case in all_cases()]) == []
    assert name.endswith("-cuda") or kept.reasons == {}
    assert ExpectedFailures.of("no-such-backend").reasons == {}


@pytest.mark.parametrize(
    "name, message",
    [
        ("jax", "unknown backend 'jax'; expected one of numpy, chainer, .*torch-cuda, or 'package.module:ClassName'"),
        ("nowhere:Port", "backend 'nowhere:Port': cannot import nowhere"),
        ("json:JSONDecoder", "json has no Backend class 'JSONDecoder'"),
        ("json:Missing", "json has no Backend class 'Missing'"),
    ],
)
def test_backends_that_cannot_be_loaded_are_named(name, message):
    with pytest.raises(UnknownBackend, match=message):
        load_backend(name)


class HalfAPort(Backend):
    """A port of which only this much is there."""

    def forward(self, model, x, training=False):
        return x


def test_a_port_that_lacks_methods_is_told_which():
    with pytest.raises(UnknownBackend, match="HalfAPort does not implement build, gradients, load, parameters, save"):
        load_backend(f"{__name__}:HalfAPort")


def test_a_port_is_loaded_from_its_module():
    backend = load_backend("conformance.backends.numpy_backend:NumpyBackend")
    assert isinstance(backend, NumpyBackend)


def test_a_sequential_backend_declines_operations_that_it_has_no_method_for():
    class WithoutSquare(SequentialBackend):
        build = forward = gradients = transformed_filters = parameters = save = load = array = None

    assert "square" in dir(load_backend("torch")) and "square" in dir(load_backend("chainer"))
    with pytest.raises(Declined, match="Square is not implemented"):
        WithoutSquare().layers((Square(),), {}, np.float32)
