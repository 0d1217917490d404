"""The limits: that peaks are the best that was seen, and that work is counted as it is defined. No time is asserted."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from types import SimpleNamespace

import pytest

from benchmarks import limits as limiting
from benchmarks.contenders import usable_devices
from benchmarks.limits import Way, limit_seconds, measure_limits, work_of
from benchmarks.machine import Cache
from benchmarks.sizes import NetworkShape, Shape, Table
from benchmarks.targets import (
    CONSTRUCTION,
    EVALUATION,
    INDEX_TABLE,
    MEMORY,
    NETWORK_TRAINING,
    TRAINING,
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
)

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")

# 3 * 8 planes of 5x5 in, as many out, 2 pictures, 3x3 kernels; canonical weights (3, 3, 8, 3, 3)
SHAPE = Shape("P4MConvP4M", 3, 5, batch=2)
X = Y = 2 * 24 * 25
FOLDED, CANONICAL = 24 * 24 * 9, 3 * 24 * 9


class TestWork:
    @pytest.mark.parametrize(
        "operation, flops, numbers",
        [
            (EVALUATION, 2 * 50 * FOLDED, X + FOLDED + Y),
            (TRAINING, 6 * 50 * FOLDED, 2 * (X + FOLDED + Y)),
            (TRANSFORMATION, 0, CANONICAL + FOLDED),
            (TRANSFORMATION_WITH_GRADIENT, 0, 2 * (CANONICAL + FOLDED)),
        ],
    )
    def test_of_a_group_convolution(self, operation, flops, numbers):
        assert work_of(operation, SHAPE) == (flops, 4 * numbers)

    def test_of_a_lifting_convolution_counts_one_plane_for_each_channel_of_the_image(self):
        shape = Shape("P4ConvZ2", 5, 7, batch=2)
        pixels, weights = 2 * 49, 5 * 4 * 3 * 9
        assert work_of(EVALUATION, shape) == (2 * pixels * weights, 4 * (pixels * 3 + weights + pixels * 20))
        assert work_of(TRANSFORMATION, shape) == (0, 4 * (5 * 3 * 9 + weights))

    def test_in_space_kernels_and_maps_have_three_sides(self):
        shape = Shape("OConvO", 2, 4, batch=3)
        pixels, weights = 3 * 4**3, 48 * 48 * 27
        assert work_of(EVALUATION, shape) == (2 * pixels * weights, 4 * (2 * 48 * pixels + weights))
        assert work_of(TRANSFORMATION, shape) == (0, 4 * (2 * 48 * 27 + weights))

    def test_hexagonal_kernels_count_as_squares(self):
        flops, _ = work_of(EVALUATION, Shape("P6ConvP6", 2, 5, batch=1))
        assert flops == 2 * 25 * 12 * 12 * 9

    @pytest.mark.parametrize("operation", [TRAINING, TRANSFORMATION])
    @pytest.mark.parametrize("dtype, itemsize", [("float64", 8), ("bfloat16", 2), ("float16", 2)])
    def test_the_dtype_changes_bytes_and_no_flops(self, dtype, itemsize, operation):
        flops, n_bytes = work_of(operation, SHAPE)
        assert work_of(operation, replace(SHAPE, dtype=dtype)) == (flops, n_bytes * itemsize // 4)

    @pytest.mark.parametrize(
        "operation, point",
        [(CONSTRUCTION, SHAPE), (MEMORY, SHAPE), (INDEX_TABLE, Table("make_d4_p4m_indices", 3))],
    )
    def test_elsewhere_it_is_not_defined(self, operation, point):
        assert work_of(operation, point) == (None, None)

    @needs_torch
    @pytest.mark.parametrize("network", ["P4CNN", "P4MResNet44"])
    def test_of_a_network_is_what_torch_counts_for_its_convolutions(self, network):
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        from benchmarks.networks import NETWORKS, published_sizes
        from benchmarks.torch_networks import published_network

        pictures = torch.empty((2, *NETWORKS[network].input_shape), device="meta")
        with FlopCounterMode(display=False) as counter, published_sizes():
            published_network(NetworkShape(network, batch=2, device="meta"))(pictures).sum().backward()
        counted = counter.get_flop_counts()["Global"].items()
        flops, _ = work_of(NETWORK_TRAINING, NetworkShape(network, batch=2))
        assert flops == sum(number for operator, number in counted if "convolution" in str(operator))

    @needs_torch
    def test_of_a_network_counts_no_gradient_to_the_image(self):
        _, n_bytes = work_of(NETWORK_TRAINING, NetworkShape("P4CNN", batch=2))
        maps = [28**2, *(40 * side**2 for side in (26, 24, 12, 10, 8, 6, 4, 1))]  # of the second one, also pooled
        x, y = sum(maps[:2] + maps[3:-1]), sum(maps[1:3] + maps[4:])
        weights = 9 * (40 + 5 * 40 * 40) + 16 * 40 * 40
        assert n_bytes == 4 * (2 * (2 * (x + y) + weights) - 2 * 28**2)

    def test_of_a_network_is_not_known_without_torch(self, monkeypatch):
        monkeypatch.setattr(limiting, "find_spec", lambda name: None)
        assert work_of(NETWORK_TRAINING, NetworkShape("P4CNN", batch=2)) == (None, None)


class TestLimitSeconds:
    LIMIT = {"flops_per_second": 100.0, "bytes_per_second": 10.0}

    def test_it_is_work_by_rate(self):
        assert limit_seconds(50, 40, self.LIMIT) == {"arithmetic": 0.5, "bytes": 4.0}

    def test_no_flops_take_no_time(self):
        assert limit_seconds(0, 40, self.LIMIT) == {"arithmetic": 0.0, "bytes": 4.0}

    def test_what_is_not_known_stays_so(self):
        assert limit_seconds(None, None, self.LIMIT) == {"arithmetic": None, "bytes": None}
        unknown = {"flops_per_second": None, "bytes_per_second": 10.0}
        assert limit_seconds(50, 40, unknown) == {"arithmetic": None, "bytes": 4.0}


class Clock:
    """A clock that the calls of a way advance, by as much as seconds(size) says."""

    def __init__(self, monkeypatch):
        self.now, self.log = 0.0, []
        monkeypatch.setattr(limiting.time, "perf_counter", lambda: self.now)

    def way(self, name, seconds, sizes=(1,), dtypes=("float32",), module="numpy"):
        """A way whose call of a size is that many flops, or bytes."""

        def prepare(dtype, device, size):
            def call():
                self.now += seconds(size)
                self.log.append((name, dtype, size))

            return call, size

        return Way(name, module, "cpu", prepare, sizes, dtypes)


class TestPeaks:
    @pytest.fixture
    def clock(self, monkeypatch):
        return Clock(monkeypatch)

    @pytest.fixture
    def measured(self, monkeypatch):
        """The limits by those ways, with copies of 10 bytes a second."""

        def measured(clock, *ways, dtypes=("float32",), threads=(1,)):
            monkeypatch.setattr(limiting, "_ARITHMETIC", ways)
            copy = clock.way("copy", lambda size: size / 10, dtypes=(limiting._COPIED,))
            monkeypatch.setattr(limiting, "_copies", lambda: (copy,))
            return measure_limits(dtypes, threads, "cpu", seconds=0.1)

        return measured

    def test_the_best_way_and_size_is_it_by_name(self, clock, measured):
        slow = clock.way("slow", lambda size: size / 100, sizes=(1,))
        fast = clock.way("fast", lambda size: 1e-3, sizes=(1, 2, 4))
        (limit,) = measured(clock, slow, fast)
        assert limit == {
            "device": "cpu",
            "dtype": "float32",
            "threads": 1,
            "flops_per_second": pytest.approx(4000),
            "flops_by": "fast",
            "bytes_per_second": pytest.approx(10),
            "bytes_by": "copy",
        }

    def test_it_is_the_best_of_the_calls_and_the_first_is_not_among_them(self, clock, measured):
        seconds = (second for second in [0.001, 5.0, 0.5, 2.0, *100 * [5.0]])
        (limit,) = measured(clock, clock.way("uneven", lambda size: next(seconds)))
        assert limit["flops_per_second"] == pytest.approx(1 / 0.5)

    def test_once_a_call_is_slow_larger_ones_are_left_out(self, clock, measured):
        measured(clock, clock.way("steep", lambda size: size**3 * 1e-3, sizes=(1, 2, 3, 4)))
        assert {size for name, _, size in clock.log if name == "steep"} == {1, 2, 3}

    def test_slow_or_not_each_size_is_called_more_than_once(self, clock, measured):
        measured(clock, clock.way("slow", lambda size: 100.0))
        assert len([name for name, *_ in clock.log if name == "slow"]) == 1 + limiting._FEWEST_CALLS

    def test_a_way_is_gone_for_its_own_dtypes_alone(self, clock, measured):
        single = clock.way("single", lambda size: 1e-3)
        double = clock.way("double", lambda size: 1e-3, dtypes=("float64",))
        found = measured(clock, single, double, dtypes=("float32", "float64", "float16"))
        assert [limit["flops_by"] for limit in found] == ["single", "double", None]
        assert found[2]["flops_per_second"] is None

    def test_a_framework_that_is_not_installed_takes_no_part(self, clock, measured):
        missing = clock.way("missing", lambda size: 1e-9, module="no_such_framework")
        (limit,) = measured(clock, missing, clock.way("here", lambda size: 1e-3))
        assert limit["flops_by"] == "here"

    def test_threads_are_set_for_each_number_and_more_are_never_slower(self, clock, measured, monkeypatch):
        class Threads:
            def __init__(self, number):
                self.number = number

            def __enter__(self):
                Threads.now = self.number

            def __exit__(self, *_):
                Threads.now = None

        monkeypatch.setattr(limiting, "computing_threads", Threads)
        disturbed = clock.way("disturbed", lambda size: {1: 0.002, 2: 0.001, 4: 0.004}[Threads.now])
        found = measured(clock, disturbed, threads=(4, 1, 2))
        assert [limit["threads"] for limit in found] == [1, 2, 4]
        assert [limit["flops_per_second"] for limit in found] == pytest.approx([500, 1000, 1000])

    def test_all_ways_of_the_cpu_compute_what_they_say(self):
        ways = [way for way in (*limiting._ARITHMETIC, *limiting._copies()) if way.device == "cpu" and way.is_here()]
        assert {"numpy.matmul", "numpy.copyto"} <= {way.name for way in ways}
        for way in ways:
            for dtype in way.dtypes:
                call, amount = way.prepare(dtype, "cpu", 16)
                call()
                assert amount in (2 * 16**3, 2 * 16, 2 * 8 * 32 * 32 * 16**2)

    def test_the_real_ways_make_limits(self, monkeypatch):
        copies = [replace(way, sizes=(2**10,)) for way in limiting._copies()]
        monkeypatch.setattr(limiting, "_copies", lambda: copies)
        monkeypatch.setattr(limiting, "_ARITHMETIC", [replace(way, sizes=(8,)) for way in limiting._ARITHMETIC])
        (limit,) = measure_limits(("float32",), (1,), "cpu", seconds=0)
        assert limit["flops_per_second"] > 0 and limit["bytes_per_second"] > 0
        assert limit["flops_by"] in {way.name for way in limiting._ARITHMETIC}
        assert limit["bytes_by"] in {way.name for way in copies}

    def test_no_cache_holds_what_is_copied(self, monkeypatch):
        monkeypatch.setattr(
            limiting, "data_caches", lambda: [Cache(1, 2**30, 1), Cache(3, 2**28, 3), Cache(2, 2**20, 8)]
        )
        assert {way.sizes for way in limiting._copies() if way.device == "cpu"} == {(2 * 2**30,)}
        monkeypatch.setattr(limiting, "data_caches", lambda: [])
        assert {way.sizes for way in limiting._copies() if way.device == "cpu"} == {(2**28,)}


class Event:
    """One of a GPU: it counts milliseconds, one from record to record."""

    clock = count()

    def __init__(self, **_):
        self.is_done = False

    def record(self):
        self.at = next(self.clock)

    def synchronize(self):
        self.is_done = True

    def elapsed_time(self, end):
        assert end.is_done, "the end must have been waited for"
        return end.at - self.at


class TestGpu:
    """Without one: what is asked of the frameworks."""

    def test_torch_times_by_events(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.cuda", SimpleNamespace(Event=Event))
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(Event=Event)))
        called = []
        assert limiting._CLOCKS["torch", "cuda"](lambda: called.append(1)) == pytest.approx(1e-3)
        assert called

    def test_cupy_times_by_events(self, monkeypatch):
        cuda = SimpleNamespace(Event=Event, get_elapsed_time=lambda begin, end: begin.elapsed_time(end))
        monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
        called = []
        assert limiting._CLOCKS["cupy", "cuda"](lambda: called.append(1)) == pytest.approx(1e-3)
        assert called

    @pytest.mark.parametrize("sees_it", [True, False])
    def test_a_framework_takes_part_if_it_sees_the_device(self, monkeypatch, sees_it):
        cupy = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: sees_it))
        monkeypatch.setattr(limiting, "find_spec", lambda name: True)
        monkeypatch.setattr(limiting, "import_module", lambda name: cupy)
        (way,) = (way for way in limiting._ARITHMETIC if way.module == "cupy")
        assert way.is_here() is sees_it

    def test_every_way_has_a_clock(self):
        for way in (*limiting._ARITHMETIC, *limiting._copies()):
            assert (way.module, way.device) in limiting._CLOCKS

    @pytest.mark.gpu
    @pytest.mark.skipif("cuda" not in usable_devices(), reason="neither PyTorch nor CuPy sees a CUDA device")
    def test_a_gpu_has_limits(self):
        (limit,) = measure_limits(("float32",), (1,), "cuda", seconds=0)
        assert limit["flops_per_second"] > 0 and limit["bytes_per_second"] > 0
