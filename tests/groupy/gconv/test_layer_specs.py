"""Groups and layers by name, and one more of them."""

import copy

import numpy as np
import pytest

from groupy.garray import PointGArray, PointGroup, Stabilizer, stabilizers
from groupy.garray.C4_array import C4, C4Array
from groupy.garray.stabilizers import HEXAGONAL_MIRROR
from groupy.gconv import layer_specs
from groupy.gconv.layer_specs import GROUPS, LAYER_SPECS, add_group, as_group, name_of
from groupy.gconv.reference import gconv, left_translate

every_group = pytest.mark.parametrize("name", GROUPS)


def point_group(stabilizer):
    """All of a stabilizer, as a module of this library makes it."""
    elements = type("Elements", (PointGArray,), {"stabilizer": stabilizer})
    return type("Elements_Group", (PointGroup, elements), {})()


@pytest.fixture
def scratch(monkeypatch):
    """The known groups, to be as before after the test."""
    monkeypatch.setattr(layer_specs, "GROUPS", dict(GROUPS))
    monkeypatch.setattr(layer_specs, "LAYER_SPECS", dict(LAYER_SPECS))
    return layer_specs


@every_group
def test_each_group_has_a_lifting_layer_and_one_of_its_own(name):
    group, label = GROUPS[name], name.upper()
    lifting, on_group = LAYER_SPECS[f"{label}ConvZ{group.stabilizer.ndim}"], LAYER_SPECS[f"{label}Conv{label}"]
    assert (lifting.lifting, on_group.lifting) == (True, False)
    assert (lifting.input_stabilizer_size, on_group.input_stabilizer_size) == (1, group.size)
    for spec in (lifting, on_group):
        assert spec.group is group and spec.stabilizer is group.stabilizer
        assert (spec.output_stabilizer_size, spec.ndim) == (group.size, group.stabilizer.matrices.shape[-1])


def test_there_are_no_other_layers():
    assert list(GROUPS) == ["pm", "p2", "p2mm", "p4", "p4m", "p6", "p6m", "C4h", "D4h", "O", "Oh"]
    assert len(LAYER_SPECS) == 2 * len(GROUPS)


@every_group
def test_a_groups_elements_stand_in_the_order_of_its_stabilizer(name):
    group = GROUPS[name]
    np.testing.assert_array_equal(group.reparameterize("mat").data, group.stabilizer.matrices)


@every_group
def test_a_group_is_found_by_its_names_and_by_itself(name):
    group = GROUPS[name]
    assert as_group(name) is as_group(group.stabilizer.name) is as_group(group) is group
    assert as_group(copy.deepcopy(group)) is group
    assert name_of(group) == name


@pytest.mark.parametrize("group, got", [("p5", "'p5'"), (C4.stabilizer, "Stabilizer"), (C4[:], "C4Array"), (4, "int")])
def test_what_is_no_known_group_is_refused(group, got):
    known = "'pm', 'p2', .*, 'O', 'Oh'"
    with pytest.raises(ValueError, match=f"^group must be one of {known}, or its stabilizer; got {got}.$"):
        as_group(group)
    with pytest.raises(ValueError, match=f"^{got} is not the stabilizer of a known group; add_group makes it known.$"):
        name_of(group)


def test_filters_have_a_support_of_their_own_on_the_hexagonal_grid_alone():
    for spec in LAYER_SPECS.values():
        if spec.group in (GROUPS["p6"], GROUPS["p6m"]):
            np.testing.assert_array_equal(spec.filter_support(3), [[0, 1, 1], [1, 1, 1], [1, 1, 0]])
        else:
            assert spec.filter_support(3) is None


def test_an_added_group_is_known_with_its_layers(scratch, rng):
    mirror = point_group(Stabilizer.generated("M", m=(((0, 1), (1, 0)), 2)))
    lifting, on_group = add_group("cm", mirror)
    assert (lifting.name, on_group.name) == ("CMConvZ2", "CMConvCM")
    assert scratch.LAYER_SPECS["CMConvZ2"] is lifting and scratch.LAYER_SPECS["CMConvCM"] is on_group
    assert as_group("cm") is as_group("M") is mirror and name_of(mirror) == "cm"
    np.testing.assert_array_equal(lifting.transformation(2).table[1, 0, ..., 1:], [[[0, 0], [1, 0]], [[0, 1], [1, 1]]])
    x, w = rng.integers(-8, 9, (1, 1, 2, 4, 5)), rng.integers(-8, 9, (1, 1, 2, 2, 2))
    moved = gconv(left_translate(x, mirror, mirror[1]), w, None, mirror)
    np.testing.assert_array_equal(moved, left_translate(gconv(x, w, None, mirror), mirror, mirror[1]))


def test_added_groups_are_named_where_a_kernel_is_refused(scratch):
    add_group("rows", point_group(Stabilizer.generated("Rows", m=(((-1, 0), (0, 1)), 2))))
    with pytest.raises(ValueError, match=r"allow this shape: pm, p2, p2mm, rows \(.*P2MMConvP2MM, ROWSConvZ2, ROWS"):
        LAYER_SPECS["P4ConvZ2"].kernel("P4ConvZ2", "ksize", (1, 2))


NEW = Stabilizer.generated("New", m=(HEXAGONAL_MIRROR, 2))


@pytest.mark.parametrize(
    "name, stabilizer, message",
    [
        ("p4", NEW, "there is a group 'p4' already, or one whose layers are called P4ConvZ2"),
        ("P4M", NEW, "there is a group 'P4M' already, or one whose layers are called P4MConvZ2"),
        ("D4", NEW, "'D4' with stabilizer New cannot be told from 'p4m' with stabilizer D4"),
        ("new", stabilizers.C6, "'new' with stabilizer C6 cannot be told from 'p6' with stabilizer C6"),
    ],
)
def test_a_name_that_is_taken_is_refused_and_nothing_changes(name, stabilizer, message):
    before = dict(GROUPS), dict(LAYER_SPECS)
    with pytest.raises(ValueError, match=message):
        add_group(name, point_group(stabilizer))
    assert (GROUPS, LAYER_SPECS) == before


def test_a_group_has_one_name():
    with pytest.raises(ValueError, match="'new' with stabilizer C4 cannot be told from 'p4' with stabilizer C4"):
        add_group("new", C4)


@pytest.mark.parametrize("group, got", [(C4.stabilizer, "Stabilizer"), (C4[:], "C4Array"), (C4Array, "type")])
def test_what_is_not_all_of_a_stabilizer_is_refused(group, got):
    with pytest.raises(TypeError, match=f"new: group must be a PointGroup, .*; got {got}"):
        add_group("new", group)
