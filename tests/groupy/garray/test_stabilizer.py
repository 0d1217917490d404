"""Stabilizer: the list of matrices from which tables follow, and what it says of boxes, each told another way too."""

import re
from itertools import product

import numpy as np
import pytest

from groupy.garray import PointGArray, PointGroup, SplitGArray, stabilizers
from groupy.garray.C4_array import C4 as C4_group
from groupy.garray.stabilizer import Stabilizer
from groupy.garray.stabilizers import C4, D4, D6, HEXAGONAL_MIRROR, MIRROR, QUARTER_TURN

# For each group: its elements by how often they must be repeated to give the identity; how many reverse
# orientation; axes that elements exchange; axes that they turn round. From the groups' pictures.
FACTS = {
    "D1": ({1: 1, 2: 1}, 1, ((0,), (1,)), (1,)),
    "C2": ({1: 1, 2: 1}, 0, ((0,), (1,)), (0, 1)),
    "D2": ({1: 1, 2: 3}, 2, ((0,), (1,)), (0, 1)),
    "C4": ({1: 1, 2: 1, 4: 2}, 0, ((0, 1),), (0, 1)),
    "D4": ({1: 1, 2: 5, 4: 2}, 4, ((0, 1),), (0, 1)),
    "C6": ({1: 1, 2: 1, 3: 2, 6: 2}, 0, ((0, 1),), (0, 1)),
    "D6": ({1: 1, 2: 7, 3: 2, 6: 2}, 6, ((0, 1),), (0, 1)),
    "C4h": ({1: 1, 2: 3, 4: 4}, 4, ((0,), (1, 2)), (0, 1, 2)),
    "D4h": ({1: 1, 2: 11, 4: 4}, 8, ((0,), (1, 2)), (0, 1, 2)),
    "O": ({1: 1, 2: 9, 3: 8, 4: 6}, 0, ((0, 1, 2),), (0, 1, 2)),  # S4, the permutations of the cube's diagonals
    "Oh": ({1: 1, 2: 19, 3: 8, 4: 12, 6: 8}, 24, ((0, 1, 2),), (0, 1, 2)),
}
HEXAGONAL = {"C6", "D6"}
every_stabilizer = pytest.mark.parametrize("name", FACTS)
every_orthogonal_stabilizer = pytest.mark.parametrize("name", [name for name in FACTS if name not in HEXAGONAL])


def stabilizer(name):
    return getattr(stabilizers, name)


@every_stabilizer
def test_product_and_inverse_are_those_of_the_matrices(name):
    m = stabilizer(name).matrices
    np.testing.assert_array_equal(m[stabilizer(name).product], m[:, None] @ m[None, :])
    np.testing.assert_array_equal(m[stabilizer(name).inverse] @ m, np.broadcast_to(np.eye(m.shape[-1]), m.shape))


@every_stabilizer
def test_elements_have_the_orders_and_orientations_of_the_groups_in_the_books(name):
    orders, mirrors, _, _ = FACTS[name]
    found = [
        next(n for n in range(1, 7) if (np.linalg.matrix_power(m, n) == np.eye(len(m))).all())
        for m in stabilizer(name).matrices
    ]
    assert {n: found.count(n) for n in sorted(set(found))} == orders
    determinants = np.rint(np.linalg.det(stabilizer(name).matrices)).astype(int)
    assert np.count_nonzero(determinants == -1) == mirrors and (np.abs(determinants) == 1).all()


@every_stabilizer
def test_parameters_and_positions_are_inverse_to_each_other(name):
    H = stabilizer(name)
    positions = np.arange(H.order)
    parameters = H.parameters_of_index(positions)
    np.testing.assert_array_equal(parameters, list(product(*map(range, H.periods))))
    np.testing.assert_array_equal(H.index_of_parameters(parameters), positions)
    np.testing.assert_array_equal(H.index_of_parameters(parameters - 3 * np.array(H.periods)), positions)
    np.testing.assert_array_equal(H.index_of(H.matrices), positions)


@every_stabilizer
def test_a_word_spells_its_element_in_the_generators(name):
    H = stabilizer(name)
    generators = {word: matrix for word, matrix in zip(H.words, H.matrices) if word in H.names}
    assert set(generators) == set(H.names) and H.words[0] == "e"
    for word, matrix in zip(H.words[1:], H.matrices[1:]):
        spelt = np.eye(H.ndim, dtype=int)
        for letter, power in re.findall(r"([a-z])(\d*)", word):
            spelt = spelt @ np.linalg.matrix_power(generators[letter], int(power or 1))
        np.testing.assert_array_equal(spelt, matrix)


def test_words_read_as_they_are_written():
    assert D4.words == ("e", "r", "r2", "r3", "m", "mr", "mr2", "mr3")


def test_a_matrix_outside_the_group_has_no_position():
    assert C4.index_of([MIRROR, [[2, 0], [0, 1]], QUARTER_TURN]).tolist() == [-1, -1, 1]
    assert C4.index_of(np.zeros((0, 2, 2), dtype=int)).shape == (0,)


@every_stabilizer
def test_axes_are_exchanged_and_reversed_as_in_the_groups_picture(name):
    _, _, exchanged, turned = FACTS[name]
    H = stabilizer(name)
    assert (H.exchanged_axes, H.reversed_axes) == (exchanged, turned)
    assert H.axes == ("u", "v", "w")[: sum(map(len, exchanged))]
    assert H.is_orthogonal == (name not in HEXAGONAL)
    assert H.odd_axes == ((0, 1) if name in HEXAGONAL else ())


def images(H, shape):
    """The cells of a centred box, in doubled coordinates, as each element moves them: a set for each element."""
    cells = [tuple(2 * i - (n - 1) for i, n in zip(cell, shape)) for cell in np.ndindex(shape)]
    return [{tuple((matrix @ cell).tolist()) for cell in cells} for matrix in H.matrices]


SHAPES = {2: list(product(range(1, 5), repeat=2)), 3: list(product(range(1, 4), repeat=3))}


@every_orthogonal_stabilizer
def test_a_kept_box_is_one_whose_cells_all_elements_permute_and_all_of_it_is_support(name):
    H = stabilizer(name)
    for shape in SHAPES[H.ndim]:
        whole, *others = images(H, shape)
        assert H.keeps_box(shape) == all(moved == whole for moved in others)
        if H.keeps_box(shape):
            assert H.support(shape).all()


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("name", sorted(HEXAGONAL))
def test_the_support_of_a_hexagonal_kernel_is_the_hexagon_and_an_even_one_has_none(name, k):
    H = stabilizer(name)
    u, v = np.indices((k, k)) - k // 2
    hexagon = (np.abs(u) <= k // 2) & (np.abs(v) <= k // 2) & (np.abs(u + v) <= k // 2)
    np.testing.assert_array_equal(H.support((k, k)), hexagon if k % 2 else np.zeros((k, k), dtype=bool))
    assert H.keeps_box((k, k)) and not H.keeps_box((k, k + 1))


@pytest.mark.parametrize("k", [1, 3, 5, 7])
@pytest.mark.parametrize("name", sorted(HEXAGONAL))
def test_elements_permute_the_hexagon(name, k):
    H = stabilizer(name)
    inside = {tuple((2 * cell - (k - 1)).tolist()) for cell in np.argwhere(H.support((k, k)))}
    assert all({tuple((matrix @ cell).tolist()) for cell in inside} == inside for matrix in H.matrices)
    assert not all(moved == images(H, (k, k))[0] for moved in images(H, (k, k))) or k == 1


def test_a_single_mirror_of_the_hexagonal_grid_has_a_hexagon_too():
    """It adds v to u and not u to v; the axes belong together all the same."""
    H = Stabilizer.generated("M", m=(HEXAGONAL_MIRROR, 2))
    assert (H.exchanged_axes, H.reversed_axes, H.odd_axes) == (((0, 1),), (0, 1), (0, 1))
    assert not H.support((4, 4)).any() and H.support((3, 3)).sum() == 7


def test_a_hexagonal_prism_needs_odd_sides_across_its_axis_alone():
    turns = np.zeros((6, 3, 3), dtype=int)
    turns[:, 0, 0] = 1
    turns[:, 1:, 1:] = D6.matrices[:6]
    H = Stabilizer("C6 in slices", turns, (6,), ("r",))
    assert (H.exchanged_axes, H.reversed_axes, H.odd_axes) == (((0,), (1, 2)), (1, 2), (1, 2))
    np.testing.assert_array_equal(H.support((2, 5, 5)), np.stack([D6.support((5, 5))] * 2))


@pytest.mark.parametrize(
    "matrices, periods, message",
    [
        ([np.eye(2), QUARTER_TURN], (2,), "not closed under composition"),
        ([QUARTER_TURN, np.eye(2)], (2,), "first matrix must be the identity"),
        ([np.eye(2), np.eye(2)], (2,), "listed twice"),
        ([np.eye(2)], (2,), "1 matrices do not fill"),
        ([2 * np.eye(2)], (1,), "entries must be -1, 0 or 1"),
        ([np.eye(2), [[0.5, -0.9], [0.9, 0.5]]], (2,), "entries must be -1, 0 or 1"),
        (np.eye(2), (2,), r"must have shape \(order, d, d\), d = 2 or 3, got \(2, 2\)"),
        ([np.eye(4)], (1,), r"must have shape \(order, d, d\), d = 2 or 3, got \(1, 4, 4\)"),
        ([np.eye(2)], (1, 1), r"2 parameters need as many names, got \('m',\)"),
    ],
)
def test_what_is_not_a_group_is_refused(matrices, periods, message):
    with pytest.raises(ValueError, match=f"^G: .*{message}"):
        Stabilizer("G", matrices, periods, ("m",))


@pytest.mark.parametrize(
    "generators, message",
    [
        ({"r": (QUARTER_TURN, 3)}, "not closed under composition"),
        ({"r": (QUARTER_TURN, 8)}, "listed twice"),
        ({"s": (((1, 1), (0, 1)), 3)}, "entries must be -1, 0 or 1"),
        ({"r": ([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]], 2)}, "entries must be -1, 0 or 1"),
    ],
)
def test_generators_of_no_group_are_refused(generators, message):
    with pytest.raises(ValueError, match=f"^G: .*{message}"):
        Stabilizer.generated("G", **generators)


def test_tables_cannot_be_written_to():
    for table in (C4.matrices, C4.product, C4.inverse, C4.parameters_of_index(slice(None))):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0


@pytest.mark.parametrize("base", [PointGArray, SplitGArray])
@pytest.mark.parametrize("given, got", [({}, "none"), ({"stabilizer": C4_group}, "a C4Group")])
def test_a_class_of_elements_must_name_its_stabilizer(base, given, got):
    with pytest.raises(TypeError, match=f"Elements must name its Stabilizer, .*; got {got}"):
        type("Elements", (base,), given)


def test_a_group_of_points_must_derive_from_its_elements():
    with pytest.raises(TypeError, match="Group must derive from the type of its elements too"):
        type("Group", (PointGroup,), {})()


def test_elements_without_a_group_name_are_called_after_their_class():
    assert repr(type("MyArray", (SplitGArray,), {"stabilizer": C4})([1, 2, 3])) == "Myarray([1, 2, 3])"


@pytest.mark.parametrize(
    "generators", [{}, {"r": ((0, 1), 4)}, {"r": (C4.matrices[1], 4), "i": (-np.eye(3, dtype=int), 2)}]
)
def test_generators_that_are_no_matrices_of_one_size_are_refused(generators):
    with pytest.raises(ValueError, match="G: generators are matrices, all 2 x 2 or all 3 x 3, with their periods"):
        Stabilizer.generated("G", **generators)


def test_the_hexagonal_grid_alone_has_oblique_rows():
    for stabilizer in (stabilizers.D1, stabilizers.D2, C4, D4, stabilizers.D4h, stabilizers.Oh):
        assert stabilizer.oblique_rows == ()
    assert stabilizers.C6.oblique_rows == D6.oblique_rows == ((1, 1),)
