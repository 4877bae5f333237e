"""Plan a mixer: which memories become fused scans, and what runs around them."""

from __future__ import annotations

from eosc.recurrence.model import System
from eosc.schedule.program import Program, Step
from eosc.schedule.prologue import SCALE, NotFusableError
from eosc.schedule.rooms import planned
from eosc.schedule.rooms.convolution import convolutions
from eosc.schedule.rooms.room import Later


def plan(system: System, numbers: tuple[str, ...] = ()) -> Program:
    """The program of a mixer; `numbers` are configs that a call may set beside `scale`.

    Ensures: every readout of a fused memory is computed by a scan step; where one memory has no
    fused lowering, the program has no scan and says why in `fallback`.

    Raises:
        EosError: E064, when a decay has no stable logarithm.
    """
    steps: list[Step] = []
    notes: list[str] = []
    output = system.output
    try:
        if system.sums and not system.recurrences:
            return Program(system.mixer, system, convolutions(system), system.output)
        if system.histories:
            raise Later(f"the history sum {system.histories[0]}")
        if len(system.recurrences) != 1:
            raise Later(f"a system of {len(system.recurrences)} memories")
        for recurrence in system.recurrences:
            found = planned(system, recurrence, (SCALE, *numbers))
            steps += found.steps
            notes += found.notes
            output = found.output
    except (Later, NotFusableError) as reason:
        return Program(system.mixer, system, (), system.output, fallback=str(reason))
    return Program(system.mixer, system, tuple(steps), output, notes=tuple(notes))
