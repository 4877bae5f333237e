"""What the lowerings of the delta family share: its reads and writes, and their pairs in a chunk.

The memory is read by s (weight dy in the adjoint) and by w (weight zeta, the adjoint of z), and
written by e with x, and by u with z. A pair of a read at i and a write at j is one inner product
over K with the decay between the two: D(j, i], or D(j, i) where the read comes before its token.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from eosc.algebra.scalar import Arg
from eosc.ir.build import dot, mapped, product, renamed, rounded, total
from eosc.ir.nodes import (
    END,
    START,
    Array,
    Dims,
    Inverse,
    Let,
    Mask,
    Per,
    Statement,
    Use,
    Value,
    at,
)
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.parts import Form, Level, Parts


@dataclass(frozen=True, slots=True)
class Side:
    """A read or a write of the memory: the prologue over K, and the value over V beside it."""

    name: str
    weight: str


class _Levels(Parts):
    """Parts whose factors carry their whole decay: two reads share no one reference."""

    @property
    def framed(self) -> bool:
        """Never: a read before its token has another decay from the middle of the chunk."""
        return False


class DeltaParts:
    """The values of a scan by name, after `lets` has named them.

    outer: the read by s and all writes; inner: the read by w, before its token.
    """

    def __init__(self, scan: DeltaScan, form: Form) -> None:
        """Name the parts of `scan` for the given form."""
        self.scan, self.form = scan, form
        self.K, self.V = scan.key, scan.value
        self.outer = _Levels(scan, form)
        self.inner = _Levels(replace(scan, inclusive=False, scale=None), form)
        self.reads = (Side("s", "dy"), Side("w", "zeta"))
        self.writes = (Side("e", "n"),) if scan.tied else (Side("u", "z"), Side("e", "x"))

    def of(self, read: Side) -> Parts:
        """The parts with the points at which that read stands."""
        return self.inner if read.name == "w" else self.outer

    def vector(self, side: Side) -> Use:
        """What a side is over K."""
        return self.outer.use(side.name)

    def weight(self, side: Side) -> Use:
        """What stands beside it over V."""
        return Use(side.weight, dims=("i", self.V))

    def token(self, name: str, axis: str) -> Array:
        """A scratch over tokens."""
        return Array(name, (axis,), Per.TOKEN)

    def matrix(
        self, name: str, read: Side, write: Side, dims: Dims = ("i", "j")
    ) -> Generator[Statement, None, Use]:
        """Name the pairs of a read at i with a write at j, laid out as `dims`."""
        parts, scores = self.of(read), []
        for level in parts.levels():
            row, column = yield from self.factors(parts, level, read, write)
            left, right = (row, column) if dims == ("i", "j") else (column, row)
            score: Value = dot(left, right, self.K, dims)
            pair = parts.pair(dims)
            score = score if pair is None else product(score, pair, dims=dims)
            part = f"{name}_{level.name}"
            yield Let(part, Mask(score, level.relation, dims=dims), f"pairs with {level.relation}")
            scores.append(Use(part, dims=dims))
        yield Let(name, total(scores), f"{read.name} of a token, {write.name} of an earlier one")
        return Use(name, dims=dims)

    def factors(
        self, parts: Parts, level: Level, read: Side, write: Side
    ) -> Generator[Statement, None, tuple[Value, Value]]:
        """A read over (i, K) and a write over (j, K), with their decays of a level."""
        row, column = parts.rows(level, "K"), parts.columns(level, "K")
        left: Value = self.vector(read)
        right: Value = renamed(self.vector(write), "i", "j")
        if row is not None:
            name = f"{read.name}_{level.name}"
            yield Let(name, rounded(product(row, left, dims=("i", self.K))))
            left = Use(name, dims=("i", self.K))
        if column is not None:
            name = f"{write.name}_{level.name}"
            yield Let(name, rounded(product(column, right, dims=("j", self.K))))
            right = Use(name, dims=("j", self.K))
        return left, right

    def solution(self, dims: Dims = ("i", "j")) -> Generator[Statement, None, Use]:
        """Name the inverse of 1 - A, A the pairs of w with u (of 1 + A with e, where u is -e)."""
        pairs = yield from self.matrix("A", Side("w", ""), self.writes[0], dims)
        arg: Value = pairs if self.scan.tied else mapped(-Arg("a0"), pairs)
        yield Let("solved", Inverse(arg, dims=dims), "what the erasures make of each other")
        return Use("solved", dims=dims)

    def opening(self, read: Side) -> Value:
        """A read with the decay from the start of the chunk."""
        parts = self.of(read)
        decay = parts.decay("0K", START, parts.read, ("i",))
        value = product(decay, self.vector(read), dims=("i", self.K))
        return parts.scaled(value)

    def closing(self, write: Side) -> Value:
        """A write with the decay to the end of the chunk."""
        decay = self.outer.decay("0K", at("i"), END, ("i",))
        return product(decay, self.vector(write), dims=("i", self.K))


def once(statements: Iterator[Statement]) -> Iterator[Statement]:
    """The statements, each name given once."""
    seen: set[str] = set()
    for each in statements:
        if isinstance(each, Let):
            if each.name in seen:
                continue
            seen.add(each.name)
        yield each
