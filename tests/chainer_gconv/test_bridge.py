"""The bridge: adds what is missing, leaves what is there, can be called again, prints nothing."""

import importlib
import importlib.util
import subprocess
import sys
import types
import warnings
import zipfile
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from chainer_gconv import bridge, import_hooks, stand_ins


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
    module = stand_ins.pkg_resources("pkg_resources")

    def test_it_is_a_module(self):
        assert isinstance(self.module, types.ModuleType)

    def test_an_installed_distribution_is_found_whatever_its_version(self):
        assert self.module.get_distribution("numpy").version == np.__version__
        assert self.module.require("numpy>=999,<1000")[0].version == np.__version__

    def test_a_missing_distribution_is_not(self):
        with pytest.raises(self.module.DistributionNotFound):
            self.module.require("no-such-distribution>=1")
        assert issubclass(self.module.DistributionNotFound, self.module.ResolutionError)

    def test_versions_count_where_tests_are_skipped_by_them(self):
        (found,) = self.module.WorkingSet().require("numpy>=1.10,!=1.11.*")
        assert found.version == np.__version__
        with pytest.raises(self.module.VersionConflict):
            self.module.WorkingSet().require("numpy>=999")
        with pytest.raises(self.module.DistributionNotFound):
            self.module.WorkingSet().require("numpy", "no-such-distribution")
        assert self.module.WorkingSet().require("no-such-distribution; python_version < '3'") == []

    def test_it_is_found_as_a_module_is(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pkg_resources", self.module)
        assert importlib.util.find_spec("pkg_resources") is self.module.__spec__

    def test_what_others_ask_of_it(self):
        assert self.module.resource_exists("chainer_gconv", "kernels.cu")
        assert b"fold_filters" in self.module.resource_string("chainer_gconv", "kernels.cu")
        assert "pytest" in {entry.name for entry in self.module.iter_entry_points("console_scripts")}
        package = types.ModuleType("a_namespace")
        package.__path__, sys.modules["a_namespace"] = [], package
        self.module.declare_namespace("a_namespace")
        del sys.modules["a_namespace"]

    def test_versions_are_ordered_as_versions(self):
        assert self.module.parse_version("1.10") > self.module.parse_version("1.9")


def test_the_bridge_adds_something_wherever_chainer_does_not_import_by_itself():
    alone = subprocess.run([sys.executable, "-W", "ignore", "-c", "import chainer"], capture_output=True, check=False)
    script = "import chainer_gconv; print([what for what in chainer_gconv.bridge.added() if 'cupy' not in what])"
    added = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert alone.returncode == 0 or added != "[]"


@pytest.mark.parametrize("name, value", [("complex_", 1j), ("float_", 0.5), ("Inf", 1e999), ("asscalar", None)])
def test_names_of_chainers_time_are_what_they_were(name, value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy before 2.0 has some of them, deprecated
        old = getattr(np, name)
    assert old == value if isinstance(old, float) else old(np.array(0.5)) == 0.5


def test_functions_of_chainers_time_compute_what_they_did():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.in1d([[1, 2], [3, 4]], [2, 4]).tolist() == [False, True, False, True]
        assert np.trapz([1, 2, 3]) == 4
        assert np.product([2, 3]) == 6 and np.cumproduct([2, 3]).tolist() == [2, 6]
        assert np.msort(np.array([[2, 1], [1, 2]])).tolist() == [[1, 1], [2, 2]]
        assert np.asfarray([1, 2]).dtype == np.float64 and np.asfarray([1], np.float32).dtype == np.float32
        assert np.find_common_type([np.float32, np.int16], []) == np.float32
        assert np.find_common_type([np.float32], [np.int64, np.float64]) == np.float32  # scalars of the same kind
        assert np.find_common_type([np.int32], [np.float32]) == np.float64  # and of another
        assert np.find_common_type([], [np.int16]) == np.int16
        assert np.obj2sctype("f4") is np.float32 and np.obj2sctype(np.zeros(1)) is np.float64
        assert np.obj2sctype("nonsense", default=3) == 3 and np.obj2sctype(1) is None
        assert np.sctype2char(np.float32) == "f" and np.sctype2char(np.zeros(1, np.int16)) == "h"
        assert np.issubsctype(np.zeros(1), np.floating) and not np.issubsctype(np.int32, np.floating)
        assert np.row_stack([[1], [2]]).tolist() == [[1], [2]]
        assert np.fix(-1.5) == -1


class TestModulesMendedAtImport:
    @pytest.fixture
    def module(self, tmp_path, monkeypatch):
        (tmp_path / "to_be_mended.py").write_text("def f():\n    return 'broken'")
        monkeypatch.syspath_prepend(tmp_path)
        yield "to_be_mended"
        sys.modules.pop("to_be_mended", None)
        import_hooks._MendingFinder.waiting.pop("to_be_mended", None)

    @staticmethod
    def mend(module, run):
        run()
        module.f = lambda: "mended"

    def test_before_it_is_imported(self, module):
        import_hooks.when_imported(module, self.mend)
        assert module not in sys.modules
        assert importlib.import_module(module).f() == "mended"

    def test_after_it_was(self, module):
        imported = importlib.import_module(module)
        import_hooks.when_imported(module, self.mend)
        assert imported.f() == "mended"

    def test_when_it_is_imported_anew(self, module):
        import_hooks.when_imported(module, self.mend)
        first = importlib.import_module(module)
        assert importlib.reload(first).f() == "mended"
        del sys.modules[module]
        assert importlib.import_module(module).f() == "mended"

    @pytest.mark.parametrize("imported_first", [False, True])
    def test_by_several_mends_each_of_them_once(self, module, imported_first):
        def louder(module, run):
            run()
            before = module.f
            module.f = lambda: before().upper() + "!"

        if imported_first:
            importlib.import_module(module)
        for mend in (self.mend, louder, louder):
            import_hooks.when_imported(module, mend)
        assert import_hooks.is_mended(module, louder)
        assert importlib.import_module(module).f() == "MENDED!"
        del sys.modules[module]
        assert importlib.import_module(module).f() == "MENDED!"

    def test_one_that_was_imported_before_and_is_imported_anew(self, module):
        importlib.import_module(module)
        import_hooks.when_imported(module, self.mend)
        del sys.modules[module]
        assert importlib.import_module(module).f() == "mended"

    def test_a_loader_that_others_share_is_left_alone(self, module, tmp_path, monkeypatch):
        """As pytest's is, which rewrites assertions: one loader for many modules."""

        class Shared:
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                return ModuleSpec(name, cls) if name in (module, "a_neighbour") else None

            @staticmethod
            def create_module(spec):
                return None

            @staticmethod
            def exec_module(loaded):
                loaded.f = lambda: "as it is"

        monkeypatch.setattr(sys, "meta_path", [Shared, *sys.meta_path])
        import_hooks.when_imported(module, self.mend)
        monkeypatch.setattr(sys, "meta_path", [import_hooks._MendingFinder, *sys.meta_path])
        assert importlib.import_module(module).f() == "mended"
        assert importlib.import_module("a_neighbour").f() == "as it is"
        del sys.modules["a_neighbour"]

    def test_one_in_a_zip(self, module, tmp_path, monkeypatch):
        with zipfile.ZipFile(tmp_path / "modules.zip", "w") as file:
            file.write(tmp_path / "to_be_mended.py", "to_be_mended.py")
        (tmp_path / "to_be_mended.py").unlink()
        monkeypatch.syspath_prepend(tmp_path / "modules.zip")
        import_hooks.when_imported(module, self.mend)
        assert importlib.import_module(module).f() == "mended"

    def test_a_folder_that_is_no_package(self, module, tmp_path):
        (tmp_path / "to_be_mended.py").unlink()
        (tmp_path / module).mkdir()
        import_hooks.when_imported(module, self.mend)
        assert not hasattr(importlib.import_module(module), "f")

    def test_one_that_does_not_exist_is_still_missing(self):
        import_hooks.when_imported("no_such_module", self.mend)
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("no_such_module")
        del import_hooks._MendingFinder.waiting["no_such_module"]


class TestOldPlaces:
    """A package made for the purpose, as CuPy is not at hand: `old` moved to `new`, with all below it."""

    @pytest.fixture(autouse=True)
    def package(self, tmp_path, monkeypatch):
        for name, text in (
            ("", ""),
            ("new/", "here = 'new'"),
            ("new/deep", "here = 'deep'"),
            ("there", "here = 'kept'"),
        ):
            path = tmp_path / "moved_package" / (f"{name}__init__.py" if name in ("", "new/") else f"{name}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(import_hooks._MovedFinder, "moved", {})
        old_places = {"moved_package.old": "moved_package.new", "moved_package.there": "moved_package.new"}
        import_hooks.lead(old_places)
        yield
        for name in [name for name in sys.modules if name.startswith("moved_package")]:
            del sys.modules[name]

    def test_an_old_place_leads_to_the_same_module(self):
        old, new = (importlib.import_module(f"moved_package.{name}") for name in ("old", "new"))
        assert old is new and new.__spec__.name == "moved_package.new"
        deep = importlib.import_module("moved_package.old.deep")
        assert deep is importlib.import_module("moved_package.new.deep") and deep.here == "deep"

    def test_what_is_there_is_left(self):
        assert importlib.import_module("moved_package.there").here == "kept"

    def test_what_has_no_new_place_is_missing(self):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("moved_package.old.elsewhere")
