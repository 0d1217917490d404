"""What the figures should be: of all points, of each, and where."""

import pytest

from benchmarks.contenders import SUBJECTS
from benchmarks.targets import EACH, EVALUATION, MEDIAN, OPERATIONS, TARGETS, TRAINING, Target, judge


def measured(*medians, operation=TRAINING, rival="planar", channels=32):
    """A measurement for each of the medians."""
    figure = {"subject": "torch_gconv", "rival": rival, "of": rival}
    return [
        {
            "operation": operation,
            "point": {"channels": channels},
            "figures": [{**figure, "lower": median - 0.1, "median": median, "upper": median + 0.1}],
        }
        for median in medians
    ]


def due(over, at_most=1.1, **where):
    return Target(TRAINING, "torch_gconv", "planar", at_most, over, **where)


class TestVerdicts:
    @pytest.mark.parametrize("medians, met", [((0.9, 1.1, 5), True), ((0.9, 1.11, 1.2), False)])
    def test_of_the_median_one_bad_point_does_not_matter(self, medians, met):
        verdict = judge(due(MEDIAN), measured(*medians))
        assert (verdict.met, verdict.measured, verdict.over) == (met, medians[1], [])

    def test_of_each_one_bad_point_is_enough_and_the_worst_come_first(self):
        measurements = measured(1.2, 0.9, 1.3)
        verdict = judge(due(EACH), measurements)
        assert (verdict.met, verdict.measured) == (False, 1.3)
        assert [measurement for measurement, _ in verdict.over] == [measurements[2], measurements[0]]
        assert judge(due(EACH), measured(1.1, 0.9)).met

    def test_it_says_by_how_much(self):
        assert judge(due(MEDIAN, at_most=0.5), measured(0.6)).excess == pytest.approx(0.2)
        assert judge(due(MEDIAN, at_most=0.5), measured(0.4)).excess == pytest.approx(-0.2)

    def test_other_operations_rivals_and_channels_do_not_count(self):
        others = measured(9, operation=EVALUATION) + measured(9, rival="escnn") + measured(9, channels=64)
        target = due(EACH, channels=32)
        assert judge(target, others + measured(1)).met
        assert judge(target, others).met is None

    def test_points_without_channels_do_not_count_where_channels_are_named(self):
        network = [{**measurement, "point": {"network": "P4CNN"}} for measurement in measured(9)]
        assert judge(due(EACH, channels=32), network).met is None
        assert judge(due(EACH), network).met is False


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_is_about_what_is_measured(target):
    assert target.operation in OPERATIONS
    assert target.rival in SUBJECTS[target.subject]
    assert target.over in (MEDIAN, EACH)
