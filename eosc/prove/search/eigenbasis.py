"""Dense memories whose update is written as P diag(l) Q: claims in the basis that P spans.

Where QP = PQ = 1 (hypotheses of the theorem), m = P n with n[t] = l n[t-1] + Q w[t]; so m is P
times a memory that the other side has, or P times the closed form of n.
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
    Symbol,
    at,
    contract,
    mul,
    over,
    product,
    reads,
)
from eosc.prove.search.multipliers import Expansion, TooLong
from eosc.prove.search.relations import Claim, added
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
class Spectrum:
    """`A[row, column] = sum over mode of into * kept * out`, along one axis of a memory."""

    row: str
    mode: str
    column: str
    axis: str
    into: Formula
    kept: Formula
    out: Formula


def spectrum(memory: Definition, definitions: Definitions) -> Spectrum | None:
    """The update's matrix as it is written, where it is a product through one inner axis."""
    taken = set(memory.parameters)
    try:
        terms = Expansion(taken).terms(unfolded(memory.body, definitions))
    except TooLong:
        return None
    kept = [
        each
        for each in terms
        if any(read[1] == memory.name for factor in each.factors for read in reads(factor))
    ]
    if len(kept) != 1 or kept[0].scale != 1 or len(kept[0].binders) != 2:
        return None
    term = kept[0]
    at_read = next(each for each in term.factors if each[:2] == ("at", memory.name))
    others = [each for each in term.factors if each is not at_read]
    column, row = _moved(memory, at_read)
    axes = {each.name: each.axis for each in term.binders}
    mode = next((name for name in axes if name != column), None)
    if column not in axes or mode is None or axes[mode] is None or axes[mode] != axes[column]:
        return None
    parts: dict[tuple[bool, bool], list[Formula]] = {}
    for each in others:
        names = free_names(each)
        if mode not in names or (row in names and column in names):
            return None
        parts.setdefault((row in names, column in names), []).append(each)
    into, out = parts.get((True, False)), parts.get((False, True))
    if into is None or out is None:
        return None
    inner = mul(*parts.get((False, False), [ONE]))
    return Spectrum(row, mode, column, str(axes[mode]), mul(*into), inner, mul(*out))


def _moved(memory: Definition, read: Formula) -> tuple[str, str]:
    """The one index at which the memory is read elsewhere than it is written, and the latter."""
    different = [
        (argument, name)
        for argument, name, sort in zip(read[2:], memory.parameters, memory.sorts, strict=True)
        if sort != TIME and argument != name
    ]
    return different[0] if len(different) == 1 else ("", "")


def in_modes(memory: Definition, other: Definition, found: Spectrum) -> Iterator[Claim]:
    """The memory as P times the other one."""
    if memory.sorts != other.sorts or frozen(memory.start) != frozen(other.start):
        return
    names: dict[str, Argument] = {
        theirs: ({ours: 1} if sort == TIME else ours)
        for theirs, ours, sort in zip(
            other.parameters, memory.parameters, memory.sorts, strict=True
        )
    }
    value = substituted(substituted(reading(other), names), {found.row: found.mode})
    closed = contract(found.mode, found.axis, mul(found.into, value))
    yield Claim(memory.name, closed, "a matrix times a memory")


def mode_closed_form(memory: Definition, found: Spectrum, definitions: Definitions) -> Claim | None:
    """The memory as P times what each mode has summed."""
    if memory.step != 1 or memory.base != ZERO or memory.start is None:
        return None
    writes = added(memory, definitions)
    time = memory.parameters[memory.along]
    taken = free_names(writes) | {found.mode, found.column, *memory.parameters}
    written = fresh("u", taken)
    passed = fresh("j", taken | {written})
    driven = contract(
        found.column, found.axis, mul(found.out, substituted(writes, {found.row: found.column}))
    )
    decay = substituted(found.kept, {time: {passed: 1}})
    still = product(passed, {written: 1}, {time: 1}, decay)
    body = mul(still, substituted(driven, {time: {written: 1}}))
    summed = over(written, memory.start, {time: 1}, body)
    closed = contract(found.mode, found.axis, mul(found.into, summed))
    return Claim(memory.name, closed, "a matrix times a sum over the past")


def by_matrices(
    memory: Definition, other: Definition, matrices: tuple[Symbol, ...]
) -> Iterator[Claim]:
    """The memory as a matrix of the statement, or its transpose, times the other one."""
    if memory.sorts != other.sorts or frozen(memory.start) != frozen(other.start):
        return
    names: dict[str, Argument] = {
        theirs: ({ours: 1} if sort == TIME else ours)
        for theirs, ours, sort in zip(
            other.parameters, memory.parameters, memory.sorts, strict=True
        )
    }
    value = substituted(reading(other), names)
    inner = fresh("c", set(memory.parameters))
    for name, sort in zip(memory.parameters, memory.sorts, strict=True):
        for matrix in matrices:
            if sort != TIME and matrix.sorts == (sort, sort):
                moved = substituted(value, {name: inner})
                for places in ((name, inner), (inner, name)):
                    closed = contract(inner, sort, mul(at(matrix.name, *places), moved))
                    yield Claim(memory.name, closed, "a matrix times a memory")
