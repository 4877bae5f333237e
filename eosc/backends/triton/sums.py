"""Sums in the IR: their signed terms, products gathered by a common factor, running totals.

    dx = A1 o + A2 o + A3 o + r      ->  dx = (A1 + A2 + A3) o + r
    s = a + b + c                    ->  s1 = a + b; s = s1 + c

A total that is made term by term lets each term go as soon as it is added.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.algebra.scalar import Arg, Fn, S
from eosc.ir.nodes import TIME, Dims, Dot, Let, Map, Rename, Statement, Use, Value, walk


def _signed(fn: S, sign: int) -> list[tuple[int, str]] | None:
    match fn:
        case Arg(name):
            return [(sign, name)]
        case Fn("add", (left, right)):
            first, second = _signed(left, sign), _signed(right, sign)
        case Fn("sub", (left, right)):
            first, second = _signed(left, sign), _signed(right, -sign)
        case Fn("neg", (inner,)):
            return _signed(inner, -sign)
        case _:
            return None
    return None if first is None or second is None else first + second


def terms(value: Value) -> list[tuple[int, Value]] | None:
    """The signed terms of a value that is a sum of several values, else None."""
    if not isinstance(value, Map):
        return None
    found = _signed(value.fn, 1)
    if found is None or len(found) < 2:
        return None
    args = dict(value.args)
    return [(sign, args[name]) for sign, name in found]


def flat(value: Value, sign: int = 1) -> list[tuple[int, Value]]:
    """The signed terms of a value, through sums of sums; itself where it is no sum."""
    found = terms(value)
    if found is None:
        return [(sign, value)]
    return [each for s, term in found for each in flat(term, sign * s)]


def summed(parts: list[tuple[int, Value]], dims: Dims) -> Value:
    """The sum of signed terms."""
    if len(parts) == 1 and parts[0][0] == 1 and parts[0][1].dims == dims:
        return parts[0][1]
    fn: S | None = None
    for n, (sign, _) in enumerate(parts):
        arg = Arg(f"a{n}")
        if fn is None:
            fn = arg if sign > 0 else -arg
        else:
            fn = fn + arg if sign > 0 else fn - arg
    assert fn is not None
    return Map(fn, tuple((f"a{n}", part) for n, (_, part) in enumerate(parts)), dims=dims)


def gathered(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """The body with products of pairs that share a right factor added before they are formed."""
    lets = {each.name: each.value for each in body if isinstance(each, Let)}
    counts: dict[str, int] = {}
    for statement in body:
        for each in walk(statement.value):
            if isinstance(each, Use):
                counts[each.name] = counts.get(each.name, 0) + 1

    def product(term: Value) -> Dot | None:
        inner = term.arg if isinstance(term, Rename) else term
        if not isinstance(inner, Use) or counts[inner.name] != 1:
            return None
        found = lets.get(inner.name)
        pairs = isinstance(found, Dot) and all(dim in TIME for dim in found.left.dims)
        return found if isinstance(found, Dot) and pairs else None

    changed: list[Statement] = []
    for statement in body:
        parts = flat(statement.value)
        groups: dict[object, list[tuple[int, Dot, Value]]] = {}
        rest: list[tuple[int, Value]] = []
        for sign, term in parts:
            dot = product(term)
            if dot is None:
                rest.append((sign, term))
                continue
            key = (dot.right, dot.over, dot.dims, term.dims)
            groups.setdefault(key, []).append((sign, dot, term))
        if not any(len(group) > 1 for group in groups.values()):
            changed.append(statement)
            continue
        merged: list[tuple[int, Value]] = []
        for group in groups.values():
            lefts = summed([(sign, dot.left) for sign, dot, _ in group], group[0][1].left.dims)
            value: Value = replace(group[0][1], left=lefts)
            if value.dims != group[0][2].dims:
                value = Rename(value, dims=group[0][2].dims)
            merged.append((1, value))
        changed.append(replace(statement, value=summed([*merged, *rest], statement.value.dims)))
    return tuple(changed)


class Totals:
    """Long sums below the values of a body, as chains of named partial sums."""

    def __init__(self) -> None:
        self.lets: list[Let] = []
        self._known: dict[Value, Value] = {}

    def chain(self, value: Value, wish: str) -> Value:
        """The use of a sum's last partial sum; the sum itself where it is short."""
        parts = flat(value)
        if len(parts) < 3:
            return value
        if value not in self._known:
            total = summed(parts[:2], value.dims)
            for part in parts[2:]:
                name = f"{wish}_{len(self.lets) + 1}"
                self.lets.append(Let(name, total))
                total = summed([(1, Use(name, dims=value.dims)), part], value.dims)
            self._known[value] = total
        return self._known[value]
