"""How the elaborator reports findings, and how it leaves a statement that makes no sense."""

from __future__ import annotations

from typing import NoReturn

from eosc.diagnostics import Diagnostic, Label, Severity, Sink, Source, Span

_LONGEST_EXCERPT = 48


class Abandoned(Exception):
    """The statement cannot be understood further; why is recorded already."""


class Findings:
    """The findings about one file, with its text at hand for hints that quote it.

    steps: how many expressions were looked at, a measure of the work done.
    """

    def __init__(self, source: Source, sink: Sink | None = None) -> None:
        self.source = source
        self.sink = Sink() if sink is None else sink
        self.steps = 0

    def add(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Record a finding; `label` stands under `span`, `labels` elsewhere."""
        shown = (Label(span, label), *labels) if label or labels else ()
        self.sink.add(Diagnostic(code, message, span, shown, notes, hint, severity))

    def fail(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        hint: str | None = None,
    ) -> NoReturn:
        """Record an error and leave the statement.

        Raises:
            Abandoned: always.
        """
        self.add(code, message, span, label=label, labels=labels, notes=notes, hint=hint)
        raise Abandoned

    def count_errors(self) -> int:
        """How many errors there are so far: a caller compares before and after."""
        return sum(each.severity is Severity.ERROR for each in self.sink.diagnostics)

    def quote(self, span: Span) -> str | None:
        """The text of a span when it is short and on one line, to be repeated in a hint."""
        text = self.source.text[span.start : span.end]
        return text if text and "\n" not in text and len(text) <= _LONGEST_EXCERPT else None
