"""Judge: each call of a network by itself, on exactly moved inputs.

Going through the calls in order, the judge follows the law by which each array moves. A layer of a
network may give an array that obeys none, as long as a later one mends it: a map whose axes are
joined and parted again, or the planar convolutions of a picture and its turned copies. Such an
array moves as computed, and if it reaches the network's output the call that it came from is to blame.
"""

from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from groupy.gconv.equivariance.causes import Evidence, explain, flattening
from groupy.gconv.equivariance.laws import INVARIANT, Law, laws_for
from groupy.gconv.equivariance.report import StepReport


@dataclass(frozen=True)
class _State:
    """How an array moves: by a law, or if it obeys none, as `moved` was computed, by words.

    origin: the index of the call after which the array obeys no law
    """

    law: Optional[Law]
    moved: dict = field(default_factory=dict)
    origin: Optional[int] = None


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
            self.states, self.lawless = {0: _State(input_law)}, {}
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
            _error(moved.array, self._moved(value, word), value.array)
            for value, moved in zip(here.outputs, there.outputs)
            if self._covers(value, self.elements[word])
        ]
        return {word: max(errors)} if errors else {}

    def _judge(self, i, call):
        words = [word for word, h in self.elements.items() if all(self._covers(v, h) for v in call.inputs)]
        got = {word: self._run_again(i, call.inputs, word) for word in words}
        own: dict = {}
        reason = None
        for j, value in enumerate(call.outputs):
            outputs = {word: None if arrays is None else arrays[j] for word, arrays in got.items()}
            law, errors = self._choose_law(i, call, value, outputs)
            state = _State(law)
            holds = len(errors) == len(words) and self._hold(errors)
            if not holds or (self._takes_lawless(call) and self._shows_nothing(law, value.array)):
                if self._may_be_lawless(i, call, value):
                    state, errors = self._without_law(i, call, outputs), {}
                else:
                    reason = reason or self.blamed.get(i) or explain(self._evidence(call, value, law, outputs))
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

    def _covers(self, value, h):
        state = self.states[value.serial]
        return state.law.covers(h) if state.law else h.word in state.moved

    def _moved(self, value, word):
        state = self.states[value.serial]
        return state.law.move(value.array, self.elements[word]) if state.law else state.moved[word]

    def _run_again(self, i, inputs, word):
        moved = [self._moved(value, word) for value in inputs]
        if any(array is None for array in moved):
            return None
        run = self.runs[word][i] if word in self.runs else self.calls[i].run
        try:
            return run(moved)
        except self.refusals:
            return None

    def _choose_law(self, i, call, value, got):
        """The first law that holds for all elements, else for those it covers, else the likeliest; and its errors."""
        # What comes out of a flattening is meant to be features that stay as they are.
        is_flattened = i in self.blamed and value.array.ndim == 2
        like = INVARIANT if is_flattened else self.states[call.inputs[0].serial].law
        tried = [(law, self._errors(law, value, got)) for law in laws_for(value.array.shape, like)]
        holding = [(law, errors) for law, errors in tried if errors and self._hold(errors)]
        return max(holding, key=lambda pair: len(pair[1]), default=tried[0])

    def _errors(self, law, value, got):
        covered = {word: h for word, h in self.elements.items() if word in got and law.covers(h)}
        return {word: _error(got[word], law.move(value.array, h), value.array) for word, h in covered.items()}

    def _hold(self, errors):
        return all(error <= self.tolerance for error in errors.values())

    def _may_be_lawless(self, i, call, value):
        """Whether a later call may mend it: what was lawless before, changed places, indices, plain filters."""
        if self.blamed.get(i) is not None:
            return False
        may_begin = call.facts.rearranges or call.is_plain or value.array.dtype.kind not in "fc"
        return (may_begin and i not in self.blamed) or self._takes_lawless(call)

    def _takes_lawless(self, call):
        return any(self.states[value.serial].law is None for value in call.inputs)

    def _shows_nothing(self, law, array):
        """Whether the array obeys the law only by being the same at all pixels, or for all pictures: zeros, say."""
        if array.ndim == 0 or (len(array) == 1 and (not law.pixels or array.shape[-2:] == (1, 1))):
            return False
        covered = [h for h in self.elements.values() if law.covers(h)]
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
        breaks = ((i, self.calls[i].window_break()) for i in chain)
        flattens = (origin, flattening(call.label, call.input_shape, tuple(call.outputs[0].array.shape)))
        return dict([next((pair for pair in breaks if pair[1]), flattens)])

    def _evidence(self, call, value, law, got):
        covered = [word for word in got if law.covers(self.elements[word])]
        return Evidence(
            call=call,
            group=self.group,
            takes=self.states[call.inputs[0].serial].law,
            gives=law,
            covered=len(covered) == len(got),
            pairs={word: (got[word], law.move(value.array, self.elements[word])) for word in covered},
            allowance=self.tolerance * _scale(value.array),
        )


def _scale(array):
    largest = float(np.abs(array).max()) if array.size else 0.0
    return largest or 1.0


def _error(got, due, output):
    """The largest absolute difference, relative to the output's largest value; infinite if the shapes differ."""
    if got is None or due is None or got.shape != due.shape:
        return float("inf")
    difference = np.abs(np.subtract(got, due, dtype=np.result_type(got, due, np.float64)))
    return float(difference.max()) / _scale(output) if difference.size else 0.0
