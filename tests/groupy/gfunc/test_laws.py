"""Functions on groups: the laws of left and right translation, for every function array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from groupy.garray import C4_array, D4_array, p4_array, p4m_array
from groupy.gfunc import P4FuncArray, P4MFuncArray, Z2FuncArray

# function array, leading axes of the stabilizer, the group acting from the left, the module of its elements
SPACES = {
    "Z2-C4": (Z2FuncArray, (), C4_array),
    "Z2-D4": (Z2FuncArray, (), D4_array),
    "p4": (P4FuncArray, (4,), C4_array),
    "p4m": (P4MFuncArray, (8,), D4_array),
    "p4m-by-mirror-and-turn": (P4MFuncArray, (2, 4), D4_array),
}
every_space = pytest.mark.parametrize("space", SPACES)


@st.composite
def functions(draw, space):
    """Functions on odd square grids, which the stabilizer maps onto themselves."""
    func_array, stabilizer, _ = SPACES[space]
    side = draw(st.sampled_from([1, 3, 5]))
    shape = draw(st.sampled_from([(), (2,), (2, 3)]))
    values = st.integers(-(2**40), 2**40)  # distinct with near certainty
    return func_array(draw(arrays(np.int64, shape + stabilizer + (side, side), elements=values)))


def element(space):
    _, _, module = SPACES[space]
    periods = {C4_array: (4,), D4_array: (2, 4)}[module]
    make = {C4_array: C4_array.C4Array, D4_array: D4_array.D4Array}[module]
    return st.tuples(*(st.integers(0, n - 1) for n in periods)).map(lambda parameters: make(list(parameters)))


@every_space
@given(data=st.data())
def test_translating_twice_is_translating_by_the_product(space, data):
    f, g, h = data.draw(functions(space)), data.draw(element(space)), data.draw(element(space))
    np.testing.assert_array_equal(((g * h) * f).v, (g * (h * f)).v)


@every_space
@given(data=st.data())
def test_the_identity_translates_nowhere_and_the_inverse_translates_back(space, data):
    f, g = data.draw(functions(space)), data.draw(element(space))
    np.testing.assert_array_equal(((g * g.inv()) * f).v, f.v)
    np.testing.assert_array_equal((g.inv() * (g * f)).v, f.v)


@every_space
@given(data=st.data())
def test_indices_and_elements_are_inverse_to_each_other(space, data):
    f = data.draw(functions(space))
    np.testing.assert_array_equal(f.g2i(f.i2g), np.moveaxis(np.indices(f.f_shape), 0, -1))


@every_space
@given(data=st.data())
def test_translation_looks_up_the_translation_indices(space, data):
    f, g = data.draw(functions(space)), data.draw(element(space))
    np.testing.assert_array_equal((g * f).v, f.v[(..., *np.moveaxis(f.left_translation_indices(g), -1, 0))])


@every_space
@given(data=st.data())
def test_the_translated_function_has_at_s_the_value_at_g_inverse_s(space, data):
    f, g = data.draw(functions(space)), data.draw(element(space))
    np.testing.assert_array_equal((g * f)(g * f.i2g).v, f.v)


# Right translations move within the fiber only if they fix the origin.
RIGHT = {"p4": (P4FuncArray, (4,), p4_array), "p4m": (P4MFuncArray, (8,), p4m_array)}


@pytest.mark.parametrize("space", RIGHT)
@given(data=st.data())
def test_right_translations_compose_in_reverse_and_commute_with_left_ones(space, data):
    func_array, stabilizer, module = RIGHT[space]
    f = func_array(data.draw(arrays(np.int64, stabilizer + (3, 3), elements=st.integers(-(2**40), 2**40))))
    a, b = (module.rotation(data.draw(st.integers(0, 3))) for _ in range(2))
    g = data.draw(element(space))
    np.testing.assert_array_equal(((f * a) * b).v, (f * (b * a)).v)
    np.testing.assert_array_equal((g * (f * a)).v, ((g * f) * a).v)
    np.testing.assert_array_equal((f * a).v, f.v[(..., *np.moveaxis(f.right_translation_indices(a), -1, 0))])


@given(
    picture=arrays(np.int64, (5, 7), elements=st.integers(1, 9)),
    t=st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
)
def test_a_translated_picture_is_shifted_and_filled_with_what_is_asked_for(picture, t):
    from groupy.garray.Z2_array import Z2Array

    shifted = Z2FuncArray(picture).left_translate(Z2Array(list(t)), fill=-1).v
    framed = np.pad(picture, 8, constant_values=-1)
    np.testing.assert_array_equal(shifted, framed[8 - t[0] : 13 - t[0], 8 - t[1] : 15 - t[1]])
