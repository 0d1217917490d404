"""torch_gconv against planar convolutions of the same folded shape, escnn and chainer_gconv: `make bench`.

No time is asserted: the report marks figures that are over their targets (benchmarks/targets.py).
"""

import pytest

from benchmarks.targets import CONSTRUCTION, EVALUATION, TRAINING
from groupy.gconv.make_gconv_indices import make_d4_p4m_indices


def test_training_step(benchmark, comparison, shape):
    timed = comparison.time(benchmark, TRAINING, shape, lambda contender: contender.training_step(shape))
    comparison.weigh(shape, planar=timed.figures["planar"].of)


def test_evaluation(benchmark, comparison, shape):
    comparison.time(benchmark, EVALUATION, shape, lambda contender: contender.evaluation(shape))


def test_construction(benchmark, comparison):
    shape = comparison.suite.constructed
    comparison.time(benchmark, CONSTRUCTION, shape, lambda contender: contender.construction(shape))


@pytest.mark.parametrize("ksize", [3, 7])
def test_index_table(benchmark, ksize):
    benchmark.group = f"index table of P4MConvP4M, ksize {ksize}"
    benchmark(make_d4_p4m_indices, ksize)
