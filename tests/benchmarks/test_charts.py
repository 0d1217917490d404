"""The charts: which are drawn of which results, and that they are files that anyone can show."""

import io
import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed, so no charts are drawn")

import matplotlib
from matplotlib import image

from benchmarks import charts
from benchmarks.charts import CHARTS, draw_charts

ALL = {chart.name for chart in CHARTS}
OF_CHANNELS = {"ratio-to-planar", "chainer-over-torch", "cost-against-work"}
OF_BOTH_SUITES = OF_CHANNELS | {"networks", "memory"}
NO_TORCH = ["torch", "planar", "PyTorch", "escnn"]


@pytest.fixture(scope="module")
def full(made_up):
    return draw_charts(made_up())


@pytest.fixture(scope="module")
def quick(made_up):
    return draw_charts(made_up(quick=True))


@pytest.fixture(scope="module")
def panels(made_up):
    """{name of the chart: its axes}."""
    figures = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "_save", lambda figure, kind: figures.setdefault(id(figure), figure) and b"")
        names = list(draw_charts(made_up()))
    return {name: figure.axes for name, figure in zip(names, figures.values())}


def words_of(svg):
    return " ".join(
        text for element in ElementTree.fromstring(svg).iter() for text in [element.text or ""] if text.strip()
    )


def measurements(results, operation):
    return [m for m in results["measurements"] if m["operation"] == operation]


class TestWhatIsDrawn:
    def test_of_a_full_run_every_chart(self, full):
        assert set(full) == ALL

    @pytest.mark.parametrize(
        ("options", "due"),
        [
            ({"quick": True, "without": ["hainer"]}, OF_BOTH_SUITES - {"chainer-over-torch"}),
            ({"quick": True, "without": NO_TORCH}, {"cost-against-work", "networks"}),
            ({"quick": True, "without": ["escnn"]}, OF_BOTH_SUITES),
        ],
        ids=["no chainer", "no torch", "no escnn"],
    )
    def test_a_chart_without_data_is_not(self, made_up, options, due):
        assert set(draw_charts(made_up(**options))) == due

    def test_of_a_quick_run_those_of_its_axes(self, quick):
        assert set(quick) == OF_BOTH_SUITES

    def test_of_no_measurements_nothing(self, made_up):
        assert draw_charts({**made_up(quick=True), "measurements": []}) == {}

    def test_the_words_name_contenders_layers_and_units(self, full):
        words = words_of(full["cost-against-work"].svg)
        for due in ("torch_gconv", "chainer_gconv", "GrouPy in Chainer", "escnn", "P4MConvP4M", "limit by bytes", "ms"):
            assert due in words
        assert "planar NCHW" not in words  # the faster format stands for both
        assert "evaluation" in words and "training step" in words

    def test_a_contender_that_was_left_out_is_in_no_legend(self, made_up):
        drawn = draw_charts(made_up(quick=True, without=["escnn"]))
        assert not any("escnn" in words_of(chart.svg) for chart in drawn.values())

    def test_a_contender_nobody_knows_is_drawn_too(self, made_up):
        results = made_up(quick=True)
        results["measurements"] = measurements(results, "network training step")
        for m in results["measurements"]:
            m["values"]["someone else's"] = [0.5] * 9
        assert "someone else's" in words_of(draw_charts(results)["networks"].svg)

    def test_each_device_has_charts_of_its_own(self, made_up, quick):
        drawn = draw_charts(made_up(quick=True, gpu=True), "cuda")
        assert {chart.name for chart in drawn.values()} == {f"{name}-cuda" for name in OF_BOTH_SUITES}
        assert all("on cuda" in words_of(chart.svg) for chart in drawn.values())
        assert drawn["networks"].svg != quick["networks"].svg

    def test_every_name_is_among_those_that_files_may_have(self, full):
        assert {f"{chart.name}.{kind}" for chart in full.values() for kind in ("svg", "png")} <= charts.file_names()


class TestNumbers:
    """What is drawn is what was measured; asked of the panels before they are files."""

    def test_the_line_of_ratios_is_that_of_the_figures(self, made_up, panels):
        panel = next(panel for panel in panels["ratio-to-planar"] if panel.get_title("left") == "P4MConvP4M")
        colour, _ = charts._STYLES["torch_gconv"]
        (line,) = [line for line in panel.lines if line.get_color() == colour and line.get_marker() == "o"]
        due = {
            m["point"]["channels"]: f["median"]
            for m in measurements(made_up(), "training step")
            if "channels" in m["axes"] and m["point"]["layer"] == "P4MConvP4M"
            for f in m["figures"]
            if (f["subject"], f["rival"]) == ("torch_gconv", "planar")
        }
        assert dict(zip(*line.get_data())) == due

    def test_titles_say_what_a_point_has_and_nothing_else(self):
        layer = {"layer": "P4ConvP4", "channels": 8, "batch": 8, "layout": "NCHW"}
        network = {"network": "P4CNN", "batch": 64}
        titles = [charts._told_apart(point, [layer, network]) for point in (layer, network)]
        assert titles == ["P4ConvP4, 8 channels, batch 8, NCHW input", "P4CNN, batch 64"]

    def test_one_and_the_targets_are_marked(self, panels):
        heights = {
            line.get_ydata()[0] for line in panels["ratio-to-planar"][0].lines if len(set(line.get_ydata())) == 1
        }
        assert heights == {1, 1.10, 1.25}

    def test_the_limit_is_never_above_a_made_up_time(self, panels):
        for panel in panels["cost-against-work"]:
            limits = [line for line in panel.lines if line.get_color() == charts._LIMIT_COLOUR]
            assert len(limits) == 2
            times = [line for line in panel.lines if line not in limits]
            assert all(min(line.get_ydata()) >= min(limits[0].get_ydata()) for line in times)

    def test_a_contender_has_one_colour_everywhere(self, panels):
        bars = {}
        for name in ("networks", "memory", "threads"):
            for panel in panels[name]:
                labels = [label.get_text() for label in panel.get_yticklabels()]
                for label, bar in zip(labels, panel.patches):
                    bars.setdefault(label, set()).add(matplotlib.colors.to_hex(bar.get_facecolor()).upper())
        assert bars == {label: {charts._STYLES[label][0].upper()} for label in bars}

    def test_colours_and_markers_differ(self):
        colours, markers = zip(*charts._STYLES.values())
        assert len(set(colours)) == len(set(markers)) == len(charts._STYLES)

    @pytest.mark.parametrize(
        ("value", "due"), [(0.0105, "0.0105"), (0.5, "0.50"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")]
    )
    def test_digits_are_as_many_as_count_and_never_an_exponent(self, value, due):
        assert charts.number(value) == due


class TestFiles:
    def test_both_kinds_can_be_read(self, full):
        for chart in full.values():
            assert ElementTree.fromstring(chart.svg).tag.endswith("svg")
            height, width, _ = image.imread(io.BytesIO(chart.png)).shape
            assert width > 1200 > height > 200
            assert len(chart.svg) < 200_000 and len(chart.png) < 400_000

    def test_the_same_results_give_the_same_bytes_and_leave_the_settings_alone(self, made_up, quick):
        with matplotlib.rc_context({"font.size": 5, "axes.facecolor": "red"}):
            before = dict(matplotlib.rcParams)
            assert draw_charts(made_up(quick=True)) == quick
            assert dict(matplotlib.rcParams) == before

    def test_other_results_give_others(self, made_up, quick, monkeypatch):
        monkeypatch.setattr(charts, "CHARTS", [chart for chart in CHARTS if chart.name == "networks"])
        others = draw_charts(made_up(quick=True, factors={"chainer_gconv": 3}))
        assert others["networks"].svg != quick["networks"].svg

    def test_no_file_tells_when_it_was_made(self, full):
        assert not any(b"<dc:date>" in chart.svg or b"matplotlib.org" in chart.png for chart in full.values())
