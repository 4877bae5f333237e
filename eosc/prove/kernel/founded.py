"""Definitions must have a meaning: no value may depend on itself, however indirectly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .normal import Point, Rejected
from .times import Time, later, plus, tidy

if TYPE_CHECKING:
    from .reading import Defined, Reader, Scope

Seen = Callable[["Defined", tuple[Point, ...]], None]


def check_founded(reader: Reader, new: list[Defined]) -> None:
    """Each read of a recurrence by its own circle of recurrences is nearer to the start.

    Raises:
        Rejected: otherwise.
    """
    places = {name: place for place, name in enumerate(reader.definitions)}
    direct = {name: _names(d.body) | _names(d.base) for name, d in reader.definitions.items()}
    for given in new:
        if given.start is None:
            for name in direct[given.name]:
                other = reader.definitions.get(name)
                if other and other.start is None and places[name] >= places[given.name]:
                    raise Rejected(f"{given.name} reads {name}, which is not listed before it")
    for given in new:
        if given.start is not None:
            circle = {n for n in _reached(direct, given.name) if given.name in _reached(direct, n)}
            _check_recurrence(reader, given, circle, places)


def _names(form: Any) -> set[str]:
    if not isinstance(form, (list, tuple)) or not form:
        return set()
    found = {form[1]} if form[0] == "at" else set()
    return found.union(*(_names(each) for each in form[1:]))


def _reached(direct: dict[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for each in direct.get(waiting.pop(), ()):
            if each in direct and each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _check_recurrence(
    reader: Reader, given: Defined, circle: set[str], places: dict[str, int]
) -> None:
    point: list[Point] = []
    for sort in given.sorts:
        variable = reader.fresh(sort)
        point.append(tidy({variable: 1}) if sort == "T" else variable)
    here, start = reader.clock(given, tuple(point))
    scope = dict(zip(given.parameters, point, strict=True))
    facts = [plus(reader.time(b, scope), reader.time(a, scope), -1) for a, b in given.facts]
    beyond = _distance(given, here, later(start, given.step))

    def nearer(other: Defined, there: tuple[Point, ...]) -> None:
        if other.name not in circle:
            return
        if other.step != given.step:
            raise Rejected(f"{given.name} and {other.name} run opposite ways")
        near, far = _distance(other, *reader.clock(other, there)), _distance(given, time, start)
        slack = 0 if places[other.name] < places[given.name] else -1
        if not reader.leq(near, later(far, slack)):
            raise Rejected(f"{given.name} is not well-founded: it reads {other.name} too far on")

    time = here
    with reader.assuming(*facts, beyond):
        _walk(reader, given.body, scope, nearer, set())
    time = start
    scope[given.parameters[given.along]] = start
    with reader.assuming(*facts):
        _walk(reader, given.base, scope, nearer, set())


def _distance(given: Defined, here: Time, start: Time) -> Time:
    return plus(here, start, -1) if given.step == 1 else plus(start, here, -1)


def _walk(reader: Reader, form: Any, scope: Scope, seen: Seen, done: set[Any]) -> None:
    """Call `seen` for each read of a recurrence, also through abbreviations."""
    if not isinstance(form, (list, tuple)) or not form:
        return
    kind = form[0]
    if kind == "at" and form[1] in reader.definitions:
        other = reader.definitions[form[1]]
        if len(form) - 2 != len(other.sorts):
            raise Rejected(f"{other.name} takes {len(other.sorts)} arguments")
        pairs = zip(form[2:], other.sorts, strict=True)
        point = tuple(reader.point(each, sort, scope) for each, sort in pairs)
        if other.start is not None:
            seen(other, point)
        elif (other.name, point, reader.facts) not in done:
            done.add((other.name, point, reader.facts))
            inner = dict(zip(other.parameters, point, strict=True))
            _walk(reader, other.body, inner, seen, done)
    elif kind in ("sum", "product"):
        low, high = reader.time(form[2], scope), reader.time(form[3], scope)
        with reader.variable("T") as variable:
            moment = tidy({variable: 1})
            with reader.assuming(plus(moment, later(low, 1), -1), plus(high, moment, -1)):
                _walk(reader, form[4], {**scope, form[1]: moment}, seen, done)
    elif kind == "contract":
        with reader.variable(form[2]) as index:
            _walk(reader, form[3], {**scope, form[1]: index}, seen, done)
    else:
        _walk_all(reader, form[1:], scope, seen, done)


def _walk_all(
    reader: Reader, forms: Iterable[Any], scope: Scope, seen: Seen, done: set[Any]
) -> None:
    for form in forms:
        _walk(reader, form, scope, seen, done)
