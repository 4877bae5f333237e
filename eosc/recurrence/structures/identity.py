"""identity: nothing is forgotten, m[t] = m[t-1] + w[t] (linear attention)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Elementwise, Operator
from eosc.recurrence.structures.room import Room, StructureOf, same


def recognise(operator: Operator, _: StructureOf) -> Structure | None:
    """One elementwise piece without a factor."""
    match operator.pieces:
        case (Elementwise(factors=()),):
            return Structure("identity")
    return None


ROOM = Room(
    "identity",
    recognise,
    same,
    lambda _: "the memory enters its update without a factor",
)
