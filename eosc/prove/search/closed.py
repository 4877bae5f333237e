"""Closed forms of memories that are updated element by element."""

from __future__ import annotations

from eosc.prove.formula import (
    ONE,
    ZERO,
    Argument,
    Definition,
    Formula,
    add,
    mul,
    over,
    product,
    shifted,
)
from eosc.prove.search.ratios import quotient, telescoping
from eosc.prove.search.structure import (
    Definitions,
    NotElementwise,
    elementwise,
    free_names,
    fresh,
    substituted,
    unfolded,
)


def closed_form(memory: Definition, definitions: Definitions) -> Formula:
    """`prod o * base + sum (prod o) * w`, over the memory's parameters.

    Raises:
        NotElementwise: where the update is no coefficient per element, or a delay.
    """
    assert memory.start is not None and memory.base is not None
    coefficient, added = elementwise(memory, definitions)
    if coefficient == ZERO:
        raise NotElementwise(memory.name)
    time = memory.parameters[memory.along]
    base = substituted(memory.base, {time: memory.start})
    taken = free_names(coefficient) | free_names(added) | set(memory.parameters)
    written = fresh("u", taken)
    passed = fresh("j", taken | {written})
    now, when = {time: 1}, {written: 1}
    if memory.step != 1:
        return _backward(memory, coefficient, added, base, (written, passed))
    at_write: dict[str, Argument] = {time: when}
    at_pass: dict[str, Argument] = {time: {passed: 1}}
    held, rest = (ONE, coefficient) if base != ZERO else telescoping(coefficient, time)
    if held != ONE:
        added = quotient(mul(held, unfolded(added, definitions)), ONE)
    decay = substituted(rest, at_pass)
    kept = ONE if decay == ONE else product(passed, when, now, decay)
    weight = substituted(added, at_write)
    if held != ONE:
        weight = quotient(weight, held)
    sums = over(written, memory.start, now, mul(kept, weight))
    if base == ZERO:
        return sums
    first = ONE if decay == ONE else product(passed, memory.start, now, decay)
    return add(mul(first, base), sums)


def _backward(
    memory: Definition,
    coefficient: Formula,
    added: Formula,
    base: Formula,
    fresh_names: tuple[str, str],
) -> Formula:
    """The same for a recurrence towards earlier times: sums over `t <= u < start`."""
    assert memory.start is not None
    written, passed = fresh_names
    time = memory.parameters[memory.along]
    before, end, until = {time: 1, "": -1}, shifted(memory.start, -1), {written: 1, "": -1}
    decay = substituted(coefficient, {time: {passed: 1}})
    kept = ONE if decay == ONE else product(passed, before, until, decay)
    sums = over(written, before, end, mul(kept, substituted(added, {time: {written: 1}})))
    if base == ZERO:
        return sums
    first = ONE if decay == ONE else product(passed, before, end, decay)
    return add(mul(first, base), sums)
