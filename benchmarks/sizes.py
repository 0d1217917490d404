"""What is measured: layers and sizes, and how long to measure each. The suites differ in these alone."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from groupy.gconv.layer_specs import LAYER_SPECS

KSIZE, PADDING = 3, 1
IMAGE_CHANNELS = 3  # what lifting layers are given
BYTES = 4  # of a float32


@dataclass(frozen=True)
class Shape:
    """A layer with a 3x3 kernel, padding 1, and what it is given: (batch, in_channels * S_in, size, size), float32."""

    layer: str
    channels: int
    size: int
    batch: int = 32

    def __str__(self):
        return f"{self.layer}, {self.channels} channels, {self.size}x{self.size}"

    @property
    def spec(self):
        """The LayerSpec."""
        return LAYER_SPECS[self.layer]

    @property
    def in_channels(self):
        """I: group convolutions keep the number of channels, lifting convolutions start from images."""
        return IMAGE_CHANNELS if self.spec.lifting else self.channels

    @property
    def folded_in_channels(self):
        """I * S_in, of the planar convolution."""
        return self.in_channels * self.spec.input_stabilizer_size

    @property
    def folded_out_channels(self):
        """O * S_out, of the planar convolution."""
        return self.channels * self.spec.output_stabilizer_size

    @property
    def folded_filter_bytes(self):
        """The size of the folded filters."""
        return self.folded_out_channels * self.folded_in_channels * KSIZE**2 * BYTES

    def feature_map(self):
        """Normally distributed (batch, I * S_in, size, size), float32."""
        shape = (self.batch, self.folded_in_channels, self.size, self.size)
        return np.random.default_rng(0).standard_normal(shape, np.float32)


@dataclass(frozen=True)
class Suite:
    """What one run measures.

    shapes: for training steps and evaluation; constructed: for construction
    seconds: for each shape and operation, as far as the numbers of rounds allow; warm-up comes on top
    """

    shapes: tuple
    constructed: Shape
    seconds: float
    least_rounds: int
    most_rounds: int


def _shapes(layers, channels, sizes):
    return tuple(Shape(*of) for of in product(layers, channels, sizes))


_GROUP, _LIFTING = ("P4ConvP4", "P4MConvP4M"), ("P4ConvZ2", "P4MConvZ2")
_CONSTRUCTED = Shape("P4MConvP4M", 64, size=28)

SUITES = {
    "full": Suite(
        _shapes(_GROUP, (10, 16, 32, 64), (28, 32)) + _shapes(_LIFTING, (10, 64), (28,)),
        _CONSTRUCTED,
        seconds=4,
        least_rounds=5,
        most_rounds=40,
    ),
    "quick": Suite(_shapes(_GROUP, (10, 32), (28,)), _CONSTRUCTED, seconds=2, least_rounds=5, most_rounds=20),
    # Shows that the harness works, and says nothing of speed.
    "tiny": Suite(
        (Shape("P4ConvP4", 2, 6, batch=2), Shape("P4MConvZ2", 2, 6, batch=2)),
        Shape("P4MConvP4M", 2, 6, batch=2),
        seconds=0,
        least_rounds=2,
        most_rounds=2,
    ),
}
