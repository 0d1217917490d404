"""The names that GrouPy's users import, and what each package exports."""

import importlib
from importlib.util import find_spec

import pytest

PLANE_LAYERS = {f"{name}Conv{of}" for name in ("PM", "P2", "P2MM", "P4", "P4M", "P6", "P6M") for of in ("Z2", name)}
SPACE_LAYERS = {f"{name}Conv{of}" for name in ("C4H", "D4H", "O", "OH") for of in ("Z3", name)}
LAYERS = PLANE_LAYERS | SPACE_LAYERS
PLANE = {"identity", "rand", "meshgrid", "u_range", "v_range", "r_range", "rotation", "translation", "r", "u", "v"}
SPACE = PLANE | {"w", "w_range"}
POINT = {"identity", "rand", "e"}
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
    | {"make_d4_z2_indices", "make_d4_p4m_indices"}
    | {"make_c6_z2_indices", "make_c6_p6_indices", "make_d6_z2_indices", "make_d6_p6m_indices"}
    | {"make_index_table", "filter_support", "kernel_shape"},
    "groupy.gconv.make_filter_masks": {"make_p4m_masks_segregate_mirrors"}
    | {"make_p4m_masks_e_and_m_filters", "make_p4m_masks_e_and_m_channels"},
}
# The further groups: the letters of their stabilizer's parameters.
POINT_GROUPS = {
    "D1": "m",
    "C2": "r",
    "D2": "mr",
    "C6": "r",
    "D6": "mr",
    "C4h": "hr",
    "D4h": "hmr",
    "O": "dtr",
    "Oh": "idtr",
}
PLANE_GROUPS = {"p2": "P2", "p2mm": "P2MM", "p6": "P6", "p6m": "P6M"}
SPACE_GROUPS = {"C4ht": "hr", "D4ht": "hmr", "Ot": "dtr", "Oht": "idtr"}
NAMES |= {
    f"groupy.garray.{name}_array": {name, f"{name}Array", f"{name}Group", *letters} | POINT
    for name, letters in POINT_GROUPS.items()
}
NAMES |= {f"groupy.garray.{name}_array": {f"{label}Array"} | PLANE for name, label in PLANE_GROUPS.items()}
NAMES |= {
    f"groupy.garray.{name}_array": {f"{name}Array", *letters, *(f"{letter}_range" for letter in letters)} | SPACE
    for name, letters in SPACE_GROUPS.items()
}
NAMES |= {
    "groupy.garray.pm_array": {"PMArray", "m", "m_range"} | PLANE - {"r", "r_range", "rotation"},
    "groupy.garray.Z3_array": {
        "Z3Array",
        "identity",
        "rand",
        "u_range",
        "v_range",
        "w_range",
        "meshgrid",
        "translation",
    },
}
NAMES |= {
    f"groupy.gfunc.{label.lower()}func_array": {f"{label}FuncArray"}
    for label in ["PM", "Z3", *PLANE_GROUPS.values(), *SPACE_GROUPS]
}
NAMES["groupy.gfunc"] |= {f"{label}FuncArray" for label in ["PM", "Z3", *PLANE_GROUPS.values(), *SPACE_GROUPS]}
NAMES["groupy.garray"] |= {f"{name}{kind}" for name in POINT_GROUPS for kind in ("Array", "Group")}
NAMES["groupy.garray"] |= {f"{label}Array" for label in ["PM", "Z3", *PLANE_GROUPS.values(), *SPACE_GROUPS]}
NAMES |= {
    "groupy.garray.stabilizer": {"Stabilizer"},
    "groupy.garray.stabilizers": {"C4", "D4", *POINT_GROUPS},
    "groupy.gconv.layer_specs": {"LAYER_SPECS", "GROUPS", "LayerSpec", "add_group", "as_group", "name_of"},
    "groupy.gconv.subgroups": {"Subgroup", "subgroup_of"},
    "groupy.gconv.reference": {"gconv", "gconv_gradients", "transform_filters", "left_translate", "domain"},
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
        assert name in module.__all__


@pytest.mark.parametrize("package, framework", [("chainer_gconv", "chainer"), ("torch_gconv", "torch")])
def test_the_model_zoo_is_there_when_it_is_asked_for(package, framework):
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    module = importlib.import_module(package)
    assert module.models is importlib.import_module(f"{package}.models")
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'zoo'"):
        _ = module.zoo
