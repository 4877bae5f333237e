"""From lark's parse tree to our syntax tree: one method a rule, bottom up, without recursion."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from lark import Token, Tree

from eosc.diagnostics import Diagnostic, EosError, Locator, Span
from eosc.options import LIMITS
from eosc.syntax import ast

_Children = list[Any]


class Builder:
    """Builds the nodes of one stretch of text that starts at offset `base` of its source."""

    def __init__(self, locator: Locator, text: str, base: int) -> None:
        self._locate = locator.span
        self._text = text
        self._base = base

    def build(self, tree: Tree[Token]) -> tuple[ast.Docstring | None, tuple[ast.Item, ...]]:
        """The docstring and the items of a parsed text.

        Raises:
            EosError: an expression is nested too deeply, or an exponent is too large.
        """
        values: list[Any] = []
        pending: list[tuple[Tree[Token] | Token | None, bool]] = [(tree, False)]
        while pending:
            node, ready = pending.pop()
            if not isinstance(node, Tree):
                values.append(node)
            elif not ready:
                pending.append((node, True))
                pending += [(child, False) for child in reversed(node.children)]
            else:
                count = len(node.children)
                children = values[len(values) - count :]
                del values[len(values) - count :]
                rule: Callable[[Span, _Children], Any] = getattr(self, f"_{node.data}")
                values.append(rule(self._span(node), children))
        doc, *items = values[0]
        for item in items:
            check_depth(item)
        return doc, tuple(items)

    def _span(self, node: Tree[Token]) -> Span:
        meta = node.meta
        if meta.empty:
            return self._locate(self._base, self._base)
        end = meta.end_pos
        while end > meta.start_pos and self._text[end - 1].isspace():
            end -= 1
        return self._locate(self._base + meta.start_pos, self._base + end)

    def _name_of(self, token: Token) -> ast.Name:
        start = self._base + (token.start_pos or 0)
        return ast.Name(str(token), span=self._locate(start, start + len(token)))

    # ---- files

    def _start(self, span: Span, c: _Children) -> _Children:
        return c

    def _import_(self, span: Span, c: _Children) -> ast.Import:
        return ast.Import(c[0], c[1], span=span)

    def _names(self, span: Span, c: _Children) -> tuple[ast.Name, ...]:
        return tuple(self._name_of(token) for token in c)

    _dotted = _names

    def _macro(self, span: Span, c: _Children) -> ast.Macro:
        return ast.Macro(self._name_of(c[0]), c[1], c[2], span=span)

    def _doc(self, span: Span, c: _Children) -> ast.Docstring:
        return ast.Docstring(clean_docstring(str(c[0])), span=span)

    # ---- mixers and families

    def _mixer(self, span: Span, c: _Children) -> ast.Mixer:
        return ast.Mixer(self._name_of(c[0]), c[1], tuple(c[2:]), span=span)

    def _family(self, span: Span, c: _Children) -> ast.Family:
        return ast.Family(self._name_of(c[0]), c[1], tuple(c[2:]), span=span)

    def _axes(self, span: Span, c: _Children) -> ast.Axes:
        return ast.Axes(tuple(c), span=span)

    def _axis(self, span: Span, c: _Children) -> ast.Axis:
        return ast.Axis(self._name_of(c[0]), c[1], span=span)

    def _config(self, span: Span, c: _Children) -> ast.Config:
        return ast.Config(self._name_of(c[0]), c[1], span=span)

    def _const(self, span: Span, c: _Children) -> ast.Const:
        return ast.Const(self._name_of(c[0]), c[1], c[2], c[3], span=span)

    def _param(self, span: Span, c: _Children) -> ast.Param:
        return ast.Param(c[0], c[1], c[2], c[3], span=span)

    def _shared_param(self, span: Span, c: _Children) -> ast.Param:
        return ast.Param(c[0], c[1], c[2], c[3], shared=True, span=span)

    def _kernel(self, span: Span, c: _Children) -> ast.Kernel:
        name, lag, length, type_, range_, (value, init) = c
        return ast.Kernel(
            self._name_of(name), self._name_of(lag), length, type_, range_, value, init, span=span
        )

    def _given(self, span: Span, c: _Children) -> tuple[ast.Expr | None, ast.Expr | None]:
        return c[0], None

    def _learned(self, span: Span, c: _Children) -> tuple[ast.Expr | None, ast.Expr | None]:
        return None, c[0]

    def _state(self, span: Span, c: _Children) -> ast.State:
        return ast.State(str(c[0]), c[1], c[2], c[3], c[4], span=span)

    def _memory(self, span: Span, c: _Children) -> ast.Memory:
        return ast.Memory(c[0], c[1], span=span)

    def _output(self, span: Span, c: _Children) -> ast.Output:
        return ast.Output(c[0], c[1], c[2], c[3], span=span)

    def _equation(self, span: Span, c: _Children) -> ast.Equation:
        return ast.Equation(c[0], c[1], c[2], c[3], span=span)

    def _targets(self, span: Span, c: _Children) -> tuple[ast.Target, ...]:
        return tuple(c)

    def _target(self, span: Span, c: _Children) -> ast.Target:
        return ast.Target(self._name_of(c[0]), c[1], span=span)

    def _type(self, span: Span, c: _Children) -> ast.Type:
        return ast.Type(c[0], c[1] is not None, span=span)

    def _complex_only(self, span: Span, c: _Children) -> ast.Type:
        return ast.Type(None, True, span=span)

    def _interval(self, span: Span, c: _Children) -> ast.Interval:
        opening, low, high, closing = c
        return ast.Interval(low, high, opening == "(", closing == ")", span=span)

    def _bound(self, span: Span, c: _Children) -> ast.Bound:
        return ast.Bound(str(c[0]), c[1], span=span)

    def _choice(self, span: Span, c: _Children) -> ast.Choice:
        return ast.Choice(self._name_of(c[0]), tuple(c[1:]), span=span)

    def _option(self, span: Span, c: _Children) -> ast.Option:
        token = c[0]
        return self._name_of(token) if token.type == "NAME" else self._number(span, c)

    def _options(self, span: Span, c: _Children) -> tuple[ast.Option, ...]:
        return tuple(c)

    def _match(self, span: Span, c: _Children) -> ast.Match:
        return ast.Match(self._name_of(c[0]), tuple(c[1:]), span=span)

    def _case(self, span: Span, c: _Children) -> ast.Case:
        return ast.Case(c[0], tuple(c[1:]), span=span)

    def _require(self, span: Span, c: _Children) -> ast.Require:
        return ast.Require(c[0], span=span)

    def _grid(self, span: Span, c: _Children) -> ast.Grid:
        return ast.Grid(self._name_of(c[0]), self._name_of(c[1]), c[2], tuple(c[3:]), span=span)

    def _grid_row(self, span: Span, c: _Children) -> ast.GridRow:
        options = None if isinstance(c[1], Token) else tuple(c[1:])
        return ast.GridRow(self._name_of(c[0]), options, span=span)

    # ---- layers, blocks, models

    def _inner_layer(self, span: Span, c: _Children) -> ast.Layer:
        return ast.Layer(None, c[0] or (), c[1], tuple(c[2:]), span=span)

    def _layer(self, span: Span, c: _Children) -> ast.Layer:
        return ast.Layer(self._name_of(c[0]), c[1] or (), c[2], tuple(c[3:]), span=span)

    def _block(self, span: Span, c: _Children) -> ast.Block:
        return ast.Block(self._name_of(c[0]), c[1] or (), c[2], tuple(c[3:]), span=span)

    def _formals(self, span: Span, c: _Children) -> tuple[ast.Parameter, ...]:
        return tuple(c)

    def _formal(self, span: Span, c: _Children) -> ast.Parameter:
        return ast.Parameter(self._name_of(c[0]), c[1], span=span)

    def _model(self, span: Span, c: _Children) -> ast.Model:
        return ast.Model(self._name_of(c[0]), c[1] or (), c[2], tuple(c[3:]), span=span)

    def _embed(self, span: Span, c: _Children) -> ast.Embed:
        return ast.Embed(c[0], span=span)

    def _stack(self, span: Span, c: _Children) -> ast.Stack:
        return ast.Stack(tuple(c), span=span)

    def _norm(self, span: Span, c: _Children) -> ast.Norm:
        return ast.Norm(c[0], span=span)

    def _head(self, span: Span, c: _Children) -> ast.Head:
        return ast.Head(c[0], span=span)

    # ---- theorems

    def _theorem(self, span: Span, c: _Children) -> ast.Theorem:
        token, doc, *body = c
        start = self._base + token.start_pos
        name = (
            self._name_of(token)
            if token.type == "NAME"
            else ast.String(token[1:-1], span=self._locate(start, start + len(token)))
        )
        return ast.Theorem(name, doc, tuple(body), span=span)

    def _forall(self, span: Span, c: _Children) -> ast.Forall:
        return ast.Forall(c[0], c[1], c[2], span=span)

    def _assume(self, span: Span, c: _Children) -> ast.Assume:
        return ast.Assume(c[0], c[1], span=span)

    def _invariant(self, span: Span, c: _Children) -> ast.Invariant:
        return ast.Invariant(c[0], span=span)

    def _claim(self, span: Span, c: _Children) -> ast.Claim:
        verdict, left, relation, right, *bindings = c
        return ast.Claim(str(verdict), left, str(relation), right, tuple(bindings), span=span)

    def _binding(self, span: Span, c: _Children) -> ast.Binding:
        return ast.Binding(c[0], c[1], span=span)

    # ---- expressions

    def _conditional(self, span: Span, c: _Children) -> ast.Conditional:
        return ast.Conditional(c[0], c[1], c[2], span=span)

    def _logical_or(self, span: Span, c: _Children) -> ast.Logical:
        return ast.Logical("or", c[0], c[1], span=span)

    def _logical_and(self, span: Span, c: _Children) -> ast.Logical:
        return ast.Logical("and", c[0], c[1], span=span)

    def _logical_not(self, span: Span, c: _Children) -> ast.Unary:
        return ast.Unary("not", c[0], span=span)

    def _compare(self, span: Span, c: _Children) -> ast.Compare:
        return ast.Compare(tuple(c[::2]), tuple(str(op) for op in c[1::2]), span=span)

    def _binary(self, span: Span, c: _Children) -> ast.Binary:
        left, op, right = c
        power = right.operand if isinstance(right, ast.Unary) else right
        if op == "**" and isinstance(power, ast.Number) and power.value > LIMITS.exponent:
            message = f"constant exponents go from -{LIMITS.exponent} to {LIMITS.exponent}"
            raise EosError(Diagnostic("E009", message, right.span))
        return ast.Binary(str(op), left, right, span=span)

    def _unary(self, span: Span, c: _Children) -> ast.Unary:
        return ast.Unary(str(c[0]), c[1], span=span)

    def _index(self, span: Span, c: _Children) -> ast.Index:
        return ast.Index(c[0], tuple(c[1:]), span=span)

    def _rename(self, span: Span, c: _Children) -> ast.Rename:
        return ast.Rename(self._name_of(c[0]), self._name_of(c[1]), span=span)

    def _call(self, span: Span, c: _Children) -> ast.Call:
        function, arguments = c
        subscripts: tuple[ast.Subscript, ...] = ()
        if isinstance(function, ast.Index) and isinstance(function.base, ast.Name):
            subscripts, function = function.items, function.base
        if not isinstance(function, ast.Name):
            message = "only a function that has a name can be called"
            raise EosError(Diagnostic("E011", message, function.span))
        return ast.Call(function, subscripts, arguments or (), span=span)

    def _arguments(self, span: Span, c: _Children) -> tuple[ast.Expr | ast.Keyword, ...]:
        return tuple(c)

    def _keyword(self, span: Span, c: _Children) -> ast.Keyword:
        return ast.Keyword(self._name_of(c[0]), c[1], span=span)

    def _attribute(self, span: Span, c: _Children) -> ast.Attribute:
        return ast.Attribute(c[0], self._name_of(c[1]), span=span)

    def _name(self, span: Span, c: _Children) -> ast.Name:
        return ast.Name(str(c[0]), span=span)

    def _number(self, span: Span, c: _Children) -> ast.Number:
        return ast.Number(Fraction(str(c[0])), str(c[0]), span=span)

    def _imaginary(self, span: Span, c: _Children) -> ast.Imaginary:
        return ast.Imaginary(Fraction(str(c[0])[:-1]), str(c[0]), span=span)

    def _string(self, span: Span, c: _Children) -> ast.String:
        return ast.String(str(c[0])[1:-1], span=span)

    def _tuple(self, span: Span, c: _Children) -> ast.Tuple:
        return ast.Tuple(tuple(c), span=span)


def clean_docstring(literal: str) -> str:
    """The text of a docstring literal: quotes, outer blank lines and common indentation removed."""
    quotes = 3 if literal.startswith('"""') and len(literal) >= 6 else 1
    first, *rest = literal[quotes:-quotes].expandtabs(4).split("\n")
    lines = [first.strip(), *textwrap.dedent("\n".join(rest)).split("\n")]
    return "\n".join(line.rstrip() for line in lines).strip("\n").rstrip()


def check_depth(item: ast.Node) -> None:
    """Refuse an expression whose tree is deeper than `LIMITS.nesting`, so that passes may recurse.

    Raises:
        EosError: E008, with the span of the first expression that is too deep.
    """
    pending: list[tuple[ast.Node, int]] = [(item, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > LIMITS.nesting:
            message = f"the expression is nested more than {LIMITS.nesting} deep"
            hint = "name a part of it in an equation of its own"
            raise EosError(Diagnostic("E008", message, node.span, hint=hint))
        inside = isinstance(node, (*ast.EXPRESSIONS, ast.Keyword))
        pending.extend((child, depth + 1 if inside else 0) for child in ast.children(node))
