"""MatrixGArray: group elements that compose, invert and act by exact integer matrices.

Parameterizations and their g_shapes, on a grid of dimension d:
    'int'   the stabilizer's parameters, then the translation if the group has one
    'mat'   (d, d): the element of the stabilizer
    'hmat'  (d + 1, d + 1): homogeneous matrix [[R, t], [0, 1]] of T(t) R
"""

import numpy as np

from groupy.garray.garray import GArray


class MatrixGArray(GArray):
    """Base of all matrix groups: a subclass names its stabilizer and parameterizations.

    A group without a `stabilizer` overrides `int2mat` and `mat2int` (and, with translations,
    `int2hmat` and `hmat2int`) instead. The parameters of the stabilizer are taken modulo their
    periods: `P4Array([5, 0, 0])` is a single quarter turn.

    Raises ValueError for a matrix that is not in the group.
    """

    stabilizer = None

    def _canonical(self, data, p):
        stabilizer = self.stabilizer
        if stabilizer is None:
            return data
        d = stabilizer.ndim
        if p == "int":
            data[..., : len(stabilizer.periods)] %= stabilizer.periods
            return data
        if (stabilizer.index_of(data[..., :d, :d]) < 0).any():
            raise ValueError(f"{type(self).__name__}: a matrix is not in {stabilizer.name}.")
        if p == "hmat":
            bottom_row = (np.arange(d + 1) == d).astype(np.int64)
            if (data[..., d, :] != bottom_row).any():
                raise ValueError(f"{type(self).__name__}: a homogeneous matrix must end in the row {bottom_row}.")
            if not self._has_translation and data[..., :d, d].any():
                raise ValueError(f"{type(self).__name__}: {stabilizer.name} fixes the origin; got a translation.")
        return data

    @property
    def _has_translation(self):
        return "mat" not in self.parameterizations

    def _conversion(self, p):
        return super()._conversion(p) or getattr(self, f"{self.p}2{p}", None)

    def inv(self):
        p = "hmat" if self._has_translation else "mat"
        data = self.reparameterize(p).data
        inverse = self._inverse_of_translated(data) if self._has_translation else self._inverse_of_matrices(data)
        return self.factory(data=inverse, p=p).reparameterize(self.p)

    def _inverse_of_matrices(self, matrices):
        if self.stabilizer is None:
            return _integer_inverse(matrices)
        return self.stabilizer.matrices[self.stabilizer.inverse[self.stabilizer.index_of(matrices)]]

    def _inverse_of_translated(self, hmat):
        inverse = self.mat2hmat(self._inverse_of_matrices(self.hmat2mat(hmat)))
        inverse[..., :-1, -1] = -_apply(self.hmat2mat(inverse), hmat[..., :-1, -1])  # p -> R^-1 (p - t)
        return inverse

    def left_action_mat(self, other):
        """Compose with elements that fix the origin."""
        product = np.matmul(self.reparameterize("mat").data, other.reparameterize("mat").data)
        return other.factory(data=product, p="mat").reparameterize(other.p)

    def left_action_hmat(self, other):
        """Compose with elements that may translate."""
        product = np.matmul(self.reparameterize("hmat").data, other.reparameterize("hmat").data)
        return other.factory(data=product, p="hmat").reparameterize(other.p)

    def left_action_vec(self, other):
        """Move grid points by elements that fix the origin: R p."""
        return other.factory(data=_apply(self.reparameterize("mat").data, other.data), p=other.p)

    def left_action_hvec(self, other):
        """Move grid points by elements that may translate: R p + t."""
        hmat = self.reparameterize("hmat").data
        return other.factory(data=_apply(hmat[..., :-1, :-1], other.data) + hmat[..., :-1, -1], p=other.p)

    def int2mat(self, int_data):
        parameters = int_data[..., : len(self.stabilizer.periods)]
        return self.stabilizer.matrices[self.stabilizer.index_of_parameters(parameters)]

    def mat2int(self, mat_data):
        return self.stabilizer.parameters_of_index(self.stabilizer.index_of(mat_data))

    def mat2hmat(self, mat_data):
        n = mat_data.shape[-1]
        hmat = np.zeros(mat_data.shape[:-2] + (n + 1, n + 1), dtype=np.int64)
        hmat[..., :n, :n] = mat_data
        hmat[..., n, n] = 1
        return hmat

    def hmat2mat(self, hmat_data):
        return hmat_data[..., :-1, :-1]

    def int2hmat(self, int_data):
        hmat = self.mat2hmat(self.int2mat(int_data))
        if self._has_translation:
            hmat[..., :-1, -1] = int_data[..., len(self.stabilizer.periods) :]
        return hmat

    def hmat2int(self, hmat_data):
        parameters = self.mat2int(self.hmat2mat(hmat_data))
        if not self._has_translation:
            return parameters
        return np.concatenate([parameters, hmat_data[..., :-1, -1]], axis=-1)


def _apply(matrices, vectors):
    return np.matmul(matrices, vectors[..., None])[..., 0]


def _integer_inverse(matrices):
    """Invert integer matrices (..., n, n) of determinant 1 or -1 exactly: adjugate times determinant."""
    n = matrices.shape[-1]
    cofactors = np.empty_like(matrices)
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(matrices, i, axis=-2), j, axis=-1)
            cofactors[..., i, j] = (-1) ** (i + j) * _integer_determinant(minor)
    determinant = (matrices[..., 0, :] * cofactors[..., 0, :]).sum(axis=-1)
    return np.swapaxes(cofactors, -1, -2) * determinant[..., None, None]


def _integer_determinant(matrices):
    n = matrices.shape[-1]
    if n == 0:
        return np.ones(matrices.shape[:-2], dtype=np.int64)
    determinant = np.zeros(matrices.shape[:-2], dtype=np.int64)
    for j in range(n):
        minor = np.delete(matrices[..., 1:, :], j, axis=-1)
        determinant += (-1) ** j * matrices[..., 0, j] * _integer_determinant(minor)
    return determinant
