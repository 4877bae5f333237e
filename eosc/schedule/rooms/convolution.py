"""Sums over the past without a memory: each one a convolution with a static kernel."""

from __future__ import annotations

from eosc.recurrence.branches import merged
from eosc.recurrence.convolution import convolution
from eosc.recurrence.model import System
from eosc.schedule.program import ConvStep, Program
from eosc.schedule.rooms.room import Later
from eosc.semantics.terms import HistorySum, LagSum, walk


def plan(system: System) -> Program:
    """A system without memories whose sums are all convolutions; branches of the output merged.

    Raises:
        Later: a sum is no convolution.
    """
    mixer, output = system.mixer, merged(system.mixer, system.output)
    sums = [(each.name, each.term) for each in system.sums]
    notes: tuple[str, ...] = ()
    if output is not system.output:
        inside = [each for each in walk(output) if isinstance(each, LagSum | HistorySum)]
        before = sum(name == mixer.output.name for name, _ in sums)
        sums = [each for each in sums if each[0] != mixer.output.name]
        sums += [(mixer.output.name, each) for each in inside]
        notes = (f"{before} branches of the output merged into {len(inside)}",)
    steps = []
    for name, term in sums:
        found = convolution(mixer, term)
        if found is None:
            named = "history sum" if isinstance(term, HistorySum) else "finite sum"
            raise Later(f"the {named} {name}")
        steps.append(ConvStep(name, found))
    return Program(mixer, system, tuple(steps), output, notes=notes)
