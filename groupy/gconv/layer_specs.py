"""The layers, as data: what each is called, the stabilizer it convolves over, and what it takes in."""

from dataclasses import dataclass

from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.filter_transformation import filter_transformation
from groupy.gconv.make_gconv_indices import check_ksize


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
    def output_stabilizer_size(self):
        """S_out, the order of the stabilizer."""
        return self.group.size

    @property
    def input_stabilizer_size(self):
        """S_in: 1 for a lifting convolution, else S_out."""
        return 1 if self.lifting else self.group.size

    def transformation(self, ksize):
        """The FilterTransformation of this layer; raises TypeError or ValueError for a bad ksize."""
        return filter_transformation(self.group.stabilizer, check_ksize(ksize), self.lifting)


LAYER_SPECS = {
    spec.name: spec
    for spec in (
        LayerSpec("P4ConvZ2", C4, lifting=True),
        LayerSpec("P4ConvP4", C4, lifting=False),
        LayerSpec("P4MConvZ2", D4, lifting=True),
        LayerSpec("P4MConvP4M", D4, lifting=False),
    )
}
