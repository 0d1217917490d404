"""What a result says about the machine: enough to tell machines apart, and nothing personal."""

import getpass
import json
import platform
import socket
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from benchmarks import machine as describing
from benchmarks.machine import Cache, data_caches, describe_machine, in_binary_units, lines, machine_name

KEYS = ["name", "CPU", "cores", "memory_bytes", "caches", "system", "Python", "GPU", "capability", "oneDNN", "BLAS"]


@pytest.fixture(scope="module")
def here():
    return describe_machine()


def test_it_is_json_with_the_versions_last(here):
    assert json.loads(json.dumps(here)) == here
    assert list(here) == [*KEYS, "versions"]


def test_versions_are_of_the_project_the_frameworks_and_what_measures(here):
    packages = ["groupy-gconv", "torch", "chainer", "cupy", "escnn", "numpy", "pytest-benchmark"]
    assert list(here["versions"]) == packages
    assert here["versions"]["groupy-gconv"] and here["versions"]["numpy"]


@pytest.mark.parametrize("package", ["torch", "chainer", "escnn"])
def test_a_package_has_a_version_if_it_is_installed(here, package):
    assert bool(here["versions"][package]) == bool(find_spec(package))


def test_cupy_is_found_by_the_name_of_its_wheel(monkeypatch):
    installed = {"cupy-cuda12x": "14.0"}

    def version(package):
        if package not in installed:
            raise describing.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(describing, "version", version)
    assert describe_machine()["versions"]["cupy"] == "14.0"


def test_nothing_in_it_is_personal(monkeypatch):
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-ann-laptop+")
    text = json.dumps(describe_machine())
    for private in ("ann", socket.gethostname(), f"/{getpass.getuser()}"):
        assert private not in text
    assert "6.1.0," in text


@pytest.mark.parametrize(
    "cpu, cores, gpu, name",
    [
        ("AMD EPYC", 2, None, "amd-epyc-2-cores"),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 16, None, "intel-xeon-platinum-8375c-16-cores"),
        ("AMD Ryzen 9 7950X 16-Core Processor", 32, None, "amd-ryzen-9-7950x-32-cores"),
        ("aarch64", 1, None, "aarch64-1-core"),
        ("AMD EPYC", 16, "NVIDIA H100 80GB HBM3", "nvidia-h100-80gb-hbm3-amd-epyc-16-cores"),
    ],
)
def test_the_name_is_fit_for_a_file(cpu, cores, gpu, name):
    assert machine_name(cpu, cores, gpu) == name


def test_the_gpu_is_in_the_name_and_in_the_header(monkeypatch):
    monkeypatch.setattr(describing, "_gpu", lambda: "NVIDIA H100")
    machine = describe_machine()
    assert machine["name"].startswith("nvidia-h100-") and "NVIDIA H100" in lines(machine)[0]


def test_cupy_names_the_gpu_where_torch_sees_none(monkeypatch):
    properties = SimpleNamespace(getDeviceProperties=lambda number: {"name": b"NVIDIA H100"})
    cupy = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: True, runtime=properties))
    torch = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setattr(describing, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert describing._gpu() == "NVIDIA H100"


class TestCaches:
    @pytest.fixture
    def system(self, tmp_path):
        """Writes the caches of one core as Linux tells them: (type, level, size, cores that share it)."""

        def write(core, *caches):
            for number, cache in enumerate(caches):
                folder = tmp_path / f"cpu{core}" / "cache" / f"index{number}"
                folder.mkdir(parents=True)
                for name, value in zip(("type", "level", "size", "shared_cpu_list"), cache):
                    if value is not None:
                        (folder / name).write_text(f"{value}\n")
            return tmp_path

        return write

    def test_each_is_counted_once_however_many_cores_share_it(self, system):
        for core in range(4):
            pair = "0-1" if core < 2 else "2-3"
            folder = system(core, ("Data", 1, "32K", core), ("Unified", 2, "1024K", pair), ("Unified", 3, "32M", "0-3"))
        assert data_caches(folder) == [Cache(1, 2**15, 4), Cache(2, 2**20, 2), Cache(3, 2**25, 1)]
        assert ", ".join(map(str, data_caches(folder))) == "L1 4 x 32 KiB, L2 2 x 1 MiB, L3 32 MiB"

    def test_instructions_have_no_part_in_it(self, system):
        assert data_caches(system(0, ("Instruction", 1, "64K", "0"), ("Data", 1, "32K", "0"))) == [Cache(1, 2**15, 1)]

    def test_one_without_a_size_is_left_out(self, system):
        assert data_caches(system(0, ("Data", 1, None, "0"), ("Unified", 2, "256K", "0"))) == [Cache(2, 2**18, 1)]

    def test_a_system_that_tells_nothing_has_none(self, tmp_path, monkeypatch):
        assert data_caches(tmp_path) == []
        monkeypatch.setattr(describing, "data_caches", list)
        assert describe_machine()["caches"] is None


@pytest.mark.parametrize(
    "number, words", [(100, "100 bytes"), (2**15, "32 KiB"), (2**20, "1 MiB"), (int(23.54 * 2**30), "23.5 GiB")]
)
def test_bytes_are_said_in_binary_units(number, words):
    assert in_binary_units(number) == words


def test_the_header_says_all_that_is_known(here):
    text = "\n".join(lines(here))
    known = [here[key] for key in ("name", "CPU", "system", "capability", "oneDNN", "BLAS") if here[key]]
    known += [version for version in here["versions"].values() if version]
    for value in known:
        assert value in text
    assert "None" not in text


def test_the_header_can_do_without_all_that_may_be_unknown(here):
    machine = {key: None for key in here}
    machine.update(
        name="m-1-core", CPU="m", cores=1, system="S", Python="3.9", versions={"numpy": "2.0", "torch": None}
    )
    assert lines(machine) == ["machine m-1-core: m, 1 core", "S, Python 3.9", "versions: numpy 2.0"]
