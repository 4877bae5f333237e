"""The memories of a scan, each a recurrence of its own where axes are packed or split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eosc.prove import formula
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import Formula
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Place, suffix
from eosc.prove.statements.layouts import base


@dataclass(frozen=True, slots=True)
class Behind:
    """The places along the axes behind the key or the value axis of a scan, for some digits."""

    places: dict[str, Place]
    letters: tuple[str, ...]
    sorts: tuple[str, ...]

    def along(self, axis: str, draft: Draft) -> Behind:
        """Of one of the axes."""
        place, sort = self.places[axis], draft.layouts[base(axis)].sort
        letters = (place.index,) if isinstance(place.index, str) else ()
        return Behind({axis: place}, letters, () if sort is None else (sort,))


@dataclass(frozen=True, slots=True)
class Cell:
    """One memory of a scan: the recurrence that stands for it, and the axes of its indices."""

    scan: int
    axes: tuple[str, ...]
    mark: str

    def at(self, places: Mapping[str, Place]) -> Formula:
        """The memory at time t and some places."""
        ordered = tuple(places[axis] for axis in self.axes)
        indices = [place.index for place in ordered if place.index is not None]
        return formula.at(f"m{self.mark}{suffix(ordered)}", {"t": 1}, *indices)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Rewrites the definitions of one recurrence to the names and the axes of one cell.

    others: for sums inside, of each axis that is split: its index, and the rewriting to each part.
    """

    names: set[str]
    tail: str
    sides: Mapping[str, Behind]
    letters: Mapping[str, tuple[str, ...]]
    others: Mapping[str, tuple[str, tuple[Rewriting, ...]]] = field(default_factory=dict)

    def indices(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """Times and indices, those of the two axes replaced."""
        return tuple(new for each in given for new in _letters(self.letters, each))

    def sorts(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """The sorts of parameters."""
        found: list[str] = []
        for sort in given:
            found += self.sides[sort].sorts if sort in self.sides else (sort,)
        return tuple(found)

    def __call__(self, value: Any) -> Any:
        """A formula."""
        match value:
            case ("at", str(name), *rest) if name in self.names:
                return ("at", name + self.tail, *self.indices(tuple(rest)))
            case ("contract", variable, axis, body) if axis in self.others:
                index, parts = self.others[axis]
                if variable != index or not parts:
                    raise Unreadable("a sum inside a scan over an axis that is split or packed")
                return formula.total(each.summed(variable, axis, body) for each in parts)
            case ("contract", variable, axis, body) if axis in self.sides:
                return self.summed(variable, axis, body)
            case tuple():
                return tuple(self(each) for each in value)
        return value

    def summed(self, variable: str, axis: str, body: Formula) -> Formula:
        """The sum of a formula over the axes behind one of the scan."""
        side = self.sides[axis]
        inner: Formula = self(body)
        letters = self.letters.get(variable, (variable,))
        if len(letters) != len(side.sorts):
            raise Unreadable(f"a sum over the axes behind {axis}")
        for letter, sort in zip(reversed(letters), reversed(side.sorts), strict=True):
            inner = formula.contract(letter, sort, inner)
        return inner


def _letters(letters: Mapping[str, tuple[str, ...]], given: Any) -> tuple[Any, ...]:
    """The letters of an axis, or what was given."""
    return letters.get(given, (given,)) if isinstance(given, str) else (given,)
