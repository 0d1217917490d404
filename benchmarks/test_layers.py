"""Layers: a training step, evaluation, and the peak memory of a training step.

No test here asserts a time: the report marks figures that are over their targets (benchmarks/targets.py).
"""

import pytest

from benchmarks.targets import EVALUATION, MEMORY, TRAINING


@pytest.mark.measures(TRAINING)
def test_training_step(time_calls, point):
    time_calls(lambda contender: contender.training_step(point))


@pytest.mark.measures(EVALUATION)
def test_evaluation(time_calls, point):
    time_calls(lambda contender: contender.evaluation(point))


@pytest.mark.measures(MEMORY)
def test_peak_memory(weigh):
    weigh()
