"""The group axioms, for every group, on arrays of any shapes that broadcast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, mutually_broadcastable_shapes

from groupy.garray import C4_array, D4_array, Z2_array, p4_array, p4m_array
from groupy.garray.Z2_array import Z2Array

TYPES = {
    C4_array: C4_array.C4Array,
    D4_array: D4_array.D4Array,
    Z2_array: Z2_array.Z2Array,
    p4_array: p4_array.P4Array,
    p4m_array: p4m_array.P4MArray,
}
FINITE = {C4_array: C4_array.C4, D4_array: D4_array.D4}
every_group = pytest.mark.parametrize("module", TYPES, ids=lambda module: module.__name__.split(".")[-1])
every_acting_group = pytest.mark.parametrize(
    "module", [m for m in TYPES if m is not Z2_array], ids=lambda module: module.__name__.split(".")[-1]
)
every_finite_group = pytest.mark.parametrize("module", FINITE, ids=lambda module: module.__name__.split(".")[-1])


def elements(module, shape):
    garray_type = TYPES[module]
    parameters = arrays(np.int64, shape + garray_type._g_shapes["int"], elements=st.integers(-9, 9))
    return parameters.map(garray_type)


@st.composite
def broadcastable(draw, module, n):
    """n arrays of elements whose shapes broadcast, each in some parameterization."""
    shapes = draw(mutually_broadcastable_shapes(num_shapes=n, max_dims=2, max_side=2)).input_shapes
    parameterizations = st.sampled_from(TYPES[module].parameterizations)
    return [draw(elements(module, shape)).reparameterize(draw(parameterizations)) for shape in shapes]


def single(module):
    return broadcastable(module, 1).map(lambda arrays: arrays[0])


@every_group
@given(data=st.data())
def test_composition_is_associative(module, data):
    a, b, c = data.draw(broadcastable(module, 3))
    assert ((a * b) * c == a * (b * c)).all()


@every_group
@given(data=st.data())
def test_identity_is_neutral_on_both_sides(module, data):
    a = data.draw(single(module))
    e = module.identity()
    assert (e * a == a).all() and (a * e == a).all()


@every_group
@given(data=st.data())
def test_inverse_composes_to_the_identity_on_both_sides(module, data):
    a = data.draw(single(module))
    assert (a * a.inv() == module.identity()).all() and (a.inv() * a == module.identity()).all()


@every_group
@given(data=st.data())
def test_inverse_of_a_product_is_the_product_of_inverses_reversed(module, data):
    a, b = data.draw(broadcastable(module, 2))
    assert ((a * b).inv() == b.inv() * a.inv()).all()


@every_group
@given(data=st.data())
def test_reparameterizing_there_and_back_changes_nothing(module, data):
    a = data.draw(single(module))
    for p in a.parameterizations:
        there = a.reparameterize(p)
        np.testing.assert_array_equal(there.reparameterize(a.p).data, a.data)
        assert (there == a).all() and (a == there).all()
        assert there.shape == a.shape


@every_group
@given(data=st.data())
def test_product_has_the_shape_numpy_would_give_it_and_the_others_parameterization(module, data):
    a, b = data.draw(broadcastable(module, 2))
    assert (a * b).shape == np.broadcast_shapes(a.shape, b.shape)
    assert (a * b).p == b.p


@every_acting_group
@given(data=st.data())
def test_homogeneous_matrices_multiply_as_the_elements_compose(module, data):
    a, b = data.draw(broadcastable(module, 2))
    np.testing.assert_array_equal(
        (a * b).reparameterize("hmat").data, a.reparameterize("hmat").data @ b.reparameterize("hmat").data
    )


@every_acting_group
@given(data=st.data())
def test_acting_twice_is_acting_by_the_product(module, data):
    a, b = data.draw(broadcastable(module, 2))
    points = Z2Array(data.draw(arrays(np.int64, (1, 1, 1, 2), elements=st.integers(-9, 9))))
    assert ((a * b) * points == a * (b * points)).all()


@every_group
@given(data=st.data())
def test_indexing_and_reshaping_commute_with_inversion(module, data):
    a = data.draw(elements(module, data.draw(array_shapes(min_dims=1, max_dims=2, max_side=3))))
    i = data.draw(st.integers(0, len(a) - 1))
    assert (a.inv()[i] == a[i].inv()).all()
    assert (a.inv()[..., None] == a[..., None].inv()).all()
    assert (a.flatten().inv() == a.inv().flatten()).all()
    assert (a.reshape(a.shape[::-1]).inv() == a.inv().reshape(a.shape[::-1])).all()


@every_group
@given(data=st.data())
def test_equality_is_of_elements_and_not_of_storage(module, data):
    a, b = data.draw(broadcastable(module, 2))
    equal = a == b
    assert equal.shape == np.broadcast_shapes(a.shape, b.shape) and equal.dtype == bool
    np.testing.assert_array_equal(equal, a * b.inv() == module.identity())
    np.testing.assert_array_equal(a != b, ~equal)


@every_finite_group
def test_finite_group_lists_each_element_once_and_is_closed(module):
    G = FINITE[module]
    products = G[:, None] * G[None, :]
    for row in range(G.size):
        # each row and column of the composition table is the group in some order
        assert ((products[row][:, None] == G[None, :]).sum(axis=0) == 1).all()
        assert ((products[:, row][:, None] == G[None, :]).sum(axis=0) == 1).all()


@pytest.mark.parametrize("finite, infinite", [(C4_array, p4_array), (D4_array, p4m_array)], ids=["C4-p4", "D4-p4m"])
@given(data=st.data())
def test_stabilizer_acts_on_its_group_as_the_embedded_elements_do(finite, infinite, data):
    h = data.draw(elements(finite, (3, 1)))
    g = data.draw(elements(infinite, (1, 3)))
    embedded = TYPES[infinite](np.concatenate([h.data, np.zeros(h.shape + (2,), dtype=int)], axis=-1))
    assert (h * g == embedded * g).all()
