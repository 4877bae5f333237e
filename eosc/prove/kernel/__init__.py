"""The trusted checker: a problem and a proof in, what was proved out. Standard library only."""

from .normal import Rejected
from .reading import Condition
from .rules import Checked, Obligation, check

__all__ = ["Checked", "Condition", "Obligation", "Rejected", "check"]
