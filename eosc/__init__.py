"""eosc: write a linear recurrence as its paper writes it, get checked kernels.

The public names are resolved on first use, so that ``import eosc`` (and with it the command
line) loads neither torch nor sympy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eosc.api import build, compile, load

__all__ = ["__version__", "build", "compile", "load"]

__version__ = "0.1.0"

_API = ("build", "compile", "load")


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use.

    Raises:
        AttributeError: ``name`` is not public.
    """
    if name in _API:
        return getattr(import_module("eosc.api"), name)
    raise AttributeError(f"module 'eosc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
