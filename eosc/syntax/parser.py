"""The parser: a source becomes a `Module` and the findings about its text.

A file is parsed one top-level item at a time. Where an item has a syntax error, the statement with
the error is left out (a header together with its block) and the item is parsed again, so that every
statement gets its own finding and all others keep their positions.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from threading import Lock

from lark import Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from eosc.diagnostics import Diagnostic, EosError, Locator, Sink, Source, Span
from eosc.options import LIMITS
from eosc.syntax import ast
from eosc.syntax.build import Builder
from eosc.syntax.characters import prepare
from eosc.syntax.expected import Found, describe, text_of
from eosc.syntax.scan import Line, blank, scan
from eosc.syntax.table import load_parser

_WORD = re.compile(r"[^\W\d]\w*'*")
_SKIP = "\0"
# Parsing again costs time; in a long item only the first errors are worth it.
_BUDGET = 200_000
# lark keeps the indenter's state in the parser object.
_LOCK = Lock()


def parse(source: Source) -> tuple[ast.Module, tuple[Diagnostic, ...]]:
    """Parse a source, reporting all syntax errors.

    The module holds everything that could be understood; spans refer to the text in normal form
    (`characters.prepare`). Nothing is raised: whatever goes wrong becomes a diagnostic.
    """
    try:
        return _parse(source)
    except Exception as error:  # noqa: BLE001 - a spec must never end in a traceback
        span = source.span(0, 0)
        message = f"the parser failed on this file ({type(error).__name__})"
        hint = "this is a mistake in eosc: please report it with the file"
        return ast.Module(None, (), span=span), (Diagnostic("E099", message, span, hint=hint),)


def _parse(source: Source) -> tuple[ast.Module, tuple[Diagnostic, ...]]:
    source, findings = prepare(source)
    scanned = scan(source)
    sink = Sink()
    sink.extend(findings)
    sink.extend(scanned.diagnostics)
    locator = Locator(source)
    doc: ast.Docstring | None = None
    items: list[ast.Item] = []
    incomplete: list[Span] = []
    chunks = _chunks(scanned.lines)
    scanned_at = [each.span.start for each in scanned.diagnostics]
    ends = [*(chunk[0].start for chunk in chunks[1:]), len(source.text)]
    for lines, end in zip(chunks, ends, strict=False):
        before = sink.count
        chunk = _Chunk(scanned.text, list(lines), locator, sink)
        found, more = chunk.parse()
        if found is not None and (items or lines[0].start != scanned.lines[0].start):
            sink.report("E000", "a docstring stands first in its file or block", found.span)
        elif found is not None:
            doc = found
        items += more
        refused = bisect_left(scanned_at, end) > bisect_left(scanned_at, lines[0].start)
        if refused or sink.count > before:
            incomplete.append(locator.span(lines[0].start, end))
        if sink.count >= LIMITS.diagnostics:
            break
    span = locator.span(0, len(source.text))
    module = ast.Module(doc, tuple(items), scanned.comments, tuple(incomplete), span=span)
    return module, sink.diagnostics[: LIMITS.diagnostics]


def _chunks(lines: tuple[Line, ...]) -> list[list[Line]]:
    """The lines of each top-level item: one at column 0 and the indented ones below it."""
    chunks: list[list[Line]] = []
    for line in lines:
        if line.indent == 0 or not chunks:
            chunks.append([])
        chunks[-1].append(line)
    return chunks


@dataclass(slots=True)
class _Chunk:
    """One top-level item while it is parsed."""

    whole: str
    lines: list[Line]
    locator: Locator
    sink: Sink

    def parse(self) -> tuple[ast.Docstring | None, tuple[ast.Item, ...]]:
        base, end = self.lines[0].start, self.lines[-1].end
        text = self.whole[base:end] + "\n"
        for line in [line for line in self.lines if line.refused]:
            if line in self.lines:
                text = self._leave_out(text, base, line)
        spent = 0
        while self.lines and spent <= max(_BUDGET, len(text)):
            spent += len(text)
            keep = True
            try:
                with _LOCK:
                    tree: Tree[Token] = load_parser().parse(text)
                return Builder(self.locator, text, base).build(tree)
            except UnexpectedInput as error:
                token = getattr(error, "token", None)
                if token is not None and token.type == "_INDENT":
                    # No mark may stay where the fault is the indentation itself.
                    keep = False
                    first = len(text) - len(text[token.start_pos :].lstrip())
                    if text[first] == _SKIP:
                        text = text[:first] + " " + text[first + 1 :]
                        continue
                line, finding = self._explain(error, text, base)
            except EosError as error:
                finding = error.diagnostics[0]
                line = self._line_at(finding.span.start)
            self.sink.add(finding)
            text = self._leave_out(text, base, line, keep)
        return None, ()

    def _line_at(self, offset: int) -> Line:
        """The last line that starts at or before `offset`."""
        before = [line for line in self.lines if line.start <= offset]
        return before[-1] if before else self.lines[0]

    def _leave_out(self, text: str, base: int, line: Line, keep: bool = True) -> str:
        """`text` without a line and the block below it; an inner line leaves a mark behind."""
        at = self.lines.index(line)
        last = at
        while last + 1 < len(self.lines) and self.lines[last + 1].indent > line.indent:
            last += 1
        start, end = line.start - base, self.lines[last].end - base
        del self.lines[at : last + 1]
        mark = _SKIP if keep and line.indent > 0 else " "
        return text[:start] + mark + blank(text[start + 1 : end]) + text[end:]

    def _explain(self, error: UnexpectedInput, text: str, base: int) -> tuple[Line, Diagnostic]:
        """The line at fault and what to say about it."""
        interactive = getattr(error, "interactive_parser", None)
        accepts = tuple(sorted(interactive.accepts())) if interactive is not None else ()
        if isinstance(error, UnexpectedToken):
            token = error.token
            kind, quoted = token.type, text_of(token)
            start = token.start_pos if token.start_pos is not None else len(text)
            end = start + len(token)
        else:
            start = error.pos_in_stream or 0
            end = start + 1
            kind, quoted = "?", text[start:end]
        if kind == "$END":
            start = end = len(text.rstrip())
        offset = base + start
        if kind == "_INDENT":
            line = next((x for x in self.lines if x.start >= offset), self.lines[-1])
            offset = line.start
            end = offset - base + 1
        elif "_INDENT" in accepts:
            line = self._line_at(offset - 1)
            offset, end = line.start, line.end - base
        else:
            line = self._line_at(offset)
        if kind in ("_NL", "$END", "_DEDENT") and "_INDENT" not in accepts:
            offset = min(offset, line.end)
            end = offset - base + 1
        word = _WORD.match(self.whole, line.start)
        first = word[0] if word else ""
        between = self.whole[line.start + len(first) : offset]
        second = offset > line.start and between.strip() == ""
        said = describe(Found(kind, quoted, accepts, first, second))
        span = self.locator.span(offset, min(base + end, len(self.whole) - 1))
        if said.at_first_word:
            span = self.locator.span(line.start, line.start + len(first))
        return line, Diagnostic(said.code, said.message, span, hint=said.hint)
