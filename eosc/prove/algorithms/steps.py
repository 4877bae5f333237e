"""The steps of a proof about an algorithm: closed forms, and where each goal follows.

Nothing here is trusted: the kernel checks every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eosc.ir.nodes import Algorithm, Kernel, Let, Running, walk
from eosc.lowering.family import AnyScan
from eosc.prove import formula
from eosc.prove.algorithms.closed_forms import closed_form
from eosc.prove.algorithms.families import recurrence_of
from eosc.prove.algorithms.recurrence import HIGH, LOW
from eosc.prove.formula import TIME, ZERO, Definition, Formula, Problem, shifted

Step = dict[str, Any]


class Proof:
    """The steps of one proof; a family adds the lemmas that it needs."""

    def __init__(self, scan: AnyScan, algorithm: Algorithm, problem: Problem) -> None:
        self.scan, self.algorithm, self.problem = scan, algorithm, problem
        self.recurrence = recurrence_of(scan, opaque=True)
        self.running = set(_running(algorithm))
        self.unfolding = set(self._unfolding())

    def steps(self) -> Iterator[Step]:
        """Telescoping before any closed form is known, then closed forms, then equalities."""
        goals = [each.name for each in self.problem.goals]
        yield from self.lemmas()
        if "gradient" in goals:
            yield self.telescoped()
        for each in self.problem.definitions:
            closed = self.closed(each)
            if closed is not None:
                yield self.claim(each.name, closed)
        yield from (self.goal(name) for name in goals if name != "gradient")

    def lemmas(self) -> Iterator[Step]:
        """What later steps use."""
        return iter(())

    def telescoped(self) -> Step:
        """The step that shows the gradient."""
        return {"rule": "telescope", "goal": "gradient", "potential": self.potential()}

    def closed(self, definition: Definition) -> Formula | None:
        """The closed form of a recurrence; None where the proof needs none."""
        return closed_form(self.recurrence, definition)

    def claim(self, name: str, closed: Formula) -> Step:
        """The step that shows a closed form."""
        return {"rule": "induction", "claims": [{"definition": name, "closed": closed}]}

    def goal(self, name: str) -> Step:
        """The step that shows a goal."""
        if name in self.running:
            return {"rule": "ladder", "goal": name, "parameter": "t", "from": HIGH, "step": -1}
        if name in self.unfolding:
            climb = {"parameter": "t", "from": shifted(LOW, 1), "times": ZERO}
            return {"rule": "ladder", "goal": name, **climb}
        return {"rule": "equal", "goal": name}

    def _unfolding(self) -> Iterator[str]:
        """The goals about one token whose memory has no closed form.

        What a memory is made of is read one token ahead, so these are climbed token by token.
        """
        memory = next(each for each in self.problem.definitions if each.name == "m")
        if self.closed(memory) is not None:
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
