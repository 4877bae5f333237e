"""The theorem files say what is so, and the prover settles all of it.

Apart from the prover, both sides are evaluated with the fp64 reference on random operands.
"""

from __future__ import annotations

import pytest

from benchmarks.theorems import TABLE, rows, statement_numbers, table
from eosc import api
from eosc.prove.engine import Budget, settle
from eosc.prove.reading import Stated, statements
from eosc.resources import zoo_folder
from eosc.semantics.theorems import Claim, Identity, Property, Theorem
from tests.prove.theorem_numbers import numbers

FILES = sorted((zoo_folder() / "theorems").glob("*.eos"))
THEOREMS = [(path, theorem) for path in FILES for theorem in api.load(path).theorems]
NUMERIC = [
    pytest.param(theorem, claim, id=f"{path.stem}:{theorem.name}:{number}")
    for path, theorem in THEOREMS
    for number, claim in enumerate(theorem.claims)
    if not isinstance(claim, Property)
]
STATED = [
    pytest.param(stated, id=f"{path.stem}:{stated.line}")
    for path in FILES
    for stated in statements(path)
]
GENEROUS = Budget(search=20.0, deep=20.0)
RUNS = ((1, 0), (2, 1), (5, 2), (5, 3))  # steps, seed

# Statements of the literature that the prover must settle; 2 and 39 are obligations of algorithms
# and of the convolution rewrite, not claims about specifications.
TRUE = "1 3 4 6 7 8 10 11 13 14 15 16 17 19 21 23 24 25 26 28 29 30 31 35 40".split()
FALSE = "R1 R2 R6 R8 R9 R11 R12 R13 R15".split()


@pytest.mark.parametrize("theorem, claim", NUMERIC)
def test_numbers_agree_with_the_claim(theorem: Theorem, claim: Claim) -> None:
    assert not isinstance(claim, Property)
    gaps = [numbers(theorem, claim, steps, seed).gap for steps, seed in RUNS]
    if claim.verdict == "prove":
        assert max(gaps) < 1e-9
    else:
        assert max(gaps) > 1e-3


@pytest.mark.parametrize("stated", STATED)
def test_the_prover_settles_it_as_claimed(stated: Stated) -> None:
    outcome = settle(stated.theorem, stated.claim, GENEROUS)
    assert outcome.as_claimed, outcome.reason


def test_every_statement_is_there() -> None:
    verdicts: dict[str, set[str]] = {}
    for _, theorem in THEOREMS:
        for number in statement_numbers(theorem):
            verdicts.setdefault(number, set()).update(each.verdict for each in theorem.claims)
    assert set(verdicts) == {*TRUE, *FALSE}
    assert [number for number in TRUE if "prove" not in verdicts[number]] == []
    assert [number for number in FALSE if "refute" not in verdicts[number]] == []


def test_there_are_enough_pairs() -> None:
    claims = [claim for _, theorem in THEOREMS for claim in theorem.claims]
    pairs = [each for each in claims if not isinstance(each, Property | Identity)]
    assert len(pairs) >= 60
    assert {each.verdict for each in pairs} == {"prove", "refute"}


def test_every_true_statement_cites_a_paper() -> None:
    assert {*TRUE} <= {row.number for row in rows(FILES) if row.source}


def test_the_page_is_up_to_date() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(rows(FILES))
