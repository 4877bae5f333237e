"""Findings as text for a terminal and as JSON for tools.

Sources and messages hold untrusted text: nothing here lets a control character, an escape code or
a bidirectional override through to the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from eosc.diagnostics.codes import CODES
from eosc.diagnostics.model import NOWHERE, Diagnostic, Label, Source

_REPLACEMENT = "\ufffd"
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Columns of a source line that are shown, and how near its right end a finding may stand.
_WIDTH = 120
_MARGIN = 20


def sanitise(text: str) -> str:
    """`text` with every control, format and private character replaced, one for one."""
    return "".join(
        _REPLACEMENT if unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in text
    )


def render_text(
    diagnostic: Diagnostic, sources: Source | Mapping[str, Source] | None = None
) -> str:
    """The finding as plain text, ending without a newline.

    `sources` is the source the finding is about, or all sources by path; without it the excerpt
    is left out.
    """
    span = diagnostic.span
    where = "" if span == NOWHERE else f"{sanitise(span.file)}:{span.line}:{span.column}: "
    head = f"{where}{diagnostic.severity.value}[{diagnostic.code}]: {sanitise(diagnostic.message)}"
    lines = [head]
    labels = diagnostic.labels or (() if span == NOWHERE else (Label(span),))
    known = _by_path(sources)
    here = [label for label in labels if label.span.file == span.file]
    if span.file in known:
        lines += _excerpt(known[span.file], here)
    for label in labels:
        if label.span.file != span.file:
            there = label.span
            lines.append(f"  {sanitise(there.file)}:{there.line}:{there.column}: {label.text}")
            if there.file in known:
                lines += _excerpt(known[there.file], [Label(there)])
    lines += [f"  note: {sanitise(note)}" for note in diagnostic.notes]
    if diagnostic.hint is not None:
        lines.append(f"  hint: {sanitise(diagnostic.hint)}")
    return "\n".join(lines)


def to_json(diagnostic: Diagnostic) -> dict[str, str | int | None]:
    """The finding as the flat record of `--json`."""
    return {
        "file": diagnostic.span.file,
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }


def render_code(code: str) -> str:
    """The page that `eosc explain CODE` prints.

    Raises:
        KeyError: no such code.
    """
    info = CODES[code]
    example = "\n".join("    " + line for line in info.example.splitlines())
    return f"{info.code}: {info.title}\n\n{info.explanation}\n\n{example}".rstrip()


def _by_path(sources: Source | Mapping[str, Source] | None) -> Mapping[str, Source]:
    if isinstance(sources, Source):
        return {sources.path: sources}
    return sources or {}


def _excerpt(source: Source, labels: list[Label]) -> list[str]:
    """Each labelled line once, in order, with one row of carets per label below it."""
    total = source.text.count("\n") + 1
    shown = [label for label in labels if 1 <= label.span.line <= total]
    numbers = sorted({label.span.line for label in shown})
    width = max((len(str(n)) for n in numbers), default=0)
    lines = []
    for number in numbers:
        here = sorted((x for x in shown if x.span.line == number), key=lambda x: x.span.column)
        text = source.line(number)
        first = _window(text, here[0].span.column - 1)
        before = "\u2026" if first else ""
        after = "\u2026" if len(text) > first + _WIDTH else ""
        excerpt = sanitise(text[first : first + _WIDTH])
        lines.append(f" {number:>{width}} | {before}{excerpt}{after}".rstrip())
        for label in here:
            lines.append(f" {'':>{width}} | {' ' * len(before)}{_carets(text, label, first)}")
    return [line.rstrip() for line in lines]


def _window(text: str, column: int) -> int:
    """Where the excerpt of a line begins: at its start, unless the place would not be seen."""
    return 0 if column < _WIDTH - _MARGIN or len(text) <= _WIDTH else column - _WIDTH // 2


def _carets(text: str, label: Label, begin: int) -> str:
    """Carets under the labelled part of `text[begin:]` (its first line), then the label's words."""
    span = label.span
    last = span.end_column - 1 if span.end_line == span.line else len(text.rstrip())
    first = min(max(span.column - 1, begin), begin + _WIDTH)
    last = min(max(last, first + 1), begin + _WIDTH + 1)
    indent = " " * width_of(sanitise(text[begin:first]))
    carets = "^" * max(1, width_of(sanitise(text[first:last])))
    return f"{indent}{carets} {sanitise(label.text)}"


def width_of(text: str) -> int:
    """Columns that a terminal needs for `text`."""
    wide = sum(1 for c in text if unicodedata.east_asian_width(c) in "WF")
    return len(text) + wide - sum(1 for c in text if unicodedata.combining(c))
