"""Memories that erase before they write, in the WY form: a sum of keys times pseudo-values.

An update `o m[t-1] + sum of e_r (x) R_r`, where some R_r reads the memory, is the closed form
`prod o * base + sum (prod o) e_r (x) w_r` for any w_r that the statement defines and that has R_r's
values: the triangular system that a chunk solves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eosc.prove.formula import (
    ONE,
    TIME,
    ZERO,
    Argument,
    Definition,
    Formula,
    add,
    at,
    contract,
    minus,
    mul,
    over,
    product,
    reads,
)
from eosc.prove.search.multipliers import Expansion, Term, TooLong
from eosc.prove.search.relations import Claim
from eosc.prove.search.sampling import Costly, Point, agree
from eosc.prove.search.structure import (
    Definitions,
    free_names,
    fresh,
    frozen,
    reading,
    substituted,
    unfolded,
)


@dataclass(frozen=True, slots=True)
class Write:
    """One `row (x) column` of an update; reads: whether the column reads the memory."""

    row: Formula
    column: Formula
    reads: bool


@dataclass(frozen=True, slots=True)
class Update:
    """`kept * memory[t-1] + the writes`; index: the parameter that the rows run over."""

    kept: Formula
    index: str
    writes: tuple[Write, ...]


def update(memory: Definition, definitions: Definitions) -> Update | None:
    """The update as what is kept and what is written; None where it has another form."""
    before = reading(memory, 1)
    try:
        body = unfolded(memory.body, definitions)
        terms = Expansion(set(memory.parameters)).terms(body)
    except TooLong:
        return None
    kept: list[Formula] = []
    others: list[Term] = []
    for term in terms:
        whole = [each for each in term.factors if frozen(each) == frozen(before)]
        if whole and not term.binders:
            kept.append(mul(Term(term.scale, (), ()).product, *_but(term.factors, whole[0])))
        else:
            others.append(term)
    index = _erased(memory, others)
    if index is None:
        return None
    rows: dict[object, tuple[Formula, list[Formula], bool]] = {}
    for term in others:
        row = mul(*(each for each in term.factors if index in free_names(each)))
        rest = Term(
            term.scale,
            term.binders,
            tuple(each for each in term.factors if index not in free_names(each)),
        )
        column = rest.formula
        recurs = any(read[1] == memory.name for read in reads(column))
        if any(read[1] == memory.name for read in reads(row)):
            return None
        key = frozen(row)
        _, columns, seen = rows.get(key, (row, [], False))
        rows[key] = (row, [*columns, column], seen or recurs)
    writes = tuple(Write(row, add(*columns), seen) for row, columns, seen in rows.values())
    return Update(add(*kept), index, writes)


def _but(factors: tuple[Formula, ...], one: Formula) -> list[Formula]:
    return [each for each in factors if each is not one]


def _erased(memory: Definition, terms: list[Term]) -> str | None:
    """The parameter along which the memory is read elsewhere than it is written."""
    found: set[str] = set()
    for term in terms:
        for factor in term.factors:
            for read in reads(factor):
                if read[1] == memory.name:
                    moved = [
                        name
                        for argument, name, sort in zip(
                            read[2:], memory.parameters, memory.sorts, strict=True
                        )
                        if sort != TIME and argument != name
                    ]
                    found.update(moved if len(moved) == 1 else ["", "-"])
    return found.pop() if len(found) == 1 else None


def wy_form(
    memory: Definition,
    definitions: Definitions,
    values: tuple[Definition, ...],
    samples: tuple[Point, ...],
) -> Claim | None:
    """The memory as a sum of keys times pseudo-values, which are among the values given."""
    if memory.start is None or memory.base is None or memory.step != 1:
        return None
    found = update(memory, definitions)
    if found is None or not any(each.reads for each in found.writes):
        return None
    written_terms = []
    for write in found.writes:
        column = write.column
        if write.reads:
            named = _named(write.column, memory, found.index, values, samples)
            if named is None:
                return None
            column = named
        written_terms.append(mul(write.row, column))
    time = memory.parameters[memory.along]
    written_sum = add(*written_terms)
    taken = free_names(written_sum) | free_names(found.kept) | set(memory.parameters)
    written = fresh("u", taken)
    passed = fresh("j", taken | {written})
    decay = substituted(found.kept, {time: {passed: 1}})

    def kept_from(low: dict[str, int]) -> Formula:
        return ONE if decay == ONE else product(passed, low, {time: 1}, decay)

    body = mul(kept_from({written: 1}), substituted(written_sum, {time: {written: 1}}))
    closed = over(written, memory.start, {time: 1}, body)
    base = substituted(memory.base, {time: memory.start})
    if base != ZERO:
        closed = add(mul(kept_from(memory.start), base), closed)
    return Claim(memory.name, closed, "keys times pseudo-values")


def _named(
    column: Formula,
    memory: Definition,
    index: str,
    values: tuple[Definition, ...],
    samples: tuple[Point, ...],
) -> Formula | None:
    """A value of the statement that equals the column, which reads the memory."""
    parameters = tuple(
        (name, sort)
        for name, sort in zip(memory.parameters, memory.sorts, strict=True)
        if name != index
    )
    for value in _candidates(parameters, memory, values, samples):
        if _same(column, value, parameters, memory, samples):
            return value
    return None


def _candidates(
    parameters: tuple[tuple[str, str], ...],
    memory: Definition,
    values: tuple[Definition, ...],
    samples: tuple[Point, ...],
) -> Iterator[Formula]:
    """Recurrences over the column's places, and those less a matrix times the first memory."""
    sorts = tuple(sort for _, sort in parameters)
    own: list[Argument] = [{name: 1} if sort == TIME else name for name, sort in parameters]
    alike = [each for each in values if each.sorts == sorts and each.name != memory.name]
    yield from (at(each.name, *own) for each in alike)
    base = memory.base
    if base is None or base == ZERO or not samples:
        return
    time = memory.parameters[memory.along]
    for axis in dict.fromkeys(memory.sorts):
        if axis == TIME:
            continue
        rows = [each for each in values if each.sorts == (TIME, axis)]
        index = next(
            name for name, sort in zip(memory.parameters, memory.sorts, strict=True) if sort == axis
        )
        inner = fresh("c", set(memory.parameters) | free_names(base))
        start = substituted(base, {index: inner})
        for each in alike:
            for row in rows:
                taken = contract(inner, axis, mul(at(row.name, {time: 1}, inner), start))
                yield minus(at(each.name, *own), taken)


def _same(
    column: Formula,
    value: Formula,
    parameters: tuple[tuple[str, str], ...],
    memory: Definition,
    samples: tuple[Point, ...],
) -> bool:
    """Whether two columns agree at the points, some tokens after the memory's start."""
    assert memory.start is not None
    time = memory.parameters[memory.along]
    try:
        for point in samples:
            start = point.moment(memory.start, {})
            for span in (1, 2, 3):
                times = {time: start + span}
                found = point.over(column, parameters, times)
                if not agree(found, point.over(value, parameters, times)):
                    return False
    except Costly:
        return False
    return bool(samples)
