"""Which definitions stand for a scan, by its family."""

from __future__ import annotations

from typing import Any

from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.family import AnyScan
from eosc.lowering.scan import Scan
from eosc.prove.algorithms.decaying import Decaying
from eosc.prove.algorithms.elements import Elements
from eosc.prove.algorithms.erasing import Erasing
from eosc.prove.algorithms.recurrence import Recurrence
from eosc.prove.algorithms.scalars import UNREAD, Unreadable

RECURRENCES: dict[type, type[Recurrence]] = {
    Scan: Decaying,
    ElementScan: Elements,
    DeltaScan: Erasing,
}


def recurrence_of(scan: AnyScan, opaque: bool, **parts: Any) -> Recurrence:
    """The definitions of a scan; see `Recurrence`.

    Raises:
        Unreadable: there are none yet for its family, or a prologue is too large.
    """
    known = RECURRENCES.get(type(scan))
    if known is None:
        raise Unreadable(UNREAD)
    return known(scan, opaque, **parts)
