"""Certificates: what is proved stays proved; what was touched is rejected, never a crash."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eosc.prove import certificate
from eosc.prove.certificate import Invalid, read, verify, write
from eosc.prove.engine import Verdict, settle
from eosc.prove.reading import Asked, Given, Stated, asked, statements

ROOT = Path(__file__).resolve().parents[2]
PARENTS = {"eosc", "eosc.prove"}

SPEC = """\
mixer decayed:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K in (0, 1]
    memory m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t])


mixer tied:
    axes K, V
    shrink q[t]: K
    input v[t]: V
    oscillation a[t]: K in (0, 1]
    memory m: K, V

    m[t] = a[t] * m[t-1] + (1 - a[t]) * v[t]
    output y[t]: V = sum[K](q[t] * m[t])


prove tied == decayed where k[t] := 1 - a[t]
refute tied == decayed where k[t] := a[t]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("certificates")
    (place / "claims.eos").write_text(SPEC, encoding="utf-8")
    (stated, _) = statements(place / "claims.eos")
    outcome = settle(stated.theorem, stated.claim)
    assert outcome.verdict is Verdict.PROVED
    write(stated, outcome, place / "tied.cert.json")
    return place


@pytest.fixture
def held(folder: Path, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """A certificate to tamper with, beside its source."""
    (tmp_path / "claims.eos").write_text(SPEC, encoding="utf-8")
    return read(folder / "tied.cert.json"), tmp_path / "tied.cert.json"


def rejected(held: Any, path: Path) -> str:
    path.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        verify(path)
    return str(caught.value)


def test_is_accepted(folder: Path) -> None:
    verified = verify(folder / "tied.cert.json")
    assert verified.claim == "prove tied == decayed where k[t] := 1 - a[t]"
    assert verified.conditions == ()
    assert verified.obligations >= 3
    assert verified.evaluated.obligations > 3 and verified.evaluated.exact
    assert [each.name for each in verified.sources] == ["claims.eos"]


def test_is_small_and_names_no_place(folder: Path) -> None:
    text = (folder / "tied.cert.json").read_text(encoding="utf-8")
    assert len(text) < 6000
    assert str(folder) not in text
    digest = hashlib.sha256(SPEC.encode()).hexdigest()
    assert json.loads(text)["sources"] == {"claims.eos": digest}


def test_is_found_from_the_working_folder(
    held: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "elsewhere" / "tied.cert.json"
    away.parent.mkdir()
    away.write_text(json.dumps(held[0]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert verify(away).obligations >= 3


def test_of_the_zoo_is_found_anywhere(tmp_path: Path) -> None:
    from eosc.resources import zoo_folder

    gating = zoo_folder() / "gating"
    given = tuple((name, Given(gating / f"{name}.eos", name)) for name in ("gla", "hgrn2"))
    stated = asked(Asked("prove hgrn2 == gla where k[t] := 1 - a[t]\n", given))
    outcome = settle(stated.theorem, stated.claim)
    write(stated, outcome, tmp_path / "pair.cert.json")
    assert verify(tmp_path / "pair.cert.json").claim == stated.text
    names = json.loads((tmp_path / "pair.cert.json").read_text(encoding="utf-8"))["sources"]
    assert list(names) == ["zoo/gating/gla.eos", "zoo/gating/hgrn2.eos"]


def test_only_of_what_is_proved(folder: Path) -> None:
    (_, stated) = statements(folder / "claims.eos")
    outcome = settle(stated.theorem, stated.claim)
    assert outcome.verdict is Verdict.REFUTED
    with pytest.raises(ValueError, match="proved"):
        write(stated, outcome, folder / "no.cert.json")
    assert not (folder / "no.cert.json").exists()


# Tampering: (what is done, what the rejection says)


def _false_claim(held: dict[str, Any]) -> None:
    held["statement"]["theorem"] = 1
    held["statement"]["claim"] = "refute tied == decayed where k[t] := a[t]"


def _other_closed_form(held: dict[str, Any]) -> None:
    for step in held["proof"]:
        for claim in step.get("claims", ()):
            claim["closed"] = ["mul", ["number", "2"], claim["closed"]]


def _wrong_goal(held: dict[str, Any]) -> None:
    goal = held["problem"]["goals"][0]
    goal["left"] = goal["right"]


def _hash(held: dict[str, Any]) -> None:
    held["sources"] = dict.fromkeys(held["sources"], "0" * 64)


def _place(name: str) -> Callable[[dict[str, Any]], None]:
    def change(held: dict[str, Any]) -> None:
        (digest,) = held["sources"].values()
        held["sources"] = {name: digest}
        held["statement"]["file"] = name

    return change


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(held: dict[str, Any]) -> None:
        inside: Any = held
        for each in path[:-1]:
            inside = inside[each]
        inside[path[-1]] = value

    return change


TAMPERED = {
    "another claim of the file": (_false_claim, "not the one that the sources make"),
    "another closed form": (_other_closed_form, "kernel rejects"),
    "another goal": (_wrong_goal, "not the one that the sources make"),
    "an assumption added": (
        lambda held: held["problem"]["hypotheses"].append(held["problem"]["goals"][0]),
        "not the one that the sources make",
    ),
    "claim reworded": (
        _set("statement", "claim", value="prove decayed == tied"),
        "the source claims",
    ),
    "no step": (_set("proof", value=[]), "kernel rejects"),
    "no induction": (lambda held: held["proof"].pop(0), "kernel rejects"),
    "an unknown rule": (_set("proof", 0, "rule", value="trust"), "kernel rejects"),
    "a step that is no object": (_set("proof", 0, value=7), "kernel rejects"),
    "conditions hidden or invented": (_set("conditions", value=["q > 0"]), "other conditions"),
    "another hash": (_hash, "changed since"),
    "a source that is not there": (_place("nothing.eos"), "not to be found"),
    "an absolute source": (_place("/etc/claims.eos"), "cannot name"),
    "a source that is no spec": (_place("../../etc/passwd"), "cannot name"),
    "a source of the zoo that leads out": (_place("zoo/../../secret.eos"), "not to be found"),
    "one source too many": (
        lambda held: held["sources"].update({"zoo/gating/gla.eos": "0" * 64}),
        "changed since",
    ),
    "no source": (_set("sources", value={}), "does not say which"),
    "a statement without a place": (_set("statement", value={}), "does not say which"),
    "a place that is no number": (_set("statement", "theorem", value=True), "does not say which"),
    "a place that is not there": (_set("statement", "theorem", value=9), "not in its source"),
    "another format": (_set("format", value="eosc-certificate/0"), "format"),
    "a field of the wrong kind": (_set("proof", value={}), "'proof'"),
    "a field too many": (_set("trusted", value="yes"), "no certificate has"),
    "a field missing": (lambda held: held.pop("conditions"), "'conditions'"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_is_rejected(name: str, held: tuple[dict[str, Any], Path]) -> None:
    change, said = TAMPERED[name]
    content, path = held
    change(content)
    assert said in rejected(content, path)


def test_other_source_of_the_same_name(held: tuple[dict[str, Any], Path]) -> None:
    content, path = held
    changed = SPEC.replace("(1 - a[t]) * v[t]", "(2 - a[t]) * v[t]")
    (path.parent / "claims.eos").write_text(changed, encoding="utf-8")
    assert "changed since" in rejected(content, path)


def test_forged_for_a_changed_source(held: tuple[dict[str, Any], Path]) -> None:
    """Even with the right hash: the statement is that of the source, not of the certificate."""
    content, path = held
    changed = SPEC.replace("(1 - a[t]) * v[t]", "(2 - a[t]) * v[t]")
    (path.parent / "claims.eos").write_text(changed, encoding="utf-8")
    content["sources"] = {"claims.eos": hashlib.sha256(changed.encode()).hexdigest()}
    assert "not the one that the sources make" in rejected(content, path)
    (stated, _) = statements(path.parent / "claims.eos")
    content["problem"] = _problem(stated)
    assert "kernel rejects" in rejected(content, path)


def _problem(stated: Stated) -> Any:
    from eosc.prove.formula import as_json
    from eosc.prove.statements import state

    return as_json(state(stated.theorem, stated.claim))


# Not certificates at all


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\x00\xff\xfe", "not JSON", id="bytes"),
        pytest.param(b"{", "not JSON", id="cut off"),
        pytest.param(b"[]", "object", id="a list"),
        pytest.param(b'{"format": "eosc-certificate/1"}', "'eosc'", id="nothing inside"),
        pytest.param(b'{"a": 1, "a": 2}', "twice", id="a name twice"),
        pytest.param(b'{"a": NaN}', "no number", id="NaN"),
        pytest.param(b'{"a": 1e999}', "no number", id="a float"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "cannot be read", id="a huge integer"),
        pytest.param(b"[" * 100_000, "cannot be read|not JSON", id="deep"),
        pytest.param(b"[" * 300 + b"]" * 300, "too deeply", id="rather deep"),
        pytest.param(b"[" + b"0," * 500_000 + b"0]", "too many", id="wide"),
        pytest.param(b" " * (certificate.LARGEST + 1), "larger", id="oversized"),
    ],
)
def test_malformed_is_rejected(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.cert.json"
    path.write_bytes(data)
    with pytest.raises(Invalid, match=said):
        verify(path)


def test_a_folder_is_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="ordinary file"):
        verify(tmp_path)


def test_kernel_may_not_take_for_ever(
    held: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, path = held
    path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(certificate, "SECONDS", 0.001)
    with pytest.raises(Invalid, match="did not finish"):
        verify(path)


def test_kernel_loads_the_standard_library_only(held: tuple[dict[str, Any], Path]) -> None:
    content, path = held
    path.write_text(json.dumps(content), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-m", "eosc.prove.checker", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith("PROVED")
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    ours = {each for each in loaded if each.startswith("eosc")}
    rooms = ("eosc.prove.kernel", "eosc.prove.checker")
    assert {each for each in ours if not each.startswith(rooms)} == PARENTS
    # Compared with an interpreter that does nothing: its environment may load things at the start.
    idle = subprocess.run(
        [sys.executable, "-P", "-X", "importtime", "-c", ""],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    before = {line.rpartition("|")[2].strip() for line in idle.stderr.splitlines()}
    added = {each.split(".")[0] for each in loaded - ours - before}
    # `copy` of the standard library asks for a module of Jython by this name.
    assert added - {"org"} <= set(sys.stdlib_module_names)


ODD = (
    None, True, -1, 10**300, "", "x", "1e999999999", [], {}, ["number", "2"], {"t": 1},
    ["sum", "u", {"": -(10**12)}, {"t": 1}, ["number", "1"]],
    ["power", ["number", "2"], "999999999999"],
)  # fmt: skip


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in items:
        yield (*path, key)
        yield from _nodes(each, (*path, key))


@pytest.mark.parametrize("seed", range(25))
def test_mutant_is_rejected_or_still_of_the_claim(
    seed: int, held: tuple[dict[str, Any], Path]
) -> None:
    """Nothing in a certificate makes it show another claim, fail otherwise, or take long."""
    content, path = held
    draw = random.Random(seed)
    places = list(_nodes(content["proof"], ("proof",)))
    *inside, last = draw.choice(places)
    parent: Any = content
    for key in inside:
        parent = parent[key]
    parent[last] = draw.choice(ODD)
    path.write_text(json.dumps(content), encoding="utf-8")
    began = time.monotonic()
    try:
        assert verify(path).claim == content["statement"]["claim"]
    except Invalid as error:
        assert "second checker" not in str(error)  # the kernel has seen it before
    assert time.monotonic() - began < 15
