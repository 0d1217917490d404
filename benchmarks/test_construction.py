"""Construction of a layer, initial values included."""

import pytest

from benchmarks.targets import CONSTRUCTION


@pytest.mark.measures(CONSTRUCTION)
def test_construction(time_calls, point):
    time_calls(lambda contender: contender.construction(point))
