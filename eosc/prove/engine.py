"""Settle a claim: refute it quickly, else prove it, else refute it at length.

The statement comes from trusted code, the proof from the search and the kernel, the witness from
the refuter; what is neither proved nor refuted stays unknown, with what a proof was short of.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eosc.prove.formula import Problem
from eosc.semantics.theorems import Claim, Theorem

if TYPE_CHECKING:
    from eosc.prove.checker import Checked
    from eosc.prove.refute import Witness
    from eosc.prove.search import Candidate


# Loaded before the clock starts: the first claim takes no longer than the others.
_PARTS = ("eosc.prove.statements", "eosc.prove.search", "eosc.prove.refute.search")


class Verdict(Enum):
    """What became of a statement, whatever was claimed of it."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Budget:
    """Seconds for each part, and the seed of the random points.

    first: the refuter before the search, short since the search looks at a few points itself.
    search: the search. deep: the refuter after it, and before it where the claim is that the
    statement is false.
    """

    first: float = 0.01
    search: float = 3.0
    deep: float = 2.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with its reasons.

    claimed: `prove` or `refute`, the word of the claim. assumptions: conditions under which it is
    proved that nothing declares. reason: why it is unknown: the residual of the nearest proof, or
    what the statements' language lacks. ms: how long it took.
    """

    verdict: Verdict
    claimed: str
    ms: float
    problem: Problem | None = None
    proof: tuple[dict[str, Any], ...] = ()
    candidate: Candidate | None = None
    checked: Checked | None = None
    witness: Witness | None = None
    assumptions: tuple[str, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def as_claimed(self) -> bool:
        """Whether it came out as the claim says."""
        wanted = Verdict.PROVED if self.claimed == "prove" else Verdict.REFUTED
        return self.verdict is wanted

    @property
    def conditional(self) -> bool:
        """Whether it is proved under an assumption only."""
        return self.verdict is Verdict.PROVED and bool(self.assumptions)


def settle(theorem: Theorem, claim: Claim, budget: Budget | None = None) -> Outcome:
    """Prove or refute one claim of a theorem."""
    for each in _PARTS:
        with suppress(ImportError):  # of the optional refuter
            import_module(each)
    return _Case(theorem, claim, budget or Budget()).run()


class _Case:
    """One claim being settled."""

    def __init__(self, theorem: Theorem, claim: Claim, budget: Budget) -> None:
        self.theorem = theorem
        self.claim = claim
        self.budget = budget
        self.began = time.perf_counter()
        self.notes: list[str] = []

    def run(self) -> Outcome:
        from eosc.prove.statements import Unstated, state

        try:
            problem = state(self.theorem, self.claim)
        except Unstated as error:
            return self.outcome(Verdict.UNKNOWN, reason=f"cannot be stated: {error}")
        false = (self.claim.verdict == "refute") != problem.negated
        witness = self.refuted(problem, self.budget.deep if false else self.budget.first)
        if witness is not None:
            return self.separated(problem, witness)
        return self.searched(problem, deeper=not false)

    def separated(self, problem: Problem, witness: Witness) -> Outcome:
        """The outcome of a counterexample; it proves a claim that is stated by its denial."""
        verdict = Verdict.PROVED if problem.negated else Verdict.REFUTED
        return self.outcome(verdict, problem, witness=witness)

    def searched(self, problem: Problem, deeper: bool) -> Outcome:
        """The outcome of the search, and of the deeper refuter where there is no proof."""
        from eosc.prove.search import Found, prove

        if problem.partial:
            return self.outcome(
                Verdict.UNKNOWN, problem, reason="only a consequence of the claim can be stated"
            )
        result = prove(problem, seconds=self.budget.search, hints=problem.hints)
        if isinstance(result, Found):
            assumptions = tuple(dict.fromkeys(each.text for each in result.checked.conditions))
            return self.outcome(
                Verdict.REFUTED if problem.negated else Verdict.PROVED,
                problem,
                proof=result.candidate.steps,
                candidate=result.candidate,
                checked=result.checked,
                assumptions=assumptions,
            )
        witness = self.refuted(problem, self.budget.deep) if deeper else None
        if witness is not None:
            return self.separated(problem, witness)
        rejection = result.rejection
        reason = "no proof was proposed" if rejection is None else _residual(rejection)
        return self.outcome(Verdict.UNKNOWN, problem, candidate=result.closest, reason=reason)

    def refuted(self, problem: Problem, seconds: float) -> Witness | None:
        """A counterexample, if one is found in time."""
        try:
            from eosc.prove.refute import refute
        except ImportError:
            note = "the refuter needs python-flint: pip install 'eosc[prove]'"
            if note not in self.notes:
                self.notes.append(note)
            return None
        return refute(problem, seconds=seconds, seed=self.budget.seed)

    def outcome(self, verdict: Verdict, problem: Problem | None = None, **found: Any) -> Outcome:
        ms = (time.perf_counter() - self.began) * 1000
        notes = tuple(self.notes)
        return Outcome(verdict, self.claim.verdict, ms, problem, notes=notes, **found)


def _residual(rejection: Any) -> str:
    residual = str(getattr(rejection, "residual", "") or "")
    return f"{rejection}; what is left: {residual}" if residual else str(rejection)
