"""What tests share: valid operands, the error measures, equivalence as an assertion.

The names are resolved on first use: pytest imports the plugin that lies here in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eosc.testing.equivalence import NotAsClaimed, assert_equivalent, assert_refuted
    from eosc.testing.measures import log_decay_error, rms_relative
    from eosc.testing.sampling import GATES, sample

__all__ = [
    "GATES",
    "NotAsClaimed",
    "assert_equivalent",
    "assert_refuted",
    "log_decay_error",
    "rms_relative",
    "sample",
]

_HOMES = {
    "GATES": "sampling",
    "NotAsClaimed": "equivalence",
    "assert_equivalent": "equivalence",
    "assert_refuted": "equivalence",
    "log_decay_error": "measures",
    "rms_relative": "measures",
    "sample": "sampling",
}


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use.

    Raises:
        AttributeError: `name` is not public.
    """
    if name in _HOMES:
        return getattr(import_module(f"eosc.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'eosc.testing' has no attribute {name!r}")
