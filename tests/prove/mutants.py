"""Mutants of statements: one small change of a definition, a goal, a range or a fact.

A change may or may not keep the meaning; `same` makes those that do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from eosc.prove import formula as f
from eosc.prove.formula import Definition, Formula, Problem

FUNCTIONS = ("exp", "sigmoid", "softplus", "silu", "tanh", "cos", "sin")


def changed(problem: Problem, rng: random.Random) -> tuple[Problem, str] | None:
    """A statement with one change, and what was changed; None where the draw changes nothing."""
    kind = rng.choices(("definition", "goal", "range", "fact", "start"), (62, 22, 6, 4, 6))[0]
    return _CHANGES[kind](problem, rng)


def same(problem: Problem, rng: random.Random) -> tuple[Problem, str] | None:
    """A statement with one change that keeps its meaning."""
    made = _definition(problem, rng, _equal) if rng.random() < 0.7 else _goal(problem, rng, _equal)
    return made


def forged(
    problem: Problem, proof: list[dict[str, Any]], rng: random.Random
) -> list[dict[str, Any]]:
    """A proof with one step changed, left out or doubled."""
    steps = list(proof)
    place = rng.randrange(len(steps))
    kind = rng.choice(("formula", "formula", "formula", "drop", "double"))
    if kind == "formula":
        steps[place] = _forged_value(problem, steps[place], rng)
    elif kind == "drop":
        del steps[place]
    else:
        steps.insert(rng.randrange(len(steps) + 1), steps[place])
    return steps


def _forged_value(problem: Problem, value: Any, rng: random.Random) -> Any:
    """A change of one formula somewhere in a step."""
    if isinstance(value, tuple) and value and value[0] in _KINDS:
        return _somewhere(problem, value, rng, _different) or value
    if isinstance(value, dict) and value:
        chosen = rng.choice(sorted(value))
        return {**value, chosen: _forged_value(problem, value[chosen], rng)}
    if isinstance(value, list | tuple) and value:
        place = rng.randrange(len(value))
        made = list(value)
        made[place] = _forged_value(problem, value[place], rng)
        return type(value)(made)
    return value


_KINDS = (
    *("number", "i", "at", "add", "mul", "power", "sum", "product", "contract", "delta", "time"),
    *("size", "index", "call", "conjugate", "real"),
)


def _definition(
    problem: Problem, rng: random.Random, change: Change | None = None
) -> tuple[Problem, str] | None:
    if not problem.definitions:
        return None
    place = rng.randrange(len(problem.definitions))
    each = problem.definitions[place]
    body = _somewhere(problem, each.body, rng, change or _different)
    if body is None:
        return None
    changed_ = (
        *problem.definitions[:place],
        replace(each, body=body),
        *problem.definitions[place + 1 :],
    )
    return replace(problem, definitions=changed_), f"{each.name} := {body}"


def _goal(
    problem: Problem, rng: random.Random, change: Change | None = None
) -> tuple[Problem, str] | None:
    place = rng.randrange(len(problem.goals))
    each = problem.goals[place]
    side = rng.choice(("left", "right"))
    value = _somewhere(problem, getattr(each, side), rng, change or _different)
    if value is None:
        return None
    goal = replace(each, **{side: value})
    goals = (*problem.goals[:place], goal, *problem.goals[place + 1 :])
    return replace(problem, goals=goals), f"{each.name}.{side} := {value}"


def _range(problem: Problem, rng: random.Random) -> tuple[Problem, str] | None:
    bounded = [each for each in problem.symbols if each.bounds is not None and each.sorts]
    if not bounded:
        return None
    chosen = rng.choice(bounded)
    low, high, *_ = chosen.bounds or (None, None)
    bounds = rng.choice((None, (low, high, False, False), ("-2", high, False, False)))
    if bounds == chosen.bounds:
        return None
    symbols = tuple(
        replace(each, bounds=bounds) if each is chosen else each for each in problem.symbols
    )
    return replace(problem, symbols=symbols), f"{chosen.name} in {bounds}"


def _fact(problem: Problem, rng: random.Random) -> tuple[Problem, str] | None:
    place = rng.randrange(len(problem.goals))
    each = problem.goals[place]
    if not each.facts:
        return None
    facts = list(each.facts)
    chosen = rng.randrange(len(facts))
    low, high = facts[chosen]
    facts[chosen] = (low, {**high, "": high.get("", 0) + 1})
    goal = replace(each, facts=tuple(facts))
    goals = (*problem.goals[:place], goal, *problem.goals[place + 1 :])
    return replace(problem, goals=goals), f"{each.name} under {facts}"


def _start(problem: Problem, rng: random.Random) -> tuple[Problem, str] | None:
    places = [n for n, each in enumerate(problem.definitions) if each.start is not None]
    if not places:
        return None
    place = rng.choice(places)
    each = problem.definitions[place]
    assert each.start is not None and each.base is not None
    made: Definition = rng.choice(
        (
            replace(each, base=f.add(each.base, f.ONE)),
            replace(each, start={**each.start, "": each.start.get("", 0) + 1}),
        )
    )
    found = (*problem.definitions[:place], made, *problem.definitions[place + 1 :])
    return replace(problem, definitions=found), f"{each.name} from {made.start}, {made.base}"


_CHANGES: dict[str, Callable[[Problem, random.Random], tuple[Problem, str] | None]] = {
    "definition": _definition,
    "goal": _goal,
    "range": _range,
    "fact": _fact,
    "start": _start,
}


# ---- places in a formula

Change = Callable[[Problem, Formula, random.Random], "Formula | None"]


def _somewhere(
    problem: Problem, formula: Formula, rng: random.Random, change: Change
) -> Formula | None:
    """The formula with a change at one place, None where it changes nothing."""
    places = list(_places(formula))
    rng.shuffle(places)
    for place in places[:6]:
        node = formula
        for step in place:
            node = node[step]
        made = change(problem, node, rng)
        if made is not None and made != node:
            return _put(formula, place, made)
    return None


def _places(formula: Formula) -> Iterator[tuple[int, ...]]:
    yield ()
    for n in _parts(formula):
        for rest in _places(formula[n]):
            yield (n, *rest)


def _parts(formula: Formula) -> range:
    """Where a formula has formulas."""
    match formula[0]:
        case "add" | "mul":
            return range(1, len(formula))
        case "call":
            return range(2, len(formula))
        case "power" | "conjugate" | "real":
            return range(1, 2)
        case "sum" | "product":
            return range(4, 5)
        case "contract":
            return range(3, 4)
    return range(0)


def _put(formula: Formula, place: tuple[int, ...], made: Formula) -> Formula:
    if not place:
        return made
    n = place[0]
    return (*formula[:n], _put(formula[n], place[1:], made), *formula[n + 1 :])


# ---- changes


def _different(problem: Problem, node: Formula, rng: random.Random) -> Formula | None:
    match node:
        case ("number", value):
            return f.number(
                rng.choice((Fraction(value) + 1, -Fraction(value), Fraction(value) * 2))
            )
        case ("add", *parts):
            n = rng.randrange(len(parts))
            rest = (*parts[:n], *parts[n + 1 :])
            return rng.choice(
                (f.add(*rest), f.add(*rest, f.negative(parts[n])), f.add(*node[1:], parts[n]))
            )
        case ("mul", *parts):
            n = rng.randrange(len(parts))
            rest = (*parts[:n], *parts[n + 1 :])
            return rng.choice((f.mul(*rest), f.mul(*node[1:], parts[n]), f.add(*node[1:])))
        case ("power", base, exponent):
            return rng.choice((base, f.power(base, -Fraction(exponent)), f.power(node, 2)))
        case ("call", name, argument) if name in FUNCTIONS:
            other = rng.choice([each for each in FUNCTIONS if each != name])
            return rng.choice(
                (f.call(other, argument), f.call(name, f.negative(argument)), argument)
            )
        case ("sum" | "product" as kind, variable, low, high, body):
            by = rng.choice((-1, 1))
            ends = [low, high]
            n = rng.randrange(2)
            ends[n] = {**ends[n], "": ends[n].get("", 0) + by}
            return (kind, variable, *ends, body)
        case ("conjugate" | "real", inner):
            return inner
        case ("delta", *_):
            return rng.choice((f.ONE, f.ZERO))
        case ("time", _):
            return f.add(node, f.ONE)
        case ("at", *_):
            return _other_entry(problem, node, rng)
    return None


def _other_entry(problem: Problem, node: Formula, rng: random.Random) -> Formula | None:
    """Another symbol of the same sorts, another time, or indices in another order."""
    _, name, *arguments = node
    sorts = {each.name: each.sorts for each in problem.symbols}
    made: list[Formula] = [f.negative(node), ("conjugate", node)]
    if name in sorts:
        made += [
            f.at(other, *arguments)
            for other, its in sorts.items()
            if its == sorts[name] and other != name
        ]
    for n, argument in enumerate(arguments):
        if isinstance(argument, dict) and name in sorts:
            for by in (-1, 1):
                moved = {**argument, "": argument.get("", 0) + by}
                made.append(f.at(name, *arguments[:n], moved, *arguments[n + 1 :]))
    return rng.choice(made)


def _equal(problem: Problem, node: Formula, rng: random.Random) -> Formula | None:
    two, half = f.number(2), f.number("1/2")
    match node:
        case ("add" | "mul" as kind, *parts):
            order = list(parts)
            rng.shuffle(order)
            return rng.choice(((kind, *order), (kind, order[0], (kind, *order[1:]))))
        case ("call", "exp", x):
            return rng.choice(
                (
                    f.power(f.call("exp", f.negative(x)), -1),
                    f.power(f.call("exp", f.mul(half, x)), 2),
                )
            )
        case ("call", "sigmoid", x):
            return rng.choice(
                (
                    f.minus(f.ONE, f.call("sigmoid", f.negative(x))),
                    f.power(f.add(f.ONE, f.call("exp", f.negative(x))), -1),
                )
            )
        case ("call", "softplus", x):
            return f.add(x, f.call("softplus", f.negative(x)))
        case ("call", "silu", x):
            return f.mul(x, f.call("sigmoid", x))
        case ("call", "tanh", x):
            return f.minus(f.mul(two, f.call("sigmoid", f.mul(two, x))), f.ONE)
        case ("call", "cos", x):
            return f.call("cos", f.negative(x))
        case ("call", "sin", x):
            return f.negative(f.call("sin", f.negative(x)))
        case ("contract", variable, axis, ("mul", *parts)):
            other = f"{variable}_"
            return (
                "contract",
                other,
                axis,
                ("mul", *(_renamed(x, variable, other) for x in parts)),
            )
        case ("at", *_) | ("number", *_):
            one, more = f.number(3), f.number(-2)
            return rng.choice(
                (
                    f.add(f.mul(one, node), f.mul(more, node)),
                    f.negative(f.negative(node)),
                    f.add(f.mul(half, node), f.mul(half, node)),
                )
            )
    return None


def _renamed(formula: Formula, old: str, new: str) -> Formula:
    """The formula with another name for an index; its inner binders have names of their own."""
    match formula:
        case ("at" | "delta" | "index" as kind, *arguments):
            kept = arguments[:1] if kind == "at" else []
            rest = arguments[1:] if kind == "at" else arguments
            return (kind, *kept, *(new if each == old else each for each in rest))
        case ("contract", variable, *_) if variable == old:
            return formula
    found = list(formula)
    for n in _parts(formula):
        found[n] = _renamed(formula[n], old, new)
    return tuple(found)
