"""A matrix gauge, read off what two groups of memories write: T with w = T w' in every datum."""

from __future__ import annotations

import itertools
from fractions import Fraction

from eosc.prove.formula import TIME, ZERO, Argument, Definition, Formula, add, mul, number, reads
from eosc.prove.search.differences import written_out
from eosc.prove.search.multipliers import Expansion, Term, TooLong, collected
from eosc.prove.search.rational import divided
from eosc.prove.search.relations import Claim, without
from eosc.prove.search.structure import Definitions, frozen, reading, substituted

_LARGEST = 4


def matrix_gauge(
    ours: tuple[Definition, ...], theirs: tuple[Definition, ...], definitions: Definitions
) -> tuple[Claim, ...]:
    """Our memories as T times theirs, T from what they write; nothing where that gives none."""
    if not ours or not 2 <= len(theirs) <= _LARGEST:
        return ()
    first = ours[0]
    alike = all(each.sorts == first.sorts for each in (*ours, *theirs))
    if not alike or any(frozen(each.start) != frozen(first.start) for each in (*ours, *theirs)):
        return ()
    data: list[object] = []
    group = tuple(each.name for each in (*ours, *theirs))
    try:
        left = [_forms(each, first, group, definitions, data) for each in ours]
        right = [_forms(each, first, group, definitions, data) for each in theirs]
        if len(data) < len(theirs) or len(data) > 2 * _LARGEST:
            return ()
        matrix = _solved(left, right, data)
    except TooLong:
        return ()
    if matrix is None:
        return ()
    values = [_moved(reading(each), each, first) for each in theirs]
    claims = []
    for memory, row in zip(ours, matrix, strict=True):
        closed = add(*(mul(entry, value) for entry, value in zip(row, values, strict=True)))
        claims.append(Claim(memory.name, _moved(closed, first, memory), "a matrix of gauges"))
    return tuple(claims)


def _moved(formula: Formula, memory: Definition, first: Definition) -> Formula:
    """A formula over one memory's parameters, over another's."""
    names: dict[str, Argument] = {
        own: ({put: 1} if sort == TIME else put)
        for own, put, sort in zip(memory.parameters, first.parameters, first.sorts, strict=True)
        if own != put
    }
    return substituted(formula, names)


def _forms(
    memory: Definition,
    first: Definition,
    group: tuple[str, ...],
    definitions: Definitions,
    data: list[object],
) -> dict[int, Formula]:
    """What the memory writes, as coefficients of data: products of what varies in time."""
    body = written_out(memory.body, definitions, {})
    for name in group:
        body = without(body, name)
    found: dict[int, Formula] = {}
    terms = Expansion(set(first.parameters), whole=False).terms(_moved(body, memory, first))
    for term in collected(terms):
        datum, coefficient = _split(term, definitions)
        if datum not in data:
            data.append(datum)
        place = data.index(datum)
        found[place] = add(found[place], coefficient) if place in found else coefficient
    return found


def _split(term: Term, definitions: Definitions) -> tuple[object, Formula]:
    """A term as its datum and the coefficient of that."""
    inside: list[Formula] = []
    outside: list[Formula] = []
    for each in term.factors:
        varies = each[0] != "call" or each[1] not in ("cos", "sin", "exp")
        timed = any(isinstance(x, dict) for read in reads(each) for x in read[2:])
        (inside if varies and timed else outside).append(each)
    if term.binders:
        raise TooLong
    key = tuple(sorted(repr(frozen(each)) for each in inside))
    return key, mul(number(Fraction(term.scale)), *outside)


def _solved(
    left: list[dict[int, Formula]], right: list[dict[int, Formula]], data: list[object]
) -> list[list[Formula]] | None:
    """T with `left = T right`, by a square part of the right that has an inverse."""
    for columns in itertools.combinations(range(len(data)), len(right)):
        ours, theirs = (
            [[row.get(place, ZERO) for place in columns] for row in rows] for rows in (left, right)
        )
        found = divided(ours, theirs)
        if found is not None:
            return found
    return None
