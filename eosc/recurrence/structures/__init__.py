"""The structures of oscillations, one room each, tried in the order of the registry."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.operators import Operator
from eosc.recurrence.structures import (
    coupled,
    dense,
    diag,
    history,
    identity,
    lowrank,
    product,
    scalar,
    separable,
    shift,
)
from eosc.recurrence.structures.room import Room

ROOMS: tuple[Room, ...] = (
    coupled.ROOM,
    identity.ROOM,
    scalar.ROOM,
    diag.ROOM,
    separable.ROOM,
    lowrank.ROOM,
    product.ROOM,
    dense.ROOM,  # takes what is left
)
"""Rooms of oscillations. Sums over the past have rooms of their own, `shift` and `history`."""

_BY_KIND = {room.kind: room for room in (*ROOMS, shift.ROOM, history.ROOM)}


def classify(operator: Operator) -> Structure:
    """The structure of an oscillation: that of the first room that recognises it."""
    for room in ROOMS:
        found = room.recognise(operator, classify)
        if found is not None:
            return found
    raise AssertionError("the last room takes everything")


def transition(structure: Structure) -> Structure:
    """The structure of the product of many steps' oscillations."""
    return _BY_KIND[structure.kind].transition(structure)


def why(structure: Structure) -> str:
    """One sentence: what makes it this structure."""
    return _BY_KIND[structure.kind].why(structure)
