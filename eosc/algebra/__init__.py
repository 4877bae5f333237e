"""Scalars of the spec: the hash-consed DAG, the table of functions, derivatives, intervals, rules.

Importing this package fills the table of functions and imports neither sympy nor torch.
"""

from eosc.algebra import functions as functions
