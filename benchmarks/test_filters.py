"""The filter transformation alone: canonical filters to folded ones, and the gradient of the folded ones back."""

import pytest

from benchmarks.targets import TRANSFORMATION, TRANSFORMATION_WITH_GRADIENT


@pytest.mark.measures(TRANSFORMATION)
def test_filter_transformation(time_calls, point):
    time_calls(lambda contender: contender.filter_transformation(point, gradient=False))


@pytest.mark.measures(TRANSFORMATION_WITH_GRADIENT)
def test_filter_transformation_with_gradient(time_calls, point):
    time_calls(lambda contender: contender.filter_transformation(point, gradient=True))
