"""separable: an elementwise factor that is a product over disjoint axes (DFW, LCSM type 1)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Elementwise, Operator
from eosc.recurrence.structures.room import Room, StructureOf, braces, same


def recognise(operator: Operator, _: StructureOf) -> Structure | None:
    """One elementwise piece with several factors, over disjoint axes."""
    match operator.pieces:
        case (Elementwise(factors=factors),):
            wide = tuple(each.type.axes for each in factors if each.type.axes)
            if len(wide) > 1:
                named = {axis for each in wide for axis in each}
                axes = tuple(axis for axis in operator.axes if axis in named)
                return Structure("separable", axes=axes, groups=wide)
    return None


def why(structure: Structure) -> str:
    """Which factors."""
    parts = " and ".join(braces(each) for each in structure.groups)
    return f"the elementwise factor splits into factors over {parts}"


ROOM = Room("separable", recognise, same, why)
