"""Statements mean what the reference evaluates, for every mixer; claims state what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eosc.prove.formula import as_json
from eosc.prove.statements import state
from eosc.resources import zoo_folder
from eosc.semantics.theorems import Theorem
from eosc.testing import zoo
from tests.prove.machine import check_outputs, gap, unit_of


@pytest.mark.parametrize("name", zoo.mixers())
def test_a_mixer_is_stated_as_the_reference_runs_it(name: str) -> None:
    check_outputs(zoo.mixer(name))


def written() -> list[Any]:
    """Every claim of the examples, with its theorem."""
    found = []
    for path in sorted((zoo_folder() / "theorems").glob("*.eos")):
        for theorem in unit_of(path.read_text(encoding="utf-8"), str(path)).theorems:
            for count, claim in enumerate(theorem.claims):
                label = f"{path.stem}-{theorem.name}-{count}".replace(" ", "_")
                found.append(pytest.param(theorem, claim, id=label))
    return found


@pytest.mark.parametrize(("theorem", "claim"), written())
def test_a_claim_is_stated_as_it_is_meant(theorem: Theorem, claim: Any) -> None:
    problem = state(theorem, claim)
    json.dumps(as_json(problem))
    if problem.hypotheses:
        pytest.skip("random values do not fulfil what is assumed")
    holds = (claim.verdict == "prove") != problem.negated
    gaps = [gap(problem, seed) for seed in (1, 2)]
    assert max(gaps) <= 1e-9 if holds else max(gaps) > 1e-6, gaps
