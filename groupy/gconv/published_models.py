"""The networks of the G-CNN paper as data, and the table that holds a framework's model zoo against them.

Source: Cohen & Welling 2016, arXiv:1602.07576, section 8 and table 2; widths, dropout and the sizes of
the rotated MNIST networks from the code of its experiments, github.com/tscohen/gconv_experiments.
"""

import argparse
import warnings
from dataclasses import dataclass
from itertools import count

from groupy.gconv.geometry import EquivarianceWarning

# Of Chainer, in which the experiments were run; both zoos use it, so that weights can be moved between them.
BATCH_NORM_EPS = 2e-5


@dataclass(frozen=True)
class PublishedModel:
    """One published network.

    name, group: of the class in a framework's `models`, and the group it is over: "Z2", "p4" or "p4m"
    widths: numbers of channels, in the order in which they occur
    input_shape: (channels, H, W) of the pictures
    parameters: their number as published
    """

    name: str
    group: str
    widths: tuple
    input_shape: tuple
    parameters: str

    @property
    def arguments(self):
        """What the class is called with: the group, unless its name says that."""
        return (self.group,) if self.name in OVER_ANY_GROUP else ()

    def rounded(self, number):
        """A number of parameters with the unit and the digits of the published one: 21750 -> '21.8 k'."""
        amount, unit = self.parameters.split()
        return f"{number / {'k': 1e3, 'M': 1e6}[unit]:.{len(amount.partition('.')[2])}f} {unit}"

    def __str__(self):
        return f"{self.name}({', '.join(map(repr, self.arguments))})".replace("'", '"')


OVER_ANY_GROUP = ("AllCNNC", "ResNet44")
_MNIST, _CIFAR = (1, 28, 28), (3, 32, 32)
PUBLISHED_MODELS = (
    # For these three: what the layers of its code add up to.
    PublishedModel("Z2CNN", "Z2", (20,), _MNIST, "21.8 k"),
    PublishedModel("P4CNNRotationPooling", "p4", (20,), _MNIST, "21.8 k"),
    PublishedModel("P4CNN", "p4", (10,), _MNIST, "24.7 k"),
    PublishedModel("AllCNNC", "Z2", (96, 192), _CIFAR, "1.37 M"),
    PublishedModel("AllCNNC", "p4", (48, 96), _CIFAR, "1.37 M"),
    PublishedModel("AllCNNC", "p4m", (32, 64), _CIFAR, "1.22 M"),
    PublishedModel("ResNet44", "Z2", (32, 64, 128), _CIFAR, "2.64 M"),
    PublishedModel("ResNet44", "p4m", (11, 23, 45), _CIFAR, "2.62 M"),
)


def published_model(name, group):
    """The network of that name over that group; raises ValueError if there is none."""
    models = {model.group: model for model in PUBLISHED_MODELS if model.name == name}
    if group not in models:
        known = " and ".join(map(repr, models))
        raise ValueError(f"{name}: was published for {known}, not for {group!r}: give its widths.")
    return models[group]


def widths_of(name, group, widths, length):
    """The widths asked for, or if that is None the published ones; raises ValueError if their number is wrong."""
    if widths is None:
        return published_model(name, group).widths
    if len(widths) != length:
        raise ValueError(f"{name}: widths must be {length} numbers of channels, got {widths!r}.")
    return widths


def symmetry_of(name, symmetries, group):
    """symmetries[group]; raises ValueError, naming the model and the groups, if there is none."""
    if group not in symmetries:
        raise ValueError(f"{name}: group must be one of {', '.join(map(repr, symmetries))}, got {group!r}.")
    return symmetries[group]


def breaks_at(zoo, model, size):
    """How many layers of a published network break equivariance on pictures of size x size."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EquivarianceWarning)
        zoo.run(zoo.build(model), (1, model.input_shape[0], size, size))
    return sum(issubclass(warning.category, EquivarianceWarning) for warning in caught)


def table(zoo):
    """The rows of a Markdown table: what a framework's zoo has, and what was published.

    zoo: has build(published model), run(network, shape of x) and count_parameters(network)
    """
    yield "| model | parameters | published | input | layers that break equivariance there | next size with none |"
    yield "|---|---|---|---|---|---|"
    for model in PUBLISHED_MODELS:
        channels, height, width = model.input_shape
        parameters = f"{zoo.count_parameters(zoo.build(model)):,}"
        breaks, good = "-", "-"
        if model.group != "Z2":
            breaks = breaks_at(zoo, model, height)
            good = next(size for size in count(height) if not breaks_at(zoo, model, size))
        cells = (f"`{model}`", parameters, model.parameters, f"{channels} x {height} x {width}", breaks, good)
        yield f"| {' | '.join(map(str, cells))} |"


def main(zoo, prog, arguments=None):
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {prog}",
        description="Print the model zoo as a Markdown table: parameters, those published (Cohen & Welling 2016), and "
        "whether the published input size keeps equivariance.",
        epilog=f"example:\n  python -m {prog} > models.md\n\nexit status: 0, or 2 for bad use",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    for row in table(zoo):
        print(row)
    return 0
