"""Candidates against the kernel: the first proof that it accepts, or what it said of the rest."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeAlias

from eosc.prove.checker import Checked, Rejected, check
from eosc.prove.formula import ZERO, Equation, Problem, as_json
from eosc.prove.search.proposing import search
from eosc.prove.search.relations import Claim
from eosc.prove.search.steps import Candidate, candidate


@dataclass(frozen=True, slots=True)
class Found:
    """A proof that the kernel accepted. tried: how many candidates it took."""

    candidate: Candidate
    checked: Checked
    tried: int

    @property
    def gauge(self) -> tuple[Claim, ...]:
        """What the proof says of the memories, for a report."""
        return tuple(each for group in self.candidate.claims for each in group)


@dataclass(frozen=True, slots=True)
class Missed:
    """No proof. closest: the candidate that failed with the smallest residual, and how."""

    tried: int
    closest: Candidate | None = None
    rejection: Rejected | None = None


Result: TypeAlias = Found | Missed


def prove(problem: Problem, *, seconds: float = 2.0, hints: tuple[Equation, ...] = ()) -> Result:
    """The first candidate that the kernel accepts."""
    until = time.process_time() + seconds
    missed = Missed(0)
    statement = as_json(problem)
    for proposed in search(problem, seconds=seconds, hints=hints):
        ahead: list[Candidate] = [proposed]
        while ahead:
            trying = ahead.pop()
            try:
                checked = check(statement, list(trying.steps))
            except Rejected as rejection:
                missed = _closer(missed, trying, rejection)
                if not rejection.message.startswith("equal "):
                    ahead += _sound_part(problem, trying)
            else:
                return Found(trying, checked, missed.tried + 1)
            if time.process_time() > until:
                return missed
    return missed


def _size(rejection: Rejected | None) -> int:
    return len(str(rejection.residual)) if rejection is not None else 1 << 60


def _closer(missed: Missed, trying: Candidate, rejection: Rejected) -> Missed:
    """The most telling failure so far: the one that leaves least to be shown."""
    if _size(rejection) < _size(missed.rejection):
        return Missed(missed.tried + 1, trying, rejection)
    return replace(missed, tried=missed.tried + 1)


def _sound_part(problem: Problem, trying: Candidate) -> list[Candidate]:
    """The candidate without the claims that do not stand, where some do and some do not."""
    kept: list[tuple[Claim, ...]] = []
    if len(trying.claims) < 2:
        return []
    nothing = Equation("nothing", (), ZERO, ZERO)
    bare = replace(problem, goals=(nothing,))
    statement = as_json(bare)
    for group in trying.claims:
        try:
            check(statement, list(candidate(bare, "", (*kept, group)).steps))
        except Rejected:
            continue
        kept.append(group)
    if not kept or len(kept) == len(trying.claims):
        return []
    return [candidate(problem, trying.strategy, tuple(kept))]
