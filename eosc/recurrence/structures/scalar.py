"""scalar: one number a head decays the whole memory (RetNet, Mamba-2, mLSTM)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Elementwise, Operator
from eosc.recurrence.structures.room import Room, StructureOf, same


def recognise(operator: Operator, _: StructureOf) -> Structure | None:
    """One elementwise piece whose factors have no axes; or nothing at all, a decay of zero."""
    match operator.pieces:
        case ():
            return Structure("scalar")
        case (Elementwise(factors=factors),) if factors:
            if not any(each.type.axes for each in factors):
                return Structure("scalar")
    return None


ROOM = Room(
    "scalar",
    recognise,
    same,
    lambda _: "the memory is multiplied by a factor without axes",
)
