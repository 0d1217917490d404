"""The group axioms, for every group, on arrays of any shapes that broadcast."""

import math
from importlib import import_module
from itertools import accumulate, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import groupy.garray
from groupy.garray import FiniteGroup, GridArray, PointGArray, SplitGArray, Z2Array, Z3Array

POINT_GROUPS = ["D1", "C2", "D2", "C4", "D4", "C6", "D6", "C4h", "D4h", "O", "Oh"]
SPLIT_GROUPS = ["pm", "p2", "p2mm", "p4", "p4m", "p6", "p6m", "C4ht", "D4ht", "Ot", "Oht"]
GRIDS = ["Z2", "Z3"]
MODULES = {name: import_module(f"groupy.garray.{name}_array") for name in POINT_GROUPS + SPLIT_GROUPS + GRIDS}
TYPES = {name: type(module.identity()) for name, module in MODULES.items()}

every_group = pytest.mark.parametrize("name", TYPES)
every_acting_group = pytest.mark.parametrize("name", POINT_GROUPS + SPLIT_GROUPS)
every_finite_group = pytest.mark.parametrize("name", POINT_GROUPS)

# Shapes of three arrays that broadcast; a part of them broadcasts too.
SHAPES = [((), (), ()), ((2,), (), (2,)), ((2, 1), (1, 2), (2,)), ((1,), (3,), ()), ((0, 1), (2,), ())]
# An example is a string of bytes, drawn in one go: a thousand for each law and group are to take seconds.
choices = st.binary(min_size=48, max_size=48)


def elements(name, shapes, numbers):
    """Arrays of elements of these shapes, their integer parameters from a string of bytes."""
    g_shape = TYPES[name]._g_shapes["int"]
    ends = list(accumulate(math.prod(shape + g_shape) for shape in shapes))
    parts = np.split(np.frombuffer(numbers, dtype=np.int8).astype(np.int64), ends)
    return [TYPES[name](part.reshape(shape + g_shape)) for part, shape in zip(parts, shapes)]


def broadcastable(name, n, choices):
    """n arrays of elements whose shapes broadcast, each in some parameterization."""
    shape, *parameterizations = choices[:4]
    arrays = elements(name, SHAPES[shape % len(SHAPES)][:n], choices[4:])
    return [
        a.reparameterize(a.parameterizations[p % len(a.parameterizations)]) for a, p in zip(arrays, parameterizations)
    ]


def test_no_group_is_left_out():
    bases = GridArray, PointGArray, SplitGArray
    exported = [getattr(groupy.garray, name) for name in groupy.garray.__all__]
    kinds = {t for t in exported if isinstance(t, type) and issubclass(t, bases) and not issubclass(t, FiniteGroup)}
    assert kinds - set(bases) == set(TYPES.values())


@every_group
@given(choices=choices)
def test_composition_is_associative(name, choices):
    a, b, c = broadcastable(name, 3, choices)
    assert ((a * b) * c == a * (b * c)).all()


@every_group
@given(choices=choices)
def test_identity_is_neutral_and_the_inverse_composes_to_it_on_both_sides(name, choices):
    (a,), e = broadcastable(name, 1, choices), MODULES[name].identity()
    assert (e * a == a).all() and (a * e == a).all()
    inverse = a.inv()
    assert (a * inverse == e).all() and (inverse * a == e).all()


def a_thousand(name, rng):
    """Elements of all kinds at once, for what does not depend on the arrays' shapes."""
    g_shape = TYPES[name]._g_shapes["int"]
    return TYPES[name](rng.integers(-99, 100, (1000, *g_shape)))


@every_group
def test_inverse_of_a_product_is_the_product_of_inverses_reversed(name, rng):
    a, b = a_thousand(name, rng), a_thousand(name, rng)
    assert ((a * b).inv() == b.inv() * a.inv()).all()


@every_group
def test_reparameterizing_there_and_back_changes_nothing(name, rng):
    elements = a_thousand(name, rng)
    for p, q in product(elements.parameterizations, repeat=2):
        a = elements.reparameterize(p)
        there = a.reparameterize(q)
        np.testing.assert_array_equal(there.reparameterize(p).data, a.data)
        assert (there == a).all() and (a == there).all()
        assert there.shape == a.shape


@pytest.mark.parametrize("shapes", SHAPES)
@every_group
def test_product_has_the_shape_numpy_would_give_it_and_the_others_parameterization(name, shapes):
    a, b, _ = elements(name, shapes, bytes(range(48)))
    for p, q in product(a.parameterizations, repeat=2):
        c = a.reparameterize(p) * b.reparameterize(q)
        assert c.shape == np.broadcast_shapes(a.shape, b.shape)
        assert (c.p, type(c)) == (q, type(b))


@every_acting_group
@given(choices=choices)
def test_homogeneous_matrices_multiply_as_the_elements_compose(name, choices):
    a, b = broadcastable(name, 2, choices)
    np.testing.assert_array_equal(
        (a * b).reparameterize("hmat").data, a.reparameterize("hmat").data @ b.reparameterize("hmat").data
    )


@every_acting_group
@given(choices=choices)
def test_acting_twice_is_acting_by_the_product(name, choices):
    a, b = broadcastable(name, 2, choices)
    grid = {2: Z2Array, 3: Z3Array}[TYPES[name].stabilizer.ndim]
    point = grid([int(number) - 128 for number in choices[-len(grid.axes) :]])
    assert ((a * b) * point == a * (b * point)).all()


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), (1, 2)])
@every_group
def test_indexing_and_reshaping_commute_with_inversion(name, shape):
    (a,) = elements(name, [shape], bytes(range(48)))
    inverse = a.inv()
    assert (inverse[-1] == a[-1].inv()).all()
    assert (inverse[..., None] == a[..., None].inv()).all()
    assert (a.flatten().inv() == inverse.flatten()).all()
    assert (a.reshape(shape[::-1]).inv() == inverse.reshape(shape[::-1])).all()


@every_group
def test_equality_is_of_elements_and_not_of_storage(name, rng):
    a, b = a_thousand(name, rng)[:40, None], a_thousand(name, rng)[None, :25]
    for p, q in product(a.parameterizations, repeat=2):
        equal = a.reparameterize(p) == b.reparameterize(q)
        assert equal.shape == (40, 25) and equal.dtype == bool
        np.testing.assert_array_equal(equal, a * b.inv() == MODULES[name].identity())
        np.testing.assert_array_equal(a != b, ~equal)
    assert (a == a.reparameterize(p)).all()


@every_finite_group
def test_finite_group_lists_each_element_once_and_is_closed(name):
    G = getattr(MODULES[name], name)
    table = (G[:, None, None] * G[None, :, None] == G[None, None, :]).argmax(axis=-1)
    positions = np.arange(G.size)
    # each row and column of the composition table is the group in some order
    np.testing.assert_array_equal(np.sort(table, axis=0), np.broadcast_to(positions[:, None], table.shape))
    np.testing.assert_array_equal(np.sort(table, axis=1), np.broadcast_to(positions, table.shape))


@pytest.mark.parametrize("finite, infinite", list(zip(POINT_GROUPS, SPLIT_GROUPS)))
@given(choices=choices)
def test_stabilizer_acts_on_its_group_as_the_embedded_elements_do(finite, infinite, choices):
    (h,), (g,) = elements(finite, [(3, 1)], choices[:12]), elements(infinite, [(1, 2)], choices[12:])
    no_translation = np.zeros(h.shape + (h.stabilizer.ndim,), dtype=int)
    embedded = TYPES[infinite](np.concatenate([h.data, no_translation], axis=-1))
    assert (h * g == embedded * g).all()
