"""Why a step of a network breaks equivariance, told from its geometry, its kind, and how it errs.

Causes are tried in the order of CAUSES; the first that recognizes the step gives the reason. Each
is a function of the Evidence that returns a sentence, or None.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), sections 6.2 and 6.3.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.gconv.equivariance.laws import Law
from groupy.gconv.equivariance.trace import Call
from groupy.gconv.layer_specs import LAYER_SPECS


@dataclass(frozen=True)
class Evidence:
    """What is known of a step that breaks.

    group: whose elements move the input
    takes, gives: the laws of its first input and of its output; takes is None if that obeys none
    covered: gives covers all elements that the input obeys
    pairs: (got, due) by words: the output for the moved input, and the moved output; got is None if it was refused
    allowance: differences up to here are rounding
    """

    call: Call
    group: FiniteGroup
    takes: Optional[Law]
    gives: Law
    covered: bool
    pairs: dict
    allowance: float

    @property
    def label(self):
        """How to call the step."""
        return self.call.label


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


def unsteady(evidence):
    """What differs already when nothing is moved."""
    got, due = evidence.pairs["e"]
    if got is not None and not np.array_equal(got, due, equal_nan=True):
        return (
            f"{evidence.label}: gives something else each time it is run, on the same input too: it keeps a state "
            "or draws random numbers."
        )
    return None


def lost_mirrors(evidence):
    """A map on p4 in a network that is to be equivariant under p4m."""
    if not evidence.covered:
        return (
            f"{evidence.label}: makes a map {evidence.gives.name}, which has no mirrored orientations, so it "
            "follows turns alone. Use the p4m layers (P4MConvZ2, P4MConvP4M), or check under 'p4'."
        )
    return None


def window_arithmetic(evidence):
    """Stride, size and padding, after design rule (size + 2 * pad - extent) % stride == 0."""
    return evidence.call.window_break()


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
            f"{label}: is a plain convolution of planar maps: its filters do not turn with them. Use the lifting "
            f"convolution {_layer(evidence.group, lifting=True)}."
        )
    return f"{label}: is a plain layer that mixes pixels. Pool over the pixels before it." if takes.pixels else None


def own_values_of_pixels(evidence):
    """What is added differs between pixels and does not depend on the input."""
    if evidence.gives.pixels and _fits(evidence, _same_for_all_pictures):
        return f"{evidence.label}: adds a value of its own to each pixel, and that does not turn with the picture."
    return None


CAUSES = (
    unsteady,
    lost_mirrors,
    window_arithmetic,
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
    """Whether got and due are related in this way for every element."""
    pairs = [(got, due) for got, due in evidence.pairs.values() if got is not None and got.shape == due.shape]
    return len(pairs) == len(evidence.pairs) and all(kind(evidence, got, due) for got, due in pairs)


def _fibers(evidence, array):
    """(fibers, samples): the values that share channel and orientation, over pictures and pixels."""
    n_grid = 2 if evidence.gives.pixels else 0
    n_fibers = int(np.prod(array.shape[1 : array.ndim - n_grid]))
    return np.moveaxis(array, 0, -1).reshape(n_fibers, -1)


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
