"""The proof that an algorithm computes its scan.

Nothing here is trusted: the kernel checks every step.
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.ir.nodes import Algorithm, Let
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.family import AnyScan
from eosc.prove.algorithms.elements import DECAY
from eosc.prove.algorithms.erasing_steps import ErasingProof
from eosc.prove.algorithms.recurrence import Bounds
from eosc.prove.algorithms.statement import state_algorithm
from eosc.prove.algorithms.steps import Proof, Step
from eosc.prove.formula import Problem


def prove_algorithm(
    scan: AnyScan, algorithm: Algorithm, ranges: Mapping[str, Bounds] | None = None
) -> tuple[Problem, list[Step]]:
    """The statement that an algorithm computes its scan or its gradient, and a proof to check.

    ranges: of operands, assumed.

    Raises:
        Unreadable: the algorithm has no statement.
    """
    problem = state_algorithm(scan, algorithm, _cuts(scan, algorithm), ranges)
    if isinstance(scan, DeltaScan):
        return problem, [*ErasingProof(scan, algorithm, problem).steps()]
    return problem, [*Proof(scan, algorithm, problem).steps()]


def _cuts(scan: AnyScan, algorithm: Algorithm) -> dict[str, str]:
    """The lets that hold the gradients of the prologues, and the one that holds a decay."""
    lets = {
        each.name for kernel in algorithm.kernels for each in kernel.body if isinstance(each, Let)
    }
    found = {name: f"d{name}" for name, _ in scan.prologues() if f"d{name}" in lets}
    return {**found, DECAY: DECAY} if DECAY in lets else found
