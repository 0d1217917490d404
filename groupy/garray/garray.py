"""GArray: an array whose entries are group elements.

A GArray tells its shape (how many elements there are) from its g_shape (how one element is
stored, e.g. (3, 3) for a matrix). Everything that looks like an array operation (indexing,
broadcasting, reshape) acts on shape alone; data has shape + g_shape.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np


class GArray:
    """An array of group elements; a subclass says which group and how elements are stored.

    data: integers, shape + g_shape; copied, and never written to afterwards
    p: the name of the parameterization of data, one of `parameterizations`

    Raises TypeError if data are not integers, ValueError if p is unknown or the trailing axes
    of data are not the g_shape of p.
    """

    parameterizations: list = []
    _g_shapes: dict = {}
    # What the elements act on from the left: a type, and the function (self, other) -> other's type.
    _left_actions: Mapping = MappingProxyType({})
    # (from, to) -> function of data. MatrixGArray finds its own by name.
    _reparameterizations: Mapping = MappingProxyType({})
    _group_name = "GArray"

    # NumPy arrays hand `array * garray` to the GArray instead of multiplying entry by entry.
    __array_ufunc__ = None

    def __init__(self, data, p="int"):
        name = type(self).__name__
        if p not in self.parameterizations:
            raise ValueError(f"{name}: unknown parameterization {p!r}; expected one of {list(self.parameterizations)}.")
        data = np.asarray(data)
        if data.dtype.kind not in "iu":
            raise TypeError(f"{name}: data must be integers, got dtype {data.dtype}.")
        g_shape = tuple(self._g_shapes[p])
        ndim = data.ndim - len(g_shape)
        if ndim < 0 or data.shape[ndim:] != g_shape:
            raise ValueError(
                f"{name}: data in parameterization {p!r} must end in axes of shape {g_shape}, got shape {data.shape}."
            )
        self.data = self._canonical(data.astype(np.int64), p)  # astype copies: no one else can write to it
        self.data.flags.writeable = False
        self.p = p
        self.g_shape = g_shape
        self.shape = data.shape[:ndim]

    def _canonical(self, data, p):
        """Bring valid data to the one form in which equal elements have equal entries; raise ValueError otherwise."""
        return data

    def factory(self, data, p="int"):
        """A new array of the type that results of operations on this one have."""
        return type(self)(data=data, p=p)

    def inv(self):
        """The inverse of each element; same shape, same parameterization."""
        raise NotImplementedError(f"{type(self).__name__} does not implement inv().")

    def reparameterize(self, p):
        """The same elements, stored in parameterization p; self if they are already.

        Raises ValueError if p is unknown or cannot be reached from the present one.
        """
        if p == self.p:
            return self
        name = type(self).__name__
        if p not in self.parameterizations:
            raise ValueError(f"{name}: unknown parameterization {p!r}; expected one of {list(self.parameterizations)}.")
        convert = self._conversion(p)
        if convert is None:
            raise ValueError(f"{name}: no conversion from parameterization {self.p!r} to {p!r}.")
        return self.factory(data=convert(self.data), p=p)

    def _conversion(self, p):
        return self._reparameterizations.get((self.p, p))

    def reshape(self, *shape):
        """The same elements in another shape; takes a tuple or separate integers, -1 as in NumPy."""
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = tuple(shape[0])
        positions = np.arange(self.size).reshape(shape)
        return self.factory(data=self.data.reshape(positions.shape + self.g_shape), p=self.p)

    def flatten(self):
        """All elements in a one-dimensional GArray; a single element gives one of length 1."""
        return self.reshape(self.size)

    def __mul__(self, other):
        """Act from the left: compose with group elements, or move points.

        Shapes broadcast; the result has other's type and other's parameterization.
        """
        action = self._left_action_on(other)
        return NotImplemented if action is None else action(self, other)

    def _left_action_on(self, other):
        """The function (self, other) -> other's type by which this one acts; None if it does not."""
        return next((action for kind, action in self._left_actions.items() if isinstance(other, kind)), None)

    def __eq__(self, other):
        """Elementwise equality as group elements, whatever the parameterizations: booleans of the broadcast shape."""
        if not self._comparable(other):
            return NotImplemented
        g_axes = tuple(range(-len(self.g_shape), 0))
        return (self.data == other.reparameterize(self.p).data).all(axis=g_axes)

    def __ne__(self, other):
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else np.logical_not(equal)

    def _comparable(self, other):
        # A FiniteGroup compares with the plain array of its elements, either way round.
        return isinstance(other, GArray) and (isinstance(other, type(self)) or isinstance(self, type(other)))

    def __len__(self):
        return self.shape[0] if self.shape else 1

    def __getitem__(self, key):
        """Index as NumPy does, over shape only: no key reaches into an element's own storage."""
        if isinstance(key, list) and any(isinstance(part, (np.ndarray, slice, type(None))) for part in key):
            key = tuple(key)  # one index per axis, as GrouPy's own code writes it
        positions = np.arange(self.size).reshape(self.shape)[key]
        return self.factory(data=self.data.reshape((self.size,) + self.g_shape)[positions], p=self.p)

    def __delitem__(self, key):
        raise ValueError("cannot delete garray elements")

    def __iter__(self):
        if not self.shape:
            raise TypeError(f"iteration over a single {type(self).__name__} element")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, item):
        return self._comparable(item) and bool((self == item).any())

    def __repr__(self):
        return self._group_name + repr(self.data)

    @property
    def size(self):
        """The number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def g_ndim(self):
        """The number of axes that store one element."""
        return len(self.g_shape)

    @property
    def ndim(self):
        """The number of axes of the array of elements."""
        return len(self.shape)
