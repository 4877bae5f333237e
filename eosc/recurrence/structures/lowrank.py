"""lowrank: a base plus rank-one terms back * sum[K](functional * m) (DeltaNet, KDA, RWKV-7)."""

from __future__ import annotations

from dataclasses import replace

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Operator, RankOne
from eosc.recurrence.structures.room import Room, StructureOf, braces


def recognise(operator: Operator, structure_of: StructureOf) -> Structure | None:
    """Rank-one pieces beside elementwise ones."""
    ranked = [each for each in operator.pieces if isinstance(each, RankOne)]
    if not ranked or len(ranked) + len(operator.elementwise) != len(operator.pieces):
        return None
    base = structure_of(replace(operator, pieces=operator.elementwise))
    over = tuple(axis for axis in operator.axes if any(axis in each.over for each in ranked))
    return Structure("lowrank", axes=over, base=base, rank=operator.rank)


def transition(structure: Structure) -> Structure:
    """A product of many steps has no small rank: it mixes the contracted axes freely."""
    return Structure("dense", axes=structure.axes)


def why(structure: Structure) -> str:
    """What is contracted."""
    over = braces(structure.axes)
    if structure.rank == 1:
        return f"a term contracts the memory over {over} and writes the result back"
    return f"{structure.rank} terms contract the memory over {over} and write the results back"


ROOM = Room("lowrank", recognise, transition, why)
