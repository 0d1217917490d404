"""Named initial distributions of a layer's canonical filters and bias, for every framework.

W: (O, I, S_in, k, k); I channels that one filter sees (those of its group where channels are grouped), S_in
elements of the input's stabilizer. A filter has I * S_in * taps weights; on the hexagonal grid only the taps
inside the hexagon count. docs/initialization.md has the formulas beside what each does in training.
"""

import math
from dataclasses import dataclass

DEFAULT = "he"  # of PyTorch's layers; Chainer's have GrouPy's own


@dataclass(frozen=True)
class Initialization:
    """How to draw W and b: their scale is sqrt(gain / fan-in).

    weight, bias: 'normal' with the scale as standard deviation, 'uniform' within the scale on both sides, or 'zero'
    gain: the fan-in times the variance of 'normal', or times the square of the bound of 'uniform'
    counts_stabilizer: whether the fan-in is I * S_in * taps, or I * taps
    """

    weight: str
    bias: str
    gain: float
    counts_stabilizer: bool

    def scale(self, channels, stabilizer_size, taps):
        """The standard deviation or the bound, for I, S_in and the number of taps."""
        fan_in = channels * (stabilizer_size if self.counts_stabilizer else 1) * taps
        return math.sqrt(self.gain / fan_in)


INITIALIZATIONS = {
    # He et al. 2015, arXiv:1502.01852, section 2.2: a layer keeps the second moment of its input, with ReLUs between.
    "he": Initialization(weight="normal", bias="zero", gain=2, counts_stabilizer=True),
    # What torch.nn.Conv2d draws for the folded filters' fan-in.
    "conv2d": Initialization(weight="uniform", bias="uniform", gain=1, counts_stabilizer=True),
    # GrouPy's port to PyTorch, github.com/adambielski/GrouPy, SplitGConv2D.reset_parameters.
    "port": Initialization(weight="uniform", bias="uniform", gain=1, counts_stabilizer=False),
}


def named_initialization(layer, argument, name):
    """The Initialization of that name.

    layer, argument: what to call them in the message
    Raises ValueError, with the names that there are, if it is none of them.
    """
    if not isinstance(name, str) or name not in INITIALIZATIONS:
        names = ", ".join(map(repr, INITIALIZATIONS))
        raise ValueError(f"{layer}: {argument} must be one of {names}, got {name!r}.")
    return INITIALIZATIONS[name]
