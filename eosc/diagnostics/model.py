"""Positions in a source, findings about it, and the collector that lets a pass report several."""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from eosc.diagnostics.codes import CODES

# difflib is quadratic; a name longer than this is no misspelling of one of ours.
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text: 1-based lines and columns, 0-based offsets, both ends exclusive.

    Columns count code points of the normalised text (`Source.text` as the parser saw it).
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of `other` (of the same file)."""
        return Span(
            self.file,
            self.line,
            self.column,
            other.end_line,
            other.end_column,
            self.start,
            other.end,
        )


NOWHERE = Span("", 0, 0, 0, 0, 0, 0)
"""The span of nodes that no text stands for (built by a pass or a test)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A named text."""

    path: str
    text: str

    def line(self, number: int) -> str:
        """The text of the 1-based line `number`, empty when there is none."""
        lines = self.text.split("\n")
        return lines[number - 1] if 1 <= number <= len(lines) else ""

    def span(self, start: int, end: int) -> Span:
        """The span of the offsets `[start, end)`; for many spans, keep one `Locator`."""
        return Locator(self).span(start, end)


class Locator:
    """Turns offsets of one source into spans, in logarithmic time."""

    def __init__(self, source: Source) -> None:
        self._path = source.path
        self._starts = [0, *(i + 1 for i, c in enumerate(source.text) if c == "\n")]

    def span(self, start: int, end: int) -> Span:
        """The span of the offsets `[start, end)`."""
        line = bisect_right(self._starts, start)
        end_line = bisect_right(self._starts, end)
        column = start - self._starts[line - 1] + 1
        end_column = end - self._starts[end_line - 1] + 1
        return Span(self._path, line, column, end_line, end_column, start, end)


class Severity(Enum):
    """How grave a finding is; only errors stop the compiler."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A stretch of source to underline, with a few words (possibly none)."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `span` gives the position in the first line; the carets stand under the `labels`, or under
    `span` itself when there are none. A code that starts with W is a warning by itself.

    Raises:
        KeyError: the code is not registered in `CODES`.
    """

    code: str
    message: str
    span: Span
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None
    severity: Severity = field(default=Severity.ERROR)

    def __post_init__(self) -> None:
        CODES[self.code]
        if self.code.startswith("W") and self.severity is Severity.ERROR:
            object.__setattr__(self, "severity", Severity.WARNING)


class EosError(Exception):
    """Raised where work cannot go on; carries the findings that say why."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__("; ".join(f"{d.code}: {d.message}" for d in diagnostics))
        self.diagnostics: tuple[Diagnostic, ...] = diagnostics


class Sink:
    """Collects the findings of a pass; repeated ones (same code, place and text) count once."""

    def __init__(self) -> None:
        self._found: dict[Diagnostic, None] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        """Record one finding."""
        self._found.setdefault(diagnostic)

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Record several."""
        for diagnostic in diagnostics:
            self.add(diagnostic)

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Record a finding given by its parts."""
        self.add(Diagnostic(code, message, span, labels, notes, hint, severity))

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All findings in the order of the text; of the same place, in the order found."""
        return tuple(sorted(self._found, key=lambda d: (d.span.file, d.span.start)))

    @property
    def count(self) -> int:
        """How many findings there are."""
        return len(self._found)

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(d.severity is Severity.ERROR for d in self._found)

    def raise_if_errors(self) -> None:
        """Stop here if there was an error.

        Raises:
            EosError: with every finding so far, warnings and notes included.
        """
        if self.has_errors:
            raise EosError(*self.diagnostics)


def did_you_mean(name: str, pool: Iterable[str]) -> str | None:
    """The hint `did you mean 'x'?` for the nearest name in `pool`, or None."""
    if len(name) > _LONGEST_NAME:
        return None
    candidates = sorted({c for c in pool if c != name})
    folded = {c.casefold(): c for c in reversed(candidates)}
    if name.casefold() in folded:
        return f"did you mean '{folded[name.casefold()]}'?"
    near = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else None
