"""What the benchmarks measure: the points, their names, and the suites."""

import json
from dataclasses import fields, replace

import pytest

from benchmarks.sizes import BASE, CORES, SUITES, NetworkShape, Shape, Table, point_named_by
from benchmarks.targets import INDEX_TABLE, OPERATIONS, TRAINING
from groupy.gconv import make_gconv_indices

FULL = SUITES["full"]
EVERY_POINT = {str(point): point for operation in OPERATIONS for point in FULL.points(operation)}

# What varies along an axis; beside it the layer may.
VARIES = {
    "channels": {"channels"},
    "size": {"size"},
    "batch": {"batch"},
    "dtype": {"dtype"},
    "threads": {"threads"},
    "channels_last": {"channels", "layout"},
}


class TestPoints:
    def test_the_planar_convolution_of_a_layer_has_its_channels_folded(self):
        shape = Shape("P4MConvP4M", 32, size=16)
        assert (shape.folded_in_channels, shape.folded_out_channels) == (256, 256)
        assert shape.folded_filter_bytes == 256 * 256 * 9 * 4
        assert replace(shape, dtype="bfloat16").folded_filter_bytes == 256 * 256 * 9 * 2

    def test_a_lifting_layer_is_given_images(self):
        shape = Shape("P4ConvZ2", 16, size=6, batch=2)
        assert (shape.folded_in_channels, shape.folded_out_channels) == (3, 64)
        assert shape.feature_map().shape == (2, 3, 6, 6)

    def test_a_layer_in_three_dimensions_has_cubes(self):
        shape = Shape("OConvO", 2, size=5, batch=3)
        assert shape.feature_map().shape == (3, 2 * 24, 5, 5, 5)
        assert shape.folded_filter_bytes == 48 * 48 * 27 * 4

    def test_all_contenders_are_given_the_same_numbers(self):
        assert (BASE.feature_map() == BASE.feature_map()).all()

    @pytest.mark.parametrize("point", EVERY_POINT.values(), ids=str)
    def test_the_results_have_every_field_of_a_point_and_give_it_back(self, point):
        described = json.loads(json.dumps(point.point()))
        assert {field.name for field in fields(point)} <= set(described)
        assert None not in described.values()
        assert point_named_by(described, CORES) == point

    def test_the_results_have_the_group_of_a_layer(self):
        described = Shape("P6MConvP6M", 8, size=16).point()
        assert (described["group"], described["stabilizer_size"], described["ndim"]) == ("p6m", 12, 2)

    def test_all_cores_are_a_number_of_threads_in_the_results(self):
        assert BASE.point()["threads"] == NetworkShape("P4CNN", 2).point()["threads"] == CORES
        assert replace(BASE, threads=1).point()["threads"] == 1

    def test_all_cores_of_another_machine_are_all_cores(self):
        assert point_named_by({**BASE.point(), "threads": 64}, 64) == BASE
        assert point_named_by({**BASE.point(), "threads": 64}, 128) == replace(BASE, threads=64)

    def test_what_is_no_point_is_said_to_be_none(self):
        with pytest.raises(ValueError, match="names neither a layer nor a network nor a table"):
            point_named_by({"ksize": 3}, 2)

    def test_a_name_tells_what_is_not_as_usual_and_nothing_else(self):
        assert str(BASE) == "P4MConvP4M, 32 channels, 16x16, batch 8"
        unusual = replace(BASE, dtype="float16", device="cuda", threads=1, layout="channels_last")
        assert str(unusual) == f"{BASE}, float16, cuda, channels_last, 1 thread"
        assert str(NetworkShape("P4CNN", 64, threads=3)) == "P4CNN, batch 64, 3 threads"


class TestSuites:
    @pytest.mark.parametrize("axis", VARIES)
    def test_along_an_axis_one_thing_varies_from_the_base(self, axis):
        for shape in FULL.axes[axis]:
            differing = {
                field.name for field in fields(Shape) if getattr(shape, field.name) != getattr(BASE, field.name)
            }
            assert differing <= VARIES[axis] | {"layer"}

    def test_the_axis_of_groups_has_one_layer_of_each_order(self):
        orders = [shape.spec.output_stabilizer_size for shape in FULL.axes["group order"]]
        assert orders == [2, 4, 6, 8, 12, 24, 48]
        assert {shape.channels for shape in FULL.axes["group order"]} == {8}

    @pytest.mark.parametrize("suite", SUITES)
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_point_is_measured_once_and_has_a_name_of_its_own(self, suite, operation):
        points = SUITES[suite].points(operation)
        assert len({str(point) for point in points}) == len(set(points)) == len(points)

    def test_a_point_lies_on_all_axes_that_have_it(self):
        assert FULL.axes_of(BASE) == ["channels", "size", "batch", "dtype", "threads"]
        assert FULL.axes_of(NetworkShape("P4CNN", 64)) == []

    def test_the_quick_suite_is_a_part_of_the_full_one(self):
        for operation in OPERATIONS:
            assert set(SUITES["quick"].points(operation)) <= set(FULL.points(operation))

    @pytest.mark.parametrize("suite", SUITES)
    def test_a_contender_is_choosy_about_points_that_there_are(self, suite):
        suite = SUITES[suite]
        there = {point for operation in OPERATIONS for point in suite.points(operation)}
        assert {point for points in suite.choosy.values() for point in points} <= there

    def test_every_table_maker_exists(self):
        assert all(callable(getattr(make_gconv_indices, table.table)) for table in FULL.points(INDEX_TABLE))

    def test_every_suite_takes_several_rounds(self):
        assert all(suite.least_rounds >= 5 for name, suite in SUITES.items() if name != "tiny")

    def test_the_limits_are_known_for_every_point(self):
        ((device, dtypes, threads),) = FULL.settings()
        assert device == "cpu"
        assert set(dtypes) == {"float32", "float64", "bfloat16"}
        assert set(threads) == {1, CORES}


class TestDevices:
    def test_on_the_cpu_a_suite_is_itself(self):
        assert FULL.on(["cpu"]) == FULL

    def test_elsewhere_it_has_the_same_points_but_for_what_is_of_the_cpu_alone(self):
        on_gpu = FULL.on(["cuda"])
        expected = {replace(shape, device="cuda") for shape in FULL.points(TRAINING) if shape.threads is None}
        assert set(on_gpu.points(TRAINING)) == expected
        assert on_gpu.points(INDEX_TABLE) == ()
        assert {shape.device for shapes in on_gpu.choosy.values() for shape in shapes} == {"cuda"}

    def test_on_two_devices_it_has_the_points_of_both(self):
        both = FULL.on(["cpu", "cuda"])
        for operation in OPERATIONS:
            assert set(both.points(operation)) == {
                point for device in ("cpu", "cuda") for point in FULL.on([device]).points(operation)
            }
        assert [device for device, *_ in both.settings()] == ["cpu", "cuda"]

    def test_a_table_is_never_moved(self):
        assert Table("make_d4_p4m_indices", 3).device == "cpu"
