"""The engine: verdicts, what was claimed, and the place of a mixer among those of the zoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eosc.cli import eosc
from eosc.prove import notation
from eosc.prove.engine import Budget, Outcome, Verdict, settle
from eosc.prove.reading import Asked, Given, asked, statements
from eosc.prove.relating import Tie, known, relate
from eosc.resources import zoo_folder
from eosc.semantics.imports import Loader

ZOO = {path.stem: path for path in sorted(zoo_folder().glob("*/*.eos"))}


def outcome(text: str, budget: Budget | None = None) -> Outcome:
    """The outcome of a claim about mixers of the zoo."""
    words = set(text.replace("(", " ").replace(")", " ").split())
    given = tuple((name, Given(ZOO[name], name)) for name in sorted(words & set(ZOO)))
    stated = asked(Asked(text + "\n", given))
    return settle(stated.theorem, stated.claim, budget)


@pytest.mark.parametrize(
    ("text", "verdict", "as_claimed"),
    [
        ("prove linear_attention == gla where a[t] := 1", Verdict.PROVED, True),
        ("refute linear_attention == gla where a[t] := 1", Verdict.PROVED, False),
        ("refute hgrn2 == gla", Verdict.REFUTED, True),
        ("prove hgrn2 == gla", Verdict.REFUTED, False),
        ("prove gla is diag(K)", Verdict.PROVED, True),
        ("prove gla is lti", Verdict.REFUTED, False),
        ("refute linear_attention is complex", Verdict.REFUTED, True),
        ("prove s4d is complex", Verdict.PROVED, True),
    ],
)
def test_verdict(text: str, verdict: Verdict, as_claimed: bool) -> None:
    found = outcome(text, Budget(deep=0.4))
    assert (found.verdict, found.as_claimed) == (verdict, as_claimed)
    assert found.ms > 0
    shown = found.checked is not None or found.witness is not None
    assert shown and (found.verdict is not Verdict.REFUTED or found.assumptions == ())


def test_proof_of_a_denial_is_no_witness_and_has_no_assumption_to_print() -> None:
    found = outcome("refute linear_attention is complex")
    assert found.witness is None and found.checked is not None


def test_unknown_says_what_a_proof_was_short_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from eosc.prove.search import proving

    def without_claims(problem: Any, **given: Any) -> Any:
        yield proving.candidate(problem, "normal forms", ())

    monkeypatch.setattr(proving, "search", without_claims)
    found = outcome("prove linear_attention == gla where a[t] := 1")
    assert found.verdict is Verdict.UNKNOWN and not found.as_claimed
    assert "left.m" in found.reason and "right.m" in found.reason


def test_without_the_refuter_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "eosc.prove.refute", None)
    found = outcome("prove linear_attention == gla where a[t] := 1")
    assert found.verdict is Verdict.PROVED
    assert any("python-flint" in note for note in found.notes)


def test_statements_of_a_file_know_their_text_and_sources(tmp_path: Path) -> None:
    path = tmp_path / "claims.eos"
    path.write_text(
        "from zoo import gla, hgrn2, kda\n\n\n"
        "theorem tied:\n"
        "    # why\n"
        "    prove hgrn2 == gla where\n"
        "        q[t] := q[t]  # the same\n"
        "        k[t] := 1 - a[t]\n",
        encoding="utf-8",
    )
    (stated,) = statements(path)
    assert stated.text == "prove hgrn2 == gla where q[t] := q[t], k[t] := 1 - a[t]"
    assert (stated.name, stated.line) == ("tied", 6)
    assert {each.name for each in stated.sources} == {"claims.eos", "gla.eos", "hgrn2.eos"}


# the place of a mixer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "other", "tie"),
    [
        ("hgrn2", "gla", Tie.SPECIAL),
        ("gla", "linear_attention", Tie.GENERAL),
        ("gated_deltanet", "kda", Tie.SPECIAL),
        ("rope_la", "gla", Tie.SPECIAL),
        ("simple_gla", "simple_gla", Tie.EQUAL),
        ("gla", "rwkv6", Tie.DIFFERENT),
        ("gla", "lru", Tie.DIFFERENT),
    ],
)
def test_relation(own: str, other: str, tie: Tie) -> None:
    loader = Loader()
    left = known(own, Given(ZOO[own], own), loader)
    alias = f"{other}_B" if own == other else other
    right = known(alias, Given(ZOO[other], other), loader)
    assert left is not None and right is not None
    found = relate(left, right, loader)
    assert found.tie is tie
    if tie is not Tie.DIFFERENT:
        assert found.outcome.checked is not None
    elif found.claim:
        assert found.outcome.witness is not None


def test_relation_of_an_instance_of_a_family() -> None:
    loader = Loader()
    chosen = (("osc", "k_dep"), ("act", "identity"))
    mine = known("lcsm", Given(ZOO["lcsm"], "lcsm"), loader, chosen)
    theirs = known("gla", Given(ZOO["gla"], "gla"), loader)
    assert mine is not None and theirs is not None
    found = relate(mine, theirs, loader)
    assert found.tie is Tie.SPECIAL
    assert found.claim.startswith("prove lcsm(osc = k_dep, act = identity) == gla(scale = 1) where")


def test_relation_of_a_mixer_with_other_names(tmp_path: Path) -> None:
    text = ZOO["s4d"].read_text(encoding="utf-8").replace("mixer s4d", "mixer mine")
    for old, new in (("A_re", "L_re"), ("A_im", "L_im"), ("skip", "direct")):
        text = text.replace(old, new)
    (tmp_path / "mine.eos").write_text(text, encoding="utf-8")
    loader = Loader()
    mine = known("mine", Given(tmp_path / "mine.eos", "mine"), loader)
    theirs = known("s4d", Given(ZOO["s4d"], "s4d"), loader)
    assert mine is not None and theirs is not None
    found = relate(mine, theirs, loader)
    assert found.tie is Tie.EQUAL
    assert found.claim.endswith("where A_re := L_re, A_im := L_im, skip := direct")


@pytest.mark.slow
def test_identify_a_mixer_that_was_only_renamed(tmp_path: Path) -> None:
    text = ZOO["gla"].read_text(encoding="utf-8").replace("mixer gla", "mixer mine")
    (tmp_path / "mine.eos").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(eosc, ["identify", str(tmp_path / "mine.eos"), "--json"])
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert [each["name"] for each in data["equal"]] == ["gla"]
    assert "hgrn2" in [each["name"] for each in data["generalises"]]
    assert len(data["nearest"]) == 3
    assert all(each["witness"] for each in data["nearest"])


# formulas for people -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "text", "latex"),
    [
        (("number", "-1/2"), "-1/2", r"-\tfrac{1}{2}"),
        (("at", "left.gamma", {"t": 1, "": -1}, "a"), "left.γ[t-1,a]", r"\gamma^{A}_{t-1,a}"),
        (
            ("add", ("at", "x"), ("mul", ("number", "-1"), ("at", "y"))),
            "x - y", "x - y",
        ),
        (
            ("add", ("number", "-5"), ("mul", ("number", "-1/2"), ("at", "y"))),
            "-5 - (1/2)·y", r"-5 - \tfrac{1}{2}\,y",
        ),
        (
            ("mul", ("add", ("at", "x"), ("at", "y")), ("at", "z")),
            "(x + y)·z", r"\left(x + y\right)\,z",
        ),
        (
            ("mul", ("sum", "u", {}, {"t": 1}, ("at", "x", {"u": 1})), ("at", "z")),
            "(Σ_{0<u≤t} x[u])·z", r"\left(\sum_{0<u\le t} x_{u}\right)\,z",
        ),
        (("power", ("add", ("at", "x"), ("number", "1")), "-1"), "(x + 1)^(-1)",
         r"{\left(x + 1\right)}^{-1}"),
        (("call", "exp", ("at", "b_1")), "exp(b_1)", r"\exp\left(\mathrm{b\_1}\right)"),
        (("contract", "a", "K", ("delta", "a", "b")), "Σ_{a:K} δ[a,b]",
         r"\sum_{a\in K} \delta_{a,b}"),
    ],
)  # fmt: skip
def test_notation(formula: Any, text: str, latex: str) -> None:
    assert notation.text(formula) == text
    assert notation.latex(formula) == latex


def test_notation_takes_no_command_from_a_name() -> None:
    assert notation.latex(("at", r"\input{x}")) == r"\mathrm{?input?x?}"
    assert notation.latex(("call", r"\input{x}")) == r"\operatorname{inputx}\left(\right)"
    deep: Any = ("at", "x")
    for _ in range(5000):
        deep = ("conjugate", deep)
    assert "…" in notation.text(deep)
