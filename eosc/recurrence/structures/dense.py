"""dense: a matrix over an axis of the memory (S4 with its full A), or any other linear map."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Dense, Operator
from eosc.recurrence.structures.room import Room, StructureOf, braces, same


def recognise(operator: Operator, _: StructureOf) -> Structure:
    """Whatever no other room takes; the axes are those that the matrices mix, when all is known."""
    mixed = [each.axis for each in operator.pieces if isinstance(each, Dense)]
    if len(mixed) + len(operator.elementwise) != len(operator.pieces):
        return Structure("dense")
    return Structure("dense", axes=tuple(axis for axis in operator.axes if axis in mixed))


def why(structure: Structure) -> str:
    """What is mixed."""
    if not structure.axes:
        return "the update maps the memory linearly, in no simpler form"
    return f"the update multiplies the memory by a matrix over {braces(structure.axes)}"


ROOM = Room("dense", recognise, same, why)
