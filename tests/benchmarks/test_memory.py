"""Peak memory of a step: that the process sees what lives at once, and the command says what it cannot do."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import memory
from benchmarks.contenders import Contender, load_contenders, usable_devices
from benchmarks.memory import MALLOC, MemoryNotMeasured, main, measure, training_step_peak
from benchmarks.sizes import NetworkShape, Shape, Table

SHAPE = Shape("P4ConvP4", 2, 6, batch=2, threads=1)
MIB = 2**20
# Arrays of 32 MiB and more are pages of their own in any process, which go back to the system when they are freed.
HELD, PASSING = 48 * MIB, 64 * MIB

needs_linux = pytest.mark.skipif(not memory._CLEAR_REFS.exists(), reason="the system has no /proc/self/clear_refs")
needs_contender = pytest.mark.skipif(
    not (find_spec("torch") or find_spec("chainer")), reason="neither PyTorch nor Chainer is installed"
)


def touched(n_bytes):
    return np.ones(n_bytes, np.uint8)


class Scripted(Contender):
    """Holds HELD bytes; a step takes those of `passing` on top, the first step those of `first`."""

    rival, pool = "scripted", "numpy"

    def __init__(self, making=0, first=0, passing=(PASSING,)):
        self.making, self.first, self.passing, self.shapes, self.waited = making, first, passing, [], 0

    def training_step(self, shape):
        self.shapes.append(shape)
        held, extra = touched(HELD if shape == SHAPE else 8), [self.first]
        touched(self.making)

        def step():
            touched(extra.pop() if extra else 0)
            for n_bytes in self.passing if shape == SHAPE else ():
                touched(n_bytes)
            return held

        return step

    network_training_step = training_step

    def synchronize(self, shape):
        self.waited += 1


@needs_linux
class TestMeasure:
    def test_it_is_what_a_step_has_at_once(self):
        found = measure(Scripted(), SHAPE)
        assert found["peak_bytes"] == pytest.approx(HELD + PASSING, abs=MIB)
        assert found["process_bytes"] > found["peak_bytes"] and "VmHWM" in found["by"]

    def test_one_after_the_other_is_not_at_once(self):
        assert measure(Scripted(passing=(PASSING, PASSING)), SHAPE)["peak_bytes"] == pytest.approx(
            HELD + PASSING, abs=MIB
        )

    def test_what_another_step_would_hold_is_seen(self):
        assert measure(Scripted(passing=(2 * PASSING,)), SHAPE)["peak_bytes"] == pytest.approx(
            HELD + 2 * PASSING, abs=MIB
        )

    def test_what_was_there_before_and_what_making_took_are_not_counted(self):
        before = touched(4 * PASSING)
        found = measure(Scripted(making=3 * PASSING, first=3 * PASSING), SHAPE)
        assert found["peak_bytes"] == pytest.approx(HELD + PASSING, abs=MIB)
        del before

    def test_it_warms_up_with_a_tiny_layer_and_waits_for_the_device(self):
        contender = Scripted()
        measure(contender, SHAPE)
        tiny, shape = contender.shapes
        assert shape == SHAPE and contender.waited == 3
        assert (tiny.layer, tiny.dtype, tiny.channels, tiny.size, tiny.batch) == ("P4ConvP4", "float32", 1, 4, 1)

    def test_of_a_network_it_is_the_networks_step(self):
        contender, shape = Scripted(), NetworkShape("P4CNN", 64)
        contender.training_step = None
        measure(contender, shape)
        tiny, measured = contender.shapes
        assert measured == shape and tiny.network == "P4CNN" and tiny.batch < 64


class TestOtherGauges:
    def test_without_clear_refs_it_is_the_mark_that_nothing_resets_and_says_so(self, monkeypatch):
        monkeypatch.setattr(memory, "_CLEAR_REFS", Path("no such file"))
        found = measure(Scripted(), SHAPE)
        assert found["by"] == "ru_maxrss, which nothing resets"
        assert found["process_bytes"] > HELD + PASSING and found["peak_bytes"] >= 0

    @pytest.mark.parametrize("platform, unit", [("linux", 2**10), ("darwin", 1)])
    def test_its_unit_is_the_systems(self, monkeypatch, platform, unit):
        usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=5))
        monkeypatch.setitem(sys.modules, "resource", usage)
        monkeypatch.setattr(memory.sys, "platform", platform)
        assert memory._unix_gauge().peak() == 5 * unit

    def test_on_a_gpu_torch_and_cupy_say_it_themselves(self, monkeypatch):
        log = []
        cuda = SimpleNamespace(
            memory_allocated=lambda: 10,
            max_memory_allocated=lambda: 30,
            reset_peak_memory_stats=lambda: log.append("reset"),
        )
        pool = SimpleNamespace(total_bytes=lambda: 20, free_all_blocks=lambda: log.append("freed"))
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(get_default_memory_pool=lambda: pool))
        of_torch, of_cupy = memory._gauge("torch", "cuda"), memory._gauge("numpy", "cuda")
        of_torch.reset()
        of_cupy.reset()
        assert (of_torch.size(), of_torch.peak(), of_cupy.size(), of_cupy.peak()) == (10, 30, 20, 20)
        assert log == ["freed", "reset", "freed"]

    @pytest.mark.gpu
    @pytest.mark.skipif("cuda" not in usable_devices(), reason="neither PyTorch nor CuPy sees a CUDA device")
    def test_a_step_on_a_gpu_has_a_peak(self):
        shape = Shape("P4ConvP4", 8, 16, device="cuda")
        contenders, _ = load_contenders()
        for name in ("torch_gconv", "chainer_gconv"):
            if name in contenders and contenders[name].takes("peak memory of a training step", shape):
                assert training_step_peak(name, shape) > shape.feature_map().nbytes


class TestTheProcess:
    @needs_contender
    def test_a_fresh_process_measures(self):
        name = "planar NCHW" if find_spec("torch") else "chainer_gconv"
        shape = Shape("P4ConvP4", 8, 32, threads=1)
        maps, filters = shape.batch * 32 * 32 * 32 * 4, shape.folded_filter_bytes
        assert 4 * maps < training_step_peak(name, shape) < 40 * maps + 8 * filters  # x, gx, y and gy at least

    def test_it_is_told_what_to_measure_and_how_to_free_memory(self, monkeypatch):
        ran = []

        def run(command, env, **_):
            ran.append((command, env))
            return SimpleNamespace(returncode=0, stdout='{"peak_bytes": 7, "process_bytes": 9}')

        monkeypatch.setattr(memory.subprocess, "run", run)
        assert training_step_peak("planar NCHW", SHAPE) == 7
        ((command, env),) = ran
        assert command[1:4] == ["-m", "benchmarks.memory", "planar NCHW"] and json.loads(command[4]) == SHAPE.point()
        assert MALLOC.items() <= env.items() and "PATH" in env

    @pytest.mark.parametrize("error, said", [("Traceback\nMemoryError: 9 GiB\n", "MemoryError: 9 GiB"), ("", "-9")])
    def test_if_it_fails_it_says_why(self, monkeypatch, error, said):
        failed = SimpleNamespace(returncode=-9, stdout="", stderr=error)
        monkeypatch.setattr(memory.subprocess, "run", lambda *_, **__: failed)
        with pytest.raises(MemoryNotMeasured, match=f"^escnn, {SHAPE}: peak memory was not measured: .*{said}$"):
            training_step_peak("escnn", SHAPE)


class TestTheCommand:
    def test_it_prints_what_it_measured(self, monkeypatch, capsys):
        monkeypatch.setattr(memory, "load_contenders", lambda: ({"scripted": Scripted()}, {}))
        assert main(["scripted", json.dumps(SHAPE.point())]) == 0
        assert {"peak_bytes", "process_bytes", "by"} == set(json.loads(capsys.readouterr().out))

    @pytest.mark.parametrize(
        "contender, point, said",
        [
            ("scripted", "{", "POINT must be a point as the results have it, JSON; got '{'"),
            ("scripted", "[1]", "POINT must be a point"),
            ("scripted", '{"layer": "P4ConvP4"}', "POINT must be a point"),
            ("scripted", json.dumps(Table("make_d4_p4m_indices", 3).point()), "which can be trained; got make_d4"),
            ("nobody", json.dumps(SHAPE.point()), "must be one of scripted; got 'nobody'. Left out: escnn, since: no"),
        ],
    )
    def test_bad_use_is_said_in_a_sentence(self, monkeypatch, capsys, contender, point, said):
        monkeypatch.setattr(memory, "load_contenders", lambda: ({"scripted": Scripted()}, {"escnn": "no escnn"}))
        assert main([contender, point]) == 2
        output = capsys.readouterr()
        assert said in output.err and output.err.count("\n") == 1 and not output.out

    def test_as_a_module_it_has_the_same_status(self):
        command = [sys.executable, "-m", "benchmarks.memory", "planar NCHW", "{"]
        ran = subprocess.run(command, cwd=memory.ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 2 and "Traceback" not in ran.stderr
