"""Definitions must have a meaning: no value may depend on itself, however indirectly."""

from __future__ import annotations

from typing import Any

from .atoms import Rejected
from .reading import Defined, Reader
from .times import later


def check_order(reader: Reader, given: Defined) -> None:
    """An abbreviation is unfolded wherever it stands, so it reads only earlier abbreviations."""
    listed = list(reader.definitions)
    for name in listed[listed.index(given.name) :]:
        if name in names(given.body) and reader.definitions[name].start is None:
            raise Rejected(f"{given.name} reads {name}, which is not listed before it")


def check_nearer(reader: Reader, given: Defined, far: Any, name: str, point: Any) -> None:
    """A read of a recurrence that reads back, `far` from the start: it is nearer to its own.

    One that is listed earlier may be as near.
    """
    other = reader.definitions[name]
    if other.start is None:
        return
    if other.step != given.step:
        raise Rejected(f"{given.name} and {name} run opposite ways")
    listed = list(reader.definitions)
    slack = 0 if listed.index(name) < listed.index(given.name) else -1
    if not reader.leq(other.ahead(*reader.clock(other, point)), later(far, slack)):
        raise Rejected(f"{given.name} is not well-founded: it reads {name} too far on")


def circle(reader: Reader, name: str) -> set[str]:
    """The definitions that a definition reads and that read it."""
    return {each for each in reached(reader, name) if name in reached(reader, each)}


def reached(reader: Reader, name: str) -> set[str]:
    """The definitions that a definition reads, also through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        given = reader.definitions[waiting.pop()]
        new = (names(given.body) | names(given.base)) & reader.definitions.keys() - found
        found |= new
        waiting += new
    return found


def names(form: Any) -> set[str]:
    """What a formula reads by name."""
    if not isinstance(form, (list, tuple)) or not form:
        return set()
    if form[0] == "at":
        return {form[1]}
    return set().union(*map(names, form[1:]))
