"""product: a fold of several linear maps within one step (DeltaProduct)."""

from __future__ import annotations

from dataclasses import replace

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Operator, Product
from eosc.recurrence.structures.room import Room, StructureOf


def recognise(operator: Operator, structure_of: StructureOf) -> Structure | None:
    """One fold, after elementwise factors or none."""
    match operator.pieces:
        case (Product() as piece,):
            body = structure_of(replace(operator, pieces=piece.body, rank=piece.rank))
            return Structure("product", axes=(piece.fold.axis,), base=body)
    return None


def transition(structure: Structure) -> Structure:
    """As that of the body: the fold only takes more steps."""
    base = structure.base if structure.base is not None else Structure("dense")
    return Structure("dense", axes=base.axes) if base.kind == "lowrank" else base


ROOM = Room(
    "product",
    recognise,
    transition,
    lambda each: f"the update folds over {each.axes[0]}: each step is {each.base}",
)
