"""`eosc prove` and `eosc check-cert`: what they print where, and with which status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eosc.cli import eosc
from eosc.resources import zoo_folder

GATING = zoo_folder() / "gating"
GLA, HGRN2 = GATING / "gla.eos", GATING / "hgrn2.eos"
TRUE = "prove hgrn2 == gla where k[t] := 1 - a[t]"
FALSE = "refute hgrn2 == gla where k[t] := a[t]"
HEAD = "from zoo import gla, hgrn2\n\n\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(eosc, [str(each) for each in arguments])


@pytest.fixture
def claims(tmp_path: Path) -> Any:
    def written(*lines: str) -> Path:
        path = tmp_path / "claims.eos"
        path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
        return path

    return written


# status ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "options", "status"),
    [
        pytest.param([TRUE, FALSE], [], 0, id="as claimed"),
        pytest.param([TRUE, FALSE], ["--strict"], 0, id="as claimed, without a condition"),
        pytest.param([TRUE.replace("prove", "refute")], [], 1, id="true, and claimed false"),
        pytest.param([FALSE.replace("refute", "prove")], [], 1, id="false, and claimed true"),
        pytest.param([], [], 2, id="no claim"),
        pytest.param(["prove hgrn2 == nothing"], [], 1, id="an error in the file"),
        pytest.param(
            ["prove gla(scale = 1, scale = 2) == gla(scale = 2)"], [], 1, id="given twice"
        ),
        pytest.param([TRUE], ["--json", "--latex"], 2, id="two formats"),
    ],
)
def test_status(claims: Any, lines: list[str], options: list[str], status: int) -> None:
    result = run("prove", claims(*lines), *options)
    assert result.exit_code == status, result.output


def test_unknown_is_three(claims: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosc.prove.search.proving.search", lambda *_, **__: iter(()))
    result = run("prove", claims(TRUE))
    assert result.exit_code == 3
    assert "UNKNOWN" in result.stdout and "because" in result.stdout


def test_condition_is_printed_and_strict(tmp_path: Path) -> None:
    path = tmp_path / "roots.eos"
    path.write_text(
        "theorem root_of_a_square:\n    axes K\n    forall x: K\n    prove sqrt(x ** 2) == x\n"
        "\n\ntheorem quotient:\n    axes K\n    forall x: K\n    prove x / x == 1\n",
        encoding="utf-8",
    )
    rows = json.loads(run("prove", path, "--json").stdout)["statements"]
    assert [row["verdict"] for row in rows] == ["refuted", "proved"]
    assert rows[1]["assumptions"] == ["x[k] ≠ 0"]


# output ------------------------------------------------------------------------------------------


def test_json_has_the_agreed_fields(claims: Any, tmp_path: Path) -> None:
    path = claims(TRUE, FALSE)
    result = run("prove", path, "--json", "--out", tmp_path / "certs")
    data = json.loads(result.stdout)
    assert list(data) == ["statements"]
    first, second = data["statements"]
    fields = "file line name claim verdict assumptions witness ms certificate"
    assert list(first) == list(second) == fields.split()
    assert (first["file"], first["line"], first["claim"]) == (str(path), 4, TRUE)
    assert (first["verdict"], first["assumptions"], first["witness"]) == ("proved", [], None)
    assert Path(first["certificate"]).is_file()
    assert (second["verdict"], second["certificate"], second["line"]) == ("refuted", None, 5)
    assert second["witness"]["left"] != second["witness"]["right"]
    assert 0 < first["ms"] < 60_000


def test_text_shows_the_relation_one_step_and_the_witness(claims: Any) -> None:
    text = run("prove", claims(TRUE, FALSE)).stdout
    assert "THEOREM hgrn2 ≡ gla (every length, K, V), with k[t] := 1 - a[t]" in text
    assert "induction on t" in text and "in full, step of" in text
    assert "PROVED · " in text and " obligations" in text
    assert "REFUTED at length 1, K=V=1: y_A = " in text


def test_replay_gives_the_witness_values_again(claims: Any) -> None:
    result = run("prove", claims(FALSE), "--replay")
    assert result.exit_code == 0
    assert "replayed with the fp64 reference: " in result.stdout
    assert "which the witness does not say" not in result.stdout


@pytest.mark.parametrize(
    ("option", "marks"),
    [
        ("--markdown", ("| statement |", "### `prove hgrn2", "proved")),
        ("--latex", (r"\begin{theorem}", r"\begin{proof}", r"\end{proof}", r"hgrn2 == gla")),
    ],
)
def test_other_formats(claims: Any, option: str, marks: tuple[str, ...]) -> None:
    result = run("prove", claims(TRUE, FALSE), option)
    assert result.exit_code == 0
    assert all(mark in result.stdout for mark in marks)


def test_latex_braces_match(claims: Any) -> None:
    text = run("prove", claims(TRUE, FALSE), "--latex").stdout.replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert text.count(r"\(") == text.count(r"\)")


def test_summary_goes_to_stderr(claims: Any) -> None:
    result = run("prove", claims(TRUE, FALSE))
    assert result.stderr.splitlines()[-1] == "2 statements: 1 proved, 1 refuted"


# two mixers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        pytest.param([HGRN2, GLA, "--where", "k[t] := 1 - a[t]"], "proved", id="files"),
        pytest.param(["hgrn2", "gla", "--where", "k[t] := 1 - a[t]"], "proved", id="names"),
        pytest.param([HGRN2, GLA], "refuted", id="without a binding"),
        pytest.param([GLA, GLA], "proved", id="the same twice"),
        pytest.param(["gla(scale=1)", "gla(scale=2)"], "refuted", id="fixed"),
        pytest.param(
            ["lcsm(osc=one, act=identity)", "linear_attention(scale=1)", "--where",
             "q[t] := s_raw[t], k[t] := e_raw[t], v[t] := i_raw[t]"],
            "proved", id="an instance of a family",
        ),
    ],
)  # fmt: skip
def test_two_mixers(arguments: list[Any], verdict: str) -> None:
    (row,) = json.loads(run("prove", *arguments, "--json").stdout)["statements"]
    assert row["verdict"] == verdict and row["file"] == ""


def test_assumption_on_two_mixers() -> None:
    arguments = ["gated_deltanet(scale=1)", "deltaproduct", "--assume", "R == 1"]
    (row,) = json.loads(run("prove", *arguments, "--json").stdout)["statements"]
    assert row["verdict"] == "proved"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["gla", "nosuch"], 2, id="no such mixer"),
        pytest.param([GLA, "--where", "k[t] := 1"], 2, id="one mixer"),
        pytest.param([GLA, HGRN2, "--where", "z[t] := 1"], 1, id="no such operand"),
        pytest.param([GLA, HGRN2, "--where", "a[t] := 1\nprove gla == gla"], 1, id="two claims"),
        pytest.param([GLA], 2, id="nothing to compare with"),
    ],
)
def test_two_mixers_wrongly(arguments: list[Any], status: int) -> None:
    result = run("prove", *arguments)
    assert result.exit_code == status, result.output


# certificates ------------------------------------------------------------------------------------


def test_certificates_are_checked(claims: Any, tmp_path: Path) -> None:
    path, out = claims(TRUE), tmp_path / "certs"
    run("prove", path, "--out", out)
    result = run("check-cert", out)
    assert result.exit_code == 0
    assert (
        TRUE in result.stdout and "PROVED · " in result.stdout and "finite field" in result.stdout
    )
    (row,) = json.loads(run("check-cert", out, "--json").stdout)["certificates"]
    assert row["valid"] and row["claim"] == TRUE and row["exactly"]


def test_pair_has_a_certificate(tmp_path: Path) -> None:
    run("prove", HGRN2, GLA, "--where", "k[t] := 1 - a[t]", "--out", tmp_path)
    result = run("check-cert", tmp_path)
    assert result.exit_code == 0, result.output


def test_changed_source_is_a_finding(claims: Any, tmp_path: Path) -> None:
    out = tmp_path / "certs"
    run("prove", claims(TRUE), "--out", out)
    claims(TRUE, FALSE)
    result = run("check-cert", out)
    assert result.exit_code == 1
    assert "REJECTED" in result.stdout and "changed since" in result.stdout


@pytest.mark.parametrize("argument", ["nowhere.cert.json", "EMPTY"])
def test_no_certificate_is_usage(argument: str, tmp_path: Path) -> None:
    assert run("check-cert", tmp_path if argument == "EMPTY" else argument).exit_code == 2


def test_names_of_a_certificate_do_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    path = tmp_path / "odd.cert.json"
    path.write_text('{"format": "\\u001b[31mred"}', encoding="utf-8")
    result = run("check-cert", path)
    assert result.exit_code == 1 and "\x1b" not in result.output
