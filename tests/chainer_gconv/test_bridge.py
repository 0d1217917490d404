"""The bridge: adds what is missing, leaves what is there, can be called again, prints nothing."""

import subprocess
import sys
import types

import numpy as np
import pytest

from chainer_gconv import bridge


def test_a_second_call_adds_nothing():
    assert bridge.install() == []


def test_every_repair_says_what_since_when_and_why():
    for repair in bridge.REPAIRS:
        assert repair.what and repair.since and repair.why
    whats = [repair.what for repair in bridge.REPAIRS]
    assert len(set(whats)) == len(whats)


@pytest.mark.parametrize("repair", bridge.REPAIRS, ids=lambda repair: repair.what)
def test_nothing_is_missing_once_installed(repair):
    assert not repair.is_missing()


def test_chainer_imports_and_trains_in_a_fresh_process_without_a_word():
    script = """
import chainer_gconv
import chainer, chainer.functions as F, chainer.links as L, numpy as np
np.random.seed(0)
net = chainer.Sequential(L.Linear(3, 4), F.tanh, L.Linear(4, 1))
optimizer = chainer.optimizers.SGD(0.01).setup(net)
x = np.ones((2, 3), np.float32)
losses = []
for _ in range(3):
    loss = F.sum(net(x) ** 2)
    net.cleargrads(); loss.backward(); optimizer.update()
    losses.append(float(loss.array))
assert losses[2] < losses[0]
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_missing_name_is_added_and_one_that_is_there_is_left(monkeypatch):
    monkeypatch.setattr(np, "a_name_that_numpy_once_had", None, raising=False)
    monkeypatch.delattr(np, "a_name_that_numpy_once_had")
    missing = bridge._numpy_name("a_name_that_numpy_once_had", 3, "NumPy 99", "nobody")
    there = bridge._numpy_name("pi", 3, "NumPy 99", "nobody")
    monkeypatch.setattr(bridge, "REPAIRS", (missing, there))
    assert bridge.install() == ["numpy.a_name_that_numpy_once_had"]
    assert np.a_name_that_numpy_once_had == 3 and np.pi != 3
    assert bridge.install() == []


class TestPkgResourcesStandIn:
    module = bridge._pkg_resources("pkg_resources")

    def test_it_is_a_module(self):
        assert isinstance(self.module, types.ModuleType)

    def test_an_installed_distribution_is_found_whatever_its_version(self):
        assert self.module.get_distribution("numpy").version == np.__version__
        assert self.module.require("numpy>=999,<1000")[0].version == np.__version__

    def test_a_missing_distribution_is_not(self):
        with pytest.raises(self.module.DistributionNotFound):
            self.module.require("no-such-distribution>=1")
        assert issubclass(self.module.DistributionNotFound, self.module.ResolutionError)


def test_the_bridge_adds_something_wherever_chainer_does_not_import_by_itself():
    alone = subprocess.run([sys.executable, "-W", "ignore", "-c", "import chainer"], capture_output=True, check=False)
    install = f"exec(open({bridge.__file__!r}).read()); print(install())"
    added = subprocess.run([sys.executable, "-c", install], capture_output=True, text=True, check=True).stdout.strip()
    assert alone.returncode == 0 or added != "[]"
