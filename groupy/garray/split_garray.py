"""The elements of a split group G = T x| H, from its stabilizer alone: points, elements of H, and elements of G.

A group is two classes, each of which names the stabilizer:

    class C4Array(PointGArray):          class P4Array(SplitGArray):
        stabilizer = C4                      stabilizer = C4

Storage, composition, inverses and actions follow. Elements that name the same stabilizer act on each
other, and all act on the points of the grid of their dimension.
"""

from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.garray import GArray
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.stabilizer import Stabilizer


class GridArray(GArray):
    """Translations of a grid, and at the same time its points; composition is addition. A subclass names its axes."""

    parameterizations = ["int"]
    axes: tuple = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls._g_shapes = {"int": (len(cls.axes),)}
        cls._group_name = f"Z{len(cls.axes)}"

    def inv(self):
        return self.factory(data=-self.data, p="int")

    def _add(self, other):
        return other.factory(data=self.data + other.data, p="int")

    def _left_action_on(self, other):
        is_alike = isinstance(other, GridArray) and other.axes == self.axes
        return GridArray._add if is_alike else super()._left_action_on(other)


class PointGArray(MatrixGArray):
    """Elements of a stabilizer.

    g_shape of 'int': (number of parameters,), of 'mat': (d, d), of 'hmat': (d + 1, d + 1).
    A subclass that names no Stabilizer is a TypeError.
    """

    parameterizations = ["int", "mat", "hmat"]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _check_stabilizer(cls)
        n, d = len(cls.stabilizer.periods), cls.stabilizer.ndim
        cls._g_shapes = {"int": (n,), "mat": (d, d), "hmat": (d + 1, d + 1)}
        cls._group_name = cls.stabilizer.name

    def _left_action_on(self, other):
        if isinstance(other, PointGArray) and other.stabilizer is self.stabilizer:
            return MatrixGArray.left_action_mat
        if isinstance(other, SplitGArray) and other.stabilizer is self.stabilizer:
            return MatrixGArray.left_action_hmat
        if isinstance(other, GridArray) and other.axes == self.stabilizer.axes:
            return MatrixGArray.left_action_vec
        return super()._left_action_on(other)


class SplitGArray(MatrixGArray):
    """Elements T(t) h of a split group: 'int' is the parameters of h in H, then t; 'hmat' is [[R_h, t], [0, 1]].

    g_shape of 'int': (number of parameters + d,), of 'hmat': (d + 1, d + 1).
    A subclass that names no Stabilizer is a TypeError. `_group_name`, by default its class without "Array", heads repr.
    """

    parameterizations = ["int", "hmat"]

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        _check_stabilizer(cls)
        n, d = len(cls.stabilizer.periods), cls.stabilizer.ndim
        cls._g_shapes = {"int": (n + d,), "hmat": (d + 1, d + 1)}
        if cls._group_name == GArray._group_name:
            cls._group_name = cls.__name__.removesuffix("Array")
        cls._group_name = vars(cls).get("_group_name") or cls.__name__

    def _left_action_on(self, other):
        if isinstance(other, SplitGArray) and other.stabilizer is self.stabilizer:
            return MatrixGArray.left_action_hmat
        if isinstance(other, GridArray) and other.axes == self.stabilizer.axes:
            return MatrixGArray.left_action_hvec
        return super()._left_action_on(other)


class PointGroup(FiniteGroup):
    """All of a stabilizer, in the order of its list. Use as `class C4Group(PointGroup, C4Array)`.

    Raises TypeError if the class does not derive from a PointGArray too.
    """

    def __init__(self):
        garray_type = next(base for base in type(self).__mro__ if not issubclass(base, FiniteGroup))
        if not issubclass(garray_type, PointGArray):
            name = type(self).__name__
            raise TypeError(f"{name} must derive from the type of its elements too, as C4Group(PointGroup, C4Array).")
        stabilizer = garray_type.stabilizer
        garray_type.__init__(self, stabilizer.parameters_of_index(range(stabilizer.order)))
        super().__init__(garray_type)


def _check_stabilizer(cls):
    if not isinstance(cls.stabilizer, Stabilizer):
        got = "none" if cls.stabilizer is None else f"a {type(cls.stabilizer).__name__}"
        raise TypeError(f"{cls.__name__} must name its Stabilizer, as in `stabilizer = Stabilizer(...)`; got {got}.")
