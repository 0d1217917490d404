"""Functions on groups: the laws of left and right translation, for every function array."""

import math
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupy.gfunc
from groupy.garray.Z2_array import Z2Array
from groupy.garray.Z3_array import Z3Array
from groupy.gfunc import GFuncArray, GridFuncArray, PlaneFuncArray, SpaceFuncArray, Z2FuncArray, Z3FuncArray

# stabilizer: function array over its split group, the module of that group, the stabilizer's periods, and for each
# axis of the grid a letter, the same for axes whose sides must be the same
GROUPS = {
    "D1": ("PMFuncArray", "pm", (2,), "uv"),
    "C2": ("P2FuncArray", "p2", (2,), "uv"),
    "D2": ("P2MMFuncArray", "p2mm", (2, 2), "uv"),
    "C4": ("P4FuncArray", "p4", (4,), "uu"),
    "D4": ("P4MFuncArray", "p4m", (2, 4), "uu"),
    "C6": ("P6FuncArray", "p6", (6,), "uu"),
    "D6": ("P6MFuncArray", "p6m", (2, 6), "uu"),
    "C4h": ("C4htFuncArray", "C4ht", (2, 4), "uvv"),
    "D4h": ("D4htFuncArray", "D4ht", (2, 2, 4), "uvv"),
    "O": ("OtFuncArray", "Ot", (3, 2, 4), "uuu"),
    "Oh": ("OhtFuncArray", "Oht", (2, 3, 2, 4), "uuu"),
}
# Their functions are zero outside the hexagon, and so are the functions translated.
HEXAGONAL = {"C6", "D6"}
SPACES = [(name, on) for name in GROUPS for on in ("grid", "group")]
every_space = pytest.mark.parametrize("name, on", SPACES)
every_group = pytest.mark.parametrize("name", GROUPS)


def function_array(name, on):
    func_array, _, _, axes = GROUPS[name]
    return {2: Z2FuncArray, 3: Z3FuncArray}[len(axes)] if on == "grid" else getattr(groupy.gfunc, func_array)


def hexagon(side):
    u, v = np.indices((side, side)) - side // 2
    return np.abs(u + v) <= side // 2


def group(name):
    return getattr(import_module(f"groupy.garray.{name}_array"), name)


def at_the_origin(name, h):
    """Elements of the stabilizer as elements of the split group."""
    space_group = type(import_module(f"groupy.garray.{GROUPS[name][1]}_array").identity())
    return space_group(np.concatenate([h.data, np.zeros(h.shape + (len(GROUPS[name][3]),), dtype=int)], axis=-1))


def over_samples(elements, f):
    """Elements along an axis before those of f's sample points."""
    return elements[(slice(None), *(None,) * f.f_ndim)]


# An example is a string of bytes, drawn in one go: a thousand for each law and space are to take seconds.
choices = st.binary(min_size=12, max_size=12)


def function(name, on, choices):
    """Functions whose values are all different, on a box with the origin at its centre."""
    _, _, periods, axes = GROUPS[name]
    side = {axis: (1, 3)[choice % 2] for axis, choice in zip("uvw", choices)}
    shape = ((), (2,))[choices[3] % 2] + (math.prod(periods),) * (on == "group") + tuple(side[axis] for axis in axes)
    values = np.random.default_rng(list(choices[4:9])).permutation(math.prod(shape)).reshape(shape) + 1
    if name in HEXAGONAL:
        values *= hexagon(shape[-1])
    return function_array(name, on)(values)


def some_elements(name, choices):
    """Three elements of the stabilizer."""
    return [group(name)[choice % group(name).size] for choice in choices[-3:]]


def translated(g, f, name):
    return f.left_translate(g, fill=0) if name in HEXAGONAL else g * f


def test_no_function_array_is_left_out():
    exported = {getattr(groupy.gfunc, name) for name in groupy.gfunc.__all__}
    bases = {GFuncArray, GridFuncArray, PlaneFuncArray, SpaceFuncArray}
    assert exported - bases == {function_array(*space) for space in SPACES}


@every_space
@given(choices=choices)
def test_translating_twice_is_translating_by_the_product(name, on, choices):
    f, (g, h, _) = function(name, on, choices), some_elements(name, choices)
    np.testing.assert_array_equal(translated(g * h, f, name).v, translated(g, translated(h, f, name), name).v)


@every_space
@given(choices=choices)
def test_the_translated_function_has_at_g_s_the_value_at_s(name, on, choices):
    f, (g, _, _) = function(name, on, choices), some_elements(name, choices)
    np.testing.assert_array_equal(translated(g, f, name)(g * f.i2g, fill=0).v, f.v)


# Right translations move within the fiber only if they fix the origin.
@every_group
@given(choices=choices)
def test_right_translations_compose_in_reverse_and_commute_with_left_ones(name, choices):
    f, (g, a, b) = function(name, "group", choices), some_elements(name, choices)
    a, b = at_the_origin(name, a), at_the_origin(name, b)
    moved = f * a
    np.testing.assert_array_equal((moved * b).v, (f * (b * a)).v)
    np.testing.assert_array_equal(translated(g, moved, name).v, (translated(g, f, name) * a).v)


def small(name, on, periods):
    """A function with different values, and a side of 3 along each axis."""
    shape = periods * (on == "group") + (3,) * len(GROUPS[name][3])
    values = np.arange(1, math.prod(shape) + 1).reshape(shape)
    return function_array(name, on)(values * hexagon(3) if name in HEXAGONAL else values)


@every_space
def test_the_identity_translates_nowhere(name, on):
    f = small(name, on, GROUPS[name][2])
    np.testing.assert_array_equal((group(name)[0] * f).v, f.v)


@every_space
def test_indices_and_elements_are_inverse_to_each_other(name, on):
    f = small(name, on, GROUPS[name][2])
    np.testing.assert_array_equal(f.g2i(f.i2g), np.moveaxis(np.indices(f.f_shape), 0, -1))


@pytest.mark.parametrize("name, on", [space for space in SPACES if space[0] not in HEXAGONAL])
def test_left_translation_looks_up_its_indices(name, on):
    f = small(name, on, GROUPS[name][2])
    everyone = over_samples(group(name), f)
    sources = f.left_translation_indices(everyone)
    np.testing.assert_array_equal((everyone * f).v, f.v[tuple(np.moveaxis(sources, -1, 0))])


@every_group
def test_right_translation_looks_up_its_indices(name):
    f = small(name, "group", GROUPS[name][2])
    everyone = over_samples(at_the_origin(name, group(name)), f)
    sources = f.right_translation_indices(everyone)
    np.testing.assert_array_equal((f * everyone).v, f.v[tuple(np.moveaxis(sources, -1, 0))])


@every_group
def test_an_axis_for_each_parameter_holds_what_one_axis_for_the_stabilizer_does(name):
    _, _, periods, _ = GROUPS[name]
    flat, spread = small(name, "group", (math.prod(periods),)), small(name, "group", periods)
    for g in group(name):
        moved = translated(g, spread, name)
        np.testing.assert_array_equal(moved.v.reshape(flat.v.shape), translated(g, flat, name).v)
        assert moved.f_shape == periods + (3,) * len(GROUPS[name][3])


@pytest.mark.parametrize("name", sorted(HEXAGONAL))
def test_outside_the_hexagon_a_square_does_not_turn_onto_itself(name):
    whole = Z2FuncArray(np.ones((5, 5)))
    turn = import_module(f"groupy.garray.{name}_array").r
    with pytest.raises(IndexError, match="6 of 25 points lie outside the grid"):
        _ = turn * whole
    assert not np.array_equal(translated(turn.inv(), translated(turn, whole, name), name).v, whole.v)


@given(seed=st.integers(0, 2**32 - 1), t=st.tuples(st.integers(-8, 8), st.integers(-8, 8)))
def test_a_translated_picture_is_shifted_and_filled_with_what_is_asked_for(seed, t):
    picture = np.random.default_rng(seed).integers(1, 9, (5, 7))
    shifted = Z2FuncArray(picture).left_translate(Z2Array(list(t)), fill=-1).v
    framed = np.pad(picture, 8, constant_values=-1)
    np.testing.assert_array_equal(shifted, framed[8 - t[0] : 13 - t[0], 8 - t[1] : 15 - t[1]])


@given(seed=st.integers(0, 2**32 - 1), t=st.tuples(*[st.integers(-4, 4)] * 3))
def test_a_translated_volume_is_shifted_and_filled_with_what_is_asked_for(seed, t):
    volume = np.random.default_rng(seed).integers(1, 9, (2, 3, 4))
    shifted = Z3FuncArray(volume).left_translate(Z3Array(list(t)), fill=-1).v
    framed = np.pad(volume, 4, constant_values=-1)
    np.testing.assert_array_equal(shifted, framed[tuple(slice(4 - s, 4 - s + n) for s, n in zip(t, (2, 3, 4)))])
