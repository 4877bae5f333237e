"""What a structure of oscillations must offer: one `Room` a structure, in a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Operator

StructureOf: TypeAlias = Callable[[Operator], Structure]
"""Gives the structure of a part: the base of a perturbation, the body of a fold."""


@dataclass(frozen=True, slots=True)
class Room:
    """One structure of oscillations.

    kind: the `Structure.kind` it makes.
    recognise: the structure of an operator, or None where it is not of this room.
    transition: the structure of the product of many steps' oscillations, which is what a segment
        of the sequence hands to the next one.
    why: one sentence for `eosc explain`: what in the update makes it this structure.
    """

    kind: str
    recognise: Callable[[Operator, StructureOf], Structure | None]
    transition: Callable[[Structure], Structure]
    why: Callable[[Structure], str]


def same(structure: Structure) -> Structure:
    """The transition of a structure that is closed under composition."""
    return structure


def braces(names: tuple[str, ...]) -> str:
    """Axes as messages write them: `{K, V}`."""
    return "{" + ", ".join(names) + "}"
