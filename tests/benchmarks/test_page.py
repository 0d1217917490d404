"""The page: it is written from results alone, and says the contrary when they do."""

import json
import re

import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed, so no page is written")
pytest.importorskip("matplotlib", reason="matplotlib is not installed, so no charts are drawn")
pytest.importorskip("cpuinfo", reason="py-cpuinfo is not installed, so no machine is described")

from benchmarks import charts, findings, page
from benchmarks.charts import Drawn
from benchmarks.findings import LESS, LEVEL, MORE, At, Row, Spread
from benchmarks.page import publish

FAST, SLOW = 0.1, 10.0
NO_TORCH = ["torch", "planar", "PyTorch", "escnn"]


@pytest.fixture
def fake_charts(monkeypatch):
    """Charts that cost no time."""

    def draw(results, device="cpu"):
        name = "networks" if device == "cpu" else f"networks-{device}"
        return {"networks": Drawn(name, "A title", "A caption.", b"<svg/>", b"png")}

    monkeypatch.setattr(charts, "draw_charts", draw)


@pytest.fixture
def write(tmp_path, fake_charts):
    """results -> the text of their page."""

    def write(results):
        publish(results, tmp_path / "results", tmp_path / "docs" / "performance.md")
        return (tmp_path / "docs" / "performance.md").read_text()

    return write


def picks(text):
    """{the bold beginning of a point of "What to pick": the rest}."""
    section = re.search(r"## What to pick\n(.*?)\n## ", text, re.DOTALL).group(1)
    return dict(re.findall(r"^- \*\*(.*?)\*\* (.*)$", section, re.MULTILINE))


def rows(text, heading):
    section = text[text.index(heading) :].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")][2:]


class TestStatements:
    @pytest.mark.parametrize(
        ("contender", "fast", "slow"),
        [
            ("chainer_gconv", "Chainer rather than PyTorch.", "PyTorch rather than Chainer."),
            ("torch_gconv compiled", "Compile: torch.compile gains.", "Do not compile: torch.compile loses."),
            (
                "torch_gconv planar",
                "Deploy with to_planar.",
                "Deploy the layers as they are: to_planar makes them slower.",
            ),
            (
                "torch_gconv",
                "A G-convolution is faster than the planar convolution of its folded shape.",
                "A G-convolution takes longer than the planar convolution of its folded shape.",
            ),
        ],
    )
    def test_they_turn_round_when_the_numbers_do(self, made_up, write, contender, fast, slow):
        for factor, due, other in ((FAST, fast, slow), (SLOW, slow, fast)):
            found = picks(write(made_up(factors={contender: factor})))
            assert due in found and other not in found

    def test_a_difference_within_the_spread_is_none(self, made_up, write):
        results = made_up()
        for measurement in results["measurements"]:
            values = measurement["values"]
            if {"chainer_gconv", "torch_gconv"} <= set(values):
                values["chainer_gconv"] = [1.001 * value for value in values["torch_gconv"]]
                measurement["figures"] = []
        text = picks(write(results))["PyTorch or Chainer: their speed is level."]
        assert "level (training step), level (evaluation)" in text

    def test_where_operations_disagree_it_depends(self, made_up, write):
        results = made_up()
        for measurement in results["measurements"]:
            if measurement["operation"] == "evaluation" and "chainer_gconv" in measurement["values"]:
                measurement["values"]["chainer_gconv"] = [1e-6] * 9
                measurement["figures"] = []
        assert "PyTorch or Chainer: that depends on what is run." in picks(write(results))

    def test_numbers_are_those_of_the_results(self, made_up, write):
        results = made_up(factors={"chainer_gconv": 4})
        summary = findings.summary(results, "training step", "chainer_gconv", "torch_gconv")
        text = picks(write(results))["PyTorch rather than Chainer."]
        assert f"{page.number(summary.over.median)} times as long (training step)" in text
        typical = summary.typical.spread
        assert f"At P4MConvP4M, 32 channels, 16x16, batch 8, in pairs: {page.spread_in_words(typical)}" in text

    @pytest.mark.parametrize(("factor", "due"), [(0.5, "Use all threads."), (20, "Use one thread.")])
    def test_threads(self, made_up, write, factor, due):
        results = made_up()
        for measurement in results["measurements"]:
            if "threads" in measurement["axes"] and measurement["point"]["threads"] == 2:
                measurement["values"] = {n: [factor * v for v in vs] for n, vs in measurement["values"].items()}
        assert due in picks(write(results))

    @pytest.mark.parametrize(
        ("factor", "due"), [(0.5, "Give channels_last input."), (2, "Give NCHW input: channels_last costs time.")]
    )
    def test_layouts(self, made_up, write, factor, due):
        results = made_up()
        for measurement in results["measurements"]:
            if "channels_last" in measurement["axes"]:
                measurement["values"] = {n: [factor * v for v in vs] for n, vs in measurement["values"].items()}
        assert due in picks(write(results))

    def test_the_fastest_of_each_layer_is_in_a_table(self, made_up, write):
        text = write(made_up(factors={"escnn": FAST}))
        cells = [row for row in rows(text, "| training step, by channels") if row[0] == "P4MConvP4M"][0]
        assert len(cells) == 6 and all(cell.startswith("escnn (") for cell in cells[1:])


class TestTargets:
    @pytest.mark.parametrize(("factor", "missed"), [(FAST, False), (SLOW, True)])
    def test_met_or_missed_and_by_how_much(self, made_up, write, factor, missed):
        results = made_up(factors={"torch_gconv": factor})
        table = rows(write(results), "## Targets")
        assert len(table) == len(results["targets"])
        for row, verdict in zip(table[:3], findings.verdicts(results)):
            assert row[0] == verdict.target.operation and row[4] == page.number(verdict.measured)
            margin = page.percent(abs(verdict.excess))
            assert (f"**missed** by {margin}" if missed else f"met, {margin} below") in row[6]

    def test_the_worst_point_is_named(self, made_up, write):
        results = made_up()
        worst = findings.summary(results, "training step", "torch_gconv", "planar").most
        (row, *_) = rows(write(results), "## Targets")
        assert page.name_of(worst.point, results) in row[5] and page.number(worst.spread.median) in row[5]

    def test_what_was_not_measured_is_neither(self, made_up, write):
        text = write(made_up(quick=True, without=["escnn"]))
        assert [row[-1].strip() for row in rows(text, "## Targets") if "escnn" in row[1]] == ["not measured"] * 2


class TestWhatIsSaidOpenly:
    def test_machine_versions_date_command_and_limits(self, made_up, write):
        text = write(made_up())
        for due in (
            "Made Up 9000, 2 cores",
            "torch 2.13.0, chainer 7.8.1",
            "2026-11-23",
            "`python -m benchmarks run --suite full`",
            "| cpu | float32 | 2 | 250 GFLOP/s | torch 1x1 convolution, channels_last | 24.0 GB/s | numpy.copyto |",
        ):
            assert due in text

    def test_that_there_was_no_gpu(self, made_up, write):
        assert "**No GPU was measured**: the machine has none." in write(made_up(quick=True))
        assert "No GPU was measured" not in write(made_up(quick=True, gpu=True))

    def test_that_a_gpu_was_there_and_not_measured(self, made_up, write):
        results = made_up(quick=True)
        results["machine"]["GPU"] = "Idle GPU"
        assert "the machine has one, Idle GPU, but" in write(results)

    def test_who_was_left_out_and_why(self, made_up, write):
        assert "**Left out: escnn**, since: No module named 'escnn'" in write(made_up(quick=True, without=["escnn"]))

    def test_how_often_each_contender_took_part(self, made_up, write):
        assert re.search(
            r"these 8 each contender took part: torch_gconv 8, .*torch_gconv compiled 4", write(made_up(quick=True))
        )

    def test_that_a_suite_was_not_the_full_one(self, made_up, write):
        assert "**This was the quick suite" in write(made_up(quick=True))
        assert "**This was the" not in write(made_up())

    def test_which_operations_are_missing(self, made_up, write):
        results = made_up(quick=True)
        results["measurements"] = [m for m in results["measurements"] if m["operation"] != "evaluation"]
        assert "**Not measured: evaluation.**" in write(results)


class TestIncompleteResults:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"gpu": True},
            {"quick": True},
            {"quick": True, "gpu": True},
            {"without": ["hainer"]},
            {"without": NO_TORCH},
            {"without": ["escnn"]},
            {"without": ["planar"]},
            {"quick": True, "without": NO_TORCH},
        ],
        ids=str,
    )
    def test_every_table_is_one_and_no_placeholder_is_left(self, made_up, write, options):
        text = write(made_up(**options))
        width = None
        for line in text.splitlines():
            width = line.count("|") if line.startswith("|") and width is None else width
            if line.startswith("|"):
                assert line.count("|") == width, line
            else:
                width = None
        assert not re.search(r"None|nan|{{|}}|{%|<function|\n\n\n| ,", text)

    def test_a_contender_that_was_left_out_is_not_spoken_of(self, made_up, write):
        found = picks(write(made_up(without=["hainer"])))
        assert not any("chainer_gconv" in words for words in found.values())

    def test_without_any_measurement_it_says_so(self, made_up, write):
        text = write({**made_up(), "measurements": [], "limits": [], "targets": []})
        assert "**Not measured: training step.**" in text

    def test_each_device_has_its_sections(self, made_up, write):
        text = write(made_up(gpu=True))
        for section in ("What to pick", "Targets", "Charts", "All measurements"):
            assert f"## {section} on cpu\n" in text and f"## {section} on cuda\n" in text
        assert "networks-cuda.svg" in text


class TestNumbersComeFromTheResults:
    def test_the_template_has_none_but_a_formula_and_examples_of_use(self):
        template = (page._TEMPLATES / "performance.md").read_text()
        sentences = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template, flags=re.DOTALL)
        assert not re.search(r"\d", sentences)

    def test_equal_results_give_an_equal_page(self, made_up, write):
        assert write(made_up()) == write(json.loads(json.dumps(made_up())))


class TestPublish:
    def test_charts_lie_beside_the_results_and_the_page_links_to_them(self, made_up, tmp_path, fake_charts):
        results, place = made_up(quick=True), tmp_path / "docs" / "performance.md"
        folder = tmp_path / "benchmarks" / "results"
        folder.mkdir(parents=True)
        (folder / "made-up-2-cores.json").write_text(json.dumps(results))
        publish(results, folder, place)
        for link in re.findall(r"\]\(([^#)]*?)\)", place.read_text()):
            assert link == "benchmarks.md" or (place.parent / link).exists(), link
        assert (folder / "made-up-2-cores" / "networks.png").read_bytes() == b"png"
        assert "](../benchmarks/results/made-up-2-cores/networks.svg)" in place.read_text()

    def test_results_that_are_not_there_are_not_linked_to(self, made_up, write):
        assert ".json)" not in write(made_up(quick=True))

    def test_without_a_page_there_are_charts_alone(self, made_up, tmp_path, fake_charts):
        publish(made_up(quick=True), tmp_path, None)
        assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["networks.png", "networks.svg"]

    def test_charts_of_an_earlier_run_that_are_not_drawn_now_go_and_other_files_stay(
        self, made_up, tmp_path, fake_charts
    ):
        home = tmp_path / "made-up-2-cores"
        home.mkdir()
        for name in ("threads.svg", "notes.txt"):
            (home / name).write_text("old")
        publish(made_up(quick=True), tmp_path, None)
        assert {path.name for path in home.iterdir()} == {"networks.svg", "networks.png", "notes.txt"}

    def test_what_fails_halfway_leaves_everything_as_it_was(self, made_up, tmp_path, fake_charts):
        results = made_up(quick=True)
        publish(results, tmp_path, tmp_path / "performance.md")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
        broken = {**results, "date": "2027-01-01", "limits": [{}]}
        with pytest.raises(KeyError):
            publish(broken, tmp_path, tmp_path / "performance.md")
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before

    def test_a_file_that_cannot_be_put_in_place_leaves_no_rest(self, made_up, tmp_path, fake_charts):
        (tmp_path / "performance.md").mkdir()
        with pytest.raises(OSError, match="performance.md"):
            publish(made_up(quick=True), tmp_path, tmp_path / "performance.md")
        assert not list(tmp_path.rglob("*.unfinished"))


class TestWords:
    @pytest.mark.parametrize(
        ("value", "unit", "due"),
        [(2.5, "s", "2.50 s"), (0.0125, "s", "12.5 ms"), (4e-7, "s", "0.40 µs"), (3 * 2**20, "bytes", "3.00 MiB")],
    )
    def test_quantities_have_units(self, value, unit, due):
        assert page.quantity(value, unit) == due

    @pytest.mark.parametrize(
        ("medians", "due"),
        [
            ([0.5, 0.5, 0.5, 2], "at 8 to 32 channels"),
            ([0.5, 2, 0.5, 0.5], "at 8, 32 and 64 channels"),
            ([2, 2, 0.5, 0.5], "at 32 and 64 channels"),
            ([2, 0.5, 2, 2], "at 16 channels"),
        ],
    )
    def test_where(self, medians, due):
        at = [At(Spread(m, m, m), {"channels": channels}) for channels, m in zip((8, 16, 32, 64), medians)]
        assert page.at_channels(Row("P4ConvP4", at), LESS) == due

    def test_verdicts_are_words_apart(self):
        assert len({LESS, LEVEL, MORE, findings.DEPENDS}) == 4
