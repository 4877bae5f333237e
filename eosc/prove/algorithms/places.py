"""Where a tile is read: tokens with the blocks that hold them, indices, and the pair's relation.

A chunk is the tokens of (low, high]; a last chunk that is not full ends at its last valid token.
Each token t lies in aligned blocks of 1, 2, 4, ... tokens. All that a reading needs of the block of
n tokens is the token before it (its opening), its last valid token (its closing) and the last valid
one of its first half (its middle):

    low = opening(chunk) <= ... <= opening(2n) <= opening(n) <= ... <= opening(1) = t - 1
    t = closing(1) <= ... <= closing(n) <= closing(2n) <= ... <= closing(chunk) = high

i lies in the second half of a block of 2n tokens and j in its first exactly where
opening(2n)(i) < j <= opening(n)(i), or where closing(n)(j) < i <= closing(2n)(j); the other token's
points in that block are then known. Statements hold for every chain of such points, so for every
chunk length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from eosc.ir.nodes import Relation
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import Time, shifted

Kind = Literal["opening", "closing", "middle"]
LETTERS: Mapping[Kind, str] = {"opening": "o", "closing": "c", "middle": "r"}


@dataclass(slots=True)
class Chain:
    """The points of a token's blocks as variables, those that a reading has asked for."""

    used: set[tuple[int, Kind]] = field(default_factory=set)

    def point(self, kind: Kind, size: int) -> Time:
        """A variable for a point of the block of `size` tokens.

        Raises:
            Unreadable: the size is no power of two, so that blocks need not lie in one another.
        """
        if size < 1 or size & (size - 1):
            raise Unreadable(f"blocks of {size} tokens")
        self.used.add((size, kind))
        return {f"{LETTERS[kind]}{size}": 1}

    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The variables as parameters of a goal."""
        return tuple((f"{LETTERS[kind]}{size}", "T") for size, kind in sorted(self.used))

    def facts(self, token: Time, low: Time, high: Time) -> tuple[tuple[Time, Time], ...]:
        """The order of the points around the token, in a chunk (low, high]."""
        sizes = sorted({size for size, _ in self.used}, reverse=True)
        last = shifted(token, -1)
        before, after, found = low, high, [(low, last), (token, high)]
        for size in sizes:
            if (size, "opening") in self.used:
                point = {f"o{size}": 1}
                found += [(before, point), (low, point), (point, last)]
                before = point
            if (size, "closing") in self.used:
                point = {f"c{size}": 1}
                found += [(point, after), (point, high), (token, point)]
                after = point
            if (size, "middle") in self.used:
                point = {f"r{size}": 1}
                found += [(before, point), (low, point), (point, after), (point, high)]
        return tuple(each for n, each in enumerate(found) if each not in found[:n])


@dataclass(frozen=True, slots=True)
class Place:
    """A token, and the points of its blocks.

    known: points that a relation to another token gives. chain: where the rest are variables; None
    where the blocks are taken to be the whole chunk, which must be shown to make no difference.
    paired: whether only the relation to the other token may give points.
    """

    time: Time
    known: Mapping[tuple[int, Kind], Time] = field(default_factory=dict)
    chain: Chain | None = None
    paired: bool = False


@dataclass(slots=True)
class Walk:
    """The chunk (low, high] that is read, with the last valid token of its first half.

    free: whether a reading took blocks for the chunk.
    """

    low: Time
    high: Time
    chunk: int
    middle: Time
    free: bool = False

    def point(self, place: Place, kind: Kind, size: int) -> Time:
        """A point of the aligned block of `size` tokens that holds the place's token."""
        if (size, kind) in place.known:
            return place.known[size, kind]
        if place.paired:
            raise Unreadable(f"the {kind} of {size} tokens of a token in a pair")
        if kind == "middle":
            if size == self.chunk:
                return self.middle
            if place.chain is not None:
                return place.chain.point(kind, size)
            self.free = True
            return self.low
        if size == 1:
            return shifted(place.time, -1) if kind == "opening" else place.time
        if size >= self.chunk:
            return self.low if kind == "opening" else self.high
        if place.chain is not None:
            return place.chain.point(kind, size)
        self.free = True
        return self.low if kind == "opening" else self.high

    def related(
        self, relation: Relation, fixed: Place, other: str, bound: str
    ) -> tuple[Time, Time, Place]:
        """The range (low, high] of the tokens of a dimension that relate to a fixed token.

        Args:
            relation: between i and j.
            fixed: the token of the other dimension.
            other: the dimension that runs: "j" (before i) or "i" (after j).
            bound: the name of its token.

        Returns:
            The range, and the place of its token.
        """
        n, early = relation.size, other == "j"
        near = fixed.time if early else shifted(fixed.time, -1)
        if relation.strict:
            near = shifted(near, -1 if early else 1)
        known: dict[tuple[int, Kind], Time] = {}
        match relation.kind:
            case "causal":
                low, high = (self.low, near) if early else (near, self.high)
            case "block":
                for kind in ("opening", "closing", "middle"):
                    known[n, kind] = self.point(fixed, kind, n) if n > 1 else fixed.time
                if n == 1:
                    known = {}
                if early:
                    low, high = self.point(fixed, "opening", n), near
                else:
                    low, high = near, self.point(fixed, "closing", n)
            case "level" if early:
                low, high = self.point(fixed, "opening", 2 * n), self.point(fixed, "opening", n)
                known[n, "closing"] = high
            case "level":
                low, high = self.point(fixed, "closing", n), self.point(fixed, "closing", 2 * n)
                known[n, "opening"] = low
            case _:
                raise Unreadable(f"no reading of the relation {relation}")
        return low, high, Place({bound: 1}, known, paired=True)


@dataclass(frozen=True, slots=True)
class Here:
    """The place of each time dimension, the variable of each axis, and the pair's relation.

    relation: the one that holds between i and j in this summand; None where none is meant.
    """

    times: Mapping[str, Place] = field(default_factory=dict)
    indices: Mapping[str, str] = field(default_factory=dict)
    relation: Relation | None = None

    def bind(self, dim: str, place: Place, relation: Relation | None = None) -> Here:
        """With one more time dimension."""
        return replace(self, times={**self.times, dim: place}, relation=relation)

    def index(self, axis: str, name: str) -> Here:
        """With one more axis."""
        return replace(self, indices={**self.indices, axis: name})

    def renamed(self, source: tuple[str, ...], target: tuple[str, ...]) -> Here:
        """As a tile with dimensions `source` sees it where they are called `target`."""
        times = {a: self.times[b] for a, b in zip(source, target, strict=True) if b in self.times}
        indices = {
            a: self.indices[b] for a, b in zip(source, target, strict=True) if b in self.indices
        }
        return Here(times, indices, self.relation)
