"""The functions that every group's module offers: identity, rand, meshgrid, ranges, rotations.

They are the same for all groups but for the names and periods of the parameters, so a module
says `_p4 = PlaneGroupFunctions(P4Array)` and binds what it exports.
"""

from functools import reduce
from operator import mul

import numpy as np

from groupy.garray.split_garray import PointGArray


class GroupFunctions:
    """Functions of the group whose elements a GArray type stores.

    garray_type: a PointGArray, a SplitGArray or a GridArray; its 'int' parameters are the stabilizer's, then
        the translation's
    """

    def __init__(self, garray_type):
        self._type = garray_type
        stabilizer = getattr(garray_type, "stabilizer", None)
        self.periods = stabilizer.periods if stabilizer else ()
        self.axes = () if issubclass(garray_type, PointGArray) else (stabilizer or garray_type).axes
        self._names = (stabilizer.names if stabilizer else ()) + self.axes

    def identity(self, shape=(), p="int"):
        """The identity, `shape` times, in parameterization p."""
        return self.element(np.zeros(tuple(shape) + (0,), dtype=np.int64), 0).reparameterize(p)

    def element(self, values, axis):
        """Elements whose parameters from `axis` on are values (..., n), and zero elsewhere."""
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.integer):
            raise TypeError(f"the parameters of {self._type.__name__} are integers, got dtype {values.dtype}.")
        parameters = np.zeros(values.shape[:-1] + (len(self._names),), dtype=np.int64)
        parameters[..., axis : axis + values.shape[-1]] = values
        return self._type(parameters)

    def generators(self):
        """For each integer parameter, the element where it is one and the others zero."""
        return [self.element([1], axis) for axis in range(len(self._names))]

    def ranges(self):
        """For each integer parameter, a function (start, stop, step) giving the elements that vary in it alone."""
        return [self._range_function(axis) for axis in range(len(self._names))]

    def _range_function(self, axis):
        name = self._names[axis]
        if axis >= len(self.periods):

            def translation_range(start=-1, stop=2, step=1):
                return self.element(np.arange(start, stop, step)[:, None], axis)

            translation_range.__doc__ = f"Translations along {name}: range(start, stop, step)."
            return translation_range

        period = self.periods[axis]

        def stabilizer_range(start=0, stop=period, step=1):
            if not 0 <= start < stop <= period:
                raise ValueError(f"{name}_range needs 0 <= start < stop <= {period}, got start={start}, stop={stop}.")
            return self.element(np.arange(start, stop, step)[:, None], axis)

        stabilizer_range.__doc__ = f"Elements with {name} in range(start, stop, step), 0 <= {name} < {period}."
        return stabilizer_range

    def meshgrid(self, *ranges, **named):
        """All products of one element from each range, an axis for each integer parameter, in their order.

        A range that is not given is the whole of a stabilizer's parameter, or -1, 0, 1 of a translation.
        """
        given = dict(zip(self._names, ranges), **named)
        unknown = sorted(set(given) - set(self._names))
        if unknown or len(ranges) > len(self._names):
            raise TypeError(f"meshgrid takes ranges {', '.join(self._names)}; got {unknown or len(ranges)}.")
        factors = []
        for axis, (name, default) in enumerate(zip(self._names, self.ranges())):
            along_axis = tuple(slice(None) if i == axis else None for i in range(len(self._names)))
            factors.append((given[name] if name in given else default())[along_axis])
        n = len(self.periods)
        return reduce(mul, factors[n:] + factors[:n])  # T(t) M(m) R(r): translations come first

    def _random(self, bounds, size):
        """Parameters drawn one after the other, in order: a seed gives the elements it has always given."""
        size = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        drawn = [np.random.randint(low, high, size) for low, high in bounds]
        return self._type(np.stack(drawn, axis=-1).astype(np.int64))


class PointGroupFunctions(GroupFunctions):
    """Functions of a finite group that fixes the origin."""

    def rand(self, size=()):
        """Uniform random elements, from NumPy's global generator."""
        return self._random([(0, period) for period in self.periods], size)


class SplitGroupFunctions(GroupFunctions):
    """Functions of a group of motions of a grid, translations included."""

    def translation(self, t):
        """Translations by t: integers (..., d), in pixels."""
        return self.element(t, len(self.periods))

    def rotation(self, r, center=None):
        """r unit turns about the point `center`, integers (..., d), by default the origin. Shapes broadcast."""
        turns = self.element(np.asarray(r)[..., None], self._names.index("r"))
        to_center = self.translation((0,) * len(self.axes) if center is None else center)
        return to_center * turns * to_center.inv()


class PlaneGroupFunctions(SplitGroupFunctions):
    """Functions of a group of motions of a plane grid."""

    def rand(self, minu, maxu, minv, maxv, size=()):
        """Uniform random elements with minu <= u < maxu and minv <= v < maxv, from NumPy's global generator."""
        return self._random([(0, period) for period in self.periods] + [(minu, maxu), (minv, maxv)], size)

    def mirror_u(self, shape=None):
        """The mirror (u, v) -> (-u, v), `shape` times."""
        return self.element(np.ones((shape or ()) + (1,), dtype=np.int64), self._names.index("m"))

    def mirror_v(self, shape=None):
        """The mirror (u, v) -> (u, -v), `shape` times."""
        turn = self.rotation(1)
        return turn * self.mirror_u(shape) * turn.inv()


class SpaceGroupFunctions(SplitGroupFunctions):
    """Functions of a group of motions of the cubic grid."""

    def rand(self, minu, maxu, minv, maxv, minw, maxw, size=()):
        """Uniform random elements with minu <= u < maxu, and v and w alike, from NumPy's global generator."""
        bounds = [(minu, maxu), (minv, maxv), (minw, maxw)]
        return self._random([(0, period) for period in self.periods] + bounds, size)
