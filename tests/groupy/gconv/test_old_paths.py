"""The import paths of GrouPy, HexaConv and the PyTorch port give the very objects of the new ones."""

import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

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
def test_a_forwarder_lists_what_it_forwards_and_says_so_of_what_it_does_not(old):
    _, names = new_path(old)
    module = importlib.import_module(old)
    assert set(names) <= set(dir(module))
    with pytest.raises(AttributeError):
        _ = module.no_such_name


@every_old_path
def test_no_framework_is_imported_until_a_name_is_asked_for(old):
    script = f"import {old}, sys; print(sorted({{'chainer', 'torch', 'cupy'}} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@every_old_path
def test_a_missing_framework_is_named_with_the_extra_to_install(old):
    framework = {**CHAINER, **TORCH}[old][0].split("_")[0]
    name = {**CHAINER, **TORCH}[old][1][0]
    hidden = f"""
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {framework!r} else real(name, *rest)
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == {framework!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
from {old} import {name}
"""
    result = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
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
