"""What verbs print. A spec is untrusted: no markup, no escape code of it reaches the terminal."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eosc.diagnostics import Diagnostic, Source
    from eosc.report.explain import Explanation
    from eosc.report.layout import Table

_WIDE = 160
"""Characters of a line of figures, which are not read if broken."""

_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


def plain(text: str) -> str:
    """The text without control characters, its lines kept."""
    from eosc.diagnostics import sanitise

    return "\n".join(sanitise(line) for line in text.split("\n"))


def data(text: str) -> None:
    """Print a result to stdout, as it is: what a tool reads, or what `plain` has gone over."""
    click.echo(text, nl=not text.endswith("\n"))


def json_data(value: object) -> None:
    """Print a result to stdout as JSON."""
    data(json.dumps(value, indent=2, ensure_ascii=True))


def message(text: str) -> None:
    """Print a message to stderr."""
    click.echo(plain(text), err=True)


def progress(text: str) -> None:
    """Say what long work is at, to a person at a terminal; the line is overwritten by the next."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{plain(text)}", nl=False, err=True)


def next_step(text: str) -> None:
    """Suggest the next command, to a person at a terminal."""
    if sys.stderr.isatty():
        click.echo(click.style(f"next: {plain(text)}", dim=coloured(err=True)), err=True)


def coloured(err: bool = False) -> bool:
    """Whether the stream is a terminal on which colour is welcome."""
    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def findings(
    found: Iterable[Diagnostic],
    sources: Source | Mapping[str, Source] | None = None,
    out: bool = False,
) -> None:
    """Print diagnostics, with the lines that they are about, to stderr (or stdout)."""
    from eosc.diagnostics import render_text

    for each in found:
        if sources is None:
            text = render_text(each, _read(each.span.file))
        else:
            text = render_text(each, sources)
        if coloured(err=not out):
            head, newline, rest = text.partition("\n")
            color = _COLORS[each.severity.value]
            text = click.style(head, fg=color, bold=True) + newline + rest
        click.echo(text, err=not out)


def _read(path: str) -> Source | None:
    """The source of a finding that comes without it."""
    from eosc.pipeline import read

    try:
        return read(path)[0] if path else None
    except OSError:
        return None


def explanations(results: Sequence[Explanation]) -> None:
    """Print explanations: tables on a terminal, plain text elsewhere."""
    from eosc.report.layout import plain as plain_text
    from eosc.report.layout import rich_parts

    if not sys.stdout.isatty():
        data("\n\n".join(map(plain_text, results)))
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False, no_color=not coloured())
    for each in results:
        for part in rich_parts(each):
            console.print(part)


def table(found: Table, right: Sequence[str] = ()) -> None:
    """Print a table: drawn on a terminal, aligned text elsewhere."""
    from eosc.report.layout import aligned, drawn

    if not sys.stdout.isatty():
        data("\n".join([found.title, *aligned(found, width=_WIDE)]))
        return
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False, no_color=not coloured())
    console.print(found.title)
    console.print(drawn(found, right))


def internal_error(error: Exception) -> None:
    """Say that the compiler failed, and where the report is; the traceback goes there."""
    import tempfile
    from pathlib import Path

    report = "".join(traceback.format_exception(error))
    text = f"eosc {' '.join(map(repr, sys.argv[1:]))}\nPython {sys.version}\n\n{report}"
    message(f"error: eosc failed on this input ({type(error).__name__}); this is a mistake in eosc")
    try:
        handle, name = tempfile.mkstemp(prefix="eosc-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    except OSError:
        message("no report could be written")
    else:
        message(f"hint: please report it with the file {Path(name)}")
