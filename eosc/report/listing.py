"""Any IR as an indented listing, or as JSON; terms are written as formulas.

An object that prints itself (defines `__str__` of its own) is trusted to do so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

from eosc.algebra.interval import Interval
from eosc.diagnostics import Span
from eosc.recurrence.model import Structure
from eosc.semantics.formulas import formula
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Term

_DEEPEST = 60
_AS_TEXT = (Interval, Structure, Fraction)


def listing(value: Any) -> str:
    """The value as indented lines; empty fields are left out."""
    return "\n".join(_lines(value, 0))


def record(value: Any, depth: int = 0) -> Any:
    """The value as JSON data."""
    simple = _simple(value)
    if simple is not None or value is None or depth > _DEEPEST:
        return simple
    if isinstance(value, Mapping):
        return {str(key): record(each, depth + 1) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [record(each, depth + 1) for each in value]
    if is_dataclass(value):
        kind = {"node": type(value).__name__}
        return kind | {key: record(each, depth + 1) for key, each in _members(value)}
    return str(value)


def _simple(value: Any) -> str | int | float | bool | None:
    if isinstance(value, Term):
        return formula(value)
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, _AS_TEXT):
        return str(value)
    return value if isinstance(value, str | int | float | bool) else None


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    for each in fields(value):
        member = getattr(value, each.name)
        if isinstance(member, Span) or callable(member) or not each.repr:
            continue
        # A mixer inside another object is dumped on its own, by `--after elaborate`.
        if not isinstance(member, Mixer):
            yield each.name, member


def _lines(value: Any, depth: int, name: str = "") -> Iterator[str]:
    pad, head = "  " * depth, f"{name} = " if name else ""
    simple = _simple(value)
    if simple is not None or value is None:
        yield f"{pad}{head}{simple}"
    elif depth > _DEEPEST:
        yield f"{pad}{head}…"
    elif isinstance(value, Mapping):
        yield f"{pad}{head}".rstrip(" =") + ":"
        for key, each in value.items():
            yield from _lines(each, depth + 1, str(key))
    elif isinstance(value, tuple | list):
        yield from _sequence(value, depth, name)
    elif "__str__" in vars(type(value)):
        yield from (f"{pad}{line}" for line in str(value).splitlines())
    elif is_dataclass(value):
        yield f"{pad}{head}{type(value).__name__}"
        for key, each in _members(value):
            if each not in (None, (), ""):
                yield from _lines(each, depth + 1, key)
    else:
        yield f"{pad}{head}{type(value).__name__}"


def _sequence(value: tuple[Any, ...] | list[Any], depth: int, name: str) -> Iterator[str]:
    simple = [_simple(each) for each in value]
    if all(each is not None for each in simple) and sum(len(str(x)) for x in simple) < 80:
        yield "  " * depth + (f"{name} = " if name else "") + ", ".join(map(str, simple))
        return
    yield "  " * depth + f"{name}:"
    for each in value:
        yield from _lines(each, depth + 1)
