"""How much work the check of one file may take, and what that work has found so far.

Time is not measured: the same text gives the same findings on any machine. Every pass that can
cost more than the text it reads counts what it does; a unit is about 20 microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from eosc.algebra.interval import REAL, Interval, bound
from eosc.algebra.monotone import MAX_NODES
from eosc.algebra.scalar import Arg, S, postorder
from eosc.options import LIMITS

# So many nodes of a scalar are bounded for a unit; where slopes are looked at, a node costs more.
_NATURAL = 2
_SHARP = 3


class Exhausted(Exception):
    """The work that one file may take is used up; nothing is reported yet."""


@dataclass(slots=True)
class Work:
    """The account of one file. Without a limit it keeps results only."""

    limit: int | None = None
    spent: int = 0
    _ranges: dict[tuple[object, ...], Interval] = field(default_factory=dict)
    _nodes: dict[S, tuple[S, ...]] = field(default_factory=dict)

    @classmethod
    def of_one_file(cls) -> Work:
        """An account with the limit of a file."""
        return cls(LIMITS.work)

    def spend(self, units: int) -> None:
        """Count work.

        Raises:
            Exhausted: there was too much.
        """
        self.spent += units
        if self.limit is not None and self.spent > self.limit:
            raise Exhausted

    def count(self, scalar: S) -> int:
        """The number of distinct nodes of a scalar."""
        return len(self._below(scalar))

    def bound(
        self,
        scalar: S,
        ranges: Mapping[str, Interval],
        facts: Mapping[S, Interval],
        sharp: bool = True,
    ) -> Interval:
        """The certified range of a scalar; the same question is answered once.

        The instances of a family ask the same again and again.
        """
        nodes = self._below(scalar)
        near = {node: facts[node] for node in nodes if node in facts} if facts else {}
        env = {each.name: ranges.get(each.name, REAL) for each in nodes if isinstance(each, Arg)}
        key = (scalar, sharp, tuple(env.values()), tuple(near.items()))
        if key not in self._ranges:
            steep = sharp and len(nodes) <= MAX_NODES
            self.spend(1 + (len(nodes) * _SHARP if steep else len(nodes) // _NATURAL))
            self._ranges[key] = bound(scalar, env, near, sharp=sharp)
        return self._ranges[key]

    def _below(self, scalar: S) -> tuple[S, ...]:
        if scalar not in self._nodes:
            self._nodes[scalar] = tuple(postorder(scalar))
            self.spend(len(self._nodes[scalar]) // 16)
        return self._nodes[scalar]
