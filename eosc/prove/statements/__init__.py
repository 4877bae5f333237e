"""Statements: elaborated specs and claims as equations over symbols and definitions.

Trusted, with the kernel: what is proved is what is stated here. Checked against the reference
evaluator over the whole zoo.
"""

from eosc.prove.statements.claims import state
from eosc.prove.statements.environment import Unstated

__all__ = ["Unstated", "state"]
