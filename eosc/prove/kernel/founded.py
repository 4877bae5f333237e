"""Definitions must have a meaning: no value may depend on itself, however indirectly."""

from __future__ import annotations

from typing import Any

from .normal import Point, Rejected
from .reading import Defined, Reader
from .times import Time, later, plus

Reads = dict[str, set[str]]


def all_reads(reader: Reader) -> Reads:
    """What each definition reads by name."""
    return {n: _names(d.body) | _names(d.base) for n, d in reader.definitions.items()}


def circle(reads: Reads, name: str) -> set[str]:
    """The definitions that a definition reads and that read it."""
    return {each for each in _reached(reads, name) if name in _reached(reads, each)}


def check_order(reader: Reader, given: Defined, reads: Reads) -> None:
    """An abbreviation is unfolded wherever it stands, so it reads only earlier abbreviations."""
    listed = list(reader.definitions)
    for name in listed[listed.index(given.name) :]:
        if name in reads[given.name] and reader.definitions[name].start is None:
            raise Rejected(f"{given.name} reads {name}, which is not listed before it")


def check_nearer(
    reader: Reader, given: Defined, time: Time, start: Time, name: str, point: tuple[Point, ...]
) -> None:
    """A read by `given` at a time of one that reads it back: nearer to the start.

    One that is listed earlier may be as near.
    """
    other = reader.definitions[name]
    if other.start is None:
        return
    if other.step != given.step:
        raise Rejected(f"{given.name} and {name} run opposite ways")
    near, far = distance(other, *reader.clock(other, point)), distance(given, time, start)
    listed = list(reader.definitions)
    slack = 0 if listed.index(name) < listed.index(given.name) else -1
    if not reader.leq(near, later(far, slack)):
        raise Rejected(f"{given.name} is not well-founded: it reads {name} too far on")


def distance(given: Defined, here: Time, start: Time) -> Time:
    """How far a time is from the start of a recurrence, in its direction."""
    return plus(here, start, -1) if given.step == 1 else plus(start, here, -1)


def _names(form: Any) -> set[str]:
    if not isinstance(form, (list, tuple)) or not form:
        return set()
    if form[0] == "at":
        return {form[1]}
    return set().union(*(_names(each) for each in form[1:]))


def _reached(reads: Reads, name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = {each for each in reads[waiting.pop()] if each in reads} - found
        found |= new
        waiting += new
    return found
