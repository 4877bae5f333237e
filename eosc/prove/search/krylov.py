"""A change of basis between two time-invariant systems of known size, from their Krylov spaces.

With m[t] = A m[t-1] + e x[t] and n[t] = B n[t-1] + f x[t], a matrix T with m = T n takes f to e and
B f to A e, and so on: T = [e, A e, ..] [f, B f, ..]^-1 where the second space is everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from eosc.prove.formula import (
    ZERO,
    Argument,
    Definition,
    Formula,
    add,
    mul,
    reads,
)
from eosc.prove.search.multipliers import TooLong
from eosc.prove.search.rational import Matrix, divided, product_of
from eosc.prove.search.ratios import quotient
from eosc.prove.search.relations import Claim
from eosc.prove.search.structure import (
    Definitions,
    NotElementwise,
    affine,
    free_names,
    frozen,
    reading,
    substituted,
    unfolded,
)

_LARGEST = 6


@dataclass(frozen=True, slots=True)
class System:
    """Memories over the same places: what they keep of one another, and what they write."""

    memories: tuple[Definition, ...]
    keeps: tuple[tuple[Formula, ...], ...]
    writes: tuple[Formula, ...]


def system(memories: tuple[Definition, ...], definitions: Definitions) -> System | None:
    """The memories as one linear system in the places of the first; None where they are none."""
    first = memories[0]
    alike = all(
        each.sorts == first.sorts
        and each.along == first.along
        and each.step == first.step
        and each.base == ZERO
        and frozen(each.start) == frozen(first.start)
        for each in memories
    )
    if not alike or len(memories) > _LARGEST:
        return None
    keeps, writes = [], []
    for each in memories:
        names = _onto_places(each, first)
        wanted = tuple(
            substituted(reading(other, 1), _onto_places(other, first)) for other in memories
        )
        body = substituted(unfolded(each.body, definitions), names)
        try:
            row, rest = affine(body, wanted)
        except NotElementwise:
            return None
        if any(_varies(part, first, definitions) for part in row):
            return None
        keeps.append(row)
        writes.append(rest)
    return System(memories, tuple(keeps), tuple(writes))


def _onto_places(memory: Definition, first: Definition) -> dict[str, Argument]:
    found: dict[str, Argument] = {}
    for name, theirs, sort in zip(memory.parameters, first.parameters, first.sorts, strict=True):
        if name != theirs:
            found[name] = {theirs: 1} if sort == "T" else theirs
    return found


def _varies(formula: Formula, memory: Definition, definitions: Definitions) -> bool:
    """Whether the formula varies in time, or may."""
    if memory.parameters[memory.along] in free_names(formula):
        return True
    return any(each[1] in definitions for each in reads(formula))


def change_of_basis(ours: System, theirs: System, definitions: Definitions) -> tuple[Claim, ...]:
    """Claims that write our memories in terms of theirs; none where the method does not apply."""
    first = ours.memories[0]
    if theirs.memories[0].sorts != first.sorts:
        return ()
    names = _onto_places(theirs.memories[0], first)
    moved = [substituted(each, names) for each in theirs.writes]
    driven = next((each for each in moved if each != ZERO), None)
    if driven is None:
        return ()
    vectors = []
    for writes in (ours.writes, tuple(moved)):
        vector = [ZERO if each == ZERO else quotient(each, driven) for each in writes]
        if any(_varies(each, first, definitions) for each in vector):
            return ()
        vectors.append(vector)
    rows = [[substituted(each, names) for each in row] for row in theirs.keeps]
    try:
        matrix = _transfer(list(map(list, ours.keeps)), vectors[0], rows, vectors[1])
    except TooLong:
        return ()
    if matrix is None:
        return ()
    values = [substituted(reading(each), _onto_places(each, first)) for each in theirs.memories]
    claims = []
    for memory, row in zip(ours.memories, matrix, strict=True):
        closed = add(*(mul(entry, value) for entry, value in zip(row, values, strict=True)))
        back: dict[str, Argument] = {
            theirs_name: ({name: 1} if sort == "T" else name)
            for name, theirs_name, sort in zip(
                memory.parameters, first.parameters, first.sorts, strict=True
            )
            if name != theirs_name
        }
        claims.append(Claim(memory.name, substituted(closed, back), "a change of basis"))
    return tuple(claims)


def _transfer(
    keeps: Matrix, drives: list[Formula], other_keeps: Matrix, other_drives: list[Formula]
) -> Matrix | None:
    """`[e, A e, ..] [f, B f, ..]^-1`, exactly; None where the second matrix is singular."""
    spans: list[Matrix] = []
    for matrix, vector in ((keeps, drives), (other_keeps, other_drives)):
        column = [[each] for each in vector]
        columns = [column]
        for _ in range(len(other_keeps) - 1):
            column = product_of(matrix, column)
            columns.append(column)
        spans.append([[each[row][0] for each in columns] for row in range(len(matrix))])
    return divided(*spans)
