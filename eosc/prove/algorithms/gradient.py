"""The statement that what an algorithm stores is the gradient of its outputs and final state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from eosc.ir.nodes import Per
from eosc.prove import formula
from eosc.prove.algorithms.recurrence import HIGH, LOW, Recurrence, array_meaning
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import ZERO, Equation, Formula, Time

TOKEN = {"t": 1}


@dataclass(frozen=True, slots=True)
class Gradient:
    """What one chunk, or one token, stores for the trainable operands of a scan.

    stored: per operand, its gradient at a token; of one without time, what the chunk adds to it.
    token: whether the kernels walk one token at a time. cut: whether it is stated for arbitrary
    gradients of the prologues (the symbols `bar`), which were stated to be those of the recurrence.
    """

    recurrence: Recurrence
    stored: Mapping[str, Formula]
    token: bool
    cut: bool

    def goals(self) -> Iterator[Equation]:
        """<dy, y'> + <after, m'[E]> = <gradients, tangents> + <l[B], before'>.

        Raises:
            Unreadable: a gradient is missing.
        """
        recurrence = self.recurrence
        indices = recurrence.indices
        upstream = formula.mul(recurrence.upstream(TOKEN), recurrence.output_tangent(TOKEN))
        after = self.matched(formula.at("after", *indices), formula.at("m'", HIGH, *indices))
        before = self.matched(formula.at("l", LOW, *indices), formula.at("before'", *indices))
        outputs = recurrence.contracted(upstream, recurrence.scan.reads)
        given = formula.add(_over_tokens(outputs), after)
        if self.cut:
            adjoint = self.inner(lambda name: recurrence.gradient(name, TOKEN), recurrence.tangent)
            yield Equation("gradient", (), given, formula.add(_over_tokens(adjoint), before))
            bars = self.inner(self.bar, recurrence.raw_tangent)
            yield Equation("operands", (), _over_tokens(bars), self.stored_gradients())
            return
        yield Equation("gradient", (), given, formula.add(self.stored_gradients(), before))

    def matched(self, left: Formula, right: Formula) -> Formula:
        """The inner product of two values over the memory's axes."""
        return self.recurrence.contracted(formula.mul(left, right), self.recurrence.scan.axes)

    def bar(self, name: str) -> Formula:
        """The gradient of a prologue: an arbitrary symbol where a let was shown to hold it."""
        if f"bar.{name}" not in self.recurrence.symbols:
            if self.recurrence.raw_tangent(name, TOKEN) == ZERO:
                return ZERO
            return self.recurrence.gradient(name, TOKEN)
        letters = [self.recurrence.letters[axis] for axis in self.recurrence.axes_of(name)]
        return formula.at(f"bar.{name}", TOKEN, *letters)

    def inner(
        self, gradient: Callable[[str], Formula], tangent: Callable[[str, Time], Formula]
    ) -> Formula:
        """The gradients of the prologues times their tangents, at a token."""
        terms = []
        for name, value in self.recurrence.scan.prologues():
            term = formula.mul(gradient(name), tangent(name, TOKEN))
            for axis in value.dims:
                if axis != "i" and term != ZERO:
                    term = formula.contract(self.recurrence.letters[axis], axis, term)
            terms.append(term)
        return formula.total(terms)

    def stored_gradients(self) -> Formula:
        """What an algorithm stores as gradients times the tangents of the operands, in all."""
        at_tokens: list[Formula] = []
        at_chunk: list[Formula] = []
        for each in self.recurrence.scan.operands:
            if each.name not in self.recurrence.scan.trainable:
                continue
            letters = tuple(self.recurrence.letter(axis) for axis in each.axes)
            moving = array_meaning(f"{each.name}'", each.per)(TOKEN, letters)
            timed = each.per is Per.TOKEN
            if each.name not in self.stored:
                raise Unreadable(f"no gradient of {each.name} is stored")
            term = formula.mul(self.stored[each.name], moving)
            for axis, letter in zip(each.axes, letters, strict=True):
                term = term if term == ZERO else formula.contract(letter, axis, term)
            (at_tokens if timed or self.token else at_chunk).append(term)
        return formula.add(_over_tokens(formula.total(at_tokens)), *at_chunk)


def _over_tokens(value: Formula) -> Formula:
    return ZERO if value == ZERO else formula.over("t", LOW, HIGH, value)
