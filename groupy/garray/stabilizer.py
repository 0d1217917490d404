"""The stabilizer of the origin as a finite list of integer matrices on the grid.

Everything a split group G = T x| H needs to know about its stabilizer H follows from that
list by exact integer arithmetic: composition and inversion are matrix products looked up in
it, and the integer parameters of an element are its position in mixed radix.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 4.2 and 4.3.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Stabilizer:
    """A finite group of integer matrices, listed in the order of its integer parameters.

    matrices: (order, d, d) int64, d = 2 or 3, entries in {-1, 0, 1}; the first one is the identity
    periods: the size of each integer parameter, slowest first; their product is the order
    names: a letter for each parameter

    Raises ValueError if these are not such matrices, or no group.
    """

    name: str
    matrices: np.ndarray
    periods: tuple
    names: tuple

    def __post_init__(self):
        given = np.array(self.matrices)
        if given.shape[1:] not in ((2, 2), (3, 3)):
            raise ValueError(f"{self.name}: matrices must have shape (order, d, d), d = 2 or 3, got {given.shape}.")
        if not np.isin(given, (-1, 0, 1)).all():
            raise ValueError(f"{self.name}: matrix entries must be -1, 0 or 1.")
        matrices = _read_only(given.astype(np.int64))
        if len(matrices) != np.prod(self.periods, dtype=int):
            raise ValueError(
                f"{self.name}: {len(matrices)} matrices do not fill the parameters' periods {self.periods}."
            )
        if len(self.names) != len(self.periods):
            raise ValueError(f"{self.name}: {len(self.periods)} parameters need as many names, got {self.names}.")
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "periods", tuple(self.periods))
        object.__setattr__(self, "names", tuple(self.names))
        if len(np.unique(self._codes(matrices))) != self.order:
            raise ValueError(f"{self.name}: a matrix is listed twice.")
        if not np.array_equal(matrices[0], np.eye(self.ndim)):
            raise ValueError(f"{self.name}: the first matrix must be the identity.")
        if (self.product < 0).any():
            raise ValueError(f"{self.name}: the matrices are not closed under composition.")

    @classmethod
    def generated(cls, name, **generators):
        """The group of all products A**a @ B**b @ ..., given as a=(A, period), b=(B, period), ..., slowest first.

        Raises ValueError if the products are not a group of as many elements, or have entries but -1, 0 and 1, and
        if the generators are not matrices of one size.
        """
        shapes = {np.shape(matrix) for matrix, _ in generators.values()}
        if shapes not in ({(2, 2)}, {(3, 3)}):
            raise ValueError(
                f"{name}: generators are matrices, all 2 x 2 or all 3 x 3, with their periods, as "
                f"r=(((0, -1), (1, 0)), 4); got {generators or 'none'}."
            )
        elements = [np.eye(*shapes.pop(), dtype=np.int64)]
        for matrix, period in generators.values():
            powers = [np.linalg.matrix_power(matrix, n) for n in range(period)]
            elements = [element @ power for element in elements for power in powers]
        return cls(name, np.array(elements), tuple(period for _, period in generators.values()), tuple(generators))

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
        clipped = np.minimum(np.maximum(matrices, -1), 1)
        found = self._position_by_code[self._codes(clipped)]
        return np.where((clipped == matrices).all(axis=(-2, -1)), found, -1)

    def index_of_parameters(self, parameters):
        """Positions (...,) of integer parameters (..., len(periods)), each taken modulo its period."""
        return parameters % self.periods @ self._place_values

    def parameters_of_index(self, index):
        """Integer parameters (..., len(periods)) of the elements at the given positions."""
        return self._parameters[index]

    @cached_property
    def words(self):
        """What to call each element, in order: its parameters as powers, as e, r, r2, r3, m, mr, ..."""
        parameters = self.parameters_of_index(np.arange(self.order)).tolist()
        powers = [[letter + str(n) * (n > 1) for letter, n in zip(self.names, element) if n] for element in parameters]
        return tuple("".join(word) or "e" for word in powers)

    @property
    def axes(self):
        """The letters of the grid's axes: u, v, and in three dimensions w."""
        return ("u", "v", "w")[: self.ndim]

    @cached_property
    def is_orthogonal(self):
        """Whether all matrices are signed permutations, which turn boxes into boxes: not on the hexagonal grid."""
        return bool((np.abs(self.matrices).sum(axis=-1) == 1).all())

    @cached_property
    def exchanged_axes(self):
        """The axes in classes, tuples of positions: elements may take an axis to others of its class, or a sum."""
        mixed = self.matrices.any(axis=0)
        # A mirror of the hexagonal grid may add v to u but not u to v: the classes are the connected components.
        connected = np.linalg.matrix_power((mixed | mixed.T).astype(np.int64), self.ndim) > 0
        return tuple(dict.fromkeys(tuple(np.flatnonzero(row).tolist()) for row in connected))

    @cached_property
    def reversed_axes(self):
        """The positions of the axes that elements may turn round, or exchange with one that they turn round."""
        turned = [axes for axes in self.exchanged_axes if (self.matrices[:, axes] < 0).any()]
        return tuple(sorted(axis for axes in turned for axis in axes))

    @cached_property
    def odd_axes(self):
        """The positions of the axes along which a box needs an odd side, so that its centre is a point of the grid.

        Points are taken to points about a centre c if R c - c has integer coordinates. Where c is a half along
        all axes of a class, it has not if a row of R has an even sum, as that of (u, v) -> u + v: the hexagonal grid.
        """
        slanted = [axes for axes in self.exchanged_axes if (self.matrices[:, axes].sum(axis=-1) % 2 == 0).any()]
        return tuple(sorted(axis for axes in slanted for axis in axes))

    @cached_property
    def oblique_rows(self):
        """The rows of the matrices with several entries, each once and up to its sign, as a tuple of tuples.

        A point p stays in a centred square of side n if |row . p| <= (n - 1) / 2 for all of them; so does one of a
        prism over it, in three dimensions. Square and cubic grids have none; the hexagonal one has (1, 1).
        """
        rows = self.matrices.reshape(-1, self.ndim)
        first = rows[np.arange(len(rows)), (rows != 0).argmax(axis=1)]
        return tuple(sorted({tuple(row) for row in (rows * first[:, None]).tolist() if np.count_nonzero(row) > 1}))

    def keeps_box(self, shape):
        """Whether each element maps a centred box of this shape onto one of the same shape."""
        return all(len({shape[axis] for axis in axes}) == 1 for axes in self.exchanged_axes)

    def moved_points(self, shape):
        """R_h^-1 p for each element h and each cell p of a centred box, in doubled coordinates 2 * index - (n - 1).

        They are integers for odd and even sides alike. Returns int64 (order, *shape, d).
        """
        sides = np.reshape([n - 1 for n in shape], (-1,) + (1,) * self.ndim)
        return np.einsum("hij,j...->h...i", self.matrices[self.inverse], 2 * np.indices(shape) - sides)

    def support(self, shape):
        """The cells of a centred box that no element takes out of it: booleans of this shape.

        All cells of a box that all elements keep; of a square on the hexagonal grid, the hexagon inside if
        the side is odd. An even side has none: see odd_axes.
        """
        last = np.array(shape) - 1
        points = self.moved_points(shape)
        inside = (np.abs(points) <= last) & ((points + last) % 2 == 0)
        return inside.all(axis=(0, -1))

    def _codes(self, matrices):
        """Read the entries -1, 0, 1 of each matrix as the digits of one number in base 3."""
        return (matrices.reshape(matrices.shape[:-2] + (self.ndim**2,)) + 1) @ self._digit_weights

    @cached_property
    def _parameters(self):
        """(order, len(periods)): the integer parameters of each element."""
        return _read_only(np.moveaxis(np.indices(self.periods), 0, -1).reshape(self.order, -1))

    @cached_property
    def _place_values(self):
        """What each integer parameter counts in an element's position: the periods after it, multiplied."""
        return _read_only(np.array([math.prod(self.periods[i + 1 :]) for i in range(len(self.periods))]))

    @cached_property
    def _digit_weights(self):
        return _read_only(3 ** np.arange(self.ndim**2))

    @cached_property
    def _position_by_code(self):
        table = np.full(3 ** (self.ndim**2), -1, dtype=np.int64)
        table[self._codes(self.matrices)] = np.arange(self.order)
        return _read_only(table)


def _read_only(array):
    array.flags.writeable = False
    return array
