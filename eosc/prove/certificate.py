"""Certificates: a statement, the files that it was read from, and a proof, as JSON.

A certificate is data from anywhere. Reading one, `verify` trusts nothing that it holds: the
statement is derived anew from files whose hashes must agree, and the kernel checks the proof of
that statement, not of the one that is written in the certificate, in a process of its own that
loads the standard library only. Sizes, depths and times are limited.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eosc
from eosc.diagnostics import EosError
from eosc.options import LIMITS
from eosc.prove.engine import Outcome, Verdict
from eosc.prove.formula import as_json
from eosc.prove.reading import Asked, Given, Place, Stated, found_again
from eosc.prove.second import Evaluated, Separated, evaluate
from eosc.resources import zoo_folder

FORMAT = "eosc-certificate/1"
LARGEST = 4 * 1024 * 1024
"""Bytes of a certificate."""
DEEPEST = 200
"""Nesting of its arrays and objects."""
NODES = 400_000
"""Values in it."""
SECONDS = 20.0
"""Time that the kernel may take."""
_ZOO = "zoo/"
_FIELDS = {
    "format": str, "eosc": str, "statement": dict, "sources": dict, "problem": dict,
    "proof": list, "conditions": list,
}  # fmt: skip


class Invalid(Exception):
    """A certificate that shows nothing, and why."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a certificate shows: the claim, under which conditions, and how it was checked."""

    claim: str
    conditions: tuple[str, ...]
    goals: tuple[str, ...]
    obligations: int
    evaluated: Evaluated
    sources: tuple[Path, ...]


def certificate(stated: Stated, outcome: Outcome, folder: Path) -> dict[str, Any]:
    """The certificate of a proved statement, for a file in a folder.

    Raises:
        ValueError: the statement is not proved.
    """
    if outcome.verdict is not Verdict.PROVED or outcome.checked is None:
        raise ValueError("only what the kernel proved has a certificate")
    assert outcome.problem is not None
    names = {path: _name(path, folder) for path in stated.sources}
    return {
        "format": FORMAT,
        "eosc": eosc.__version__,
        "statement": _statement(stated, folder),
        "sources": {names[path]: _hash(path) for path in stated.sources},
        "problem": as_json(outcome.problem),
        "proof": list(outcome.proof),
        "conditions": list(outcome.assumptions),
    }


def write(stated: Stated, outcome: Outcome, path: Path) -> None:
    """Write the certificate of a proved statement, whole or not at all.

    Raises:
        OSError: it cannot be written.
        ValueError: the statement is not proved.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(certificate(stated, outcome, path.parent), separators=(",", ":"))
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(text + "\n", encoding="utf-8", newline="\n")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def verify(path: Path) -> Verified:
    """Check a certificate against the files that it names.

    Raises:
        OSError: the certificate cannot be read.
        Invalid: it shows nothing.
    """
    held = read(path)
    sources = {name: _source(name, digest, path) for name, digest in held["sources"].items()}
    stated = _stated(held["statement"], sources)
    if set(stated.sources) != {each.resolve() for each in sources.values()}:
        raise Invalid("its sources are not the files that the statement is read from")
    if held["statement"]["claim"] != stated.text:
        raise Invalid(f"the source claims `{stated.text}`, not what the certificate says")
    problem = _derived(stated)
    if problem != held["problem"]:
        raise Invalid("its statement is not the one that the sources make")
    goals, obligations, conditions = _kernel(problem, held["proof"])
    if list(conditions) != held["conditions"]:
        raise Invalid("the proof holds under other conditions than it says")
    try:
        evaluated = evaluate(problem, held["proof"])
    except Separated as error:
        raise Invalid(f"the second checker: {error}") from None
    return Verified(stated.text, conditions, goals, obligations, evaluated, tuple(sources.values()))


def load(path: Path) -> dict[str, Any]:
    """The JSON object in a file, its size and depth checked and nothing else.

    Raises:
        OSError: the file cannot be read.
        Invalid: it is no such object, or too large.
    """
    if not path.is_file():
        raise Invalid("it is no ordinary file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Invalid(f"it is larger than {LARGEST // 1024 // 1024} MiB")
    try:
        held = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no, parse_float=_no
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Invalid(f"it is not JSON: {error}") from None
    except (RecursionError, ValueError) as error:
        raise Invalid(f"it cannot be read: {error}") from None
    _limit(held)
    if not isinstance(held, dict):
        raise Invalid("it is no JSON object")
    return held


def read(path: Path) -> dict[str, Any]:
    """The certificate in a file, its shape checked and nothing else.

    Raises:
        OSError: the file cannot be read.
        Invalid: it is no certificate, or too large.
    """
    held = load(path)
    if held.get("format") != FORMAT:
        raise Invalid(f"it is not of the format {FORMAT}")
    for name, kind in _FIELDS.items():
        if not isinstance(held.get(name), kind):
            raise Invalid(f"its field '{name}' is missing or of the wrong kind")
    if held.keys() != _FIELDS.keys():
        raise Invalid("it has fields that no certificate has")
    return held


# ---- names of files, and hashes


def _name(path: Path, folder: Path) -> str:
    zoo = zoo_folder().resolve()
    if path.is_relative_to(zoo):
        return _ZOO + path.relative_to(zoo).as_posix()
    return Path(os.path.relpath(path, folder.resolve())).as_posix()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(name: str, digest: Any, certificate_path: Path) -> Path:
    """The file of this name with this hash: beside the certificate, here, or in the zoo."""
    if name != name.strip() or not name.endswith(".eos") or Path(name).is_absolute():
        raise Invalid(f"'{name}' cannot name a source")
    places = [certificate_path.parent / name, Path(name)]
    if name.startswith(_ZOO):
        places.insert(0, zoo_folder() / name.removeprefix(_ZOO))
    there = [each for each in places if each.is_file()]
    if not there:
        raise Invalid(f"its source {name} is not to be found")
    for each in there:
        if each.stat().st_size <= 4 * LIMITS.file_bytes and _hash(each) == digest:
            return each
    raise Invalid(f"its source {name} has changed since (another sha256)")


def _statement(stated: Stated, folder: Path) -> dict[str, Any]:
    origin = stated.origin
    if isinstance(origin, Place):
        return {
            "file": _name(origin.path.resolve(), folder),
            "theorem": origin.theorem,
            "number": origin.number,
            "name": stated.name,
            "claim": stated.text,
        }
    given = {
        alias: {"file": _name(each.path.resolve(), folder), "name": each.name}
        for alias, each in origin.given
    }
    return {"text": origin.text, "given": given, "number": origin.number, "claim": stated.text}


def _stated(held: dict[str, Any], sources: dict[str, Path]) -> Stated:
    """The statement, read anew from the sources."""
    try:
        origin = _origin(held, sources)
    except (KeyError, TypeError, AttributeError):
        raise Invalid("it does not say which statement it proves") from None
    try:
        return found_again(origin)
    except EosError as error:
        raise Invalid(f"its source has errors: {error}") from None
    except (LookupError, OSError, RecursionError) as error:
        raise Invalid(f"its statement is not in its source: {error}") from None


def _origin(held: dict[str, Any], sources: dict[str, Path]) -> Place | Asked:
    if "file" in held:
        places = (held["theorem"], held["number"])
        if not all(type(each) is int for each in places):
            raise TypeError
        return Place(sources[held["file"]], *places)
    given = tuple(
        (str(alias), Given(sources[each["file"]], str(each["name"])))
        for alias, each in sorted(held["given"].items())
    )
    if not isinstance(held["text"], str) or type(held["number"]) is not int:
        raise TypeError
    return Asked(held["text"], given, held["number"])


def _derived(stated: Stated) -> Any:
    from eosc.prove.statements import Unstated, state

    try:
        problem = state(stated.theorem, stated.claim)
    except Unstated as error:
        raise Invalid(f"its claim cannot be stated: {error}") from None
    if problem.negated or problem.partial:
        raise Invalid("a proof of what can be stated of its claim does not prove the claim")
    return json.loads(json.dumps(as_json(problem)))


# ---- limits


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return found


def _no(text: str) -> Any:
    raise ValueError(f"{text[:20]} is no number that a certificate holds")


def _limit(value: Any) -> None:
    """Count values and depth without recursion."""
    level, count = [value], 0
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        count += len(level)
        if count > NODES:
            raise Invalid("it holds too many values")
        if not level:
            return
    raise Invalid("it is nested too deeply")


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


# ---- the kernel, in a process of its own


def _kernel(problem: Any, proof: Any) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Goals, obligations and conditions of a proof that the kernel accepts."""
    root = Path(eosc.__file__).resolve().parent.parent
    handle, name = tempfile.mkstemp(prefix="eosc-", suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"problem": problem, "proof": proof}, file)
        done = subprocess.run(
            [sys.executable, "-P", "-m", "eosc.prove.checker", "--json", name],
            env={**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Invalid(f"the kernel did not finish within {SECONDS:.0f} s") from None
    finally:
        Path(name).unlink(missing_ok=True)
    if done.returncode != 0:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()
        raise Invalid(f"the kernel rejects the proof: {said[0][:300] if said else 'no reason'}")
    answer = json.loads(done.stdout)
    texts = tuple(dict.fromkeys(map(str, answer["conditions"])))
    return tuple(answer["goals"]), int(answer["obligations"]), texts
