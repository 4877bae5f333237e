"""That a sum over the past is one on a circle of L steps, if L is long enough.

    y[i] = sum_j x[j] k[i - j]        x: S steps, then 0        k: n lags, then 0

What spectra give is a sum on a circle: x[j] meets k[i - j] where j <= i, and k[i - j + L] beyond.
With L >= S and L >= T + n - 1 nothing of what wraps around is left at the last T steps, nor in the
gradients of x and of k by a gradient dy of these, 0 before and behind them. That a product of
spectra is a sum on a circle is what a Fourier transform is, and is not stated.
"""

from __future__ import annotations

from typing import Any

from eosc.prove import formula
from eosc.prove.formula import (
    TIME,
    ZERO,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    Time,
    shifted,
)

Step = dict[str, Any]

_STEPS, _LAGS, _LAST, _LENGTH = ({name: 1} for name in ("S", "n", "T", "L"))
_FIRST = {"S": 1, "T": -1}
"""The first of the last T steps."""


def prove_circle() -> tuple[Problem, list[Step]]:
    """The statements about a sum over the past and its two gradients, and proofs to check."""
    definitions = tuple(
        Definition(name, ("t",), (TIME,), ZERO, start=end, base=ZERO)
        for name, end in (("x", _STEPS), ("k", _LAGS))
    )
    goals = (_sum(), _signal(), _kernel())
    facts: tuple[tuple[Time, Time], ...] = (
        ({}, _LAST),
        (_LAST, _STEPS),
        ({"": 1}, _LAGS),
        (_STEPS, _LENGTH),
        ({"T": 1, "n": 1, "": -1}, _LENGTH),
    )
    dy = Symbol("dy", (TIME,))
    steps: list[Step] = []
    for each in definitions:
        claim = {"definition": each.name, "closed": ZERO}
        steps.append({"rule": "induction", "claims": [claim]})
    steps += [{"rule": "equal", "goal": each.name} for each in goals]
    return Problem((), (dy,), definitions, goals, facts), steps


def _sum() -> Equation:
    """y[i], for i among the last T steps; beyond the signal and beyond its end."""
    i, end = {"i": 1}, shifted(_STEPS, -1)
    signal, lag = formula.at("x", {"j": 1}), {"i": 1, "j": -1}
    plain = formula.over("j", {"": -1}, i, formula.mul(signal, formula.at("k", lag)))
    wrapped = formula.mul(signal, formula.at("k", {**lag, "L": 1}))
    around = (
        formula.over("j", i, end, wrapped),
        formula.over("j", end, shifted(_LENGTH, -1), wrapped),
    )
    facts = ((_FIRST, i), (i, end))
    return Equation("sum", (("i", TIME),), formula.add(plain, *around), plain, facts)


def _signal() -> Equation:
    """The gradient of x[j], for j among the last T steps: those before it meet nothing around."""
    j = {"j": 1}
    wrapped = formula.at("k", {"i": 1, "j": -1, "L": 1})
    facts = ((_FIRST, j), (j, shifted(_STEPS, -1)))
    return Equation("gradient of the signal", (("j", TIME),), _around(j, wrapped), ZERO, facts)


def _kernel() -> Equation:
    """The gradient of k[m]."""
    m = {"m": 1}
    wrapped = formula.at("x", {"i": 1, "m": -1, "L": 1})
    facts = ((_FIRST, m), (m, shifted(_LAGS, -1)))
    return Equation("gradient of the kernel", (("m", TIME),), _around(m, wrapped), ZERO, facts)


def _around(end: Time, wrapped: Formula) -> Formula:
    """What dy[i] meets around the circle, for i from the first of the last T steps to an end."""
    body = formula.mul(formula.at("dy", {"i": 1}), wrapped)
    return formula.over("i", shifted(_FIRST, -1), shifted(end, -1), body)
