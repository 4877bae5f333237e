"""Where along time a tile is needed, and where it can be other than 0.

A level of the halving form touches only pairs with i in the second half and j in the first half of
an aligned block of 2h tokens. The printer therefore keeps such values as [.., blocks, h, ..]
slices instead of masking whole [C, C] products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from eosc.algebra.scalar import ZERO, Arg, Fn, S, substitute
from eosc.ir.nodes import (
    TIME,
    Dims,
    Dot,
    Load,
    LogDecay,
    Map,
    Mask,
    Rename,
    Round,
    Running,
    State,
    Sum,
    Use,
    Value,
)


@dataclass(frozen=True, slots=True)
class Domain:
    """A part of a chunk's tokens, or of its pairs of tokens.

    full: all, in a dimension of C tokens. block: all, as aligned blocks of `size` tokens; of
    pairs, those inside one block. level: pairs with i in the second and j in the first half of a
    block of 2 * size tokens. second, first: the tokens of those halves.
    """

    kind: Literal["full", "block", "level", "second", "first"]
    size: int = 0

    @property
    def blocked(self) -> bool:
        """Whether tiles have a dimension of blocks before the first time dimension."""
        return self.kind != "full"

    @property
    def tag(self) -> str:
        """For names of variables."""
        return "" if self.kind == "full" else f"_{self.kind}{self.size}"


FULL = Domain("full")


def times(dims: Dims) -> Dims:
    """The time dimensions among the dims."""
    return tuple(name for name in dims if name in TIME)


def restricted(pair: Domain, dim: str) -> Domain:
    """The part of one time dimension that a part of the pairs touches."""
    if pair.kind != "level":
        return pair
    return Domain("second" if dim == "i" else "first", pair.size)


def projected(domain: Domain, dims: Dims) -> Domain:
    """The domain of an argument with these dims, inside a value on `domain`."""
    own = times(dims)
    if not own:
        return FULL
    if domain.kind == "level" and len(own) == 1:
        return restricted(domain, own[0])
    return domain


def addends(fn: S, sign: int = 1) -> list[tuple[int, str]] | None:
    """The signed arguments of which the function is the sum, or None where it is no sum."""
    match fn:
        case Arg(name):
            return [(sign, name)]
        case Fn("add", (left, right)):
            first, second = addends(left, sign), addends(right, sign)
        case Fn("sub", (left, right)):
            first, second = addends(left, sign), addends(right, -sign)
        case Fn("neg", (inner,)):
            return addends(inner, -sign)
        case _:
            return None
    return None if first is None or second is None else first + second


class Supports:
    """The part of time outside which a value is 0, worked out from the masks below it."""

    def __init__(self, lets: Mapping[str, Value], chunk: int) -> None:
        self._lets = lets
        self._chunk = chunk
        self._of_lets: dict[str, Domain] = {}

    def of(self, value: Value) -> Domain:
        """The support of a value."""
        match value:
            case Use(name=name) if name in self._lets:
                if name not in self._of_lets:
                    self._of_lets[name] = self.of(self._lets[name])
                return self._of_lets[name]
            case Load() | State() | LogDecay() | Running():
                return FULL
            case Mask(relation=relation, dims=dims) if len(times(dims)) == 2:
                if relation.kind == "level":
                    return Domain("level", relation.size)
                if relation.kind == "block" and relation.size < self._chunk:
                    return Domain("block", relation.size)
            case Map():
                return self._of_map(value)
            case Dot(left=left, right=right, over=over):
                return self._contracted(value.dims, over, (left, right))
            case Sum(arg=arg, over=over):
                return self._contracted(value.dims, over[0], (arg,))
            case Rename(arg=arg) | Round(arg=arg):
                return self.of(arg)
        return FULL

    def _of_map(self, value: Map) -> Domain:
        for name, arg in value.args:
            found = self.of(arg)
            if found.blocked and substitute(value.fn, {name: 0}) is ZERO:
                if found.kind != "level" or len(times(value.dims)) == 2:
                    return found
        return FULL

    def _contracted(self, dims: Dims, over: str, args: tuple[Value, ...]) -> Domain:
        own = times(dims)
        for arg in args:
            found = self.of(arg)
            if not found.blocked or not own:
                continue
            if over in TIME and len(times(arg.dims)) == 2:
                return restricted(found, own[0])
            if over not in TIME and len(times(arg.dims)) == len(own):
                return found
        return FULL


def contains(value: Value, test: Callable[[Value], bool]) -> bool:
    """Whether the test holds somewhere in the value."""
    from eosc.ir.nodes import walk

    return any(test(each) for each in walk(value))
