"""Sums over an axis whose blocks programs share out: what each of them holds, and what adds up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eosc.algebra.scalar import Arg, Fn, S, args_of
from eosc.ir.nodes import (
    Dot,
    Let,
    Map,
    Mask,
    Rename,
    Running,
    State,
    Statement,
    Sum,
    Update,
    Use,
    Value,
    walk,
)


class Shares:
    """Values of programs that each have a block of an axis, in a kernel with this body."""

    def __init__(self, body: Iterable[Statement], axis: str) -> None:
        body = tuple(body)
        self.axis = axis
        self.lets = {each.name: each.value for each in body if isinstance(each, Let)}
        self.gathered: set[str] = set()
        updates = [each for each in body if isinstance(each, Update)]
        while True:
            self._sums: dict[str, bool] = {}
            found = {each.state for each in updates if self.sums(each.value)}
            if found == self.gathered:
                break
            self.gathered = found

    def sums(self, value: Value) -> bool:
        """Whether a sum over the axis stands in a value, or in a tile that it reads.

        The axis under another name counts as one: what is done with that is not followed.
        """
        for each in walk(value):
            match each:
                case State(name=name) if name in self.gathered:
                    return True
                case Rename(arg=arg, dims=dims) if self.axis in {*arg.dims} - {*dims}:
                    return True
                case Sum(over=over) if self.axis in over:
                    return True
                case Dot(over=over) if self.axis == over:
                    return True
                case Use(name=name) if name in self.lets:
                    if name not in self._sums:
                        self._sums[name] = self.sums(self.lets[name])
                    if self._sums[name]:
                        return True
        return False

    def adds(self, value: Value) -> bool:
        """Whether the values of all programs add up to the value over the whole axis."""
        match value:
            case Use(name=name) if name in self.lets:
                return self.adds(self.lets[name])
            case State(name=name):
                return name in self.gathered
            case Sum(arg=arg, over=over) if self.axis in over:
                return not self.sums(arg)
            case Dot(left=left, right=right, over=over) if over == self.axis:
                return not self.sums(left) and not self.sums(right)
            case Dot(left=left, right=right):
                sides = ((left, right), (right, left))
                return any(self._same(one) and self.adds(other) for one, other in sides)
            case Rename(arg=arg, dims=dims) if self.axis in {*arg.dims} - {*dims}:
                return False
            case Sum(arg=arg) | Mask(arg=arg) | Rename(arg=arg) | Running(arg=arg):
                return self.adds(arg)
            case Map(fn=fn, args=args):
                return self._linear(fn, dict(args))
        return False

    def _linear(self, fn: S, args: Mapping[str, Value]) -> bool:
        """Whether a scalar expression adds up where its arguments do."""
        match fn:
            case Arg(name):
                return self.adds(args[name])
            case Fn("add" | "sub" | "neg", parts):
                return all(self._linear(each, args) for each in parts)
            case Fn("mul", (left, right)):
                pairs = ((left, right), (right, left))
                return any(
                    all(self._same(args[name]) for name in args_of(a)) and self._linear(b, args)
                    for a, b in pairs
                )
        return False

    def _same(self, value: Value) -> bool:
        """Whether a factor is the same in every program."""
        return self.axis not in value.dims and not self.sums(value)
