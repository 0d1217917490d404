"""The names that GrouPy's users import, and what each package exports."""

import importlib
from importlib.util import find_spec

import pytest

LAYERS = {"P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M"}
PLANE = {"identity", "rand", "meshgrid", "u_range", "v_range", "r_range", "rotation", "translation", "r", "u", "v"}
NAMES = {
    "groupy.garray": {"C4Array", "C4Group", "D4Array", "D4Group", "P4Array", "P4MArray", "Z2Array"}
    | {"GArray", "MatrixGArray", "FiniteGroup"},
    "groupy.garray.garray": {"GArray"},
    "groupy.garray.matrix_garray": {"MatrixGArray"},
    "groupy.garray.finitegroup": {"FiniteGroup"},
    "groupy.garray.Z2_array": {"Z2Array", "identity", "rand", "u_range", "v_range", "meshgrid"},
    "groupy.garray.C4_array": {"C4Array", "C4Group", "C4", "r", "e", "identity", "rand"},
    "groupy.garray.D4_array": {"D4Array", "D4Group", "D4", "r", "m", "e", "identity", "rand"},
    "groupy.garray.p4_array": {"P4Array", "C4_halfshift"} | PLANE,
    "groupy.garray.p4m_array": {"P4MArray", "m_range", "mirror_u", "mirror_v", "m"} | PLANE,
    "groupy.gfunc": {"P4FuncArray", "P4MFuncArray", "Z2FuncArray"},
    "groupy.gfunc.gfuncarray": {"GFuncArray"},
    "groupy.gfunc.z2func_array": {"Z2FuncArray"},
    "groupy.gfunc.p4func_array": {"P4FuncArray"},
    "groupy.gfunc.p4mfunc_array": {"P4MFuncArray"},
    "groupy.gconv.make_gconv_indices": {"make_c4_z2_indices", "make_c4_p4_indices", "flatten_indices"}
    | {"make_d4_z2_indices", "make_d4_p4m_indices"},
    "groupy.gconv.make_filter_masks": {"make_p4m_masks_segregate_mirrors"}
    | {"make_p4m_masks_e_and_m_filters", "make_p4m_masks_e_and_m_channels"},
}


@pytest.mark.parametrize("module", NAMES)
def test_groupys_names_are_where_they_have_always_been(module):
    assert NAMES[module] <= set(vars(importlib.import_module(module)))


@pytest.mark.parametrize("package", ["groupy.garray", "groupy.gfunc", "chainer_gconv", "torch_gconv", "conformance"])
def test_what_a_package_says_it_exports_is_there_and_sorted(package):
    framework = {"chainer_gconv": "chainer", "torch_gconv": "torch"}.get(package)
    if framework and find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    module = importlib.import_module(package)
    assert all(hasattr(module, name) for name in module.__all__)
    assert list(module.__all__) == sorted(module.__all__)


@pytest.mark.parametrize("package, framework", [("chainer_gconv", "chainer"), ("torch_gconv", "torch")])
def test_every_layer_spec_is_a_layer_of_that_name(package, framework):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    from groupy.gconv.layer_specs import LAYER_SPECS

    module = importlib.import_module(package)
    assert set(LAYER_SPECS) == LAYERS
    for name, spec in LAYER_SPECS.items():
        assert getattr(module, name).spec is spec


@pytest.mark.parametrize("package, framework", [("chainer_gconv", "chainer"), ("torch_gconv", "torch")])
def test_the_model_zoo_is_there_when_it_is_asked_for(package, framework):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    module = importlib.import_module(package)
    assert module.models is importlib.import_module(f"{package}.models")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'zoo'"):
        _ = module.zoo
