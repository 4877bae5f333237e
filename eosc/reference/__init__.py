"""The fp64 reference evaluator: what a mixer means, run token by token.

torch is imported when the evaluator is asked for, not with this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eosc.reference.evaluator import Result, evaluate

__all__ = ["Result", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from eosc.reference import evaluator

        return getattr(evaluator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
