"""The prover against the refuter: no mutant of a true statement is both proved and separated.

Mutants of definitions, goals, ranges and facts, under the proof of the original, forged proofs
and a new search. `make test` draws 500, the slow run 20,000.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from eosc.prove.checker import Checked, Rejected, check
from eosc.prove.formula import Problem, as_json
from eosc.prove.reading import statements
from eosc.prove.search import Found, prove
from eosc.prove.statements import Unstated, state

from . import mutants

pytest.importorskip("flint")

from eosc.prove.refute import refute, separate

THEOREMS = Path(__file__).parents[2] / "examples" / "theorems"
FAST = ("gating", "linear", "delta", "rwkv")
FORGED = 2


@dataclass(frozen=True, slots=True)
class True_:
    """A statement that is proved, and its proof."""

    text: str
    problem: Problem
    proof: list[dict[str, Any]]


@cache
def proved(stems: tuple[str, ...]) -> tuple[True_, ...]:
    """The true statements of theorem files that are proved for all sizes in a second."""
    found = []
    for path in sorted(THEOREMS.glob("*.eos")):
        if stems and path.stem not in stems:
            continue
        for stated in statements(path):
            try:
                problem = state(stated.theorem, stated.claim)
            except Unstated:
                continue
            if stated.claim.verdict != "prove" or problem.negated or problem.partial:
                continue
            result = prove(problem, seconds=1.0)
            if isinstance(result, Found):
                found.append(True_(stated.text, problem, list(result.candidate.steps)))
    return tuple(found)


def accepted(problem: Problem, proof: list[dict[str, Any]]) -> Checked | None:
    try:
        return check(as_json(problem), proof)
    except Rejected:
        return None


def positive(problem: Problem) -> Problem:
    """The statement for positive symbols, where the conditions of proofs commonly hold."""
    symbols = []
    for each in problem.symbols:
        low, high, low_open, high_open = each.bounds or (None, None, True, True)
        if low is None or low.startswith("-"):
            low, low_open = "0", True
        symbols.append(replace(each, bounds=(low, high, low_open, high_open)))
    return replace(problem, symbols=tuple(symbols))


def proof_of(mutant: Problem, origin: True_, rng: random.Random, searched: float) -> Checked | None:
    """What the kernel accepts for a mutant: the old proof, a forged one, or a new one."""
    tried = [origin.proof]
    tried += [mutants.forged(mutant, origin.proof, rng) for _ in range(FORGED)]
    for proof in tried:
        found = accepted(mutant, proof)
        if found is not None:
            return found
    if searched:
        result = prove(mutant, seconds=searched)
        if isinstance(result, Found):
            return result.checked
    return None


def attack(count: int, seed: int, stems: tuple[str, ...], deep: float) -> Counter[str]:
    """Draw mutants; a mutant that is proved and separated fails at once."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    while sum(counts.values()) < count:
        origin = rng.choice(proved(stems))
        made = mutants.changed(origin.problem, rng)
        if made is None:
            continue
        mutant, what = made
        apart = separate(mutant, seconds=0.05)
        if apart is None:
            counts["without meaning"] += 1
            continue
        # A search for each would take most of the time; some of them show as much.
        searched = 0.3 if not apart or rng.random() < 0.05 else 0.0
        found = proof_of(mutant, origin, rng, searched)
        if apart and found is not None:
            again = positive(mutant) if found.conditions else mutant
            assert found.conditions and not separate(again, seconds=0.2), f"{origin.text}: {what}"
            counts["proved under a condition that excludes the witness"] += 1
        elif apart:
            counts["separated"] += 1
        elif found is not None:
            counts["proved"] += 1
        else:
            late = deep and separate(mutant, seconds=deep)
            counts["separated late" if late else "open"] += 1
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_no_mutant_is_proved_and_separated(seed: int) -> None:
    counts = attack(100, seed, FAST, 0.0)
    assert counts["separated"] > 40 and counts["proved"] > 10, counts
    assert counts["open"] + counts["without meaning"] < 20, counts


def test_mutants_of_the_same_meaning_are_proved() -> None:
    counts = alike(100, 0, FAST)
    assert counts["proved"] >= 97, counts


def alike(count: int, seed: int, stems: tuple[str, ...]) -> Counter[str]:
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    while sum(counts.values()) < count:
        origin = rng.choice(proved(stems))
        made = mutants.same(origin.problem, rng)
        if made is None:
            continue
        mutant, what = made
        assert not separate(mutant, seconds=0.02), f"{origin.text}: {what}"
        result = prove(mutant, seconds=2.0)
        counts["proved" if isinstance(result, Found) else "open"] += 1
    return counts


def test_a_witness_is_no_accident_of_the_seed() -> None:
    rng = random.Random(7)
    checked = 0
    while checked < 10:
        origin = rng.choice(proved(FAST))
        made = mutants.changed(origin.problem, rng)
        if made is None or not separate(made[0], seconds=0.05):
            continue
        assert refute(made[0], seconds=1.0, seed=3) is not None, made[1]
        checked += 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_no_mutant_of_many_is_proved_and_separated(seed: int) -> None:
    counts = attack(1000, 100 + seed, (), 0.5)
    unequal = counts["separated"] + counts["separated late"]
    assert counts["separated"] >= 0.99 * unequal, counts


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_many_mutants_of_the_same_meaning_are_proved(seed: int) -> None:
    counts = alike(1000, 100 + seed, ())
    assert counts["proved"] >= 970, counts
