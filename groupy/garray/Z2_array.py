"""Z2: translations of the square grid, and at the same time its points (u, v)."""

from types import MappingProxyType

from groupy.garray.garray import GArray
from groupy.garray.group_functions import PlaneGroupFunctions


class Z2Array(GArray):
    """Translations (u, v) of Z2; composition is addition. g_shape of 'int': (2,)."""

    parameterizations = ["int"]
    _g_shapes = {"int": (2,)}
    _group_name = "Z2"

    def z2_composition(self, other):
        return other.factory(data=self.data + other.data, p="int")

    def inv(self):
        return self.factory(data=-self.data, p="int")


Z2Array._left_actions = MappingProxyType({Z2Array: Z2Array.z2_composition})

_z2 = PlaneGroupFunctions(Z2Array, ("u", "v"))
u, v = _z2.generators()
u_range, v_range = _z2.ranges()
identity, rand, translation, meshgrid = _z2.identity, _z2.rand, _z2.translation, _z2.meshgrid
