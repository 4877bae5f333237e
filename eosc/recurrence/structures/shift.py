"""shift: a finite kernel over the last few values, a nilpotent oscillation (short convolution)."""

from __future__ import annotations

from eosc.recurrence.model import Structure
from eosc.recurrence.structures.room import Room, same
from eosc.semantics.terms import KernelAt, LagSum, Variable, walk


def kernel_of(term: LagSum) -> str | None:
    """The kernel that the sum over lags convolves with, if it does."""
    for each in walk(term.body):
        if isinstance(each, KernelAt) and isinstance(each.lag, Variable):
            if each.lag.name == term.variable:
                return each.name
    return None


ROOM = Room(
    "shift",
    lambda _operator, _structure_of: None,  # not an oscillation of a memory: a sum over lags
    same,
    lambda _: "a finite kernel over the last values is a nilpotent shift",
)


def structure() -> Structure:
    """The one structure of this room."""
    return Structure("shift")
