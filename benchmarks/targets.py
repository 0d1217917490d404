"""What the figures of torch_gconv should be, as data; the report marks those that are not.

Nothing fails by it: a machine that is busy with other things makes any figure.
"""

from dataclasses import dataclass

# Operations, as the report calls them.
TRAINING, EVALUATION, CONSTRUCTION = "training step", "evaluation", "construction"
MEMORY = "extra memory of a training step"


@dataclass(frozen=True)
class Target:
    """The largest figure due for an operation against a rival.

    A figure is the ratio of times, torch_gconv's to the rival's; of MEMORY, the difference of the
    peaks in units of the folded filters' size.
    """

    operation: str
    rival: str
    at_most: float


TARGETS = (
    Target(TRAINING, "planar", 1.10),
    Target(EVALUATION, "planar", 1.02),
    Target(CONSTRUCTION, "planar", 3),
    Target(MEMORY, "planar", 1),
    Target(TRAINING, "escnn", 1),
    Target(EVALUATION, "escnn", 1),
    Target(CONSTRUCTION, "escnn", 1 / 20),
)


def target_of(operation, rival):
    """The Target, or None."""
    return next((target for target in TARGETS if (target.operation, target.rival) == (operation, rival)), None)
