"""Solutions of linear equations over an axis of any size, as operands of a statement.

    x = solve(matrix, right)

What solves the equations has no formula where their number is any. It is the same where matrix and
right side are the same, so x becomes an arbitrary operand, in the spec and in the program alike,
and that both give it the same matrix and the same right side are goals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from eosc.prove.algorithms.around import with_terms
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import Equation
from eosc.prove.statements.environment import Layout
from eosc.prove.statements.layouts import base, layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.sides import equations, terms_of
from eosc.prove.statements.terms import Scope, evaluate
from eosc.recurrence.building import rebuild, untaken
from eosc.schedule.program import Program
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.terms import NOW, Accumulator, Read, Solve, Term, Variable, walk


@dataclass(frozen=True, slots=True)
class Solution:
    """An operand that stands for a solution: what the spec solves, and what the program does."""

    name: str
    spec: Solve
    planned: Solve

    def goals(self, side: Side, around: Scope) -> Iterator[Equation]:
        """That both solve the same equations, at every token."""
        spec, planned = self.spec, self.planned
        if (spec.rows, spec.columns) != (planned.rows, planned.columns):
            raise Unreadable(f"other equations than the spec's for {self.name}")
        for name, axes, left, right in (
            ("matrix", (spec.rows, spec.columns), spec.matrix, planned.matrix),
            ("right side", (spec.rows,), spec.right, planned.right),
        ):
            yield from equations(
                side,
                axes,
                lambda env, term=left: evaluate(term, env, side),  # type: ignore[misc]
                lambda env, term=right: evaluate(term, env, around),  # type: ignore[misc]
                f"{self.name}, {name}",
            )


def opened(program: Program) -> tuple[Program, tuple[Solution, ...]]:
    """The program with operands in place of what it solves, and these.

    Equations of a known number are left: their solution can be written out.

    Raises:
        Unreadable: the program solves more, or fewer, equations than its spec.
    """
    mixer = program.mixer
    taken = {each.name for each in mixer.declarations}
    known = layouts(mixer.axes, list(terms_of(mixer)))
    spec, planned = _Opening(known, taken), _Opening(known, taken)
    declarations = tuple(
        each if each.value is None else replace(each, value=spec.opened(each.value))
        for each in mixer.declarations
    )
    planned.names = spec.names
    program = with_terms(program, planned.opened)
    if len(spec.found) != len(planned.found):
        raise Unreadable("the program solves other equations than its spec")
    operands = tuple(
        Declaration(name, Kind.OPERAND, each.type)
        for name, each in zip(spec.names, spec.found, strict=True)
    )
    mixer = replace(mixer, declarations=(*operands, *declarations))
    solutions = zip(spec.names, spec.found, planned.found, strict=True)
    return replace(program, mixer=mixer), tuple(Solution(*each) for each in solutions)


class _Opening:
    """Terms with operands in place of solutions, numbered as they are met.

    found: the equations, of which those inside others are open, too. names: of the operands.
    """

    def __init__(self, known: Mapping[str, Layout], taken: set[str]) -> None:
        self.known, self.taken = known, taken
        self.found: list[Solve] = []
        self.names: list[str] = []

    def opened(self, term: Term) -> Term:
        term = rebuild(term, self.opened)
        if not isinstance(term, Solve) or not self._open(term):
            return term
        if term not in self.found:
            self.found.append(term)
        place = self.found.index(term)
        while place >= len(self.names):
            self.names.append(untaken("solution", self.taken))
        return Read(name=self.names[place], at=NOW, type=term.type)

    def _open(self, term: Solve) -> bool:
        """Whether equations are of any number, at one token and for no other axis."""
        alone = term.type.axes == (term.rows,) and not term.type.complex
        square = {*term.matrix.type.axes} == {term.rows, term.columns}
        inside = [each for part in (term.matrix, term.right) for each in walk(part)]
        bound = any(
            isinstance(each, Variable | Accumulator)
            or (isinstance(each, Read) and each.at not in (None, NOW))
            for each in inside
        )
        return alone and square and not bound and self.known[base(term.rows)].sort is not None
