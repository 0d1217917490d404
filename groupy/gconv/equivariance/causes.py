"""Why a step of a network breaks equivariance, told from its geometry, its kind, and how it errs.

Causes are tried in the order of CAUSES; the first that recognizes the step gives the reason. Each
is a function of the Evidence that returns a sentence, or None.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 6.2 and 6.3; HexaConv paper
(Hoogeboom et al. 2018, arXiv:1803.02108), section 4.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.equivariance.laws import Law, elements_of
from groupy.gconv.equivariance.trace import Call
from groupy.gconv.layer_specs import LAYER_SPECS, name_of

# What maps on the grid are called, by its dimension.
_MAPS = {2: "planar maps", 3: "volumes"}

# The most elements that a reason lists.
_FEW = 8

# What keeps a map zero outside of its hexagon, by the role of what does not.
_MASK = "Keep the output_mask of a G-convolution, or multiply by the hexagon."
_MENDS = {"normalization": "Use GBatchNorm with hexagonal=True.", "pooling": "Pool with hexagonal=True."}


@dataclass(frozen=True)
class Evidence:
    """What is known of a step that breaks.

    group: whose elements move the input
    takes, gives: the laws of its first input and of its output; takes is None if that obeys none
    words: of the elements that the inputs obey
    pairs: (got, due) by words, of those that gives covers: the output for the moved input, and the moved output;
        got is None if it was refused
    points: which ones of the output's grid are a hexagonal map's, booleans; None if all are
    allowance: differences up to here are rounding
    """

    call: Call
    group: FiniteGroup
    takes: Optional[Law]
    gives: Law
    words: tuple
    pairs: dict
    points: Optional[np.ndarray]
    allowance: float

    @property
    def label(self):
        """How to call the step."""
        return self.call.label

    @property
    def elements(self):
        """The Elements that the inputs obey."""
        return [elements_of(self.group)[word] for word in self.words]


def explain(evidence):
    """The reason as a sentence that begins with the step's label."""
    for cause in CAUSES:
        reason = cause(evidence)
        if reason is not None:
            return reason
    return f"{evidence.label}: breaks equivariance, and it is not known why."


def flattening(label, before, after):
    """The reason of a step that joins or rearranges axes so that no later step can tell them apart."""
    start = next((i for i, (m, n) in enumerate(zip(before, after)) if m != n), len(after))
    end = next((i for i, (m, n) in enumerate(zip(before[::-1], after[::-1])) if m != n), len(after))
    joined = before[start : len(before) - end]
    if len(after) < len(before) and len(after) - end - start == 1 and np.prod(joined) == after[start]:
        return (
            f"{label}: flattens axes of sizes {joined} of the map {before} into {after[start]} features, each of "
            "one pixel or one orientation, and moved maps put other values there. Pool first, over the "
            "stabilizer (coset pooling) and over the pixels (global pooling), then flatten."
        )
    return (
        f"{label}: rearranges the map {before} to {after}, in which pixels and orientations do not move as the "
        "later steps take them to. Keep the axes (N, C, S, H, W), or pool before."
    )


def lowering(label, group, before, after):
    """The reason of a step after which the orientations are those of another group, before and after as laws."""
    elements = elements_of(group)
    followed = [word for word, h in elements.items() if after.knows(h)]
    determinants = {word: round(np.linalg.det(h.matrix)) for word, h in elements.items()}
    if followed == [word for word, sign in determinants.items() if sign > 0]:
        has = "has no mirrored orientations, so it follows turns alone"
    else:
        listed = f" ({', '.join(followed)})" if len(followed) <= _FEW else ""
        has = f"follows only {len(followed)} of the {len(elements)} elements of {name_of(group)}{listed}"
    at = f", or check under {name_of(after.fiber)!r}" if len(followed) == after.fiber.size else ""
    if before is not None and before.fiber is not None and all(map(before.knows, elements.values())):
        return (
            f"{label}: lowers the symmetry: it takes a map {before.name} and makes one {after.name}, which {has}. "
            f"Stay on {name_of(before.fiber)}{at}."
        )
    layers = ", ".join(_layer(group, lifting) for lifting in (True, False))
    return f"{label}: makes a map {after.name}, which {has}. Use the {name_of(group)} layers ({layers}){at}."


def hexagonless(label, size):
    """The reason of a step that makes a map of a size that holds no hexagon."""
    return (
        f"{label}: makes a map of size {' x '.join(map(str, size))}, which holds no hexagon that turns onto itself: "
        "that takes an odd square, in axial coordinates."
    )


def unsteady(evidence):
    """What differs already when nothing is moved."""
    got, due = (_inside(evidence, array) for array in evidence.pairs["e"])
    if got is not None and not np.isclose(got, due, rtol=0, atol=evidence.allowance, equal_nan=True).all():
        return (
            f"{evidence.label}: gives something else each time it is run, on the same input too: it keeps a state "
            "or draws random numbers."
        )
    return None


def lost_symmetry(evidence):
    """A map on a smaller group than the network is to be equivariant under, as one on p4 under p4m."""
    if not all(map(evidence.gives.knows, evidence.elements)):
        return lowering(evidence.label, evidence.group, evidence.takes, evidence.gives)
    return None


def left_hexagon(evidence):
    """A hexagonal map that is as it ought to be, but not zero outside of its hexagon."""
    if evidence.points is not None and _fits(evidence, _equal):
        return (
            f"{evidence.label}: writes values outside of the hexagon, where a map on the hexagonal grid must be zero, "
            f"since they do not turn with it. {_MENDS.get(evidence.call.facts.role, _MASK)}"
        )
    return None


def square_pooling(evidence):
    """Pooling over squares of a hexagonal map's array."""
    facts = evidence.call.facts
    turns_boxes = all(h.keeps_boxes for h in evidence.elements)
    if facts.role == "pooling" and not facts.hexagonal and not turns_boxes:
        return (
            f"{evidence.label}: pools over squares of the array, which on the hexagonal grid do not turn into each "
            "other. Pool with hexagonal=True, over hexagons of odd ksize."
        )
    return None


def window_arithmetic(evidence):
    """Stride, size and padding, after geometry.Window.equivariance_break."""
    law, elements = evidence.gives, elements_of(evidence.group).values()
    group = evidence.group if all(map(law.knows, elements)) else law.fiber
    return evidence.call.window_break(group.stabilizer)


def no_hexagon(evidence):
    """An output on the hexagonal grid that holds no hexagon."""
    law, shape = evidence.gives, evidence.call.output_shape
    if all(law.covers(h, shape) for h in evidence.elements):
        return None
    return hexagonless(evidence.label, law.size(shape))


def own_statistics(evidence):
    """A normalization whose statistics or scales differ between orientations."""
    if evidence.call.facts.role == "normalization" and _on_a_group(evidence):
        return (
            f"{evidence.label}: has statistics or scales of its own for each orientation of a map "
            f"{evidence.takes.name}; they must be shared over the stabilizer. Use GBatchNorm."
        )
    return None


def own_bias(evidence):
    """What is added differs between orientations, and is the same at every pixel and in every picture."""
    if evidence.gives.fiber is not None and _fits(evidence, _constant):
        return (
            f"{evidence.label}: adds a bias of its own to each orientation. One bias for each channel, shared "
            "over the stabilizer, keeps equivariance."
        )
    return None


def own_scale(evidence):
    """The output is scaled, or scaled and shifted, differently for each orientation."""
    if evidence.gives.fiber is not None and _fits(evidence, _affine):
        return (
            f"{evidence.label}: scales each orientation by a factor of its own. One factor for each channel, "
            "shared over the stabilizer, keeps equivariance."
        )
    return None


def plain_layer(evidence):
    """A convolution or linear map whose filters are not an orbit under the stabilizer."""
    takes, role, label = evidence.takes, evidence.call.facts.role, evidence.label
    if not evidence.call.is_plain or takes is None:
        return None
    shape, output_shape = evidence.call.input_shape, evidence.call.outputs[0].array.shape
    if role == "linear" and len(shape) > len(output_shape):  # Chainer's flatten by themselves
        return flattening(label, shape, (*shape[: len(output_shape) - 1], int(np.prod(shape[len(output_shape) - 1 :]))))
    if takes.fiber is not None:
        return (
            f"{label}: is a plain layer on a map {takes.name}: its weights neither turn nor change places with the "
            f"orientations. Use {_layer(takes.fiber, lifting=False)}, or coset pooling before it."
        )
    if takes.pixels and role == "convolution":
        return (
            f"{label}: is a plain convolution of {_MAPS[takes.ndim]}: its filters do not turn with them. Use the "
            f"lifting convolution {_layer(evidence.group, lifting=True)}."
        )
    return f"{label}: is a plain layer that mixes pixels. Pool over the pixels before it." if takes.pixels else None


def own_values_of_pixels(evidence):
    """What is added differs between pixels and does not depend on the input."""
    if evidence.gives.pixels and _fits(evidence, _same_for_all_pictures):
        return f"{evidence.label}: adds a value of its own to each pixel, and that does not turn with the picture."
    return None


CAUSES = (
    unsteady,
    lost_symmetry,
    left_hexagon,
    square_pooling,
    window_arithmetic,
    no_hexagon,
    own_statistics,
    own_bias,
    own_scale,
    own_values_of_pixels,
    plain_layer,
)


def _on_a_group(evidence):
    return evidence.takes is not None and evidence.takes.fiber is not None


def _layer(group, lifting):
    return next(s.name for s in LAYER_SPECS.values() if s.group is group and s.lifting == lifting)


def _fits(evidence, kind):
    """Whether got and due, as they are on the points of the map, are related in this way for every element."""
    pairs = [tuple(_inside(evidence, array) for array in pair) for pair in evidence.pairs.values()]
    return all(_comparable(got, due) and kind(evidence, got, due) for got, due in pairs)


def _comparable(got, due):
    return got is not None and got.shape == due.shape and bool(np.isfinite(got).all() and np.isfinite(due).all())


def _inside(evidence, array):
    """(N, ..., points): the array with one axis for the points of the grid, if there is a grid; None for None."""
    ndim = evidence.gives.ndim
    if array is None or not ndim:
        return array
    if evidence.points is not None and array.shape[-ndim:] == evidence.points.shape:
        return array[..., evidence.points]
    return array.reshape(*array.shape[:-ndim], -1)


def _fibers(evidence, array):
    """(fibers, samples): the values that share channel and orientation, over pictures and pixels."""
    n_fibers = int(np.prod(array.shape[1 : array.ndim - evidence.gives.pixels]))
    return np.moveaxis(array, 0, -1).reshape(n_fibers, -1)


def _equal(evidence, got, due):
    return np.abs(got - due).max(initial=0.0) <= evidence.allowance


def _constant(evidence, got, due):
    difference = _fibers(evidence, got - due)
    return difference.shape[1] > 1 and np.ptp(difference, axis=1).max() <= evidence.allowance


def _affine(evidence, got, due):
    got, due = _fibers(evidence, got), _fibers(evidence, due)
    if due.shape[1] < 3:  # any two points lie on a line
        return False
    got, due = (a - a.mean(axis=1, keepdims=True) for a in (got, due))
    variance = np.maximum((due * due).sum(axis=1, keepdims=True), np.finfo(due.dtype).tiny)
    slope = (got * due).sum(axis=1, keepdims=True) / variance
    return np.abs(got - slope * due).max() <= evidence.allowance


def _same_for_all_pictures(evidence, got, due):
    return len(got) > 1 and np.ptp(got - due, axis=0).max() <= evidence.allowance
