"""Gradients through sums over a feature axis, in a launch of their own.

A prologue that sums over an axis, as a norm does, would keep each program of the gradients at the
whole axis: its own sum needs all of it, and the gradient of each entry a sum over all the others.
So the launch before stores the sums, a number a token, and the launch of the gradients stores those
of the prologues, from which one behind it makes those of the operands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eosc.ir.build import with_operands
from eosc.ir.factors import of_operands
from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Array,
    Kernel,
    Let,
    Load,
    Per,
    Precision,
    Statement,
    Store,
    Sum,
    Use,
    Value,
    needed,
    walk,
)

BEHIND = "prologues_adjoint"
"""The launch of gradients through sums."""


def apart(algorithm: Algorithm) -> Algorithm:
    """The algorithm with the gradients of its last launch that pass through sums behind it.

    It is as it was where no gradient does, or where no launch before has whole chunks of its own.
    """
    *before, last = algorithm.launches
    if not isinstance(last, Kernel) or not last.parallel or last.blocked:
        return algorithm
    through = [each for each in last.body if isinstance(each, Store) and _through(each.value)]
    earlier = [
        n
        for n, each in enumerate(before)
        if isinstance(each, Kernel) and each.parallel and not each.blocked
    ]
    lets = {each.name: each.value for each in last.body if isinstance(each, Let)}
    names = dict.fromkeys(name for each in through for name in _used(each.value))
    features = {name: [dim for dim in lets[name].dims if dim not in TIME] for name in names}
    if not through or not earlier or any(len(each) != 1 for each in features.values()):
        return algorithm
    rest = tuple(each for each in last.body if each not in through)
    # What is stored already is loaded from there.
    made = [name for name in names if not isinstance(lets[name], Load)]
    handed = tuple(Store(name, Use(name, dims=lets[name].dims)) for name in made)
    there = {name: lets[name] for name in names} | {
        name: Load(name, dims=lets[name].dims) for name in made
    }
    inputs = {each.name for each in algorithm.inputs}
    sums = {value: f"sum_{n}" for n, value in enumerate(_sums(rest, inputs), 1)}
    loads: dict[Value, Value] = {v: Load(name, dims=v.dims) for v, name in sums.items()}
    body = [replace(each, value=with_operands(each.value, loads)) for each in (*rest, *handed)]
    place = earlier[-1]
    whole = before[place]
    assert isinstance(whole, Kernel), "it was chosen so"
    stores = tuple(Store(name, value, "of the whole axis") for value, name in sums.items())
    before[place] = replace(whole, body=(*whole.body, *stores))
    behind = Kernel(
        BEHIND,
        last.chunk,
        1,
        (),
        (*(Let(name, value) for name, value in there.items()), *through),
        parallel=True,
        doc="gradients through sums over an axis",
    )
    scratch = [Array(name, tuple(features[name]), Per.TOKEN) for name in made]
    scratch += [Array(name, (), Per.TOKEN, Precision.ACCUMULATOR) for name in sums.values()]
    return replace(
        algorithm,
        launches=(*before, replace(last, body=tuple(body)), behind),
        scratch=(*algorithm.scratch, *scratch),
    )


def _through(value: Value) -> bool:
    """Whether each entry of a gradient needs a sum over the axis that it is one of."""
    return any(
        isinstance(each, Sum)
        and {*each.over} & {*value.dims} - {*TIME}
        and any(True for _ in _used(each.arg))
        for each in walk(value)
    )


def _used(value: Value) -> Iterator[str]:
    return (each.name for each in walk(value) if isinstance(each, Use))


def _sums(body: tuple[Statement, ...], inputs: set[str]) -> tuple[Value, ...]:
    """The sums over features of what operands hold at a token, as far as anything needs them."""
    names = needed(body)
    found: dict[Value, None] = {}
    for statement in body:
        if isinstance(statement, Let) and statement.name not in names:
            continue
        for each in walk(statement.value):
            if isinstance(each, Sum) and each.dims == ("i",) and of_operands(each, inputs):
                found[each] = None
    inner = {part for each in found for part in walk(each) if part is not each}
    return tuple(each for each in found if each not in inner)
