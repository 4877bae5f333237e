"""Certificates that `eosc build` writes: checked against the spec that they were built from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eosc.backends.naming import identifier
from eosc.backends.package import operators_of
from eosc.backends.proofs import FORMAT, certify
from eosc.diagnostics import EosError
from eosc.pipeline import PIPELINE, read
from eosc.prove.certificate import Invalid
from eosc.resources import zoo_folder

__all__ = ["FORMAT", "Shown", "verify"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a certificate shows of a generated folder: one line for each thing that is proved."""

    mixer: str
    proved: dict[str, list[str]]
    unproved: dict[str, str]


def verify(path: Path, held: dict[str, Any]) -> Shown:
    """Check a certificate of algorithms: its statements are derived anew, its proofs checked.

    Raises:
        Invalid: it shows nothing, or something else than it says.
    """
    name, source = held.get("mixer"), held.get("source")
    if not isinstance(name, str) or not isinstance(source, str):
        raise Invalid("it does not say what it was built from")
    mixer = _mixer(name, _source(path, source, held.get("source_sha256")))
    try:
        program = PIPELINE.program(mixer)
        programs = operators_of(identifier(name), program, PIPELINE.inside(program))
        found = certify(programs, held.get("triton") is True, held.get("programs"), twice=True)
    except EosError as error:
        raise Invalid(f"its source cannot be built: {error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise Invalid(f"it is malformed: {error!r}"[:200]) from None
    if found.programs != held.get("programs"):
        raise Invalid("its statements or proofs are not those of its source")
    proved = {each.subject: list(each.conditions) for each in found.lines if not each.unproved}
    unproved = {each.subject: each.unproved for each in found.lines if each.unproved}
    return Shown(name, proved, unproved)


def _mixer(name: str, source: Path) -> Any:
    from eosc.api import mixers

    try:
        return mixers(source)[name]
    except (EosError, KeyError):
        raise Invalid(f"its source has no mixer {name}") from None


def _source(path: Path, name: str, digest: object) -> Path:
    """The spec of this name with this hash: beside the folder, here, or in the zoo."""
    from eosc.backends.package import Origin

    if Path(name).name != name or not name.endswith(".eos"):
        raise Invalid(f"'{name}' cannot name a source")
    for each in _places(path, name):
        if each.is_file():
            source, _ = read(each)
            if Origin(name, source.text).digest == digest:
                return each
    raise Invalid(f"its source {name} is not to be found, or has changed since")


def _places(path: Path, name: str) -> Iterator[Path]:
    for parent in [*path.resolve().parents][:3]:
        yield parent / name
    yield Path(name)
    yield from sorted(zoo_folder().rglob(name))
