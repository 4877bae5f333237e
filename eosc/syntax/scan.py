"""The pass before the parser: logical lines, comments, and everything that is refused at once.

Lines join inside brackets, inside triple quotes and after a trailing backslash. A line that this
pass refuses is marked, so that the parser never sees it; all bounds on brackets, blocks and numbers
are checked here, where a check costs one step of a loop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from eosc.diagnostics import Diagnostic, Label, Locator, Sink, Source
from eosc.options import LIMITS
from eosc.syntax.ast import Comment
from eosc.syntax.characters import forbidden, forbidden_in_code
from eosc.syntax.words import STATEMENT_WORDS

_ELEMENT = re.compile(
    r'''
      (?P<docstring> """ (?s:.*?) """ )
    | (?P<open_docstring> """ [^\n]* )
    | (?P<string> "[^"\n]*" )
    | (?P<open_string> "[^\n]* )
    | (?P<comment> \#[^\n]* )
    | (?P<newline> \n )
    | (?P<joined> \\[\ \t]*\n )
    | (?P<open> [(\[] )
    | (?P<close> [)\]] )
    | (?P<number> (?:[0-9]|\.[0-9]) (?: [eE][+-]?(?=[0-9]) | [\w.] )* )
    | (?P<word> [^\W\d]\w*'* )
    | (?P<space> [\ \t]+ )
    | (?P<other> . )
    ''',
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE](?P<exponent>[+-]?[0-9]+))?j?")
_LONGEST_NUMBER = 40
_LONGEST_NAME = 200
_LONGEST_STATEMENT = 5_000
_TOO_MANY = "split it into several files: a file must be quick to check"
_TAB = 4
# The next line surely begins a statement: `input v...`, `layer(...`, or `y[t]: V = ...`.
_STATEMENT = re.compile(
    rf"(?:{'|'.join(sorted(STATEMENT_WORDS))})"
    r"(?:[ ]+[\w\"(]|[ ]*:[ ]*(?:\n|$)|\([^\n]*\):[ ]*(?:\n|$))"
)
_EQUATION = re.compile(r"\w+'*(?:\[[^\[\]\n]*\])?[ ]*(?::[\w ,']*)?=(?!=)")


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line: offsets of its first and behind its last character, and its indentation."""

    start: int
    end: int
    indent: int
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """The lines of a source; `text` has its length, with comments blanked and a final newline."""

    text: str
    lines: tuple[Line, ...]
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]


def scan(source: Source) -> Scan:
    """Split a source in normal form (`characters.prepare`) into logical lines."""
    return _Scanner(source).run()


class _Scanner:
    """The state of one scan."""

    def __init__(self, source: Source) -> None:
        self.text = source.text
        self.locate = Locator(source).span
        self.sink = Sink()
        self.lines: list[Line] = []
        self.dropped: list[Line] = []
        self.gaps: list[tuple[int, int]] = []
        self.comments: list[Comment] = []
        self.brackets: list[tuple[int, bool]] = []
        self.previous = ""
        self.start: int | None = None
        self.line_start = 0
        self.last = 0
        self.count = 0
        self.length = 0
        self.refused = False
        self.tabbed: list[int] = []
        self.seen: set[str] = set()

    def run(self) -> Scan:
        text = self.text
        self._check_everywhere()
        position = 0
        while position < len(text) and self.count <= LIMITS.words:
            match = _ELEMENT.match(text, position)
            if match is None:
                raise AssertionError("every character belongs to an element")
            self._element(match.lastgroup or "other", position, match.end())
            position = match.end()
        if self.count > LIMITS.words:
            message = f"the file has more than {LIMITS.words:,} words and signs"
            self._error("E007", message, position, position, _TOO_MANY)
            return Scan("\n", (), (), self.sink.diagnostics)
        self._close_brackets()
        self._end_line()
        self._report_tabs()
        self._check_indentation()
        return Scan(self._blanked(), tuple(self.lines), tuple(self.comments), self.sink.diagnostics)

    def _error(
        self, code: str, message: str, start: int, end: int, hint: str | None = None
    ) -> None:
        if self.sink.count < LIMITS.diagnostics:
            self.sink.report(code, message, self.locate(start, end), hint=hint)
        self.refused = True

    def _element(self, kind: str, start: int, end: int) -> None:
        """Take one element into account."""
        if kind == "newline":
            if not self.brackets or self._next_line_ends_statement(end):
                self._close_brackets()
                self._end_line()
            self.line_start = end
            return
        if kind == "joined":
            if self.start is None:
                # Before a statement it joins nothing; what it leaves is an empty line.
                self.gaps.append((start, start + 1))
            self.line_start = end
            return
        if kind == "space":
            if "\t" in self.text[start:end]:
                self.tabbed.append(start + self.text[start:end].index("\t"))
            return
        if kind == "comment":
            own = self.text[self.line_start : start].strip() == ""
            span = self.locate(start, end)
            words = self.text[start + 1 : end].strip()
            self.comments.append(Comment(words, own, span=span))
            return
        if self.start is None:
            self.start = start
        self.last = end
        self.length += 1
        if self.length <= _LONGEST_STATEMENT:  # a longer one is left out
            self.count += 1
        if self.length == _LONGEST_STATEMENT + 1:
            message = f"a statement has at most {_LONGEST_STATEMENT} words and signs"
            self._error("E008", message, start, end, "name a part of it in an equation of its own")
        previous, self.previous = self.previous, self.text[start:end] if kind == "word" else ""
        match kind:
            case "open" | "close":
                self._bracket(kind, start, previous == "in")
            case "number":
                self._number(start, end)
            case "word" | "other":
                self._code(start, end)
            case "open_string":
                self._error(
                    "E001",
                    "this string has no closing quote",
                    start,
                    end,
                    "strings end on their line",
                )
            case "open_docstring":
                self._error("E001", "this docstring has no closing quotes", start, start + 3)
            case "docstring":
                newline = self.text.rfind("\n", start, end)
                self.line_start = newline + 1 if newline >= 0 else self.line_start

    def _bracket(self, kind: str, start: int, interval: bool) -> None:
        """Match brackets; those of an interval, `in (0, 1]`, may differ."""
        character = self.text[start]
        if kind == "open":
            self.brackets.append((start, interval))
            if len(self.brackets) == LIMITS.nesting + 1:
                message = f"brackets are nested more than {LIMITS.nesting} deep"
                self._error("E008", message, start, start + 1, "name a part of the expression")
            return
        if not self.brackets:
            self._error("E000", f"unexpected '{character}', no bracket is open", start, start + 1)
            return
        opened, interval = self.brackets.pop()
        if not interval and self.text[opened] + character not in ("()", "[]"):
            message = f"'{character}' does not close '{self.text[opened]}'"
            span, other = self.locate(start, start + 1), self.locate(opened, opened + 1)
            labels = (Label(other, "opened here"), Label(span, "closed here"))
            if self.sink.count < LIMITS.diagnostics:
                self.sink.report("E000", message, span, labels=labels)
            self.refused = True

    def _number(self, start: int, end: int) -> None:
        text = self.text[start:end]
        match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
        if len(text) > _LONGEST_NUMBER:
            message = f"a number has at most {_LONGEST_NUMBER} characters"
            self._error("E009", message, start, end)
        elif match is None:
            self._error("E000", f"'{text}' is not a number", start, end)
        elif abs(int(match["exponent"] or 0)) > LIMITS.decimal_exponent:
            message = f"decimal exponents go from -{LIMITS.decimal_exponent} to "
            self._error("E009", message + f"{LIMITS.decimal_exponent}", start, end)
        elif text.isdigit() and int(text) > LIMITS.integer:
            message = f"integers go up to {LIMITS.integer}"
            self._error("E009", message, start, end, "write a larger number as 1e9")

    def _code(self, start: int, end: int) -> None:
        word = self.text[start:end]
        if len(word) > _LONGEST_NAME:
            message = f"a name has at most {_LONGEST_NAME} characters"
            self._error("E009", message, start, end)
        if word.isascii():
            self.refused |= not word.isprintable()
            return
        for offset, character in enumerate(word, start):
            finding = forbidden_in_code(character)
            if finding is not None:
                self.refused = True
                if character not in self.seen:
                    self.seen.add(character)
                    self._error("E006", finding[0], offset, offset + 1, finding[1])

    def _check_everywhere(self) -> None:
        """Report each forbidden character once, where it stands first."""
        if self.text.isascii() and self.text.replace("\n", "").replace("\t", "").isprintable():
            return
        for character in sorted(set(self.text)):
            reason = forbidden(character)
            if reason is not None:
                self.seen.add(character)
                first = self.text.index(character)
                self._error("E006", f"{reason} is not allowed", first, first + 1)
        self.refused = False

    def _next_line_ends_statement(self, offset: int) -> bool:
        """Whether, inside a bracket, the line at `offset` must begin something new."""
        newline = self.text.find("\n", offset)
        line = self.text[offset : newline if newline >= 0 else len(self.text)]
        code = line.lstrip(" \t")
        if not code or code[0] in "#)]":
            return False
        indent = len(line) - len(code)
        if indent == 0 or _STATEMENT.match(code):
            return True
        statement = self.text.rfind("\n", 0, self.start or 0) + 1
        return indent <= (self.start or 0) - statement and _EQUATION.match(code) is not None

    def _close_brackets(self) -> None:
        if self.brackets:
            opened, _ = self.brackets[-1]
            self._error("E001", f"'{self.text[opened]}' is never closed", opened, opened + 1)
            self.brackets.clear()

    def _end_line(self) -> None:
        if self.start is not None:
            begin = self.text.rfind("\n", 0, self.start) + 1
            indent = sum(_TAB if c == "\t" else 1 for c in self.text[begin : self.start])
            self.lines.append(Line(self.start, self.last, indent, self.refused))
        self.start = None
        self.length = 0
        self.refused = False

    def _report_tabs(self) -> None:
        if self.tabbed:
            first = self.tabbed[0]
            numbers = {self.text.count("\n", 0, offset) for offset in self.tabbed[:1000]}
            others = len(numbers) - 1
            more = f" (and on {others} more line{'s' * (others > 1)})" if others else ""
            self._error(
                "E005",
                f"unexpected tab{more}",
                first,
                first + 1,
                f"indent with spaces, {_TAB} per level",
            )

    def _check_indentation(self) -> None:
        """Drop lines whose indentation matches no block; refuse blocks nested too deeply.

        Lines that stand as far in as a dropped one, right below it, go with it unreported.
        """
        levels = [0]
        kept: list[Line] = []
        dropped_at: int | None = None
        for line in self.lines:
            if dropped_at is not None and line.indent >= dropped_at:
                self.dropped.append(line)
                continue
            finding: tuple[str, str] | None = None
            if line.indent > levels[-1] and not kept:
                finding = ("E000", "the first line of a file is not indented")
            elif line.indent > levels[-1] and len(levels) > LIMITS.nesting:
                finding = ("E008", f"blocks are nested more than {LIMITS.nesting} deep")
                kept[-1] = replace(kept[-1], refused=True)
            elif line.indent > levels[-1]:
                levels.append(line.indent)
            if finding is None and line.indent not in levels:
                finding = ("E000", "the indentation of this line matches no block above")
            dropped_at = None if finding is None else line.indent
            if finding is None:
                while line.indent < levels[-1]:
                    levels.pop()
                kept.append(line)
            else:
                self._error(*finding, line.start, line.start + 1)
                self.dropped.append(line)
        self.lines = kept

    def _blanked(self) -> str:
        gaps = [(comment.span.start, comment.span.end) for comment in self.comments]
        gaps += self.gaps
        gaps += [(line.start, line.end) for line in self.dropped]
        pieces, position = [], 0
        for start, end in sorted(gaps):
            if end > position:
                pieces.append(self.text[position:start])
                pieces.append(blank(self.text[max(start, position) : end]))
                position = end
        pieces.append(self.text[position:] + "\n")
        return "".join(pieces)


def blank(text: str) -> str:
    """As many spaces as `text` has characters, with its newlines kept."""
    return "\n".join(" " * len(line) for line in text.split("\n"))
