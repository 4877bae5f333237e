"""A memory that is constant in time as a recurrence, for the proof that its program is its spec.

m[t] = oscillation(m[t-1]) + expand * input[t]        result[t] = sum_key shrink * m[t]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.around import Around
from eosc.prove.formula import TIME, Definition, Formula, Time, shifted
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Environment, Names, Place, suffix
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import Slot
from eosc.prove.statements.terms import evaluate, over_axes
from eosc.schedule.program import InvariantStep
from eosc.semantics.model import Declaration

AT_A_TOKEN: tuple[Time, Time] = ({"": 1}, {"t": 1})
"""What is read at tokens only."""


@dataclass(frozen=True, slots=True)
class Steady:
    """The definitions that stand for one step of a program."""

    step: InvariantStep
    around: Around

    @property
    def side(self) -> Side:
        """The spec's names."""
        return self.around.side

    @property
    def memory(self) -> Declaration:
        """The memory, as it is declared."""
        return self.side.by_name[self.step.memory]

    def define(self, draft: Draft) -> None:
        """Enter the memory, for each choice of digits, and what is read of it."""
        axes = self.memory.type.axes
        for slot in self.side.slots(axes):
            draft.define(
                Definition(
                    f"scan.{self.step.memory}{slot.digits}",
                    ("t", *slot.parameters),
                    (TIME, *slot.sorts),
                    self._body(_at(slot)),
                    complex=self.memory.type.complex,
                    start={},
                    base=self.side.start_of(self.memory, slot.places),
                )
            )
        self.around.results[self.step.memory] = axes
        if self.step.result == self.step.memory:
            return
        kept = tuple(axis for axis in axes if axis != self.step.key)
        for slot in self.side.slots(kept):
            draft.define(
                Definition(
                    f"scan.{self.step.result}{slot.digits}",
                    ("t", *slot.parameters),
                    (TIME, *slot.sorts),
                    self._read(_at(slot)),
                    complex=self._turns(),
                    facts=(AT_A_TOKEN,),
                )
            )
        self.around.results[self.step.result] = kept

    def claims(self) -> Iterator[dict[str, Any]]:
        """That the spec's memory is this one."""
        for slot in self.side.slots(self.memory.type.axes):
            closed = self._memory({"t": 1}, slot.places)
            yield {"definition": f"spec.{self.step.memory}{slot.digits}", "closed": closed}

    def _memory(self, time: Time, places: Mapping[str, Place]) -> Formula:
        ordered = tuple(places[axis] for axis in self.memory.type.axes)
        indices = [place.index for place in ordered if place.index is not None]
        return formula.at(f"scan.{self.step.memory}{suffix(ordered)}", time, *indices)

    def _body(self, env: Environment) -> Formula:
        """The memory of a token by the one before."""
        step, around, last = self.step, self.around, shifted({"t": 1}, -1)
        written = evaluate(step.input, env, around)
        if step.expand is not None:
            written = formula.mul(evaluate(step.expand, env, around), written)
        if step.matrix is None:
            factors = (evaluate(each, env, around) for each in step.factors)
            return formula.add(formula.mul(*factors, self._memory(last, env.places)), written)
        matrix, primed = step.matrix, f"{step.key}'"

        def mixed(inner: Environment) -> Formula:
            there = {**inner.places, step.key: inner.places[primed]}
            return formula.mul(evaluate(matrix, inner, around), self._memory(last, there))

        return formula.add(over_axes((primed,), env, around, mixed), written)

    def _read(self, env: Environment) -> Formula:
        """What is read of the memory at a token."""
        step = self.step
        time = {"t": 1} if step.inclusive else shifted({"t": 1}, -1)

        def term(inner: Environment) -> Formula:
            found = self._memory(time, inner.places)
            if step.shrink is None:
                return found
            return formula.mul(evaluate(step.shrink, inner, self.around), found)

        whole = over_axes((step.key,), env, self.around, term)
        return ("real", whole) if step.real else whole

    def _turns(self) -> bool:
        """Whether what is read may be complex."""
        shrink = self.step.shrink
        turns = self.memory.type.complex or (shrink is not None and shrink.type.complex)
        return turns and not self.step.real


def _at(slot: Slot) -> Environment:
    """At a token, at the places of a definition."""
    names = Names()
    for each in slot.parameters:
        names.fresh(each)
    return Environment(names, {"t": 1}, slot.places)
