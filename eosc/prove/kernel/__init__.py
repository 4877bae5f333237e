"""The trusted kernel: is this a proof? Standard library only, and nothing of eosc."""

from .atoms import Rejected
from .rules import Checker, check

__all__ = ["Checker", "Rejected", "check"]
