"""diag: one elementwise factor over some of the memory's axes (GLA, HGRN, Mamba)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Elementwise, Operator
from eosc.recurrence.structures.room import Room, StructureOf, braces, same


def recognise(operator: Operator, _: StructureOf) -> Structure | None:
    """One elementwise piece with one factor that has axes; a scalar may stand beside it."""
    match operator.pieces:
        case (Elementwise(factors=factors),):
            wide = [each.type.axes for each in factors if each.type.axes]
            if len(wide) == 1:
                return Structure("diag", axes=wide[0])
    return None


ROOM = Room(
    "diag",
    recognise,
    same,
    lambda each: f"the memory is multiplied elementwise by a factor over {braces(each.axes)}",
)
