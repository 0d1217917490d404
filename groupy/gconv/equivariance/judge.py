"""Judge: each call of a network by itself, on exactly moved inputs.

Going through the calls in order, the judge follows the law by which each array moves. A layer of a
network may give an array that obeys none, as long as a later one mends it: a map whose axes are
joined and parted again, the planar convolutions of a picture and its turned copies, or on the hexagonal
grid a map that is not zero outside of its hexagon. Such an array moves as computed, and if it reaches the
network's output the call that it came from is to blame.
"""

from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from groupy.gconv.equivariance.causes import Evidence, explain, flattening, hexagonless, lowering
from groupy.gconv.equivariance.laws import INVARIANT, Law, laws_for, points_of
from groupy.gconv.equivariance.report import StepReport


@dataclass(frozen=True)
class _State:
    """How an array moves: by a law, or if it obeys none, as `moved` was computed, by words.

    origin: the index of the call after which the array obeys no law
    """

    law: Optional[Law]
    moved: dict = field(default_factory=dict)
    origin: Optional[int] = None


@dataclass(frozen=True)
class _Trial:
    """A law, tried for what a call gave.

    errors: by the words of those elements that the law covers; inside: the same on the points of the map alone
    """

    law: Law
    errors: dict
    inside: dict


class Judge:
    """Tells which calls of a Trace break equivariance, and why.

    elements: those of the group, by words; refusals: see check
    """

    def __init__(self, trace, group, elements, tolerance, refusals):
        self.calls, self.returned = trace.calls, trace.outputs
        if not self.returned:
            raise ValueError("the model returns no tensor that is computed from x.")
        self.group, self.elements, self.tolerance, self.refusals = group, elements, tolerance, refusals
        self.runs = {}  # by words, for each call how to run it as in the network that was given the moved input
        self.states = {}  # by serial
        self.lawless = {}  # index of an origin -> indices of the calls that gave an array without a law from there
        self.lowered = {}  # index of a call -> by which law its output moves under some elements, but not under all
        self.blamed = {}  # index of a call to blame for such an array -> why, or None if causes are to tell

    def learn(self, word, trace):
        """Note how calls run for the moved input, where sizes in their arguments are turned; False without a trace."""
        if self._is_same_path(trace):
            self.runs[word] = [call.run for call in trace.calls]
        return trace is not None

    def _is_same_path(self, trace):
        # A network may call other functions for another input; then there is nothing to compare call by call.
        return trace is not None and [call.label for call in trace.calls] == [call.label for call in self.calls]

    def steps(self, input_law):
        """The StepReports of all calls, without accumulated errors."""
        while True:
            self.states, self.lawless, self.lowered = {0: _State(input_law)}, {}, {}
            reports = [self._judge(i, call) for i, call in enumerate(self.calls)]
            returned = [self.states[serial] for serial in self.returned]
            origins = {state.origin for state in returned if state.law is None}
            if not origins:
                return reports
            # Once more, with a law for what these calls give, so that later ones are tried by themselves.
            for origin in origins:
                self.blamed.update(self._blame(origin))

    def accumulated(self, word, trace):
        """For each call, the error of its outputs in the network run on the moved input: {word: error}, or {}."""
        if not self._is_same_path(trace):
            return [{} for _ in self.calls]
        return [self._accumulated(word, here, there) for here, there in zip(self.calls, trace.calls)]

    def _accumulated(self, word, here, there):
        errors = [
            _error(moved.array, self._moved(value, word, self._bounds(self._covered(value))), value.array)
            for value, moved in zip(here.outputs, there.outputs)
            if word in self._covered(value)
        ]
        return {word: max(errors)} if errors else {}

    def _judge(self, i, call):
        known = [self._covered(value) for value in call.inputs]
        words = [word for word in self.elements if all(word in covered for covered in known)]
        bounds = self._bounds(words)
        got = {word: self._run_again(i, call.inputs, word, bounds) for word in words}
        outputs_at_rest = self._at_rest(call, got, bounds)
        own: dict = {}
        reason = None
        for j, value in enumerate(call.outputs):
            outputs = {word: None if arrays is None else arrays[j] for word, arrays in got.items()}
            given = outputs_at_rest[j]
            trial = self._choose_law(i, call, given, outputs)
            law, errors, state = trial.law, trial.errors, _State(trial.law)
            holds = len(errors) == len(words) and self._hold(errors)
            if not holds or (self._takes_lawless(call) and self._shows_nothing(law, given)):
                if self._may_be_lawless(i, call, value, leaves=self._hold(trial.inside) and not self._hold(errors)):
                    if self._hold(errors) and 1 < len(errors) < len(words):
                        self.lowered[i] = law
                    state, errors = self._without_law(i, call, outputs), {}
                else:
                    reason = reason or self.blamed.get(i) or explain(self._evidence(call, given, law, outputs))
            self.states[value.serial] = state
            own = {word: max(error, own.get(word, 0.0)) for word, error in errors.items()}
        law = self.states[call.outputs[0].serial].law
        return StepReport(
            name=call.name,
            kind=call.kind,
            input_shapes=[tuple(value.array.shape) for value in call.inputs],
            output_shapes=[tuple(value.array.shape) for value in call.outputs],
            law=law.name if law else "",
            own=own,
            accumulated={},
            reason=reason,
        )

    def _covered(self, value):
        """The words of the elements that are known to move the array."""
        state = self.states[value.serial]
        if state.law is None:
            return list(state.moved)
        return [word for word, h in self.elements.items() if state.law.covers(h, value.array.shape)]

    def _bounds(self, words):
        """The group whose hexagon bounds maps that these elements move; None if they keep boxes."""
        return None if all(self.elements[word].keeps_boxes for word in words) else self.group

    def _moved(self, value, word, bounds):
        state = self.states[value.serial]
        return state.law.move(value.array, self.elements[word], bounds) if state.law else state.moved[word]

    def _run_again(self, i, inputs, word, bounds):
        moved = [self._moved(value, word, bounds) for value in inputs]
        if any(array is None for array in moved):
            return None
        run = self.runs[word][i] if word in self.runs else self.calls[i].run
        try:
            return run(moved)
        except self.refusals:
            return None

    def _at_rest(self, call, got, bounds):
        """What a call gives for inputs that are not moved: as recorded, if they are zero outside of the hexagon."""
        given = [value.array for value in call.outputs]
        if bounds is None or got["e"] is None:
            return given
        pairs = ((value.array, self._moved(value, "e", bounds)) for value in call.inputs)
        return given if all(np.array_equal(*pair) for pair in pairs) else got["e"]

    def _choose_law(self, i, call, given, got):
        """The Trial of the law that holds for most elements, inside of the hexagon at least, or of the likeliest."""
        # What comes out of a flattening is meant to be features that stay as they are.
        is_flattened = i in self.blamed and given.ndim == 2
        like = INVARIANT if is_flattened else self.states[call.inputs[0].serial].law
        trials = []
        for law in laws_for(given.shape, self.group, like):
            trial = self._try(law, given, got)
            if len(trial.errors) == len(got) and self._hold(trial.errors):
                return trial
            trials.append(trial)
        holding = [trial for trial in trials if trial.inside and self._hold(trial.inside)]
        return max(holding, key=lambda trial: (len(trial.inside), self._hold(trial.errors)), default=trials[0])

    def _try(self, law, given, got):
        words = [word for word in got if law.covers(self.elements[word], given.shape)]
        bounds = self._bounds(words)
        due = {word: law.move(given, self.elements[word], bounds) for word in words}
        errors = {word: _error(got[word], due[word], given) for word in words}
        points = points_of(bounds, law.size(given.shape)) if law.pixels else None
        if points is None:
            return _Trial(law, errors, errors)
        inside = {word: _error(_at(got[word], points), _at(due[word], points), given) for word in words}
        return _Trial(law, errors, inside)

    def _hold(self, errors):
        return all(error <= self.tolerance for error in errors.values())

    def _may_be_lawless(self, i, call, value, leaves):
        """Whether a later call may mend it: what was lawless before, changed places, indices, plain filters.

        leaves: it is only outside of its hexagon that a map is not as it ought to be
        """
        if self.blamed.get(i) is not None:
            return False
        # Statistics of a hexagonal map are those of its hexagon: what a normalization writes outside is a mistake.
        passes = leaves and call.facts.role != "normalization"
        may_begin = call.facts.rearranges or call.is_plain or passes or value.array.dtype.kind not in "fc"
        return (may_begin and i not in self.blamed) or self._takes_lawless(call)

    def _takes_lawless(self, call):
        return any(self.states[value.serial].law is None for value in call.inputs)

    def _shows_nothing(self, law, array):
        """Whether the array obeys the law only by being the same at all pixels, or for all pictures: zeros, say."""
        if array.ndim == 0 or (len(array) == 1 and set(law.size(array.shape)) <= {1}):
            return False
        covered = [h for h in self.elements.values() if law.covers(h, array.shape)]
        is_same = np.array_equal(array, np.broadcast_to(array[:1], array.shape))
        return is_same and all(np.array_equal(law.move(array, h), array) for h in covered)

    def _without_law(self, i, call, outputs):
        origins = (self.states[value.serial].origin for value in call.inputs)
        origin = next((origin for origin in origins if origin is not None), i)
        self.lawless.setdefault(origin, []).append(i)
        return _State(None, outputs, origin)

    def _blame(self, origin):
        """Of the calls that kept an array lawless, those that ought to have given one with a law: {index: reason}."""
        chain, call = self.lawless[origin], self.calls[origin]
        if call.is_plain:
            return {i: None for i in chain if self.calls[i].is_plain}
        found = ((i, self._lowers(i, origin) or self.calls[i].window_break(self.group.stabilizer)) for i in chain)
        is_layout = call.facts.rearranges or call.outputs[0].array.dtype.kind not in "fc"  # else it left the hexagon
        otherwise = flattening(call.label, call.input_shape, call.output_shape) if is_layout else None
        return dict([next((pair for pair in found if pair[1]), (origin, otherwise))])

    def _lowers(self, i, origin):
        """Why the output of a call follows only some of the elements, though it obeys a law; None if that is not so."""
        if i not in self.lowered:
            return None
        call, law = self.calls[i], self.lowered[i]
        if all(map(law.knows, self.elements.values())):
            return hexagonless(call.label, law.size(call.output_shape))
        return lowering(call.label, self.group, self.states[self.calls[origin].inputs[0].serial].law, law)

    def _evidence(self, call, given, law, got):
        words = [word for word in got if law.covers(self.elements[word], given.shape)]
        bounds = self._bounds(words)
        return Evidence(
            call=call,
            group=self.group,
            takes=self.states[call.inputs[0].serial].law,
            gives=law,
            words=tuple(got),
            pairs={word: (got[word], law.move(given, self.elements[word], bounds)) for word in words},
            points=points_of(bounds, law.size(given.shape)) if law.pixels else None,
            allowance=self.tolerance * _scale(given),
        )


def _at(array, points):
    """The values at these points; None for None, and as it is if it has no such points."""
    if array is None or array.shape[array.ndim - points.ndim :] != points.shape:
        return array
    return array[..., points]


def _scale(array):
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0)) or 1.0


def _error(got, due, output):
    """The largest absolute difference, relative to the output's largest value; infinite if the shapes differ."""
    if got is None or due is None or got.shape != due.shape:
        return float("inf")
    got, due = (array.astype(np.result_type(got, due, np.float64)) for array in (got, due))
    unequal = (got != due) & ~(np.isnan(got) & np.isnan(due))  # infinite values are equal, or differ by infinity
    return float(np.abs(got[unequal] - due[unequal]).max(initial=0.0)) / _scale(output)
