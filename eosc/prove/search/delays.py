"""Delayed values: where one definition only pads another further into the past, they are equal."""

from __future__ import annotations

from typing import Any

from eosc.prove.formula import TIME, ZERO, Definition, Equation
from eosc.prove.search.structure import Definitions, frozen, reading


def paddings(definitions: Definitions, used: set[str]) -> tuple[tuple[Equation, Definition], ...]:
    """For each used definition that holds another one's values: that they are equal from there."""
    found = []
    for name, outer in definitions.items():
        if name not in used or outer.start is None or outer.body[0] != "at":
            continue
        inner = definitions.get(outer.body[1])
        if inner is None or inner.start is None or any(key for key in inner.start):
            continue
        if frozen(outer.body) != frozen(_same(inner, outer)) or (outer.step, inner.step) != (1, 1):
            continue
        time = outer.parameters[outer.along]
        parameters = tuple(zip(outer.parameters, outer.sorts, strict=True))
        facts = ((inner.start, {time: 1}),)
        label = f"{outer.name} is {inner.name}"
        found.append((Equation(label, parameters, reading(outer), outer.body, facts), inner))
    return tuple(found)


def _same(inner: Definition, outer: Definition) -> object:
    """The inner definition at the outer one's parameters."""
    arguments = [
        {name: 1} if sort == TIME else name
        for name, sort in zip(outer.parameters, outer.sorts, strict=True)
    ]
    return ("at", inner.name, *arguments)


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
