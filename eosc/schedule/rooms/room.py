"""What a room of the schedule offers: the steps that compute the readouts of one memory."""

from __future__ import annotations

from dataclasses import dataclass

from eosc.schedule.program import Step
from eosc.semantics.terms import Term


class Later(Exception):  # noqa: N818
    """A memory that this room does not take; the message says why."""


class Foreign(Later):
    """A memory whose structure is not of this room."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One memory, planned.

    steps: in order, the last computes the readout. output: the system's output, less what was
    moved into the steps. notes: for the explanation.
    """

    steps: tuple[Step, ...]
    output: Term
    notes: tuple[str, ...] = ()
