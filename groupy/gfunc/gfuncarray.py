"""GFuncArray: arrays of sampled functions on a group or homogeneous space G, moved by group elements.

              i2g
          I <-----> G       v  stores the values: J x I -> R, J the array of functions, I the index set
          |   g2i           i2g gives the group element of each index, g2i the index of each element
        v |
          V                 as a function on G: f(g) = v[g2i(g)]
          R

A map T: G -> G, such as s -> g^-1 s, makes a new function w(s) = f(T(s)), whose values are the
composition I -i2g-> G -T-> G -g2i-> I -v-> R: a lookup, nothing is interpolated.
"""

import copy

import numpy as np

from groupy.garray.garray import GArray


class GFuncArray:
    """An array of functions on the sample points i2g.

    v: values, shape + f_shape, any dtype
    i2g: GArray of shape f_shape; a subclass implements the inverse map `g2i`

    Raises TypeError for arguments of the wrong type, ValueError if v does not end in f_shape.
    """

    def __init__(self, v, i2g):
        name = type(self).__name__
        if not isinstance(i2g, GArray):
            raise TypeError(f"{name}: i2g must be a GArray, got {type(i2g).__name__}.")
        if not isinstance(v, np.ndarray):
            raise TypeError(f"{name}: v must be a numpy.ndarray, got {type(v).__name__}.")
        if v.ndim < i2g.ndim or v.shape[v.ndim - i2g.ndim :] != i2g.shape:
            raise ValueError(f"{name}: v must end in the shape of its sample points {i2g.shape}, got {v.shape}.")
        self.i2g = i2g
        self.v = v

    def __call__(self, sample_points, fill=None):
        """The functions' values at the sample points, as `.v` of the result: shape + sample_points.shape.

        fill: the value to read outside the grid; without it a point outside is an IndexError.
        """
        if not isinstance(sample_points, type(self.i2g)):
            raise TypeError(
                f"{type(self).__name__} is a function of {type(self.i2g).__name__}, got {type(sample_points).__name__}."
            )
        if fill is None:
            return self._with_values(self._lookup(self.g2i(sample_points)))
        indices = self._indices(sample_points)
        inside = self._are_inside(indices)
        values = self._lookup(np.where(inside[..., None], indices, 0))
        return self._with_values(np.where(inside, values, np.asarray(fill, dtype=self.v.dtype)))

    def __getitem__(self, item):
        """Part of the array of functions. Raises IndexError if the key reaches into the sample points."""
        part = self.v[item]
        if part.shape[max(part.ndim - self.f_ndim, 0) :] != self.f_shape:
            raise IndexError(f"{type(self).__name__} has shape {self.shape}; {item!r} indexes into its sample points.")
        return self._with_values(part)

    def __mul__(self, other):
        """f * g: the function s -> f(s g)."""
        if not isinstance(other, GArray):
            return NotImplemented
        return self.right_translate(other)

    def __rmul__(self, other):
        """g * f: the function s -> f(g^-1 s), f moved by g."""
        if not isinstance(other, GArray):
            return NotImplemented
        return self.left_translate(other)

    def left_translate(self, g, fill=None):
        """g * f, reading `fill` where g^-1 s lies outside the grid."""
        return self(self.left_translation_points(g), fill=fill)

    def right_translate(self, g, fill=None):
        """f * g, reading `fill` where s g lies outside the grid."""
        return self(self.right_translation_points(g), fill=fill)

    def g2i(self, g):
        """Indices (..., f_ndim) of group elements in the value array. Raises IndexError for one outside the grid."""
        indices = self._indices(g)
        inside = self._are_inside(indices)
        if not inside.all():
            first = tuple(int(i) for i in np.argwhere(~inside)[0])
            raise IndexError(
                f"{type(self).__name__}: {np.count_nonzero(~inside)} of {inside.size} points lie outside the grid "
                f"(the first is {g[first]!r}). Pass fill=0, as in f(points, fill=0) or f.left_translate(g, fill=0), "
                f"to read zeros there."
            )
        return indices

    def contains(self, g):
        """Booleans of g's shape: whether each element is one of the sample points."""
        return self._are_inside(self._indices(g))

    def _are_inside(self, indices):
        return ((indices >= 0) & (indices < self.f_shape)).all(axis=-1)

    def _indices(self, g):
        """Indices (..., f_ndim) of group elements; outside [0, f_shape) for one outside the grid."""
        raise NotImplementedError(f"{type(self).__name__} does not implement _indices().")

    def _lookup(self, indices):
        return self.v[(Ellipsis,) + tuple(np.moveaxis(indices, -1, 0))]

    def _with_values(self, v):
        result = copy.copy(self)
        result.v = v
        return result

    def left_translation_points(self, g):
        """g^-1 s for every sample point s; shapes broadcast."""
        return g.inv() * self.i2g

    def right_translation_points(self, g):
        """s g for every sample point s; shapes broadcast."""
        return self.i2g * g

    def left_translation_indices(self, g):
        """The cell that each cell of g * f reads from: (..., f_ndim). Raises IndexError outside the grid."""
        return self.g2i(self.left_translation_points(g))

    def right_translation_indices(self, g):
        """The cell that each cell of f * g reads from: (..., f_ndim). Raises IndexError outside the grid."""
        return self.g2i(self.right_translation_points(g))

    @property
    def ndim(self):
        """The number of axes of the array of functions."""
        return self.v.ndim - self.i2g.ndim

    @property
    def shape(self):
        """The shape of the array of functions."""
        return self.v.shape[: self.ndim]

    @property
    def f_shape(self):
        """The shape of the sample points of one function."""
        return self.i2g.shape

    @property
    def f_ndim(self):
        """The number of axes of the sample points of one function."""
        return self.i2g.ndim
