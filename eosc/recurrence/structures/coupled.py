"""coupled: memories that read each other (momentum, LinOSS, mini-batch test-time training)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Operator
from eosc.recurrence.structures.room import Room, StructureOf, same


def recognise(operator: Operator, _: StructureOf) -> Structure | None:
    """More than one memory in the group."""
    if len(operator.members) > 1:
        return Structure("coupled", members=operator.members)
    return None


ROOM = Room(
    "coupled",
    recognise,
    same,
    lambda each: f"the memories {', '.join(each.members)} read each other",
)
