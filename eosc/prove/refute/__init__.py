"""The refuter: certain counterexamples, in ball arithmetic, smallest first.

It needs python-flint (the extra `prove`), which is imported when the refuter is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eosc.prove.refute.replaying import Replayed, replay
    from eosc.prove.refute.search import evaluate, refute, separate
    from eosc.prove.refute.witness import Witness

_ROOMS = {
    "Replayed": "replaying",
    "Witness": "witness",
    "evaluate": "search",
    "refute": "search",
    "replay": "replaying",
    "separate": "search",
}

__all__ = ["Replayed", "Witness", "evaluate", "refute", "replay", "separate"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(f"eosc.prove.refute.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
