"""The proof that an algorithm computes its scan: closed forms, and where each goal follows.

Nothing here is trusted: the kernel checks every step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from eosc.ir.nodes import Algorithm, Kernel, Let, Running, walk
from eosc.lowering.scan import Scan
from eosc.prove import formula
from eosc.prove.algorithms.recurrence import HIGH, LOW, Bounds, Recurrence
from eosc.prove.algorithms.statement import state_algorithm
from eosc.prove.formula import ONE, ZERO, Definition, Formula, Problem, shifted

Step = dict[str, Any]


def prove_algorithm(
    scan: Scan, algorithm: Algorithm, ranges: Mapping[str, Bounds] | None = None
) -> tuple[Problem, list[Step]]:
    """The statement that an algorithm computes its scan or its gradient, and a proof to check.

    ranges: of operands, assumed.

    Raises:
        Unreadable: the algorithm has no statement.
    """
    problem = state_algorithm(scan, algorithm, _cuts(scan, algorithm), ranges)
    return problem, [*_Proof(scan, algorithm, problem).steps()]


def _cuts(scan: Scan, algorithm: Algorithm) -> dict[str, str]:
    """The lets that hold the gradients of the prologues, in a walk of whole chunks."""
    lets = {
        each.name
        for kernel in algorithm.kernels
        if kernel.chunk > 1
        for each in kernel.body
        if isinstance(each, Let)
    }
    return {name: f"d{name}" for name, _ in scan.prologues() if f"d{name}" in lets}


class _Proof:
    """The steps of one proof."""

    def __init__(self, scan: Scan, algorithm: Algorithm, problem: Problem) -> None:
        self.scan, self.algorithm, self.problem = scan, algorithm, problem
        self.recurrence = Recurrence(scan, opaque=True)

    def steps(self) -> Iterator[Step]:
        """Telescoping before any closed form is known, then closed forms, then equalities."""
        goals = [each.name for each in self.problem.goals]
        if "gradient" in goals:
            yield {"rule": "telescope", "goal": "gradient", "potential": self.potential()}
        for each in self.problem.definitions:
            closed = self.closed(each)
            if closed is not None:
                claims = [{"definition": each.name, "closed": closed}]
                yield {"rule": "induction", "claims": claims}
        running = set(_running(self.algorithm))
        for name in goals:
            if name in running:
                yield {"rule": "ladder", "goal": name, "parameter": "t", "from": HIGH, "step": -1}
            elif name != "gradient":
                yield {"rule": "equal", "goal": name}

    def potential(self) -> Formula:
        """The adjoint memory times the tangent of the memory."""
        adjoint, moving = (formula.at(name, {"t": 1}, "a", "b") for name in ("l", "m'"))
        inner = formula.contract("b", self.scan.value, formula.mul(adjoint, moving))
        return formula.contract("a", self.scan.key, inner)

    def closed(self, definition: Definition) -> Formula | None:
        """The closed form of a recurrence of the scan."""
        t = {"t": 1}
        match definition.name:
            case "m" | "m.zero":
                base = ZERO if definition.name == "m.zero" else formula.at("before", "a", "b")
                return self.memory(base)
            case "l" | "l.zero":
                base = ZERO if definition.name == "l.zero" else formula.at("after", "a", "b")
                return self.adjoint(base)
        if not definition.name.startswith("p."):
            return None
        part = definition.name.split(".")[1]
        letters = definition.parameters[1:]
        one = definition.name.endswith(".one")
        base = ONE if one else formula.at(f"p.{part}.before", *letters)
        return formula.mul(self.recurrence.over(part, LOW, t), base)

    def memory(self, base: Formula) -> Formula:
        """What is left of the first memory, and of each write."""
        t, w = {"t": 1}, {"w": 1}
        write = formula.mul(self.recurrence.prologue("e", w), self.recurrence.prologue("x", w))
        kept = formula.mul(self.recurrence.whole(w, t), write)
        first = formula.mul(self.recurrence.whole(LOW, t), base)
        return formula.add(first, formula.over("w", LOW, t, kept))

    def adjoint(self, base: Formula) -> Formula:
        """What the last adjoint gives, and each later output."""
        t, w = {"t": 1}, {"w": 1}
        read = w if self.scan.inclusive else shifted(w, -1)
        given = formula.mul(self.recurrence.whole(t, read), self.recurrence.read_back(w))
        last = formula.mul(self.recurrence.whole(t, HIGH), base)
        return formula.add(last, formula.over("w", t, HIGH, given))


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
