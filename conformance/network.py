"""Networks as data: what every backend builds, described without any framework.

A network is a tuple of operations. Feature maps are (N, C, S, H, W), in three dimensions
(N, C, S, D, H, W), throughout, S = 1 on the grid and after coset pooling; on the hexagonal grid they
are zero outside the hexagon. Parameters are a dict of arrays, keyed by the operation's position:
'0.W', '0.b', '0.mask' of a convolution; '1.gamma', '1.beta', '1.mean', '1.var' of a batch
normalization. A single layer is a network of length one.
"""

from dataclasses import dataclass
from typing import Union

from groupy.gconv.layer_specs import LAYER_SPECS, as_group


@dataclass(frozen=True)
class Conv:
    """A lifting or group convolution; `layer` is a name in LAYER_SPECS.

    ksize: the side of the kernel, or its sides
    """

    layer: str
    in_channels: int
    out_channels: int
    ksize: Union[int, tuple]
    stride: int = 1
    pad: int = 0
    bias: bool = True
    masked: bool = False

    @property
    def spec(self):
        """The LayerSpec."""
        return LAYER_SPECS[self.layer]

    @property
    def kernel(self):
        """The sides of the kernel, a tuple with one for each axis of the grid."""
        return self.ksize if isinstance(self.ksize, tuple) else (self.ksize,) * self.spec.ndim

    @property
    def groups(self):
        """The stabilizers that the input's and the output's maps are on."""
        return self.spec.group, self.spec.group

    def parameter_shapes(self):
        """The shape of each parameter: W (O, I, S_in, k, ...), b (O,), mask (O, I, S_in)."""
        filters = (self.out_channels, self.in_channels, self.spec.input_stabilizer_size)
        shapes = {"W": filters + self.kernel}
        if self.bias:
            shapes["b"] = (self.out_channels,)
        if self.masked:
            shapes["mask"] = filters
        return shapes


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization shared over the stabilizer, y = gamma (x - mean) / sqrt(var + eps) + beta.

    momentum: the weight of the batch's statistics in the running ones (Chainer's 1 - decay)
    hexagonal: statistics over the hexagon's points only, and zeros outside
    """

    channels: int
    eps: float
    momentum: float
    hexagonal: bool = False

    def parameter_shapes(self):
        """The shape of each parameter, (C,)."""
        return dict.fromkeys(("gamma", "beta", "mean", "var"), (self.channels,))


@dataclass(frozen=True)
class ReLU:
    """max(x, 0); the gradient at 0 is 0."""

    def parameter_shapes(self):
        """None."""
        return {}


@dataclass(frozen=True)
class Square:
    """x * x, a smooth nonlinearity that is exact on integers: its gradient depends on x at every point."""

    def parameter_shapes(self):
        """None."""
        return {}


@dataclass(frozen=True)
class SpatialMaxPool:
    """Max pooling over pixels; of equal values the first in row-major order gets the gradient.

    pad: that much of minus infinity around the picture
    ndim: the dimension of the grid
    hexagonal: over hexagonal windows, of the hexagon's points only, and zeros outside
    """

    ksize: int
    stride: int
    pad: int = 0
    ndim: int = 2
    hexagonal: bool = False

    def parameter_shapes(self):
        """None."""
        return {}


@dataclass(frozen=True)
class CosetMaxPool:
    """Max over the stabilizer; equal values share the gradient equally."""

    def parameter_shapes(self):
        """None."""
        return {}


@dataclass(frozen=True)
class _SubgroupMap:
    """group, subgroup: names, as of groupy.gconv.layer_specs.as_group. In shapes, |H| and |K|."""

    group: str
    subgroup: str

    @property
    def stabilizers(self):
        """H and K."""
        return as_group(self.group), as_group(self.subgroup)

    def parameter_shapes(self):
        """None."""
        return {}


@dataclass(frozen=True)
class Restrict(_SubgroupMap):
    """A map on the group as one on the subgroup: (N, C, |H|, ...) -> (N, C * |H| / |K|, |K|, ...).

    Channel c * |H| / |K| + i holds the i-th coset K r of channel c, where r is the first element of the
    group's list that is in no coset before it, in the order of the subgroup's list.
    """

    @property
    def groups(self):
        """The stabilizers that the input's and the output's maps are on."""
        return self.stabilizers


@dataclass(frozen=True)
class Unrestrict(_SubgroupMap):
    """The inverse of Restrict: (N, C * |H| / |K|, |K|, ...) -> (N, C, |H|, ...)."""

    @property
    def groups(self):
        """The stabilizers that the input's and the output's maps are on."""
        return self.stabilizers[::-1]


@dataclass(frozen=True)
class Induce(_SubgroupMap):
    """A map on the subgroup as one on the group, zero elsewhere: (N, C, |K|, ...) -> (N, C, |H|, ...)."""

    @property
    def groups(self):
        """The stabilizers that the input's and the output's maps are on."""
        return self.stabilizers[::-1]


# What is no weight: constants and running statistics have no gradient.
WITHOUT_GRADIENT = ("mask", "mean", "var")


def parameter_shapes(network):
    """The shape of every parameter of a network, by key."""
    return {
        f"{position}.{name}": shape
        for position, operation in enumerate(network)
        for name, shape in operation.parameter_shapes().items()
    }


def parameters_of(parameters, position):
    """The parameters of the operation at one position, without the position in their names."""
    prefix = f"{position}."
    return {key[len(prefix) :]: value for key, value in parameters.items() if key.startswith(prefix)}


def weight_keys(network):
    """The keys of the parameters that have a gradient."""
    return [key for key in parameter_shapes(network) if key.split(".")[1] not in WITHOUT_GRADIENT]


def groups_of(network, symmetry):
    """The stabilizers that the network's input and output are maps on; `symmetry` if no operation says so."""
    pairs = [operation.groups for operation in network if hasattr(operation, "groups")] or [(symmetry, symmetry)]
    return pairs[0][0], pairs[-1][1]


def total_stride(network):
    """By how many input pixels the input must move for the output to move by one."""
    product = 1
    for operation in network:
        product *= getattr(operation, "stride", 1)
    return product


def border_reach(network):
    """How many output pixels next to the border may feel the padding."""
    reach = 0
    for operation in network:
        reach = -(-(reach + getattr(operation, "pad", 0)) // getattr(operation, "stride", 1))
    return reach
