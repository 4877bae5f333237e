"""docs/theorems.md: every claim of examples/theorems with the statement it settles and its source.

python -m benchmarks.theorems writes the page; a test holds it against the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from eosc.prove.reading import statements
from eosc.semantics.theorems import Theorem

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "examples" / "theorems"
TABLE = ROOT / "docs" / "theorems.md"

_STATEMENT = re.compile(r"\s*Statement (R?\d+)\b[^.]*\.\s*")
_SOURCE = re.compile(r"arXiv:\d{4}\.\d{5}")

_HEAD = """\
# Theorems

What the papers of this field say about their mixers, as claims that `eosc prove examples/theorems`
settles. `prove` claims hold for every length, every size and all operands in their ranges;
`refute` claims have a counterexample. The numbers are those of the project's list of statements.

This page is written by `python -m benchmarks.theorems`.

| statement | theorem | claim | file | source |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One claim as the page shows it."""

    number: str
    theorem: str
    claim: str
    file: str
    source: str


def statement_numbers(theorem: Theorem) -> tuple[str, ...]:
    """The statement that the docstring of a theorem names, if it names one."""
    found = _STATEMENT.match(theorem.doc)
    return (found[1],) if found else ()


def rows(files: Iterable[Path]) -> list[Row]:
    """The claims of the files, in the order of the statements; the rest follow by file."""
    found: list[Row] = []
    sources: dict[str, str] = {}
    for path in files:
        for stated in statements(path):
            number = ", ".join(statement_numbers(stated.theorem))
            own = ", ".join(dict.fromkeys(_SOURCE.findall(stated.theorem.doc)))
            # A further form of a statement needs no source of its own.
            source = own or (sources.get(number, "") if number else "")
            sources.setdefault(number, own)
            name = "" if stated.text.endswith(stated.name) else stated.name
            found.append(Row(number, name, stated.text, path.name, source))
    return sorted(found, key=lambda row: (_rank(row.number), row.file))


def _rank(number: str) -> tuple[int, int]:
    """True statements first, then false ones, then what has no number."""
    if not number:
        return 2, 0
    return int(number.startswith("R")), int(number.lstrip("R"))


def table(found: Iterable[Row]) -> str:
    """The page."""
    return _HEAD + "".join(
        f"| {row.number} | {row.theorem.replace('_', ' ')} | `{row.claim.replace('|', '')}` "
        f"| {row.file} | {row.source} |\n"
        for row in found
    )


if __name__ == "__main__":
    TABLE.write_text(table(rows(sorted(FOLDER.glob("*.eos")))), encoding="utf-8")
