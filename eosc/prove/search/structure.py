"""Formulas as the search takes them apart: what is read, capture-free substitution, unfolding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from eosc.prove.formula import (
    ONE,
    TIME,
    ZERO,
    Argument,
    Definition,
    Formula,
    Index,
    Problem,
    Time,
    add,
    at,
    children,
    combined,
    mul,
    power,
    reached,
    reads,
    shifted,
)

Names: TypeAlias = Mapping[str, Argument]
Definitions: TypeAlias = Mapping[str, Definition]


class NotElementwise(Exception):
    """A memory is not updated by one coefficient per element."""


def definitions_of(problem: Problem) -> dict[str, Definition]:
    """The definitions by name, in their order."""
    return {each.name: each for each in problem.definitions}


def rebuilt(formula: Formula, inside: tuple[Formula, ...]) -> Formula:
    """The formula with other formulas directly inside; sums and products are folded again."""
    match formula[0]:
        case "add":
            return add(*inside)
        case "mul":
            return mul(*inside)
        case "power":
            return power(inside[0], formula[2])
        case "conjugate" | "real":
            return (formula[0], inside[0])
        case "sum" | "product":
            return (*formula[:4], inside[0])
        case "contract":
            return (*formula[:3], inside[0])
        case "call":
            return (*formula[:2], *inside)
        case _:
            return formula


def memories_of(formula: Formula, definitions: Definitions) -> tuple[Definition, ...]:
    """The recurrences that the formula depends on, in the order of definition."""
    read = reached((formula,), definitions)
    found = (each for name, each in definitions.items() if name in read)
    return tuple(each for each in found if each.start is not None)


def frozen(value: object) -> object:
    """The formula as something that hashes and compares."""
    if isinstance(value, Mapping):
        return ("", *sorted((name, count) for name, count in value.items() if count))
    if isinstance(value, tuple | list):
        return tuple(frozen(each) for each in value)
    return value


def _time(time: Time, names: Names) -> Time:
    found: Time = {}
    for name, count in time.items():
        put = names.get(name) if name else None
        found = combined(found, put if isinstance(put, dict) else {name: 1}, count)
    return found


def _index(index: Index, names: Names) -> Index:
    put = names.get(index) if isinstance(index, str) else None
    return index if put is None or isinstance(put, dict) else put


def _argument(argument: Argument, names: Names) -> Argument:
    if isinstance(argument, dict):
        return _time(argument, names)
    return _index(argument, names)


def _mentioned(argument: Argument) -> tuple[str, ...]:
    if isinstance(argument, dict):
        return tuple(name for name in argument if name)
    return (argument,) if isinstance(argument, str) else ()


def fresh(name: str, taken: set[str]) -> str:
    """A name like the given one that is not taken."""
    if name not in taken:
        return name
    count = 1
    while f"{name}{count}" in taken:
        count += 1
    return f"{name}{count}"


def free_names(formula: Formula) -> set[str]:
    """The time and index variables that the formula does not bind."""
    match formula[0]:
        case "at":
            return {name for each in formula[2:] for name in _mentioned(each)}
        case "delta":
            return {name for each in formula[1:] for name in _mentioned(each)}
        case "time" | "index":
            return set(_mentioned(formula[1]))
        case "sum" | "product":
            bounds = {name for each in formula[2:4] for name in _mentioned(each)}
            return bounds | (free_names(formula[4]) - {formula[1]})
        case "contract":
            return free_names(formula[3]) - {formula[1]}
        case _:
            return {name for each in children(formula) for name in free_names(each)}


def substituted(formula: Formula, names: Names) -> Formula:
    """The formula with times and indices put for its free variables; binders make way."""
    if not names:
        return formula
    match formula[0]:
        case "at":
            return ("at", formula[1], *(_argument(each, names) for each in formula[2:]))
        case "delta":
            return ("delta", *(_index(each, names) for each in formula[1:]))
        case "time":
            return ("time", _time(formula[1], names))
        case "index":
            return ("index", _index(formula[1], names))
        case "sum" | "product" | "contract":
            return _under(formula, names)
        case _:
            return rebuilt(formula, tuple(substituted(each, names) for each in children(formula)))


def _under(formula: Formula, names: Names) -> Formula:
    """Substitution below a binder, which is renamed where a name put in would be caught."""
    timed = formula[0] != "contract"
    variable, body = formula[1], formula[-1]
    kept = {name: put for name, put in names.items() if name != variable}
    inside = free_names(body)
    put_in = {name for each in kept for name in _mentioned(kept[each]) if each in inside}
    if variable in put_in:
        other = fresh(variable, put_in | inside | set(kept))
        kept[variable] = {other: 1} if timed else other
        variable = other
    body = substituted(body, kept)
    if timed:
        low, high = (_time(each, names) for each in formula[2:4])
        return (formula[0], variable, low, high, body)
    return (formula[0], variable, formula[2], body)


def alike(formula: Formula) -> object:
    """What formulas have in common that differ in the names of bound variables only."""

    def named(part: Formula, depth: int) -> Formula:
        if part[0] in ("sum", "product", "contract"):
            name = f"#{depth}"
            put: Argument = name if part[0] == "contract" else {name: 1}
            body = named(substituted(part[-1], {part[1]: put}), depth + 1)
            return (part[0], name, *part[2:-1], body)
        inside = children(part)
        return rebuilt(part, tuple(named(each, depth) for each in inside)) if inside else part

    return frozen(named(formula, 0))


def instance(definition: Definition, arguments: tuple[Argument, ...]) -> Formula:
    """The body of a definition at the arguments."""
    return substituted(definition.body, dict(zip(definition.parameters, arguments, strict=True)))


def unfolded(formula: Formula, definitions: Definitions, only: set[str] | None = None) -> Formula:
    """The formula with abbreviations written out: all of them, or those named."""
    if formula[0] == "at":
        definition = definitions.get(formula[1])
        if definition is None or definition.start is not None:
            return formula
        if only is not None and definition.name not in only:
            return formula
        return unfolded(instance(definition, formula[2:]), definitions, only)
    inside = children(formula)
    if not inside:
        return formula
    return rebuilt(formula, tuple(unfolded(each, definitions, only) for each in inside))


def between(memory: str, definitions: Definitions) -> set[str]:
    """The abbreviations that read the memory, directly or through abbreviations."""
    found: set[str] = set()
    for name, each in definitions.items():
        if each.start is None:
            read = {every[1] for every in reads(each.body)}
            if memory in read or read & found:
                found.add(name)
    return found


def reading(memory: Definition, back: int = 0) -> Formula:
    """The memory at its own parameters, `back` steps before along its recurrence."""
    arguments: list[Argument] = []
    for name, sort in zip(memory.parameters, memory.sorts, strict=True):
        arguments.append({name: 1} if sort == TIME else name)
    if back:
        time = memory.parameters[memory.along]
        arguments[memory.along] = shifted({time: 1}, -back * memory.step)
    return at(memory.name, *arguments)


def elementwise(memory: Definition, definitions: Definitions) -> tuple[Formula, Formula]:
    """The update as `coefficient * memory[t-1] + added`, both over the memory's parameters.

    Raises:
        NotElementwise: where the memory reaches its update in any other way.
    """
    body = unfolded(memory.body, definitions, between(memory.name, definitions))
    coefficients, added = affine(body, (reading(memory, 1),))
    return unfolded(coefficients[0], definitions), added


def affine(formula: Formula, wanted: tuple[Formula, ...]) -> tuple[tuple[Formula, ...], Formula]:
    """The formula as `sum of coefficient * read + rest`, for exactly these reads.

    Raises:
        NotElementwise: where it reads those definitions elsewhere, or not linearly.
    """
    names = {each[1] for each in wanted}
    keys = [frozen(each) for each in wanted]

    def split(part: Formula) -> tuple[tuple[Formula, ...], Formula]:
        inside = {each[1] for each in reads(part)} & names
        if not inside:
            return (ZERO,) * len(wanted), part
        if part[0] == "at" and frozen(part) in keys:
            place = keys.index(frozen(part))
            return tuple(ONE if at == place else ZERO for at in range(len(keys))), ZERO
        if part[0] == "add":
            parts = [split(each) for each in part[1:]]
            sums = tuple(add(*column) for column in zip(*(each for each, _ in parts), strict=True))
            return sums, add(*(each for _, each in parts))
        if part[0] == "mul":
            inner = [each for each in part[1:] if {r[1] for r in reads(each)} & names]
            if len(inner) == 1:
                others = [each for each in part[1:] if each is not inner[0]]
                found, rest = split(inner[0])
                return tuple(mul(each, *others) for each in found), mul(rest, *others)
        raise NotElementwise(*sorted(inside))

    return split(formula)
