"""The canonical formatter: one layout for every file, comments kept, meaning untouched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from eosc.diagnostics import EosError, Severity, Source
from eosc.syntax import ast
from eosc.syntax.comments import attach, is_inline
from eosc.syntax.order import Arrangement
from eosc.syntax.parser import parse
from eosc.syntax.spell import spell_expression, spell_statement

_INDENT = "    "


def format_text(text: str, path: str = "<text>") -> str:
    """The canonical form of a specification; formatting it again changes nothing.

    Raises:
        EosError: the text has syntax errors, and is left alone.
    """
    module, diagnostics = parse(Source(path, text))
    if any(d.severity is Severity.ERROR for d in diagnostics):
        raise EosError(*diagnostics)
    return format_module(module)


def format_module(module: ast.Module) -> str:
    """The canonical text of a module, with its comments."""
    return _Writer(module).write()


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of output; consecutive rows with a `keyword` are aligned behind it."""

    text: str
    depth: int = 0
    keyword: str = ""
    comment: str = ""


class _Writer:
    """Lays out one module."""

    def __init__(self, module: ast.Module) -> None:
        self.module = module
        self.comments = attach(module)
        self.rows: list[_Row] = []

    def write(self) -> str:
        module = self.module
        previous: ast.Node | None = None
        for item in (*((module.doc,) if module.doc is not None else ()), *module.items):
            if previous is not None:
                first = self.comments.above.get(id(item), [item])[0]
                distance = first.span.line - previous.span.end_line
                self.rows += [_Row("")] * _blank_lines(previous, item, distance)
            self._item(item)
            previous = item
        self._free_comments(self.comments.at_end.get(id(module), []), previous)
        return _render(self.rows)

    # ---- lines

    def _line(self, node: ast.Node, text: str, depth: int, keyword: str = "") -> None:
        """A line of a node, below the comments above it and with the one beside it."""
        above = self.comments.above.get(id(node), [])
        for number, comment in enumerate(above):
            self.rows.append(_Row(_comment(comment), depth))
            below = above[number + 1] if number + 1 < len(above) else node
            # A remark on the whole file may stand apart from what follows.
            if depth == 0 and comment.own_line and below.span.line > comment.span.line + 1:
                self.rows.append(_Row(""))
        beside = self.comments.beside.get(id(node))
        self.rows.append(_Row(text, depth, keyword, "" if beside is None else _comment(beside)))

    def _free_comments(self, comments: Sequence[ast.Comment], last: ast.Node | None) -> None:
        """The comments at the end of the file."""
        everything = [comment.span.line for comment in self.module.comments]
        before = dict(zip(everything[1:], everything, strict=False))
        end = 0 if last is None else last.span.end_line
        for comment in comments:
            above = max(end, before.get(comment.span.line, 0))
            if above and comment.span.line > above + 1:
                self.rows.append(_Row(""))
            self.rows.append(_Row(_comment(comment)))

    def _end(self, owner: ast.Node, depth: int) -> None:
        """The comments at the end of a block."""
        for comment in self.comments.at_end.get(id(owner), []):
            self.rows.append(_Row(_comment(comment), depth))

    # ---- nodes

    def _item(self, item: ast.Item | ast.Docstring) -> None:
        match item:
            case ast.Docstring():
                self._docstring(item, 0)
            case ast.Mixer() | ast.Family():
                word = "mixer" if isinstance(item, ast.Mixer) else "family"
                arrangement = Arrangement(item)
                self._line(item, f"{word} {item.name.id}:", 0)
                self._recurrence(item, arrangement, 1)
            case ast.Block() | ast.Model():
                word = "block" if isinstance(item, ast.Block) else "model"
                self._line(item, f"{word} {item.name.id}({_formals(item.parameters)}):", 0)
                self._body(item, item.doc, item.body, 1)
            case ast.Grid():
                self._line(item, f"grid {item.name.id} of {item.family.id}:", 0)
                self._body(item, item.doc, item.rows, 1)
            case ast.Theorem(name=name):
                title = name.id if isinstance(name, ast.Name) else f'"{name.value}"'
                self._line(item, f"theorem {title}:", 0)
                self._body(item, item.doc, item.body, 1)
            case _:
                self._statement(item, 0)

    def _recurrence(
        self, item: ast.Mixer | ast.Family, arrangement: Arrangement, depth: int
    ) -> None:
        """The block of a mixer: ordered, with its blank lines."""
        if item.doc is not None:
            self._docstring(item.doc, depth)
        previous: ast.Statement | None = None
        in_equations = False
        for statement in arrangement.arranged(item.body):
            equation = arrangement.is_equation(statement) if _plain(statement) else False
            apart = (ast.Match, ast.Layer)
            if previous is not None and (
                (equation and not in_equations)
                or isinstance(statement, apart)
                or isinstance(previous, apart)
            ):
                self.rows.append(_Row(""))
            in_equations = equation
            if isinstance(statement, ast.Match):
                self._match(statement, arrangement, depth)
            else:
                self._statement(statement, depth)
            previous = statement
        if item.doc is None and not item.body:
            self.rows.append(_Row("pass", depth))
        self._end(item, depth)

    def _match(self, node: ast.Match, arrangement: Arrangement, depth: int) -> None:
        self._line(node, f"match {node.subject.id}:", depth)
        for case in node.cases:
            options = " | ".join(spell_expression(option) for option in case.options)
            self._line(case, f"case {options}:", depth + 1)
            for statement in arrangement.arranged(case.body):
                if isinstance(statement, ast.Match):
                    self._match(statement, arrangement, depth + 2)
                else:
                    self._statement(statement, depth + 2)
            if not case.body:
                self.rows.append(_Row("pass", depth + 2))
            self._end(case, depth + 2)
        self._end(node, depth + 1)

    def _body(
        self, owner: ast.Node, doc: ast.Docstring | None, body: Iterable[ast.Node], depth: int
    ) -> None:
        """A block whose order is the author's."""
        before = len(self.rows)
        if doc is not None:
            self._docstring(doc, depth)
        for statement in body:
            self._statement(statement, depth)
        if len(self.rows) == before:
            self.rows.append(_Row("pass", depth))
        self._end(owner, depth)

    def _statement(self, node: ast.Node, depth: int) -> None:
        match node:
            case ast.Layer(name=name, parameters=parameters):
                title = "layer" if name is None else f"layer {name.id}"
                self._line(node, f"{title}({_formals(parameters)}):", depth)
                self._body(node, node.doc, node.body, depth + 1)
            case ast.Stack(items=items):
                self._line(node, "stack:", depth)
                for item in items:
                    self._line(item, spell_expression(item), depth + 1)
                if not items:
                    self.rows.append(_Row("pass", depth + 1))
                self._end(node, depth + 1)
            case ast.Claim(bindings=bindings) if not is_inline(node):
                self._line(node, f"{spell_statement(node)} where", depth)
                self._body(node, None, bindings, depth + 1)
            case ast.Claim(bindings=bindings):
                where = f" where {', '.join(map(spell_statement, bindings))}" if bindings else ""
                self._line(node, spell_statement(node) + where, depth)
            case ast.State() | ast.Kernel() | ast.Memory() | ast.Param(shared=False):
                keyword, text = spell_statement(node).split(" ", 1)
                self._line(node, text, depth, keyword)
            case _:
                self._line(node, spell_statement(node), depth)

    def _docstring(self, doc: ast.Docstring, depth: int) -> None:
        text = doc.text
        if "\n" not in text and not text.startswith('"') and not text.endswith('"'):
            self._line(doc, f'"""{text}"""', depth)
            return
        lines = [_Row(line, depth if line else 0) for line in text.split("\n")]
        self._line(doc, '"""', depth)
        closing = _Row('"""', depth, comment=self.rows[-1].comment)
        self.rows[-1] = _Row('"""', depth)
        self.rows += [*lines, closing]


def _plain(statement: ast.Statement) -> bool:
    return not isinstance(statement, ast.Match)


def _formals(parameters: Iterable[ast.Parameter]) -> str:
    return ", ".join(spell_statement(parameter) for parameter in parameters)


def _comment(comment: ast.Comment) -> str:
    return f"# {comment.text}".rstrip()


def _blank_lines(previous: ast.Node, item: ast.Node, distance: int) -> int:
    """Blank lines between two top-level items that stood `distance` lines apart."""
    if isinstance(previous, ast.Docstring):
        return 1
    for kind in (ast.Import, ast.Macro):
        if isinstance(previous, kind) and isinstance(item, kind):
            return 0
    if isinstance(previous, ast.Claim) and isinstance(item, ast.Claim):
        return 1 if distance > 1 else 0
    return 2


def _render(rows: Sequence[_Row]) -> str:
    lines = []
    for (aligned, _), group in groupby(rows, key=lambda row: (bool(row.keyword), row.depth)):
        run = list(group)
        width = max(len(row.keyword) for row in run)
        for row in run:
            head = f"{row.keyword:<{width}} " if aligned else ""
            tail = f"  {row.comment}" if row.comment else ""
            lines.append(f"{_INDENT * row.depth}{head}{row.text}{tail}".rstrip())
    return "\n".join(lines) + "\n" if lines else ""
