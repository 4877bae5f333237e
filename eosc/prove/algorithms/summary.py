"""The summary of a segment, and how those of neighbours combine.

A segment (B, E] is summed up by its decay P and by what it adds to the state, z: the state after
it is P m[B] + z. Two neighbours (P, z) and (P', z') make (P' P, P' z + z'). That this is the
summary of both together is what a scan over segments, on one device or on many, relies on; that it
is associative is what lets the scan combine them in any order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.scan import Scan
from eosc.prove import formula
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.recurrence import HIGH, LOW, MIDDLE, Recurrence
from eosc.prove.formula import ONE, ZERO, Definition, Equation, Formula, Problem, Symbol


def prove_summary(scan: Scan | ElementScan) -> tuple[Problem, list[dict[str, Any]]]:
    """The statements that summaries combine and that their combination is associative, proved."""
    whole = recurrence_of(scan, opaque=True, initial=ZERO)
    late = recurrence_of(scan, opaque=True, initial=ZERO, low=MIDDLE)
    second = _from_middle(late.definitions["m"])
    goals = [_joined(whole)]
    goals += [_decays(whole, name) for name in whole.logs]
    factors = [Symbol(f"{name}{n}", scan.axes) for n in (1, 2, 3) for name in ("P", "z")]
    goals += _associative(whole)
    problem = Problem(
        tuple(dict.fromkeys(scan.axes)),
        (*whole.symbols.values(), *factors),
        (*whole.definitions.values(), second),
        tuple(goals),
        facts=(({}, LOW), (LOW, MIDDLE), (MIDDLE, HIGH)),
    )
    return problem, [*_steps(whole, problem)]


def _from_middle(memory: Definition) -> Definition:
    """The memory of the second segment alone."""
    body = _renamed(memory.body)
    return replace(memory, name="late", body=body)


def _renamed(value: Formula) -> Formula:
    if value[:2] == ("at", "m"):
        return ("at", "late", *value[2:])
    return tuple(_renamed(each) if isinstance(each, tuple) else each for each in value)


def _joined(whole: Recurrence) -> Equation:
    """What both segments add: the second's decay times what the first adds, and its own."""
    first = formula.mul(whole.whole(MIDDLE, HIGH), formula.at("m", MIDDLE, *whole.indices))
    both = formula.add(first, formula.at("late", HIGH, *whole.indices))
    return Equation("joined", _places(whole), both, formula.at("m", HIGH, *whole.indices))


def _places(whole: Recurrence) -> tuple[tuple[str, str], ...]:
    """The memory's indices, with their axes."""
    return tuple(zip(whole.indices, whole.scan.axes, strict=True))


def _decays(whole: Recurrence, name: str) -> Equation:
    """The decay of both segments is the product of theirs, for one part of the log."""
    parts = formula.mul(whole.over(name, MIDDLE, HIGH), whole.over(name, LOW, MIDDLE))
    parameters = tuple((whole.letter(axis), axis) for axis in whole.log_axes(name))
    return Equation(f"decay {name}", parameters, parts, whole.over(name, LOW, HIGH))


Summary = tuple[Formula, Formula]


def _associative(whole: Recurrence) -> list[Equation]:
    """Three neighbours in either order, and that the summary of nothing changes nothing."""

    def summary(n: int) -> Summary:
        return formula.at(f"P{n}", *whole.indices), formula.at(f"z{n}", *whole.indices)

    def merged(first: Summary, second: Summary) -> Summary:
        decay, added = second
        return formula.mul(decay, first[0]), formula.add(formula.mul(decay, first[1]), added)

    one, two, three = (summary(n) for n in (1, 2, 3))
    left, right = merged(merged(one, two), three), merged(one, merged(two, three))
    empty = merged((ONE, ZERO), one), merged(one, (ONE, ZERO))
    named = (
        ("associative", left, right),
        ("empty first", empty[0], one),
        ("empty last", empty[1], one),
    )
    return [
        Equation(f"{name}, {part}", _places(whole), a[n], b[n])
        for name, a, b in named
        for n, part in enumerate(("decay", "added"))
    ]


def _steps(whole: Recurrence, problem: Problem) -> list[dict[str, Any]]:
    """The second memory is what the whole one adds to its decayed middle; the rest is equality."""
    t = {"t": 1}
    middle = formula.mul(whole.whole(MIDDLE, t), formula.at("m", MIDDLE, *whole.indices))
    closed = formula.minus(formula.at("m", t, *whole.indices), middle)
    claim = {"rule": "induction", "claims": [{"definition": "late", "closed": closed}]}
    return [claim, *({"rule": "equal", "goal": each.name} for each in problem.goals)]
