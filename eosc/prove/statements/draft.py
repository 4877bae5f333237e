"""A statement under construction: its symbols and definitions, each under one name."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from eosc.algebra.interval import Interval
from eosc.prove import formula
from eosc.prove.formula import (
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    Time,
    reached,
)
from eosc.prove.statements.environment import Layout, Unstated
from eosc.semantics.terms import Term

_STEPS = 50_000  # steps of a translation; a larger statement is refused

HEADS = {
    "index(H)": ("0", None, False, False),
    "size(H)": ("1", None, False, False),
}
"""The head that a mixer runs in, and how many there are: whole numbers, the first the smaller."""


class Draft:
    """What the sides of a claim share while its statement is written."""

    def __init__(self, layouts: Mapping[str, Layout]) -> None:
        self.layouts = dict(layouts)
        self.symbols: dict[str, Symbol] = {
            name: Symbol(name, (), bounds) for name, bounds in HEADS.items()
        }
        self.definitions: dict[str, Definition] = {}
        self.hypotheses: list[Equation] = []
        self._steps = 0

    def spend(self, term: Term) -> None:
        """Count a step of the translation.

        Raises:
            Unstated: it has become too large.
        """
        self._steps += 1
        if self._steps > _STEPS:
            raise Unstated("the statement is too large", term.span)

    def symbol(self, name: str, sorts: tuple[str, ...], bounds: Interval | None = None) -> str:
        """Enter a symbol, or find it as it was entered."""
        entered = Symbol(name, sorts, _ends(bounds))
        if name in self.definitions or self.symbols.setdefault(name, entered) != entered:
            raise Unstated(f"'{name}' would mean two things")
        return name

    def define(self, definition: Definition) -> None:
        """Enter a definition; it may read what was entered before."""
        name = definition.name
        if name in self.symbols or name in self.definitions:
            raise Unstated(f"'{name}' would mean two things")
        self.definitions[name] = definition

    def present(self, time: Time, depth: int) -> Formula:
        """1 from token time 1 on, 0 up to `depth` steps before it."""
        return self.past("1", time, depth, (), (), formula.ONE, formula.ZERO)

    def past(
        self,
        name: str,
        time: Time,
        depth: int,
        parameters: tuple[str, ...],
        sorts: tuple[str, ...],
        body: Formula,
        fill: Formula,
        arguments: tuple[formula.Index, ...] = (),
        complex_: bool = False,
    ) -> Formula:
        """A value at a time that may lie before the first token, where it is the fill.

        A chain of definitions: the n-th holds the value from time 1 on, and the fill at the n
        times before that.

        Args:
            name: what the chain is called after.
            time: where it is read.
            depth: how far before token time 1 that may be.
            parameters: of the value, after `t`.
            sorts: of these.
            body: the value at token time t, from 1 on.
            fill: the value before.
            arguments: the places where it is read.
            complex_: whether it is complex.
        """
        for count in range(1, depth + 1):
            called = f"past{count}({name})"
            if called not in self.definitions:
                self.define(
                    Definition(
                        called,
                        ("t", *parameters),
                        (formula.TIME, *sorts),
                        body,
                        complex=complex_,
                        start=formula.moment(shift=1 - count),
                        base=fill,
                    )
                )
            found = self.definitions[called]
            if found.base != fill or (count == 1 and found.body != body):
                raise Unstated(f"'{called}' would mean two things")
            body = formula.at(called, formula.moment("t"), *parameters)
        return formula.at(f"past{depth}({name})", time, *arguments)

    def problem(
        self,
        goals: Iterable[Equation],
        facts: tuple[tuple[Time, Time], ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Problem:
        """The statement with what its goals and hypotheses reach."""
        goals = tuple(goals)
        needed, kept = self._relevant(goals)
        symbols = tuple(each for name, each in self.symbols.items() if name in needed)
        definitions = tuple(each for name, each in self.definitions.items() if name in needed)
        sorts = dict.fromkeys(layout.sort for layout in self.layouts.values())
        axes = tuple(sort for sort in sorts if sort is not None)
        return Problem(axes, symbols, definitions, goals, facts, kept, notes)

    def _relevant(self, goals: tuple[Equation, ...]) -> tuple[set[str], tuple[Equation, ...]]:
        """What goals read, with the hypotheses about any of it and what these read."""
        kept: list[Equation] = []
        while True:
            needed = self._reached(*goals, *kept)
            more = [
                each
                for each in self.hypotheses
                if each not in kept and self._reached(each) & needed
            ]
            if not more:
                return needed, tuple(each for each in self.hypotheses if each in kept)
            kept += more

    def _reached(self, *equations: Equation) -> set[str]:
        """The symbols and definitions that equations read, directly or not."""
        return reached((side for each in equations for side in each.sides), self.definitions)


def _ends(bounds: Interval | None) -> tuple[str | None, str | None, bool, bool] | None:
    if bounds is None or (math.isinf(bounds.lo) and math.isinf(bounds.hi)):
        return None

    def end(value: Fraction | float) -> str | None:
        return None if math.isinf(value) else str(Fraction(value))

    return end(bounds.lo), end(bounds.hi), bounds.lo_open, bounds.hi_open
