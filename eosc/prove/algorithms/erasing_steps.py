"""Proofs about memories with erasures: once its systems are solved, a chunk only decays.

With n and zeta known, the memory is a sum of what e writes with n beside it, and the adjoint one of
what s reads with dy beside it and w with zeta. The systems are shown to hold at every token, their
solutions to be made of two parts, and n and zeta to be what the recurrences say. Nothing here is
trusted: the kernel checks every step.
"""

from __future__ import annotations

from collections.abc import Iterator

from eosc.ir.nodes import Algorithm
from eosc.lowering.delta.scan import DeltaScan
from eosc.prove import formula
from eosc.prove.algorithms.erasing import (
    BACKWARD,
    OF_MEMORY,
    OF_WRITES,
    RETURNED,
    Erasing,
)
from eosc.prove.algorithms.recurrence import HIGH, LOW
from eosc.prove.algorithms.steps import Proof, Step
from eosc.prove.formula import ONE, TIME, ZERO, Definition, Formula, Problem, Time, shifted

NOW, LATER = {"t": 1}, {"t": 1, "": 1}


class ErasingProof(Proof):
    """The steps of one proof about a scan of the delta family."""

    def __init__(self, scan: DeltaScan, algorithm: Algorithm, problem: Problem) -> None:
        self.erasing = Erasing(scan, opaque=True)
        self.tied, self.added = scan.tied, self.erasing.added
        names = {each.name for each in problem.definitions}
        systems = (OF_MEMORY, OF_WRITES, self.added, *BACKWARD)
        self.systems = [each for each in systems if f"chunk.{each}" in names]
        self.wholes = [each for each in self.systems if each in (self.added, RETURNED)]
        super().__init__(scan, algorithm, problem)

    # Lemmas

    def lemmas(self) -> Iterator[Step]:
        """That the systems hold, and what their solutions are."""
        yield from (self.system(each) for each in self.systems)
        yield from (self.parts(each) for each in self.wholes)
        if "gradient" in {each.name for each in self.problem.goals}:
            yield from (self.meaning(each) for each in self.wholes)

    def lemma(self, name: str, system: str, right: Formula, by: list[Step]) -> Step:
        """That a solution is something at each token of the chunk."""
        ahead = () if system in BACKWARD else ((LOW, shifted(NOW, -1)),)
        return {
            "rule": "lemma",
            "name": name,
            "parameters": (("t", TIME), *self.places(system)),
            "facts": (*ahead, (NOW, HIGH)),
            "left": self.erasing.solution(system, NOW),
            "right": right,
            "by": by,
        }

    def places(self, system: str) -> tuple[tuple[str, str], ...]:
        """The index of a system's solution, with its axis."""
        axes = self.erasing.solution_axes(system)
        return tuple((self.erasing.letters[axis], axis) for axis in axes)

    def use(self, lemma: str, system: str, times: Formula = ONE, at: Time | None = None) -> Step:
        """A lemma about a system at a token, times a value."""
        letters = (letter for letter, _ in self.places(system))
        return {"hypothesis": lemma, "arguments": (at or NOW, *letters), "times": times}

    def system(self, system: str) -> Step:
        """A system holds at each token.

        Forwards its recurrence unfolds at t + 1; backwards at t before E, and E is its start.
        """
        name = f"system {system}"
        right = formula.add(self.erasing.known(system, NOW), self.erasing.coupled(system, NOW))
        ladder = {"rule": "ladder", "goal": name, "parameter": "t", "times": ZERO}
        if system not in BACKWARD:
            return self.lemma(name, system, right, [{**ladder, "from": shifted(LOW, 1)}])
        inside = f"inside {system}"
        before_last = self.lemma(inside, system, right, [_equal(inside)])
        before_last["facts"] = ((LATER, HIGH),)
        use = self.use(inside, system, at=shifted(NOW, -1))
        down = {**ladder, "from": HIGH, "step": -1, "using": [use]}
        return self.lemma(name, system, right, [before_last, down])

    def parts(self, system: str) -> Step:
        """A solution is made of its parts, by induction over all tokens before."""
        name, own = f"parts of {system}", shifted(NOW, -1) if system in BACKWARD else NOW
        closed = self.erasing.split(system, own)
        strong = {"rule": "strong", "definition": f"chunk.{system}", "closed": closed}
        right = self.erasing.split(system, NOW)
        return self.lemma(name, system, right, [strong, _equal(name)])

    def meaning(self, system: str) -> Step:
        """That n is x - z (or z is z), and zeta the adjoint of z."""
        name, erasing = f"meaning of {system}", self.erasing
        if system == RETURNED:
            claim, right = self.claim("l", self.adjoint()), erasing.returned(NOW)
        else:
            claim, right = self.claim("m", self.memory()), erasing.erased(NOW)
            if self.tied:
                right = formula.minus(erasing.prologue("x", NOW), right)
        equal = {**_equal(name), "using": [self.use(f"system {system}", system)]}
        return self.lemma(name, system, right, [claim, equal])

    # Where they are used

    def claim(self, name: str, closed: Formula) -> Step:
        """The step that shows a closed form; the adjoint's goes by the system at the token."""
        step = super().claim(name, closed)
        if name != "l":
            return step
        times = formula.negative(self.erasing.prologue("w", NOW))
        return {**step, "using": [self.use(f"system {RETURNED}", RETURNED, times)]}

    def telescoped(self) -> Step:
        """The step that shows the gradient, which names n and zeta, not what these are."""
        step, erasing = super().telescoped(), self.erasing
        if not self.wholes:
            return step
        turned = erasing.tangent("e" if self.tied else "u", LATER)
        of_added = erasing.over_key(erasing.whole_adjoint(LATER), turned)
        before = formula.at("m", NOW, *erasing.indices)
        of_returned = erasing.over_key(before, erasing.tangent("w", LATER))
        if self.tied:
            of_returned = formula.minus(of_returned, erasing.tangent("x", LATER))
        uses = [
            {
                **self.use(f"meaning of {each}", each, formula.negative(times), LATER),
                "over": self.places(each),
            }
            for each, times in ((self.added, of_added), (RETURNED, of_returned))
        ]
        return {**step, "using": uses}

    def goal(self, name: str) -> Step:
        """The step that shows a goal: one about a system by what was shown of it."""
        step, array = super().goal(name), name.split(".")[-1]
        if array in self.wholes:
            use = self.use(f"parts of {array}", array, formula.number(-1))
            return {**step, "using": [use]}
        if array in self.systems:
            return {**step, "using": [self.use(f"system {array}", array)]}
        return step

    # Closed forms

    def closed(self, definition: Definition) -> Formula | None:
        """The closed form of the memory and its adjoint, where the systems of a chunk are known."""
        if definition.name == "m" and self.added in self.systems:
            return self.memory()
        if definition.name == "l" and RETURNED in self.systems:
            return self.adjoint()
        return None

    def memory(self) -> Formula:
        """What is left of the first memory, and of each write."""
        w, erasing = {"w": 1}, self.erasing
        added = erasing.solution(self.added, w)
        if self.tied:
            written = formula.mul(erasing.prologue("e", w), added)
        else:
            own = formula.mul(erasing.prologue("e", w), erasing.prologue("x", w))
            written = formula.add(formula.mul(erasing.back(w), added), own)
        kept = formula.mul(erasing.whole(w, NOW), written)
        first = formula.mul(erasing.whole(LOW, NOW), erasing.given("before"))
        return formula.add(first, formula.over("w", LOW, NOW, kept))

    def adjoint(self) -> Formula:
        """What the last adjoint gives, each later output and each later erasure."""
        w, erasing = {"w": 1}, self.erasing
        read = w if erasing.scan.inclusive else shifted(w, -1)
        outputs = formula.mul(erasing.whole(NOW, read), erasing.read_back(w))
        returned = formula.mul(erasing.prologue("w", w), erasing.solution(RETURNED, w))
        erasures = formula.mul(erasing.whole(NOW, shifted(w, -1)), returned)
        last = formula.mul(erasing.whole(NOW, HIGH), erasing.given("after"))
        return formula.add(last, formula.over("w", NOW, HIGH, formula.add(outputs, erasures)))


def _equal(name: str) -> Step:
    return {"rule": "equal", "goal": name}
