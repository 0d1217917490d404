"""The report of check_equivariance: errors of every step, the first one that breaks, and why."""

import math
import textwrap
from dataclasses import asdict, dataclass
from typing import Optional

from groupy.gconv.layer_specs import as_group


def label_of(name, kind):
    """How to call a step: its name, and its kind unless that is in the name, as of functions."""
    return name if name.split(" #")[0].split(".")[-1] == kind else f"{name} ({kind})"


@dataclass(frozen=True)
class StepReport:
    """One call of a layer or function.

    input_shapes, output_shapes: of the arrays that depend on the network's input
    law: how the first output moves, as 'planar', 'volume', 'on p4m' or 'invariant'; '' if nothing like that fits
    own: by element, the error of this call alone, on exactly moved inputs
    accumulated: by element, the error of what has arrived here in the network run on the moved input
    reason: why it breaks equivariance; None if it keeps it
    """

    name: str
    kind: str
    input_shapes: list
    output_shapes: list
    law: str
    own: dict
    accumulated: dict
    reason: Optional[str]

    @property
    def label(self):
        """Name and kind."""
        return label_of(self.name, self.kind)

    @property
    def is_equivariant(self):
        """Whether the call keeps equivariance."""
        return self.reason is None


@dataclass(frozen=True)
class EquivarianceReport:
    """What check_equivariance found. It is true if nothing breaks; printed, it is a table and the reasons.

    group: its name, as 'p4m'; elements: those of the stabilizer, as words: e, r, r2, r3, m, mr, ...
    steps: the StepReports, in the order of the calls
    good_sizes: input sizes (H, W) or (D, H, W) at which all strides keep equivariance: the given or the nearest ones
    refused: the elements for which the network cannot take the moved input
    tolerance: relative errors up to here count as rounding
    """

    group: str
    elements: tuple
    input_shape: tuple
    tolerance: float
    steps: list
    good_sizes: tuple
    refused: tuple = ()

    @property
    def breaks(self):
        """The steps that break equivariance, in order."""
        return [step for step in self.steps if not step.is_equivariant]

    @property
    def first_break(self):
        """The first step that breaks equivariance, or None."""
        return next(iter(self.breaks), None)

    @property
    def is_equivariant(self):
        """Whether every step keeps equivariance, and the network takes the input however it is moved."""
        return not self.breaks and not self.refused

    def __bool__(self):
        return self.is_equivariant

    def to_dict(self):
        """The report for JSON; an error is None where shapes do not agree."""

        def finite(errors):
            return {word: error if math.isfinite(error) else None for word, error in errors.items()}

        steps = [
            {**asdict(step), "own": finite(step.own), "accumulated": finite(step.accumulated)} for step in self.steps
        ]
        first = self.first_break
        return {
            **asdict(self),
            "is_equivariant": self.is_equivariant,
            "first_break": first and first.name,
            "steps": steps,
        }

    def __str__(self):
        return "\n".join([self._verdict(), "", *self._table(), *self._reasons(), "", self._sizes()])

    def _verdict(self):
        about = f"under {self.group}, for x of shape {self.input_shape}"
        if self.first_break is not None:
            return f"Not equivariant {about}: {self.first_break.label} breaks it first."
        if self.refused:
            return f"Not equivariant {about}: the model cannot take x moved by {', '.join(self.refused)}."
        return f"Equivariant {about}."

    def _table(self):
        header = ("step", "kind", "output", "moves as", "own error", "so far", "")
        rows = [header] + [
            (
                step.name,
                step.kind,
                " ".join(map(str, step.output_shapes)),
                step.law or "-",
                self._largest(step.own),
                self._largest(step.accumulated),
                "" if step.is_equivariant else "breaks",
            )
            for step in self.steps
        ]
        widths = [max(map(len, column)) for column in zip(*rows)]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]

    def _reasons(self):
        for step in self.breaks:
            yield from ("", *textwrap.wrap(step.reason, 110), *self._by_element(step.own))

    def _sizes(self):
        if not self.good_sizes:
            given = _by(self.input_shape[-as_group(self.group).stabilizer.ndim :])
            return f"Sizes: none near {given} that the model takes lets every stride keep equivariance."
        return f"Sizes: every stride keeps equivariance at {', '.join(map(_by, self.good_sizes))}."

    def _largest(self, errors):
        return self._number(max(errors.values())) if errors else "-"

    def _by_element(self, errors):
        # Lines are not to break between a word and its number.
        text = "own error " + ", ".join(f"{word}:\xa0{self._number(error)}" for word, error in errors.items())
        lines = textwrap.wrap(text, 110, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
        return [line.replace("\xa0", " ") for line in lines]

    def _number(self, error):
        return f"<{self.tolerance:.0e}" if error <= self.tolerance else f"{error:.2g}"


def _by(size):
    return " x ".join(map(str, size))
