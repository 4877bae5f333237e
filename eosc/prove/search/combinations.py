"""Memories that are a constant combination of others, now or some tokens back, found by sampling.

It finds duplicated and summed memories, a complex memory made of two real ones and back, and what a
shift register or a filter of roots of unity holds of a delayed operand.
"""

from __future__ import annotations

import cmath
from fractions import Fraction

from eosc.prove.formula import IMAGINARY, TIME, Definition, Formula, add, mul, number, shifted
from eosc.prove.search.relations import Claim, onto
from eosc.prove.search.sampling import NEAR, Costly, Point
from eosc.prove.search.structure import reading, substituted

_MOST = 16
_DENOMINATOR = 48


def combination(
    memory: Definition, others: tuple[Definition, ...], points: tuple[Point, ...]
) -> Claim | None:
    """The memory as a sum of rational (complex) multiples of the others; None where it is none."""
    basis = _basis(memory, others)
    if not basis or len(basis) > _MOST:
        return None
    try:
        rows = _rows(memory, basis, points)
    except (Costly, ArithmeticError):
        return None
    found = _solved(rows, len(basis))
    if found is None or not any(found):
        return None
    terms = []
    for value, formula in zip(found, basis, strict=True):
        coefficient = _exact(value)
        if coefficient is None:
            return None
        terms.append(mul(coefficient, formula))
    return Claim(memory.name, add(*terms), "a combination of memories")


def _basis(memory: Definition, others: tuple[Definition, ...]) -> list[Formula]:
    """What the combination is sought over: memories, their conjugates, their recent past."""
    assert memory.start is not None
    found: list[Formula] = []
    for other in others:
        back = _reach(memory, other)
        if back is None:
            continue
        names = next(onto(memory, other, same_start=False), None)
        if names is None:
            continue
        time = memory.parameters[memory.along]
        for count in range(back + 1):
            value = substituted(reading(other), names)
            value = substituted(value, {time: shifted({time: 1}, -count)}) if count else value
            found.append(value)
            if other.complex:
                found.append(("conjugate", value))
    return found


def _reach(memory: Definition, other: Definition) -> int | None:
    """How many tokens before the memory's start the other one is defined from."""
    if memory.start is None or other.start is None or memory.step != 1 or other.step != 1:
        return None
    if any(name for name in (*memory.start, *other.start)):
        return None
    back = memory.start.get("", 0) - other.start.get("", 0)
    return back if 0 <= back < _MOST else None


def _rows(
    memory: Definition, basis: list[Formula], points: tuple[Point, ...]
) -> list[list[complex]]:
    """One equation for each place and sampled time: values of the basis, then of the memory."""
    assert memory.start is not None
    parameters = tuple(zip(memory.parameters, memory.sorts, strict=True))
    time = memory.parameters[memory.along]
    others = {name: 0 for name, sort in parameters if sort == TIME and name != time}
    rows: list[list[complex]] = []
    for point in points:
        start = point.moment(memory.start, others)
        for span in range(1, 7):
            times = {**others, time: start + span}
            columns = [point.over(each, parameters, times) for each in basis]
            values = point.over(reading(memory), parameters, times)
            rows += [list(row) for row in zip(*columns, values, strict=True)]
            if len(rows) >= 4 * (len(basis) + 2):
                break
    return rows


def _solved(rows: list[list[complex]], count: int) -> list[complex] | None:
    """A solution of overdetermined equations, as few values as serve; None where there is none."""
    rows = [list(row) for row in rows]
    pivots: list[int] = []
    for column in range(count):
        top = len(pivots)
        pivot = max(range(top, len(rows)), key=lambda x: abs(rows[x][column]), default=None)
        if pivot is None or abs(rows[pivot][column]) < 1e-6:
            continue
        rows[top], rows[pivot] = rows[pivot], rows[top]
        head = rows[top][column]
        rows[top] = [each / head for each in rows[top]]
        for other, row in enumerate(rows):
            if other != top and row[column]:
                factor = row[column]
                rows[other] = [x - factor * y for x, y in zip(row, rows[top], strict=True)]
        pivots.append(column)
    if any(abs(row[count]) > 10 * NEAR for row in rows[len(pivots) :]):
        return None
    found: list[complex] = [0.0] * count
    for row, column in zip(rows, pivots, strict=False):
        found[column] = row[count]
    return found


def _exact(value: complex) -> Formula | None:
    """A rational or a complex rational near the value."""
    if not cmath.isfinite(value):
        return None
    parts = [
        Fraction(part).limit_denominator(_DENOMINATOR)
        for part in (complex(value).real, complex(value).imag)
    ]
    if abs(complex(float(parts[0]), float(parts[1])) - value) > 1e-5:
        return None
    return add(number(parts[0]), mul(number(parts[1]), IMAGINARY))
