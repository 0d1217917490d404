"""The import paths of GrouPy, HexaConv and the PyTorch port give the very objects of the new ones."""

import ast
import importlib
import rlcompleter
import subprocess
import sys
from importlib.util import find_spec

import pytest

import groupy
from groupy.submodules import submodules_of

LAYERS = ("P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M")
CHAINER = {
    "groupy.gconv.chainer_gconv.kernels.integer_indexing_cuda_kernel": (
        "chainer_gconv.transform_filter",
        ("index_group_func_kernel", "grad_index_group_func_kernel"),
    ),
    "groupy.gconv.chainer_gconv": ("chainer_gconv", LAYERS),
    "groupy.gconv.chainer_gconv.p4_conv": ("chainer_gconv", LAYERS[:2]),
    "groupy.gconv.chainer_gconv.p4m_conv": ("chainer_gconv", LAYERS[2:]),
    "groupy.gconv.chainer_gconv.splitgconv2d": ("chainer_gconv", ("SplitGConv2D",)),
    "groupy.gconv.chainer_gconv.transform_filter": ("chainer_gconv", ("TransformGFilter",)),
    "groupy.gconv.chainer_gconv.pooling.plane_group_spatial_max_pooling": (
        "chainer_gconv",
        ("plane_group_spatial_max_pooling",),
    ),
    "groupy.gconv.gconv_chainer.kernels.integer_indexing_cuda_kernel": (
        "chainer_gconv.transform_filter",
        ("index_group_func_kernel", "grad_index_group_func_kernel"),
    ),
    "groupy.gconv.gconv_chainer": ("chainer_gconv", LAYERS),
    "groupy.gconv.gconv_chainer.p4_conv": ("chainer_gconv", LAYERS[:2]),
    "groupy.gconv.gconv_chainer.p4m_conv": ("chainer_gconv", LAYERS[2:]),
    "groupy.gconv.gconv_chainer.splitgconv2d": ("chainer_gconv", ("SplitGConv2D",)),
    "groupy.gconv.gconv_chainer.TransformFilter": ("chainer_gconv", ("TransformGFilter",)),
}
TORCH = {
    "groupy.gconv.pytorch_gconv": ("torch_gconv", LAYERS),
    "groupy.gconv.pytorch_gconv.p4_conv": ("torch_gconv", LAYERS[:2]),
    "groupy.gconv.pytorch_gconv.p4m_conv": ("torch_gconv", LAYERS[2:]),
    "groupy.gconv.pytorch_gconv.splitgconv2d": ("torch_gconv", (*LAYERS, "SplitGConv2D")),
    "groupy.gconv.pytorch_gconv.pooling": ("torch_gconv", ("plane_group_spatial_max_pooling",)),
}
every_old_path = pytest.mark.parametrize("old", [*CHAINER, *TORCH])


def new_path(old):
    new, names = {**CHAINER, **TORCH}[old]
    framework = new.split(".")[0].split("_")[0]
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    return importlib.import_module(new), names


@every_old_path
def test_old_names_are_the_same_objects(old):
    new, names = new_path(old)
    for name in names:
        assert getattr(importlib.import_module(old), name) is getattr(new, name)


@every_old_path
def test_a_star_import_gives_the_same_objects(old):
    new, names = new_path(old)
    namespace = {}
    exec(f"from {old} import *", namespace)
    for name in names:
        assert namespace[name] is getattr(new, name)
    assert not {name for name in namespace if name.startswith("_")} - {"__builtins__"} and "forward_to" not in namespace


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_a_star_import_gives_what_the_port_had_beside_the_layers():
    port, names = pytest.importorskip("torch_gconv.old_port"), ("trans_filter", "make_indices_functions")
    namespace = {}
    exec("from groupy.gconv.pytorch_gconv.splitgconv2d import *", namespace)
    for name in (*names, "make_c4_z2_indices", "make_c4_p4_indices", "make_d4_z2_indices", "make_d4_p4m_indices"):
        assert namespace[name] is getattr(port, name)


@pytest.mark.parametrize("paths", [CHAINER, TORCH], ids=["chainer", "torch"])
def test_after_import_groupy_alone_every_old_path_is_an_attribute(paths):
    """And neither it nor the paths import a framework, before a name is asked for."""
    new_path(next(iter(paths)))
    script = f"""
import sys
import groupy
assert "numpy" not in sys.modules, "import groupy has become slow"
modules = {{path: eval(path) for path in {sorted(paths)}}}
print(sorted({{'chainer', 'torch', 'cupy'}} & set(sys.modules)))
for path, names in {[(path, names) for path, (_, names) in paths.items()]}:
    assert modules[path].__name__ == path
    for name in names:
        eval(f"{{path}}.{{name}}")
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "[]"), result.stderr


def test_dir_and_completion_show_what_there_is():
    assert {"garray", "gconv", "gfunc", "hexagonal"} <= set(dir(groupy))
    assert {"make_gconv_indices", "chainer_gconv", "gconv_chainer", "pytorch_gconv"} <= set(dir(groupy.gconv))
    assert "integer_indexing_cuda_kernel" in dir(groupy.gconv.chainer_gconv.kernels)
    assert "plane_group_spatial_max_pooling" in dir(groupy.gconv.chainer_gconv.pooling)
    new_path("groupy.gconv.pytorch_gconv")
    assert {"pooling", "splitgconv2d", "p4_conv", *LAYERS} <= set(dir(groupy.gconv.pytorch_gconv))
    completer = rlcompleter.Completer({"groupy": groupy})
    found = [completer.complete("groupy.gconv.pytorch_gconv.splitgconv2d.P4MConv", i) for i in range(2)]
    assert [name.rstrip("(") for name in found] == [
        f"groupy.gconv.pytorch_gconv.splitgconv2d.{layer}" for layer in ("P4MConvP4M", "P4MConvZ2")
    ]


@pytest.mark.parametrize("module", [groupy, groupy.gconv, groupy.gconv.chainer_gconv.pooling])
def test_a_package_says_so_of_what_it_does_not_have(module):
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'no_such_name'"):
        _ = module.no_such_name


def test_a_submodule_comes_before_what_the_new_path_calls_so():
    """torch_gconv has a splitgconv2d too, with SplitGConv2D alone."""
    new_path("groupy.gconv.pytorch_gconv")
    script = """
from groupy.gconv.pytorch_gconv import pooling, splitgconv2d
print(pooling.__name__, splitgconv2d.__name__, splitgconv2d.P4MConvZ2.__name__)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    names = [f"groupy.gconv.pytorch_gconv.{name}" for name in ("pooling", "splitgconv2d")]
    assert result.stdout.split() == [*names, "P4MConvZ2"], result.stderr


@every_old_path
def test_a_forwarder_lists_what_it_forwards_and_says_so_of_what_it_does_not(old):
    _, names = new_path(old)
    module = importlib.import_module(old)
    assert set(names) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{old}' has no attribute 'no_such_name'"):
        _ = module.no_such_name


@every_old_path
def test_no_framework_is_imported_until_a_name_is_asked_for(old):
    script = f"import {old}, sys; print(sorted({{'chainer', 'torch', 'cupy'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@every_old_path
@pytest.mark.parametrize("star", [False, True], ids=["name", "star"])
def test_a_missing_framework_is_named_with_the_extra_to_install(old, star):
    """Completion shows the submodules meanwhile."""
    framework = {**CHAINER, **TORCH}[old][0].split("_")[0]
    imported = "*" if star else {**CHAINER, **TORCH}[old][1][0]
    hidden = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {framework!r} else real(name, *rest)
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == {framework!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
import {old}
print(dir({old}))
from {old} import {imported}
"""
    result = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    importlib.import_module(old)
    assert set(submodules_of(old)) <= set(ast.literal_eval(result.stdout))
    assert f"pip install 'groupy-gconv[{framework}]'" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("path", ["groupy.gconv.chainer_gconv", "groupy.gconv.gconv_chainer"])
def test_groupys_readme_example_runs(path):
    new_path(path)
    script = f"""
from {path} import P4ConvZ2, P4ConvP4
from chainer import Variable
import numpy as np

C1 = P4ConvZ2(in_channels=3, out_channels=64, ksize=3, stride=1, pad=1)
C2 = P4ConvP4(in_channels=64, out_channels=64, ksize=3, stride=1, pad=1)
x = Variable(np.random.randn(10, 3, 9, 9).astype('float32'))
y = C2(C1(x))
print(y.data.shape)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "(10, 64, 4, 9, 9)", result.stderr
