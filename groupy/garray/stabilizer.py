"""The stabilizer of the origin as a finite list of integer matrices on the grid.

Everything a split group G = T x| H needs to know about its stabilizer H follows from that
list by exact integer arithmetic: composition and inversion are matrix products looked up in
it, and the integer parameters of an element are its position in mixed radix.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 4.2 and 4.3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Stabilizer:
    """A finite group of integer matrices, listed in the order of its integer parameters.

    matrices: (order, d, d) int64, entries in {-1, 0, 1}; the first one is the identity
    periods: the size of each integer parameter, slowest first; their product is the order
    """

    name: str
    matrices: np.ndarray
    periods: tuple

    def __post_init__(self):
        matrices = _read_only(np.array(self.matrices, dtype=np.int64))
        if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2]:
            raise ValueError(f"{self.name}: matrices must have shape (order, d, d), got {matrices.shape}.")
        if np.abs(matrices).max() > 1:
            raise ValueError(f"{self.name}: matrix entries must be -1, 0 or 1.")
        if len(matrices) != np.prod(self.periods, dtype=int):
            raise ValueError(
                f"{self.name}: {len(matrices)} matrices do not fill the parameters' periods {self.periods}."
            )
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "periods", tuple(self.periods))
        if len(np.unique(self._codes(matrices))) != self.order:
            raise ValueError(f"{self.name}: a matrix is listed twice.")
        if not np.array_equal(matrices[0], np.eye(self.ndim)):
            raise ValueError(f"{self.name}: the first matrix must be the identity.")
        if (self.product < 0).any():
            raise ValueError(f"{self.name}: the matrices are not closed under composition.")

    @classmethod
    def generated(cls, name, *generators):
        """The group of all products A**a @ B**b @ ..., given as (matrix, period) pairs, slowest first."""
        dimension = len(generators[0][0])
        elements = [np.eye(dimension, dtype=np.int64)]
        for matrix, period in generators:
            powers = [np.linalg.matrix_power(np.array(matrix, dtype=np.int64), n) for n in range(period)]
            elements = [element @ power for element in elements for power in powers]
        return cls(name, np.array(elements), tuple(period for _, period in generators))

    @property
    def order(self):
        """The number of elements, |H|."""
        return len(self.matrices)

    @property
    def ndim(self):
        """The dimension d of the grid."""
        return self.matrices.shape[1]

    @cached_property
    def product(self):
        """(order, order) int64: the position of element a composed with element b."""
        return _read_only(self.index_of(self.matrices[:, None] @ self.matrices[None, :]))

    @cached_property
    def inverse(self):
        """(order,) int64: the position of each element's inverse."""
        return _read_only(np.argmin(self.product, axis=1))  # the identity stands at position 0

    def index_of(self, matrices):
        """Positions (...,) of matrices (..., d, d) in the list; -1 where one is not in the group."""
        matrices = np.asarray(matrices)
        found = self._position_by_code[self._codes(np.clip(matrices, -1, 1))]
        return np.where((np.abs(matrices) <= 1).all(axis=(-2, -1)), found, -1)

    def index_of_parameters(self, parameters):
        """Positions (...,) of integer parameters (..., len(periods)), each taken modulo its period."""
        index = np.zeros(parameters.shape[:-1], dtype=np.int64)
        for i, period in enumerate(self.periods):
            index = index * period + parameters[..., i] % period
        return index

    def parameters_of_index(self, index):
        """Integer parameters (..., len(periods)) of the elements at the given positions."""
        return np.stack(np.unravel_index(index, self.periods), axis=-1).astype(np.int64)

    def _codes(self, matrices):
        """Read the entries -1, 0, 1 of each matrix as the digits of one number in base 3."""
        weights = 3 ** np.arange(self.ndim**2)
        return (matrices.reshape(matrices.shape[:-2] + (-1,)) + 1) @ weights

    @cached_property
    def _position_by_code(self):
        table = np.full(3 ** (self.ndim**2), -1, dtype=np.int64)
        table[self._codes(self.matrices)] = np.arange(self.order)
        return _read_only(table)


def _read_only(array):
    array.flags.writeable = False
    return array


QUARTER_TURN = ((0, -1), (1, 0))  # (u, v) -> (-v, u): counterclockwise, rows u pointing down
MIRROR = ((-1, 0), (0, 1))  # (u, v) -> (-u, v)

C4 = Stabilizer.generated("C4", (QUARTER_TURN, 4))
D4 = Stabilizer.generated("D4", (MIRROR, 2), (QUARTER_TURN, 4))
