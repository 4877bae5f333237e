"""Delayed values: where one definition only pads another further into the past, they are equal."""

from __future__ import annotations

from typing import Any

from eosc.prove.formula import ONE, ZERO, Definition, Equation, Formula, at, reads
from eosc.prove.search.ratios import quotient
from eosc.prove.search.structure import Definitions, frozen, reading


def paddings(definitions: Definitions, used: set[str]) -> tuple[tuple[Equation, Definition], ...]:
    """For each used definition that holds another one's values: that they are equal from there."""
    found = []
    for name, outer in definitions.items():
        if name not in used or outer.start is None or outer.step != 1:
            continue
        for read in {each[1]: each for each in reads(outer.body)}.values():
            inner = definitions.get(read[1])
            if inner is None or inner.start is None or inner.step != 1 or set(inner.start) - {""}:
                continue
            there = _same(inner, outer)
            if there is None or frozen(read) != frozen(there) or quotient(outer.body, there) != ONE:
                continue
            time = outer.parameters[outer.along]
            parameters = tuple(zip(outer.parameters, outer.sorts, strict=True))
            facts = ((inner.start, {time: 1}),)
            label = f"{outer.name} is {inner.name}"
            found.append((Equation(label, parameters, reading(outer), there, facts), inner))
    return tuple(found)


def _same(inner: Definition, outer: Definition) -> Formula | None:
    """The inner definition at the outer one's parameters."""
    if inner.sorts != outer.sorts or inner.along != outer.along:
        return None
    return at(inner.name, *reading(outer)[2:])


def lemma(equation: Equation, inner: Definition, listed: Any) -> dict[str, Any]:
    """The step that shows it, from where the inner definition starts."""
    time = inner.along
    by = {
        "rule": "ladder",
        "goal": equation.name,
        "parameter": equation.parameters[time][0],
        "from": listed(inner.start),
        "times": listed(ZERO),
    }
    return {
        "rule": "lemma",
        "name": equation.name,
        "parameters": listed(equation.parameters),
        "facts": listed(equation.facts),
        "left": listed(equation.left),
        "right": listed(equation.right),
        "by": [by],
    }
