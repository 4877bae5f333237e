"""Nodes as text: expressions with just the parentheses they need, statements on one line."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from eosc.syntax import ast

# How tightly each form binds; an operand that binds less than its place asks for is bracketed.
_CONDITIONAL, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _POSTFIX = range(10)
_BINARY = {
    "+": (_SUM, _SUM, _PRODUCT),
    "-": (_SUM, _SUM, _PRODUCT),
    "*": (_PRODUCT, _PRODUCT, _UNARY),
    "/": (_PRODUCT, _PRODUCT, _UNARY),
    "//": (_PRODUCT, _PRODUCT, _UNARY),
    "%": (_PRODUCT, _PRODUCT, _UNARY),
    "**": (_POWER, _POSTFIX, _UNARY),
}
_LOGICAL = {"or": (_OR, _OR, _AND), "and": (_AND, _AND, _NOT)}


def spell_expression(expr: ast.Subscript | ast.Keyword) -> str:
    """The canonical text of an expression."""
    return _spell(expr)[0]


def _spell(expr: ast.Subscript | ast.Keyword) -> tuple[str, int]:
    """The text and how tightly it binds."""
    match expr:
        case ast.Name(id=name):
            return name, _POSTFIX
        case ast.Number(value=value, text=text):
            return text or _number(value), _POSTFIX
        case ast.Imaginary(value=value, text=text):
            return text or f"{_number(value)}j", _POSTFIX
        case ast.String(value=value):
            return f'"{value}"', _POSTFIX
        case ast.Unary(op="not", operand=operand):
            return f"not {_at(operand, _NOT)}", _NOT
        case ast.Unary(op=op, operand=operand):
            return f"{op}{_at(operand, _UNARY)}", _UNARY
        case ast.Binary(op=op, left=left, right=right):
            level, low, high = _BINARY[op]
            return f"{_at(left, low)} {op} {_at(right, high)}", level
        case ast.Logical(op=op, left=left, right=right):
            level, low, high = _LOGICAL[op]
            return f"{_clause(left, op, low)} {op} {_clause(right, op, high)}", level
        case ast.Compare(operands=operands, ops=ops):
            words = [_at(operands[0], _SUM)]
            for op, operand in zip(ops, operands[1:], strict=True):
                words += [op, _at(operand, _SUM)]
            return " ".join(words), _COMPARE
        case ast.Conditional(then=then, test=test, otherwise=otherwise):
            tail = f"if {_at(test, _OR)} else {_at(otherwise, _CONDITIONAL)}"
            return f"{_at(then, _OR)} {tail}", _CONDITIONAL
        case ast.Rename(source=source, target=target):
            return f"{source.id} -> {target.id}", _CONDITIONAL
        case ast.Keyword(name=name, value=value):
            return f"{name.id} = {spell_expression(value)}", _CONDITIONAL
        case ast.Index(base=base, items=items):
            return f"{_at(base, _POSTFIX)}[{', '.join(map(_subscript, items))}]", _POSTFIX
        case ast.Attribute(base=base, name=name):
            # `3.x` would be read as a malformed number.
            inner = _at(base, _POSTFIX)
            inner = f"({inner})" if isinstance(base, (ast.Number, ast.Imaginary)) else inner
            return f"{inner}.{name.id}", _POSTFIX
        case ast.Call(function=function, subscripts=subscripts, arguments=arguments):
            axes = f"[{_comma(subscripts)}]" if subscripts else ""
            return f"{function.id}{axes}({_comma(arguments)})", _POSTFIX
        case ast.Tuple(items=items):
            return f"({_comma(items)})", _POSTFIX


def _at(expr: ast.Expr, level: int) -> str:
    text, binds = _spell(expr)
    return text if binds >= level else f"({text})"


def _clause(expr: ast.Expr, op: str, level: int) -> str:
    """An operand of `and` or `or`; where both meet, brackets spare the reader the precedence."""
    if isinstance(expr, ast.Logical) and expr.op != op:
        return f"({spell_expression(expr)})"
    return _at(expr, level)


def _comma(items: Iterable[ast.Subscript | ast.Keyword]) -> str:
    return ", ".join(spell_expression(item) for item in items)


def _subscript(item: ast.Subscript) -> str:
    """Like any expression, but a shift of the time is written tightly: `t-1`."""
    atoms = (ast.Name, ast.Number)
    if (
        isinstance(item, ast.Binary)
        and item.op in "+-"
        and isinstance(item.left, atoms)
        and isinstance(item.right, atoms)
    ):
        return f"{spell_expression(item.left)}{item.op}{spell_expression(item.right)}"
    return spell_expression(item)


def _number(value: Fraction) -> str:
    """A number that no text stood for: as an integer, a decimal, or a bracketed quotient."""
    if value.denominator == 1:
        return str(value) if value >= 0 else f"({value})"
    digits = 0
    while digits < 40 and (value * 10**digits).denominator != 1:
        digits += 1
    if value < 0 or digits == 40:
        return f"({value.numerator} / {value.denominator})"
    scaled = str(int(value * 10**digits)).rjust(digits + 1, "0")
    return f"{scaled[:-digits]}.{scaled[-digits:]}"


def spell_statement(node: ast.Node) -> str:
    """The canonical text of a statement that takes one line (a claim without its bindings).

    Raises:
        TypeError: the node has a block, or is no statement.
    """
    match node:
        case ast.Import(module=module, names=names):
            return f"from {'.'.join(n.id for n in module)} import {_ids(names)}"
        case ast.Macro(name=name, parameters=parameters, body=body):
            return f"def {name.id}({_ids(parameters)}) = {spell_expression(body)}"
        case ast.Axes(axes=axes):
            return f"axes {', '.join(a.name.id + _given(a.size) for a in axes)}"
        case ast.Config(name=name, value=value):
            return f"config {name.id}{_given(value)}"
        case ast.Const(name=name, value=value):
            return f"const {name.id}{_type(node.type)}{_range(node.range)}{_given(value)}"
        case ast.Param(names=names, init=init):
            shared = "shared " if node.shared else ""
            tail = f"{_type(node.type)}{_range(node.range)}{_init(init)}"
            return f"{shared}param {_ids(names)}{tail}"
        case ast.Kernel(name=name, lag=lag, length=length):
            bound = "" if length is None else f" < {_at(length, _SUM)}"
            tail = f"{_type(node.type)}{_range(node.range)}{_given(node.value)}{_init(node.init)}"
            return f"kernel {name.id}[{lag.id}{bound}]{tail}"
        case ast.State(role=role, value=value):
            return f"{role} {_left(node)}{_given(value)}"
        case ast.Memory(names=names):
            return f"memory {_ids(names)}{_type(node.type)}"
        case ast.Equation(value=value):
            return f"{_left(node)}{_given(value)}"
        case ast.Output(target=target, value=value):
            tail = f"{_type(node.type)}{_range(node.range)}{_given(value)}"
            return f"output {_target(target)}{tail}"
        case ast.Forall():
            return f"forall {_left(node)}"
        case _:
            return _spell_rest(node)


def _spell_rest(node: ast.Node) -> str:
    """Statements of families, models and theorems."""
    match node:
        case ast.Choice(name=name, options=options):
            return f"choice {name.id}: {' | '.join(map(spell_expression, options))}"
        case ast.Require(condition=condition):
            return f"require {spell_expression(condition)}"
        case ast.GridRow(choice=choice, options=options):
            return f"{choice.id} = {'*' if options is None else _comma(options)}"
        case ast.Embed(value=value):
            return f"embed {spell_expression(value)}"
        case ast.Norm(value=value):
            return f"norm {spell_expression(value)}"
        case ast.Head(value=value):
            return f"head {spell_expression(value)}"
        case ast.Assume(condition=condition):
            return f"assume {spell_expression(condition)}{_range(node.range)}"
        case ast.Invariant(condition=condition):
            return f"invariant {spell_expression(condition)}"
        case ast.Claim(verdict=verdict, left=left, relation=relation, right=right):
            return f"{verdict} {_at(left, _SUM)} {relation} {_at(right, _SUM)}"
        case ast.Binding(target=target, value=value):
            return f"{_target(target)} := {spell_expression(value)}"
        case ast.Parameter(name=name, default=default):
            return f"{name.id}{_given(default)}"
        case _:
            raise TypeError(f"{type(node).__name__} does not take one line")


def _ids(names: Iterable[ast.Name]) -> str:
    return ", ".join(name.id for name in names)


def _given(value: ast.Expr | None) -> str:
    return "" if value is None else f" = {spell_expression(value)}"


def _init(value: ast.Expr | None) -> str:
    return "" if value is None else f" ~ {spell_expression(value)}"


def _target(target: ast.Target) -> str:
    return target.name.id + ("" if target.index is None else f"[{_subscript(target.index)}]")


def _left(node: ast.State | ast.Equation | ast.Forall) -> str:
    names = ", ".join(_target(target) for target in node.targets)
    return f"{names}{_type(node.type)}{_range(node.range)}"


def _type(type_: ast.Type | None) -> str:
    if type_ is None:
        return ""
    axes = "" if type_.axes is None else f": {_ids(type_.axes)}"
    return axes + (" complex" if type_.complex else "")


def _range(range_: ast.Range | None) -> str:
    match range_:
        case None:
            return ""
        case ast.Bound(op=op, value=value):
            return f" {op} {_at(value, _SUM)}"
        case ast.Interval(low=low, high=high):
            opening = "(" if range_.low_open else "["
            closing = ")" if range_.high_open else "]"
            ends = f"{spell_expression(low)}, {spell_expression(high)}"
            return f" in {opening}{ends}{closing}"
