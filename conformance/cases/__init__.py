"""The cases: one module for each property, each with a function `cases()`."""

from fnmatch import fnmatchcase

from conformance.cases import (
    batch_of_one,
    determinism,
    equivariance,
    filter_transformation,
    gradients,
    layouts,
    negative_controls,
    outputs,
    outside_the_domain,
    pictures,
    state,
)

_MODULES = (
    filter_transformation,
    outputs,
    gradients,
    equivariance,
    batch_of_one,
    outside_the_domain,
    layouts,
    determinism,
    state,
    negative_controls,
)


def all_cases(on_pictures=()):
    """Every case, those on pictures last."""
    return [case for module in _MODULES for case in module.cases()] + list(pictures.cases(on_pictures))


def matching(cases, pattern):
    """The cases whose id matches a shell pattern; '*' crosses slashes."""
    return [case for case in cases if fnmatchcase(case.id, pattern)]
