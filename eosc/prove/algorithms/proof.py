"""The proof that an algorithm computes its scan: closed forms, and where each goal follows.

Nothing here is trusted: the kernel checks every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eosc.ir.nodes import Algorithm, Kernel, Let, Running, walk
from eosc.lowering.family import AnyScan
from eosc.prove import formula
from eosc.prove.algorithms.closed_forms import closed_form
from eosc.prove.algorithms.elements import DECAY
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.recurrence import HIGH, LOW, Bounds
from eosc.prove.algorithms.statement import state_algorithm
from eosc.prove.formula import TIME, ZERO, Formula, Problem, shifted

Step = dict[str, Any]


def prove_algorithm(
    scan: AnyScan, algorithm: Algorithm, ranges: Mapping[str, Bounds] | None = None
) -> tuple[Problem, list[Step]]:
    """The statement that an algorithm computes its scan or its gradient, and a proof to check.

    ranges: of operands, assumed.

    Raises:
        Unreadable: the algorithm has no statement.
    """
    problem = state_algorithm(scan, algorithm, _cuts(scan, algorithm), ranges)
    return problem, [*_Proof(scan, algorithm, problem).steps()]


def _cuts(scan: AnyScan, algorithm: Algorithm) -> dict[str, str]:
    """The lets that hold the gradients of the prologues, and the one that holds a decay."""
    lets = {
        each.name for kernel in algorithm.kernels for each in kernel.body if isinstance(each, Let)
    }
    found = {name: f"d{name}" for name, _ in scan.prologues() if f"d{name}" in lets}
    return {**found, DECAY: DECAY} if DECAY in lets else found


class _Proof:
    """The steps of one proof."""

    def __init__(self, scan: AnyScan, algorithm: Algorithm, problem: Problem) -> None:
        self.scan, self.algorithm, self.problem = scan, algorithm, problem
        self.recurrence = recurrence_of(scan, opaque=True)

    def steps(self) -> Iterator[Step]:
        """Telescoping before any closed form is known, then closed forms, then equalities."""
        goals = [each.name for each in self.problem.goals]
        if "gradient" in goals:
            yield {"rule": "telescope", "goal": "gradient", "potential": self.potential()}
        for each in self.problem.definitions:
            closed = closed_form(self.recurrence, each)
            if closed is not None:
                claims = [{"definition": each.name, "closed": closed}]
                yield {"rule": "induction", "claims": claims}
        running, unfolding = set(_running(self.algorithm)), set(self.unfolding())
        for name in goals:
            if name in running:
                yield {"rule": "ladder", "goal": name, "parameter": "t", "from": HIGH, "step": -1}
            elif name in unfolding:
                climb = {"parameter": "t", "from": shifted(LOW, 1), "times": ZERO}
                yield {"rule": "ladder", "goal": name, **climb}
            elif name != "gradient":
                yield {"rule": "equal", "goal": name}

    def unfolding(self) -> Iterator[str]:
        """The goals about one token whose memory has no closed form.

        What a memory is made of is read one token ahead, so these are climbed token by token.
        """
        memory = next(each for each in self.problem.definitions if each.name == "m")
        if closed_form(self.recurrence, memory) is not None:
            return
        tokens = tuple(f"{each.name}." for each in self.algorithm.kernels if each.chunk == 1)
        for goal in self.problem.goals:
            if tokens and goal.name.startswith(tokens) and ("t", TIME) in goal.parameters:
                yield goal.name

    def potential(self) -> Formula:
        """The adjoint memory times the tangent of the memory."""
        recurrence = self.recurrence
        adjoint, moving = (formula.at(name, {"t": 1}, *recurrence.indices) for name in ("l", "m'"))
        return recurrence.contracted(formula.mul(adjoint, moving), recurrence.scan.axes)


def _running(algorithm: Algorithm) -> Iterator[str]:
    """The goals about values that are running sums over the chunk."""
    for kernel in algorithm.launches:
        if not isinstance(kernel, Kernel):
            continue
        named = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
        running = {
            name
            for name, value in named.items()
            if any(isinstance(each, Running) for each in walk(value))
        }
        for name, value in named.items():
            inside = {getattr(each, "name", "") for each in walk(value)}
            if inside & running:
                yield f"{kernel.name}.{name}"
