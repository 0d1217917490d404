"""check: the report on a network, of which a framework gives the traces.

For each call f and each element h of the stabilizer two errors are measured:
    own            f(L_h x) - L_h f(x) for the x that f was given: finds every faulty call by itself
    accumulated    f's output in the network run on the moved input, against its output, moved
Both are largest absolute differences, relative to the largest value of the call's output.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 6.
"""

from dataclasses import replace

import numpy as np

from groupy.gconv.equivariance.judge import Judge
from groupy.gconv.equivariance.laws import elements_of, law_of_input
from groupy.gconv.equivariance.report import EquivarianceReport
from groupy.gconv.equivariance.sizes import good_sizes
from groupy.gconv.layer_specs import as_group, name_of

# In float64 rounding errors are near 1e-16 times the square root of the number of terms, 1e-11 after a
# deep network that cancels a lot. What is under 1e-6 drowns in the rounding of float32, in which networks run.
TOLERANCE = 1e-6


def check(trace_of, x, group, tolerance=TOLERANCE, refusals=(ValueError,)):
    """The EquivarianceReport of a network.

    trace_of: runs the network on a float64 array and returns the Trace
    x: (N, C, H, W), or on a group (N, C, S, H, W); in three dimensions (N, C, D, H, W) or (N, C, S, D, H, W).
        On the hexagonal grid H = W is odd, and what is outside of the hexagon counts as zero
    group: a name in groupy.gconv.layer_specs.GROUPS, as 'p4', its stabilizer's, as 'C4', or that FiniteGroup itself;
        the dimension follows from it
    refusals: the exceptions by which the network, or a call of it, refuses a shape

    Raises ValueError for another group; if x has another shape, is on a group that does not have all elements
    of this one, or looks the same however it is moved; and if the network returns no tensor that is computed from x.
    """
    group = as_group(group)
    elements, ndim = elements_of(group), group.stabilizer.ndim
    law = law_of_input(x.shape, group)
    bounds = None if group.stabilizer.is_orthogonal else group
    moved = {word: law.move(x, h, bounds) for word, h in elements.items()}
    x = moved["e"]
    if all(np.array_equal(array, x) for array in moved.values()):
        raise ValueError("x looks the same however it is moved, so it shows nothing. Give random numbers.")

    def try_to_trace(x):
        try:
            return trace_of(x)
        except refusals:
            return None

    def windows_at(size):
        shape = (1, *x.shape[1:-ndim], *size)
        trace = try_to_trace(np.zeros(shape)) if all(law.covers(h, shape) for h in elements.values()) else None
        return trace and [found for call in trace.calls if (found := call.window_on(ndim))]

    judge = Judge(trace_of(x), group, elements, tolerance, refusals)
    # Networks run twice on each moved input, so that only one run's feature maps are in memory at a time.
    refused = [word for word, array in moved.items() if not judge.learn(word, try_to_trace(array))]
    steps = judge.steps(law)
    accumulated = [judge.accumulated(word, try_to_trace(array)) for word, array in moved.items()]
    steps = [
        replace(step, accumulated={word: error for errors in accumulated for word, error in errors[i].items()})
        for i, step in enumerate(steps)
    ]
    return EquivarianceReport(
        group=name_of(group),
        elements=tuple(elements),
        input_shape=tuple(x.shape),
        tolerance=tolerance,
        steps=_or_unexplained(steps, tolerance),
        good_sizes=good_sizes(windows_at, x.shape[-ndim:], group.stabilizer),
        refused=tuple(refused),
    )


def _or_unexplained(steps, tolerance):
    """The steps; if none breaks by itself and yet the network does, the first one that errs is named."""
    if any(step.reason for step in steps):
        return steps
    for i, step in enumerate(steps):
        if not all(error <= tolerance for error in step.accumulated.values()):
            reason = (
                f"{step.label}: errs in the network, though not by itself: it may keep a state, draw random "
                "numbers, or take what this check cannot see. It is not known why."
            )
            return [*steps[:i], replace(step, reason=reason), *steps[i + 1 :]]
    return steps
