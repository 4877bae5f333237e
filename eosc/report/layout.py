"""Explanations on paper: plain text everywhere, rich tables on a terminal.

What a specification says is untrusted: every cell is sanitised and never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eosc.diagnostics import sanitise
from eosc.diagnostics.render import width_of
from eosc.report.explain import Explanation

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def headline(explanation: Explanation) -> tuple[str, ...]:
    """What it is and where it is written."""
    doc = explanation.doc.strip().splitlines()
    head = explanation.name + (f": {doc[0].strip()}" if doc else "")
    where = [explanation.file] if explanation.file else []
    return tuple(map(sanitise, (head, *where)))


def tables(explanation: Explanation) -> Iterator[Table]:
    """The tables of an explanation, without empty ones."""
    e = explanation
    eos_columns = ("memory", "i", "e", "o", "s", "axes", "f", "dd (e/o/s)")
    rows = [(x.memory, x.input, x.expand, x.oscillation, x.shrink, x.axes, x.product, x.dependence)
            for x in e.eos]  # fmt: skip
    yield Table("EOS", eos_columns, tuple(rows))
    yield Table(
        "Structure",
        ("of", "class", "because", "field", "oscillation", "modulus"),
        tuple((x.name, x.structure, x.why, x.field, x.varies, x.modulus) for x in e.structure),
    )
    yield Table(
        f"Readout ({e.readout})",
        ("name", "reads", "when"),
        tuple((x.name, x.formula, x.when) for x in e.readouts),
    )
    yield Table(
        f"Operands at {e.shape}",
        ("name", "role", "layout", "passed as", "bytes"),
        tuple((x.name, x.role, x.layout, x.passed, size(x.bytes)) for x in e.operands),
    )
    yield Table(
        "States",
        ("name", "kind", "layout", "bytes"),
        tuple((x.name, x.kind, x.layout, size(x.bytes)) for x in e.states),
    )
    yield Table(
        "Least bytes (bf16; logs, parameters and states fp32)",
        ("use", "bytes", "per"),
        tuple((x.use, size(x.bytes), x.unit) for x in e.least_bytes),
    )
    yield Table(
        "Rewrites",
        ("memory", "becomes", "theorem"),
        tuple((x.of, x.what, x.theorem) for x in e.rewrites),
    )
    yield Table(
        "Schedule",
        ("use", "algorithm", "certified for", "launches"),
        tuple((x.use, x.algorithm, x.certified, x.launches) for x in e.schedule),
    )
    yield Table(
        "Proved over the exact reals, for every length, K and V",
        ("what", "verdict", "where"),
        tuple((x.subject, x.verdict, x.conditions) for x in e.proofs),
    )


def plain(explanation: Explanation, width: int = 100) -> str:
    """The explanation as plain text, lines no longer than `width` where cells can be broken."""
    lines = [*headline(explanation), ""]
    lines += [f"    {sanitise(each)}" for each in explanation.equations]
    for table in tables(explanation):
        if table.rows:
            lines += ["", table.title, *aligned(table, width)]
    lines += ["", f"Output: {sanitise(explanation.output)}"]
    return "\n".join(lines)


def rich_parts(explanation: Explanation) -> Iterator[RenderableType]:
    """The explanation as renderables of rich, none of which reads markup."""
    from rich.text import Text

    head, *rest = headline(explanation)
    yield Text(head, style="bold")
    for each in rest:
        yield Text(each, style="dim")
    yield Text("")
    for each in explanation.equations:
        yield Text("    " + sanitise(each), style="cyan")
    yield Text("")
    for table in tables(explanation):
        if not table.rows:
            continue
        yield Text(table.title, style="bold")
        yield drawn(table, right=("bytes",))
        yield Text("")
    yield Text(f"Output: {sanitise(explanation.output)}")


def drawn(table: Table, right: Sequence[str] = ()) -> RenderableType:
    """A table as a renderable of rich, the columns named in `right` aligned to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    found = RichTable(box=SIMPLE_HEAD, show_edge=False)
    for column in table.columns:
        found.add_column(Text(column), justify="right" if column in right else "left")
    for row in table.rows:
        found.add_row(*(Text(sanitise(cell)) for cell in row))
    return found


def size(count: int) -> str:
    """A number of bytes for reading: `64.0 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} PiB"


def aligned(table: Table, width: int = 100) -> list[str]:
    """The lines of a table as plain text, without its title."""
    rows = [table.columns, *table.rows]
    cells = [[sanitise(cell) for cell in row] for row in rows]
    widths = _fit([max(map(width_of, column)) for column in zip(*cells, strict=True)], width)
    lines: list[str] = []
    for index, row in enumerate(cells):
        broken = [_wrap(cell, each) for cell, each in zip(row, widths, strict=True)]
        for number in range(max(map(len, broken))):
            parts = [part[number] if number < len(part) else "" for part in broken]
            padded = (_pad(part, each) for part, each in zip(parts, widths, strict=True))
            lines.append(("  " + "  ".join(padded)).rstrip())
        if index == 0:
            lines.append("  " + "  ".join("-" * each for each in widths))
    return lines


def _fit(widths: list[int], total: int) -> list[int]:
    """Narrow the widest columns until the table fits."""
    fitted = list(widths)
    while sum(fitted) + 2 * len(fitted) > total and max(fitted) > 12:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _wrap(text: str, width: int) -> Sequence[str]:
    lines: list[str] = []
    while width_of(text) > width:
        cut = text.rfind(" ", 1, width + 1)
        cut = cut if cut > 0 else width
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*lines, text]


def _pad(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))
