"""The refuter: certain counterexamples, in ball arithmetic, smallest first.

It needs python-flint (the extra `prove`), which is imported when the refuter is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eosc.prove.refute.search import refute, separate
    from eosc.prove.refute.witness import Witness

__all__ = ["Witness", "refute", "separate"]


def __getattr__(name: str) -> Any:
    if name == "Witness":
        from eosc.prove.refute.witness import Witness

        return Witness
    if name in __all__:
        from eosc.prove.refute import search

        return getattr(search, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
