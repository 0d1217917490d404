"""What results say: a statement turns round when the numbers do."""

import pytest

from benchmarks import findings
from benchmarks.findings import DEPENDS, LESS, LEVEL, MORE, At, Row, Spread, advice
from benchmarks.targets import EVALUATION, MEMORY, NETWORK_TRAINING, TRAINING

FAST, SLOW = 0.2, 5.0


class TestSpreads:
    @pytest.mark.parametrize(
        ("spread", "verdict"),
        [
            (Spread(0.8, 0.9, 0.95), LESS),
            (Spread(1.1, 1.2, 1.3), MORE),
            (Spread(0.8, 0.9, 1.0), LEVEL),  # one lies between the quartiles
            (Spread(0.9, 1.2, 1.4), LEVEL),
            (Spread(1.004, 1.005, 1.006), LEVEL),  # sure, but nobody would notice
        ],
    )
    def test_a_verdict_needs_a_difference_beyond_the_spread_that_one_would_notice(self, spread, verdict):
        assert spread.verdict == verdict

    def test_quartiles_of_numbers_not_in_pairs_are_the_farthest_possible(self):
        assert Spread(1, 2, 4).over(Spread(2, 4, 8)) == Spread(1 / 8, 1 / 2, 2)

    def test_the_inverse_swaps_the_quartiles(self):
        assert Spread(2, 4, 5).inverse == Spread(1 / 5, 1 / 4, 1 / 2)

    @pytest.mark.parametrize(
        ("verdicts", "due"),
        [([], LEVEL), ([LEVEL, LEVEL], LEVEL), ([LESS, LEVEL], LESS), ([MORE], MORE), ([LESS, MORE], DEPENDS)],
    )
    def test_advice_is_what_the_verdicts_agree_on(self, verdicts, due):
        assert advice(verdicts) == due


class TestRatios:
    def test_planar_is_the_faster_of_its_memory_formats(self):
        values = {"planar NCHW": [3.0, 3.0], "planar channels_last": [2.0, 2.0], "torch_gconv": [4.0, 4.0]}
        measurement = {"values": values, "figures": []}
        assert findings.labels(measurement) == ["planar", "torch_gconv"]
        assert findings.contender_of(measurement, "planar") == "planar channels_last"
        assert findings.ratio(measurement, "torch_gconv", "planar") == Spread(2, 2, 2)

    def test_a_ratio_is_of_values_within_a_round_not_of_medians(self):
        measurement = {"values": {"a": [1.0, 4.0, 9.0], "b": [1.0, 2.0, 9.0]}, "figures": []}
        assert findings.ratio(measurement, "a", "b").median == 1  # that of the medians is 2

    def test_the_figure_of_the_results_is_taken_where_there_is_one(self):
        figure = {"subject": "a", "rival": "b", "of": "b", "lower": 0.5, "median": 0.6, "upper": 0.7}
        measurement = {"values": {"a": [1.0], "b": [1.0]}, "figures": [figure]}
        assert findings.ratio(measurement, "a", "b") == Spread(0.5, 0.6, 0.7)
        assert findings.ratio(measurement, "b", "a") == Spread(1, 1, 1)

    def test_what_was_not_measured_has_no_ratio(self):
        assert findings.ratio({"values": {"a": [1.0]}, "figures": []}, "a", "b") is None

    @pytest.mark.parametrize(("limits", "due"), [({"arithmetic": 1.0, "bytes": 3.0}, 0.5), (None, None)])
    def test_the_limit_is_the_slower_of_two(self, limits, due):
        measurement = {"values": {"a": [6.0]}, "limit_seconds": limits}
        assert findings.share_of_limit(measurement, "a") == due


class TestSummaries:
    @pytest.mark.parametrize(("factor", "verdict"), [(FAST, LESS), (SLOW, MORE)])
    @pytest.mark.parametrize("operation", [TRAINING, EVALUATION, NETWORK_TRAINING])
    def test_the_verdict_on_frameworks_follows_the_numbers(self, made_up, operation, factor, verdict):
        results = made_up(factors={"chainer_gconv": factor})
        assert findings.summary(results, operation, "chainer_gconv", "torch_gconv").over.verdict == verdict

    def test_the_extremes_are_of_all_points(self, made_up):
        found = findings.summary(made_up(), TRAINING, "torch_gconv", "planar")
        medians = [at.spread.median for at in found.at]
        assert (found.least.spread.median, found.most.spread.median) == (min(medians), max(medians))
        assert found.count(LESS) + found.count(LEVEL) + found.count(MORE) == len(medians)

    def test_of_one_point_its_own_quartiles_count(self):
        at = At(Spread(0.5, 1.2, 1.9), {})
        assert findings.Summary(TRAINING, "a", "b", [at], None).over.verdict == LEVEL

    def test_nothing_in_common_gives_none(self, made_up):
        assert (
            findings.summary(made_up(without=["Chainer", "chainer"]), TRAINING, "chainer_gconv", "torch_gconv") is None
        )

    def test_the_base_lies_on_most_axes(self, made_up):
        base = findings.base(made_up())
        assert (base["layer"], base["channels"], base["size"], base["batch"]) == ("P4MConvP4M", 32, 16, 8)
        assert findings.summary(made_up(), TRAINING, "torch_gconv", "planar").typical.point == base

    def test_devices_are_kept_apart(self, made_up):
        results = made_up(gpu=True)
        assert findings.devices(results) == ["cpu", "cuda"]
        points = [at.point for at in findings.summary(results, TRAINING, "torch_gconv", "planar", "cuda").at]
        assert {point["device"] for point in points} == {"cuda"}


class TestChoices:
    @pytest.mark.parametrize(("factor", "verdict"), [(FAST, LESS), (SLOW, MORE)])
    def test_to_planar_gains_where_it_is_faster_and_loses_where_it_is_slower(self, made_up, factor, verdict):
        results = made_up(factors={"torch_gconv planar": factor})
        for row in findings.rows(results, EVALUATION, "torch_gconv planar", "torch_gconv"):
            assert row.verdict == verdict
            assert row.channels(verdict) == [8, 16, 32, 64, 128]

    def test_a_row_says_where_and_how_much(self):
        at = [At(Spread(m, m, m), {"channels": c}) for c, m in ((8, 0.8), (16, 0.9), (32, 1.0), (64, 1.3))]
        row = Row("P4ConvP4", at)
        assert [row.channels(verdict) for verdict in (LESS, LEVEL, MORE)] == [[8, 16], [32], [64]]
        assert row.verdict == DEPENDS
        assert (round(row.most(LESS), 3), round(row.most(MORE), 3)) == (0.2, 0.3)

    def test_channels_last_is_compared_with_the_same_point_in_nchw(self, made_up):
        rows = findings.layout_rows(made_up(), TRAINING, "torch_gconv")
        assert [row.layer for row in rows] == ["P4ConvP4", "P4MConvP4M"]
        assert all(at.spread.median < 1 for row in rows for at in row.at)  # as it was made up

    @pytest.mark.parametrize(("factor", "fastest"), [(FAST, "escnn"), (SLOW, "torch_gconv")])
    def test_the_fastest_follows_the_numbers(self, made_up, factor, fastest):
        choices = ("torch_gconv", "escnn")
        table = findings.fastest(made_up(factors={"escnn": factor}), TRAINING, choices)
        assert {cell.names[0] for cell in table["P4MConvP4M"]} == {fastest}

    def test_of_those_that_are_level_the_first_choice_comes_first(self, made_up):
        results = made_up()
        for measurement in results["measurements"]:
            if "escnn" in measurement["values"]:
                measurement["values"]["escnn"] = [0.999 * value for value in measurement["values"]["torch_gconv"]]
                measurement["figures"] = []
        cells = findings.fastest(results, TRAINING, ("torch_gconv", "escnn"))["P4ConvP4"]
        assert {tuple(cell.names) for cell in cells} == {("torch_gconv", "escnn")}


class TestCosts:
    def test_the_planar_layer_of_as_many_channels_is_found_at_another_point(self, made_up):
        (cost,) = [
            cost
            for cost in findings.group_costs(made_up(), TRAINING, "torch_gconv")
            if (cost.point["layer"], cost.point["channels"]) == ("P4ConvP4", 32)
        ]
        planar = {}  # by the channels of the plane
        for m in findings.measured(made_up(), TRAINING, axis="channels"):
            if not findings.is_lifting(m["point"]):
                width = m["point"]["channels"] * m["point"]["stabilizer_size"]
                planar.setdefault(width, []).append(cost.time.median / findings.spread(m, "planar").median)
        assert any(cost.as_channels.median == pytest.approx(ratio) for ratio in planar[32])
        # As many weights as 32 * 32 * 4 have 64 * 64.
        assert any(cost.as_weights.median == pytest.approx(ratio) for ratio in planar[64])
        assert cost.as_wide.median == pytest.approx(1, abs=0.1)

    def test_orders_are_held_against_the_smallest_group_of_the_same_dimension(self, made_up):
        costs = findings.order_costs(made_up(), TRAINING, "torch_gconv")
        assert [cost.point["stabilizer_size"] for cost in costs] == [2, 4, 6, 8, 12, 24, 48]
        assert [cost.work for cost in costs] == [1, 4, 9, 16, 36, 1, 4]
        assert [cost.growth.median for cost in costs if cost.work == 1] == [1, 1]

    def test_threads_are_held_against_all_of_them(self, made_up):
        changes = findings.changes(made_up(), TRAINING, "threads", "threads")
        ours = [change for change in changes if change.label == "torch_gconv"]
        assert [change.value for change in ours] == [1] and ours[0].spread.verdict == MORE

    @pytest.mark.parametrize("operation", [TRAINING, EVALUATION, MEMORY])
    def test_of_an_incomplete_run_there_is_less_and_no_error(self, made_up, operation):
        results = made_up(quick=True, without=["torch", "planar", "PyTorch", "escnn"])
        assert findings.summary(results, operation, "torch_gconv", "planar") is None
        assert findings.group_costs(results, operation, "torch_gconv") == []
        assert findings.order_costs(results, operation, "torch_gconv") == []
        assert findings.changes(results, operation, "threads", "threads") == []
