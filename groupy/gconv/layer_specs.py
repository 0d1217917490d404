"""The groups and their layers, as data: what each is called, the stabilizer it convolves over, what it takes in."""

from dataclasses import dataclass

from groupy.garray.C2_array import C2
from groupy.garray.C4_array import C4
from groupy.garray.C4h_array import C4h
from groupy.garray.C6_array import C6
from groupy.garray.D1_array import D1
from groupy.garray.D2_array import D2
from groupy.garray.D4_array import D4
from groupy.garray.D4h_array import D4h
from groupy.garray.D6_array import D6
from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.O_array import O
from groupy.garray.Oh_array import Oh
from groupy.garray.split_garray import PointGroup
from groupy.gconv.filter_transformation import filter_transformation
from groupy.gconv.make_gconv_indices import filter_support, kernel_shape


@dataclass(frozen=True)
class LayerSpec:
    """One kind of layer.

    group: the stabilizer of the origin, whose elements index the output's stabilizer axis
    lifting: the input lives on the grid (S_in = 1) instead of the group (S_in = S_out)
    """

    name: str
    group: FiniteGroup
    lifting: bool

    @property
    def stabilizer(self):
        """The Stabilizer, the group as matrices."""
        return self.group.stabilizer

    @property
    def ndim(self):
        """The dimension of the grid, 2 or 3."""
        return self.stabilizer.ndim

    @property
    def output_stabilizer_size(self):
        """S_out, the order of the stabilizer."""
        return self.group.size

    @property
    def input_stabilizer_size(self):
        """S_in: 1 for a lifting convolution, else S_out."""
        return 1 if self.lifting else self.group.size

    def kernel(self, layer, name, ksize):
        """The sides of the kernel, a tuple of ndim ints, of one integer or ndim.

        Raises TypeError or ValueError, naming layer and argument, if the group does not map such a kernel onto
        itself; where other groups do, it names them.
        """
        return kernel_shape(ksize, self.stabilizer, f"{layer}: {name}", _groups_that_keep)

    def transformation(self, ksize):
        """The FilterTransformation of this layer; raises TypeError or ValueError for a bad ksize."""
        return filter_transformation(self.stabilizer, kernel_shape(ksize, self.stabilizer), self.lifting)

    def filter_support(self, ksize):
        """The taps that a filter has: booleans (k, ...) on the hexagonal grid, a hexagon; None where it has all."""
        return None if self.stabilizer.is_orthogonal else filter_support(self.stabilizer, ksize)


GROUPS: dict = {}  # name of the split group -> the stabilizer, a PointGroup
LAYER_SPECS: dict = {}  # name of the layer -> LayerSpec


def add_group(name, group):
    """Make a split group known by name, with its two layers, as 'p4' makes P4ConvZ2 and P4ConvP4.

    group: the stabilizer, a PointGroup
    Returns their LayerSpecs, the lifting one first. Raises TypeError if group is not all of a stabilizer, in the
    order of its list; ValueError if it is known already, or another by its name or its stabilizer's.
    """
    if not isinstance(group, PointGroup):
        raise TypeError(f"{name}: group must be a PointGroup, as C4 of groupy.garray.C4_array is; got {_shown(group)}.")
    label, stabilizer = name.upper(), group.stabilizer
    lifting = LayerSpec(f"{label}ConvZ{stabilizer.ndim}", group, lifting=True)
    group_conv = LayerSpec(f"{label}Conv{label}", group, lifting=False)
    if lifting.name in LAYER_SPECS:
        raise ValueError(f"there is a group {name!r} already, or one whose layers are called {lifting.name}.")
    for known in GROUPS:
        if {known, GROUPS[known].stabilizer.name} & {name, stabilizer.name}:
            raise ValueError(
                f"{name!r} with stabilizer {stabilizer.name} cannot be told from {known!r} with stabilizer "
                f"{GROUPS[known].stabilizer.name}, which is known already."
            )
    GROUPS[name] = group
    LAYER_SPECS.update({spec.name: spec for spec in (lifting, group_conv)})
    return lifting, group_conv


def name_of(group):
    """The name of the split group with this stabilizer, as 'p4' for C4. Raises ValueError if there is none."""
    for name, known in GROUPS.items():
        if _is_same(group, known):
            return name
    raise ValueError(f"{_shown(group)} is not the stabilizer of a known group; add_group makes it known.")


def as_group(group):
    """The stabilizer that a name means, be it the split group's, 'p4', or its own, 'C4'; a known FiniteGroup is itself.

    Raises ValueError for anything else.
    """
    for name, known in GROUPS.items():
        if _is_same(group, known) or (isinstance(group, str) and group in (name, known.stabilizer.name)):
            return known
    raise ValueError(f"group must be one of {', '.join(map(repr, GROUPS))}, or its stabilizer; got {_shown(group)}.")


def _is_same(group, known):
    return isinstance(group, FiniteGroup) and group == known


def _shown(group):
    return repr(group) if isinstance(group, str) else type(group).__name__


def _groups_that_keep(kernel):
    names = [n for n, g in GROUPS.items() if g.stabilizer.ndim == len(kernel) and g.stabilizer.keeps_box(kernel)]
    layers = [spec.name for spec in LAYER_SPECS.values() if any(spec.group is GROUPS[name] for name in names)]
    return f" Groups that allow this shape: {', '.join(names)} ({', '.join(layers)})." if names else ""


for _name, _group in {
    "pm": D1,
    "p2": C2,
    "p2mm": D2,
    "p4": C4,
    "p4m": D4,
    "p6": C6,
    "p6m": D6,
    "C4h": C4h,
    "D4h": D4h,
    "O": O,
    "Oh": Oh,
}.items():
    add_group(_name, _group)
