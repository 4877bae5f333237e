"""The prover against the reference: what it says of mutated specifications agrees with numbers.

A mutant changes one token of a claim or of one of its mixers. `make test` draws some, the slow run
thousands.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from eosc.prove.engine import Budget, Outcome, Verdict, settle
from eosc.resources import zoo_folder
from eosc.semantics.theorems import Equivalence, Identity, Theorem

from .spec_mutants import Subject, mutated, subjects, theorem_of
from .theorem_numbers import numbers

pytest.importorskip("flint")

BUDGET = Budget(search=1.5, deep=1.5)
RUNS = ((1, 0), (2, 1), (6, 2))  # steps, seed
EQUAL, UNEQUAL = 1e-10, 1e-7  # gaps of numbers in fp64; nothing is said of what lies between


@cache
def originals() -> tuple[Subject, ...]:
    """The claims of the theorem files that stand as texts of their own."""
    found = subjects(Path(zoo_folder()) / "theorems")
    return tuple(each for each in found if theorem_of(each.text) is not None)


def drawn(count: int, seed: int) -> Counter[tuple[str, Verdict]]:
    """How many mutants of each kind came out with each verdict.

    Raises:
        AssertionError: one is proved, and its sides differ.
    """
    chance = random.Random(seed)
    tally: Counter[tuple[str, Verdict]] = Counter()
    while tally.total() < count:
        original = chance.choice(originals())
        text = mutated(original.text, chance)
        theorem = theorem_of(text) if text != original.text else None
        if theorem is None:
            continue
        (claim,) = theorem.claims
        assert isinstance(claim, Equivalence | Identity)
        kind = _kind(theorem, claim)
        if kind is None:
            continue
        outcome = settle(theorem, claim, BUDGET)
        if "cannot be stated" in outcome.reason:
            continue
        assert not _wrong(kind, outcome), text
        tally[kind, outcome.verdict] += 1
    return tally


def _kind(theorem: Theorem, claim: Equivalence | Identity) -> str | None:
    """Whether the sides are equal by numbers; None where they are none, or it is in doubt."""
    try:
        gaps = [numbers(theorem, claim, steps, seed).gap for steps, seed in RUNS]
    except (ArithmeticError, ValueError, RuntimeError):
        return None
    if not all(map(math.isfinite, gaps)):
        return None
    if max(gaps) < EQUAL:
        return "equal"
    return "unequal" if max(gaps) > UNEQUAL else None


def _wrong(kind: str, outcome: Outcome) -> bool:
    """Equal numbers do not show that a counterexample is wrong; unequal ones refute a proof."""
    return kind == "unequal" and outcome.verdict is Verdict.PROVED


def _shares(tally: Counter[tuple[str, Verdict]]) -> tuple[float, float]:
    """Which part of the unequal is refuted, and which part of the equal is proved."""
    unequal = sum(tally["unequal", each] for each in Verdict)
    equal = sum(tally["equal", each] for each in Verdict)
    return tally["unequal", Verdict.REFUTED] / unequal, tally["equal", Verdict.PROVED] / equal


def test_the_texts_of_claims_stand_alone() -> None:
    assert len(originals()) >= 120
    assert len({each.name for each in originals()}) == len(originals())


def test_no_mutant_is_proved_and_separated() -> None:
    refuted, proved = _shares(drawn(60, seed=1))
    assert refuted > 0.9
    assert proved > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_many_mutants(seed: int) -> None:
    refuted, proved = _shares(drawn(500, seed))
    assert refuted >= 0.99
    assert proved >= 0.95
