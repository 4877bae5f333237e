"""Closed forms of the recurrences that statements about scans are made of, by their family.

Nothing here is trusted: the kernel checks each by induction before it uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.decaying import Decaying
from eosc.prove.algorithms.elements import Elements
from eosc.prove.algorithms.recurrence import HIGH, LOW, Recurrence
from eosc.prove.formula import ONE, ZERO, Definition, Formula, shifted


def closed_form(recurrence: Recurrence, definition: Definition) -> Formula | None:
    """The closed form of a recurrence; None where the proof needs none."""
    known = _FORMS.get(type(recurrence))
    return None if known is None else known(recurrence, definition)


def _decaying(recurrence: Decaying, definition: Definition) -> Formula | None:
    """Sums over what was written, each with what is left of it."""
    t = {"t": 1}
    match definition.name:
        case "m" | "m.zero":
            base = ZERO if definition.name == "m.zero" else formula.at("before", "a", "b")
            return _memory(recurrence, base)
        case "l" | "l.zero":
            base = ZERO if definition.name == "l.zero" else formula.at("after", "a", "b")
            return _adjoint(recurrence, base)
    if not definition.name.startswith("p."):
        return None
    part = definition.name.split(".")[1]
    letters = definition.parameters[1:]
    one = definition.name.endswith(".one")
    base = ONE if one else formula.at(f"p.{part}.before", *letters)
    return formula.mul(recurrence.over(part, LOW, t), base)


def _memory(recurrence: Decaying, base: Formula) -> Formula:
    """What is left of the first memory, and of each write."""
    t, w = {"t": 1}, {"w": 1}
    kept = formula.mul(recurrence.whole(w, t), recurrence.write(w))
    first = formula.mul(recurrence.whole(LOW, t), base)
    return formula.add(first, formula.over("w", LOW, t, kept))


def _adjoint(recurrence: Decaying, base: Formula) -> Formula:
    """What the last adjoint gives, and each later output."""
    t, w = {"t": 1}, {"w": 1}
    read = w if recurrence.scan.inclusive else shifted(w, -1)
    given = formula.mul(recurrence.whole(t, read), recurrence.read_back(w))
    last = formula.mul(recurrence.whole(t, HIGH), base)
    return formula.add(last, formula.over("w", t, HIGH, given))


def _elements(recurrence: Elements, definition: Definition) -> Formula | None:
    """Of a stretch alone, by the same from any memory; a walk is what it starts from."""
    t = {"t": 1}
    match definition.name:
        case "m.zero":
            first = formula.mul(recurrence.whole(LOW, t), recurrence.given("before"))
            return formula.minus(formula.at("m", t, *recurrence.indices), first)
        case "l.zero":
            last = formula.mul(recurrence.whole(t, HIGH), recurrence.given("after"))
            return formula.minus(formula.at("l", t, *recurrence.indices), last)
        case "p.g.one":
            return recurrence.over("g", LOW, t)
    if definition.name.startswith("walk.") and definition.base is not None:
        match definition.base:
            case ("at", str(name), dict(), *indices):
                return formula.at(name, t, *indices)
    return None


_FORMS: dict[type, Callable[[Any, Definition], Formula | None]] = {
    Decaying: _decaying,
    Elements: _elements,
}
