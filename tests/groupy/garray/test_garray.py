"""GArray as an array: shapes, indexing, errors; what GrouPy got wrong stays right."""

import numpy as np
import pytest

from groupy.garray import C4Array, D4Array, FiniteGroup, GArray, MatrixGArray, P4Array, P4MArray, Z2Array
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4


def test_shape_counts_elements_and_g_shape_their_storage():
    g = P4Array(np.zeros((2, 5, 3), dtype=int))
    assert (g.shape, g.g_shape, g.ndim, g.g_ndim, g.size, len(g)) == ((2, 5), (3,), 2, 1, 10, 2)
    hmat = g.reparameterize("hmat")
    assert (hmat.shape, hmat.g_shape) == ((2, 5), (3, 3))


def test_equality_of_matrices_has_the_arrays_shape():
    g = P4Array(np.zeros((2, 5, 3), dtype=int)).reparameterize("hmat")
    assert (g == g).shape == (2, 5)


def test_parameters_of_the_stabilizer_are_taken_modulo_their_periods():
    assert P4Array([5, 2, -3]) == P4Array([1, 2, -3])
    assert D4Array([3, -1]) == D4Array([1, 3])


@pytest.mark.parametrize("key", [0, -1, slice(1, 3), [2, 0], np.array([True, False, True, False]), (Ellipsis, 1), None])
def test_indexing_is_numpys_over_the_shape_alone(key):
    positions = np.arange(4)
    expected = C4.data[positions[key]]
    np.testing.assert_array_equal(C4[key].data, expected)
    assert type(C4[key]) is C4Array


def test_no_key_reaches_into_an_elements_storage():
    with pytest.raises(IndexError):
        P4Array([[1, 2, 3]])[0, 0]


def test_a_list_of_index_arrays_means_one_for_each_axis():
    table = D4[:, None] * D4[None, :]
    i = [np.array([0, 7]), np.array([1, 2])]
    assert (table[i] == table[tuple(i)]).all() and table[i].shape == (2,)


def test_a_single_element_flattens_to_length_one():
    assert C4[0].flatten().shape == (1,)


def test_iteration_gives_the_elements_in_order():
    assert [int(g.data[0]) for g in C4] == [0, 1, 2, 3]
    with pytest.raises(TypeError, match="single C4Array element"):
        iter(C4[0])


def test_membership_is_by_element_and_not_by_storage():
    assert C4[1].reparameterize("mat") in C4
    assert P4Array([1, 0, 0]) not in C4
    assert "r" not in C4


def test_elements_of_different_groups_are_not_equal():
    assert (C4[0] == D4[0]) is False
    assert C4[0] != D4[0]


def test_deletion_is_refused():
    with pytest.raises(ValueError, match="cannot delete"):
        del P4Array([[0, 0, 0]])[0]


def test_repr_names_the_group_and_shows_the_parameters():
    assert repr(P4Array([1, 2, 3])) == "p4array([1, 2, 3])"


def test_numpy_arrays_do_not_swallow_a_garray():
    with pytest.raises(TypeError):
        np.ones(3) * C4


def test_no_action_on_a_space_it_does_not_act_on():
    with pytest.raises(TypeError):
        C4 * D4
    with pytest.raises(TypeError):
        P4Array([0, 0, 0]) * 3


def test_data_are_copied_and_cannot_be_written_to():
    data = np.zeros((2, 3), dtype=int)
    g = P4Array(data)
    data[:] = 1
    assert (g == P4Array([0, 0, 0])).all()
    with pytest.raises(ValueError, match="read-only"):
        g.data[:] = 1


@pytest.mark.parametrize("data", [[0.0, 1.0, 2.0], [True, False, True], [1j, 0, 0]])
def test_data_that_are_not_integers_are_refused(data):
    with pytest.raises(TypeError, match="P4Array: data must be integers"):
        P4Array(data)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: P4Array([0, 0]), r"P4Array: data in parameterization 'int' must end in axes of shape \(3,\)"),
        (lambda: P4Array(0), r"must end in axes of shape \(3,\), got shape \(\)"),
        (lambda: P4Array([0, 0, 0], p="mat"), "P4Array: unknown parameterization 'mat'"),
        (lambda: P4Array([0, 0, 0]).reparameterize("mat"), "P4Array: unknown parameterization 'mat'"),
        (lambda: C4Array([[1, 0], [0, -1]], p="mat"), "C4Array: a matrix is not in C4"),
        (lambda: C4Array([[2, 0], [0, 1]], p="mat"), "C4Array: a matrix is not in C4"),
        (lambda: C4Array([[1, 0, 1], [0, 1, 0], [0, 0, 1]], p="hmat"), "C4 fixes the origin"),
        (lambda: P4Array([[1, 0, 1], [0, 1, 0], [0, 1, 1]], p="hmat"), "must end in the row"),
    ],
)
def test_malformed_data_are_refused_with_their_reason(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_base_class_says_what_a_subclass_must_implement():
    class Bare(GArray):
        parameterizations = ["int", "other"]
        _g_shapes = {"int": (1,), "other": (1,)}

    with pytest.raises(NotImplementedError, match="Bare does not implement inv"):
        Bare([0]).inv()
    with pytest.raises(ValueError, match="no conversion from parameterization 'int' to 'other'"):
        Bare([0]).reparameterize("other")


def test_using_one_group_does_not_change_another():
    before = {t: dict(t._left_actions) for t in (C4Array, P4Array, Z2Array, D4Array, P4MArray)}
    _ = C4 * P4Array([0, 1, 2]), D4 * P4MArray([0, 0, 1, 2]), C4 * Z2Array([1, 2])
    assert all(dict(t._left_actions) == actions for t, actions in before.items())


class TestSubclassInGroupysStyle:
    """A group as GrouPy's users wrote it: conversions by name, actions registered in __init__."""

    class MirrorArray(MatrixGArray):
        parameterizations = ["int", "mat"]
        _g_shapes = {"int": (1,), "mat": (2, 2)}
        _left_actions = {}
        _reparameterizations = {}
        _group_name = "mirror"

        def __init__(self, data, p="int"):
            self._left_actions[type(self)] = type(self).left_action_mat
            self._left_actions[Z2Array] = type(self).left_action_vec
            super().__init__(data, p)

        def int2mat(self, int_data):
            mat = np.zeros(int_data.shape[:-1] + (2, 2), dtype=int)
            mat[..., 0, 0] = (-1) ** int_data[..., 0]
            mat[..., 1, 1] = 1
            return mat

        def mat2int(self, mat_data):
            return (1 - mat_data[..., 0, :1]) // 2

    def test_it_composes_inverts_and_acts(self):
        m = self.MirrorArray([[0], [1]])
        assert (m * m == self.MirrorArray([0])).all()
        assert (m.inv() == m).all()
        assert m[1] * Z2Array([2, 3]) == Z2Array([-2, 3])


class TestFiniteGroup:
    def test_a_group_equals_itself_as_a_whole_and_its_elements_one_by_one(self):
        assert (C4 == C4) is True and (C4 != C4) is False and (C4 == D4) is False
        np.testing.assert_array_equal(C4 == C4[:], [True] * 4)

    @pytest.mark.parametrize(
        "data, message",
        [
            ([[0], [1]], "not closed under inverses"),
            ([[0], [2], [1], [1]], "listed twice"),
            ([[[0], [2]]], "flat GArray"),
            ([[1], [3]], "not closed under products"),
        ],
    )
    def test_what_is_not_a_group_is_refused(self, data, message):
        class Part(FiniteGroup, C4Array):
            def __init__(self):
                C4Array.__init__(self, data)
                FiniteGroup.__init__(self, C4Array)

        with pytest.raises(ValueError, match=message):
            Part()

    def test_it_must_be_an_array_of_its_elements(self):
        class Stray(FiniteGroup):
            def __init__(self):
                FiniteGroup.__init__(self, C4Array)

        with pytest.raises(TypeError, match="Stray must derive from C4Array"):
            Stray()

    def test_products_and_parts_are_plain_arrays(self):
        assert type(C4 * C4) is C4Array and type(C4[1:]) is C4Array and type(D4.flatten()) is D4Array
