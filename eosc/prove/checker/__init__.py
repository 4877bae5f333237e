"""Checks proofs: the kernel their equations, `conditions` what those need. Standard library only.

`check` takes statements and proofs as certificates hold them. `sugar` rewrites them for the kernel,
which collects what the equations need: divisors that are not 0, logarithms of what is positive.
`conditions` discharges what follows from the declared ranges; the rest is part of the result.
"""

from eosc.prove.checker.checking import Checked, Condition, Obligation, check
from eosc.prove.kernel.atoms import Rejected

__all__ = ["Checked", "Condition", "Obligation", "Rejected", "check"]
