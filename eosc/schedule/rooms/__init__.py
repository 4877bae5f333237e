"""The rooms of the schedule, one a family of structures, tried in the order of the registry."""

from __future__ import annotations

from collections.abc import Callable

from eosc.recurrence.model import Recurrence, System
from eosc.schedule.rooms import decay, delta, elementwise, fold, invariant
from eosc.schedule.rooms.room import Foreign, Later, Planned

ROOMS: tuple[Callable[[System, Recurrence, tuple[str, ...]], Planned], ...] = (
    decay.plan,
    invariant.plan,
    elementwise.plan,
    delta.plan,
    fold.plan,
)


def planned(system: System, recurrence: Recurrence, numbers: tuple[str, ...]) -> Planned:
    """The steps of one memory, by the first room that takes it.

    Raises:
        Later: no room does; the message is that of the first one whose structure it has.
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    reasons: list[Later] = []
    for room in ROOMS:
        try:
            return room(system, recurrence, numbers)
        except Later as reason:
            reasons.append(reason)
    raise next((each for each in reasons if not isinstance(each, Foreign)), reasons[0])
