"""Sums over the past without a memory: each one a convolution with a static kernel."""

from __future__ import annotations

from eosc.recurrence.convolution import convolution
from eosc.recurrence.model import System
from eosc.schedule.program import ConvStep
from eosc.schedule.rooms.room import Later


def convolutions(system: System) -> tuple[ConvStep, ...]:
    """The sums of a system, all of which are convolutions.

    Raises:
        Later: one is none.
    """
    found = []
    for each in system.sums:
        read = convolution(system.mixer, each.term)
        if read is None:
            named = "history sum" if each.structure.kind == "history" else "finite sum"
            raise Later(f"the {named} {each.name}")
        found.append(ConvStep(each.name, read))
    return tuple(found)
