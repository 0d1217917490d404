"""Stabilizer: the list of matrices from which tables follow."""

import numpy as np
import pytest

from groupy.garray.stabilizer import C4, D4, MIRROR, QUARTER_TURN, Stabilizer


@pytest.mark.parametrize("stabilizer", [C4, D4], ids=lambda s: s.name)
def test_product_and_inverse_are_those_of_the_matrices(stabilizer):
    m = stabilizer.matrices
    np.testing.assert_array_equal(m[stabilizer.product], m[:, None] @ m[None, :])
    np.testing.assert_array_equal(m[stabilizer.inverse] @ m, np.broadcast_to(np.eye(2), m.shape))


def test_the_hexagonal_turn_by_60_degrees_is_an_integer_matrix_too():
    C6 = Stabilizer.generated("C6", (((1, 1), (-1, 0)), 6))
    D6 = Stabilizer.generated("D6", (((-1, -1), (0, 1)), 2), (((1, 1), (-1, 0)), 6))
    assert (C6.order, D6.order) == (6, 12)


@pytest.mark.parametrize("stabilizer", [C4, D4], ids=lambda s: s.name)
def test_parameters_and_positions_are_inverse_to_each_other(stabilizer):
    positions = np.arange(stabilizer.order)
    parameters = stabilizer.parameters_of_index(positions)
    np.testing.assert_array_equal(stabilizer.index_of_parameters(parameters), positions)
    np.testing.assert_array_equal(stabilizer.index_of(stabilizer.matrices), positions)


def test_a_matrix_outside_the_group_has_no_position():
    assert C4.index_of([MIRROR, [[2, 0], [0, 1]], QUARTER_TURN]).tolist() == [-1, -1, 1]


@pytest.mark.parametrize(
    "matrices, periods, message",
    [
        ([np.eye(2), QUARTER_TURN], (2,), "not closed under composition"),
        ([QUARTER_TURN, np.eye(2)], (2,), "first matrix must be the identity"),
        ([np.eye(2), np.eye(2)], (2,), "listed twice"),
        ([np.eye(2)], (2,), "1 matrices do not fill"),
        ([2 * np.eye(2)], (1,), "entries must be -1, 0 or 1"),
        (np.eye(2), (2,), r"must have shape \(order, d, d\)"),
    ],
)
def test_what_is_not_a_group_is_refused(matrices, periods, message):
    with pytest.raises(ValueError, match=message):
        Stabilizer("G", matrices, periods)


def test_tables_cannot_be_written_to():
    for table in (C4.matrices, C4.product, C4.inverse):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0
