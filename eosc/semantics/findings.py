"""How the elaborator reports findings, and how it leaves a statement that makes no sense."""

from __future__ import annotations

from typing import NoReturn

from eosc.diagnostics import Diagnostic, Label, Severity, Sink, Source, Span
from eosc.options import LIMITS
from eosc.semantics.work import Work

_LONGEST_EXCERPT = 48


class Abandoned(Exception):
    """The statement cannot be understood further; why is recorded already."""


class Enough(Exception):
    """So many errors are recorded that more would not be read."""


class Findings:
    """The findings about one file, with its text at hand for hints that quote it.

    work: the account of what the check of the file may cost; instances of a family share it.
    """

    def __init__(self, source: Source, sink: Sink | None = None, work: Work | None = None) -> None:
        self.source = source
        self.sink = Sink() if sink is None else sink
        self.work = Work.of_one_file() if work is None else work
        self._errors = 0
        self._distinct = 0

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
        self.record(Diagnostic(code, message, span, shown, notes, hint, severity))

    def stop(self, code: str, message: str, span: Span, hint: str) -> None:
        """Record the error that ends the check."""
        self.sink.add(Diagnostic(code, message, span, hint=hint))
        self._errors += 1

    def record(self, found: Diagnostic) -> None:
        """Record a finding that is made.

        Raises:
            Enough: it is the last error that a file may have.
        """
        before = self.sink.count
        self.sink.add(found)
        if found.severity is not Severity.ERROR:
            return
        # One that is known, as of a macro that is used again, leaves its user in error, too.
        self._errors += 1
        if self.sink.count > before:
            self._distinct += 1
            if self._distinct >= LIMITS.diagnostics:
                raise Enough

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
        return self._errors

    def quote(self, span: Span) -> str | None:
        """The text of a span when it is short and on one line, to be repeated in a hint."""
        text = self.source.text[span.start : span.end]
        return text if text and "\n" not in text and len(text) <= _LONGEST_EXCERPT else None
