"""Fixtures, options and the number of hypothesis examples (1,000 a law in CI, 100 elsewhere)."""

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from conformance.backends import KNOWN, load_backend

settings.register_profile("ci", max_examples=1000, deadline=None, derandomize=True)
settings.register_profile("dev", max_examples=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

# The folders of tests that need a framework.
_NEEDS = {"chainer_gconv": "chainer", "torch_gconv": "torch"}


def pytest_addoption(parser):
    parser.addoption(
        "--backend", default=None, help=f"comma-separated backends for the conformance tests, of {', '.join(KNOWN)}"
    )


@cache
def left_out_backends():
    """Backends that cannot run here, and why."""
    return {name: reason for name in KNOWN if (reason := load_backend(name).unavailable_because())}


def pytest_generate_tests(metafunc):
    if "backend" in metafunc.fixturenames:
        asked = metafunc.config.getoption("--backend")
        names = asked.split(",") if asked else [name for name in KNOWN if name not in left_out_backends()]
        marks = {name: pytest.mark.gpu if name.endswith("-cuda") else () for name in names}
        metafunc.parametrize(
            "backend", [pytest.param(load_backend(name), marks=marks[name], id=name) for name in names]
        )


def pytest_ignore_collect(collection_path):
    """Leave out tests whose framework is missing, since they import it; the header says so."""
    framework = next((need for folder, need in _NEEDS.items() if folder in collection_path.parts), None)
    return True if framework and find_spec(framework) is None else None


def pytest_runtest_setup(item):
    """Layers draw their initial weights from the frameworks' global generators."""
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_report_header(config):
    folders = [f"tests/{at}, since {need} is not installed" for at, need in _NEEDS.items() if not find_spec(need)]
    return [f"left out: {what}" for what in folders]


def pytest_terminal_summary(terminalreporter):
    """Say which backends were left out, if any tests asked: then it is known already."""
    if left_out_backends.cache_info().currsize:
        for name, reason in left_out_backends().items():
            terminalreporter.line(f"left out: tests of the backend {name}. {reason}")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def golden():
    """The index tables of the original implementations."""
    path = SHARED / "golden" / "gconv_indices.npz"
    if not path.exists():
        pytest.skip("the golden tables lie in ../shared/golden, which is not here")
    with np.load(path) as tables:
        yield tables
