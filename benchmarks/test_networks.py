"""A training step of a published network: loss, gradients, an update by SGD."""

import pytest

from benchmarks.targets import NETWORK_TRAINING


@pytest.mark.measures(NETWORK_TRAINING)
def test_network_training_step(time_calls, point):
    time_calls(lambda contender: contender.network_training_step(point))
