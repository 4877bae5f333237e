"""The rooms of the schedule, one a family of structures, tried in the order of the registry."""

from __future__ import annotations

from collections.abc import Callable

from eosc.recurrence.model import Recurrence, System
from eosc.schedule.rooms import decay, elementwise, invariant
from eosc.schedule.rooms.room import Later, Planned

ROOMS: tuple[Callable[[System, Recurrence, tuple[str, ...]], Planned], ...] = (
    decay.plan,
    invariant.plan,
    elementwise.plan,
)


def planned(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The steps of one memory, by the first room that takes it.

    Raises:
        Later: no room does; the message is that of the first one.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    reasons = []
    for room in ROOMS:
        try:
            return room(system, recurrence, numbers)
        except Later as reason:
            reasons.append(str(reason))
    raise Later(reasons[0])
