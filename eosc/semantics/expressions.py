"""Expressions of a mixer or a layer: syntax to typed terms.

Broadcasting is by axis name; time indices are resolved to `At`; every rule that is broken is
reported once and leaves the statement (`Abandoned`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, NoReturn

from eosc.diagnostics import Label, Span, did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.axes import base_of, show_axes
from eosc.semantics.findings import Abandoned
from eosc.semantics.indexing import index
from eosc.semantics.measures import constant_value, is_constant
from eosc.semantics.model import Kind
from eosc.semantics.scope import Local, Scope, Symbol
from eosc.semantics.terms import (
    Apply,
    At,
    AxisSize,
    Constant,
    Dependence,
    Imaginary,
    KernelAt,
    Number,
    Position,
    Read,
    Term,
    Type,
    Variable,
    walk,
)
from eosc.syntax import ast

# Nesting of syntax while macros are expanded; the parser's own cap bounds each body.
# It bounds the depth of terms as well, so that passes over terms may recurse.
DEEPEST = 140
_MOST_STEPS = LIMITS.nodes // 2
SCALAR = Type()
NUMBER = Type()
# Of a number of tokens: its operations, and the largest whole power.
COUNTING = ("add", "sub", "mul", "div", "floordiv", "mod", "maximum", "minimum", "neg")
LARGEST_POWER = 64


class Expressions:
    """Turns expressions into terms within one scope.

    call: how a function call is elaborated (`calls.call` in mixers, more in layers).
    """

    def __init__(self, scope: Scope, call: Callable[[Expressions, ast.Call, Local], Term]) -> None:
        self.scope = scope
        self.findings = scope.findings
        self._call = call
        self._depth = 0
        self._steps = 0
        self.expanded: dict[tuple[object, ...], tuple[Term, tuple[Term, ...]]] = {}
        self.expanding: list[str] = []
        self.target: tuple[str, ...] | None = None

    # ---- the entry

    def term(self, node: ast.Expr, local: Local | None = None) -> Term:
        """The term of an expression.

        Raises:
            Abandoned: after an error was reported.
        """
        local = Local() if local is None else local
        if self._depth >= DEEPEST:
            self.findings.fail(
                "E008",
                "the expression is nested too deeply once its macros are expanded",
                node.span,
                hint="name a part of it as a state of its own",
            )
        self._steps += 1
        self.findings.work.spend(1)
        if self._steps > _MOST_STEPS:
            self._exhausted(node.span)
        self._depth += 1
        try:
            return self._dispatch(node, local)
        finally:
            self._depth -= 1

    def _exhausted(self, span: Span) -> NoReturn:
        if self._steps == _MOST_STEPS + 1:
            self.findings.add(
                "E018",
                f"{self.scope.owner} is too large once its macros and folds are expanded",
                span,
                hint="compute a shared part once, as a state with a name",
            )
        raise Abandoned

    def static(self, node: ast.Expr, what: str, local: Local | None = None) -> Term:
        """A term that may not vary in time: a size, an initial value, a distribution."""
        term = self.term(node, local)
        if term.type.dependence is not Dependence.STATIC:
            self.findings.fail("E036", f"{what} varies in time", node.span)
        return term

    def length(self, node: ast.Expr, what: str, local: Local | None = None) -> Term:
        """A number of tokens: whole powers, sums, products, quotients of sizes and configs."""
        term = self.static(node, what, local)
        if not all(self._countable(each) for each in walk(term)):
            self.findings.fail(
                "E014",
                f"{what} is made of numbers, sizes and configs",
                node.span,
                hint="write sums, products, quotients and whole powers of them",
            )
        return term

    def _countable(self, term: Term) -> bool:
        """Whether a node may stand in a number of tokens."""
        match term:
            case Number() | AxisSize():
                return True
            case Read(name=name):
                symbol = self.scope.symbols.get(name)
                return symbol is None or (
                    symbol.kind in (Kind.CONFIG, Kind.CONST) and not term.type.axes
                )
            case Apply(op="pow", args=(_, exponent)):
                power = constant_value(exponent)
                return power is not None and power.denominator == 1 and abs(power) <= LARGEST_POWER
            case Apply(op=op):
                return op in COUNTING
        return False

    def _dispatch(self, node: ast.Expr, local: Local) -> Term:
        match node:
            case ast.Number():
                return Number(node.value, type=NUMBER, span=node.span)
            case ast.Imaginary():
                return Imaginary(node.value, type=Type(complex=True), span=node.span)
            case ast.Name():
                return self._name(node, local)
            case ast.Unary():
                operand = self.term(node.operand, local)
                if node.op == "+":
                    return operand
                return self.apply("neg" if node.op == "-" else "not", (operand,), node.span)
            case ast.Binary():
                return self._binary(node, local)
            case ast.Logical():
                sides = (self.term(node.left, local), self.term(node.right, local))
                return self.apply(node.op, sides, node.span)
            case ast.Compare():
                return self._compare(node, local)
            case ast.Conditional():
                parts = (node.then, node.test, node.otherwise)
                return self.apply(
                    "cond", tuple(self.term(each, local) for each in parts), node.span
                )
            case ast.Index():
                return index(self, node, local)
            case ast.Call():
                return self._call(self, node, local)
            case ast.Attribute():
                return self.attribute(node, local)
        self.findings.fail("E011", f"{_describe(node)} has no meaning in a formula", node.span)

    # ---- operators

    def apply(self, op: str, args: tuple[Term, ...], span: Span) -> Apply:
        """A pointwise operation: the union of the axes, the widest field and dependence."""
        if op in builtins.COMPARISONS.values() and op not in ("eq", "ne"):
            self.require_real(args, "a comparison")
        if op in ("and", "or", "not", "mod", "floordiv"):
            self.require_real(args, f"'{op}'")
        is_complex = any(each.type.complex for each in args)
        if op in builtins.COMPARISONS.values():
            is_complex = False
        if op == "cond":
            is_complex = args[0].type.complex or args[2].type.complex
        return Apply(op, args, type=self.union(args, is_complex), span=span)

    def union(self, args: Sequence[Term], is_complex: bool | None = None) -> Type:
        """The type of a broadcast of several terms."""
        if is_complex is None:
            is_complex = any(each.type.complex for each in args)
        axes = self.scope.axes.order(axis for each in args for axis in each.type.axes)
        dependence = max((each.type.dependence for each in args), default=Dependence.STATIC)
        return Type(axes, is_complex, dependence)

    def require_real(self, args: Sequence[Term], what: str) -> None:
        """Report complex arguments where only real ones mean something."""
        for each in args:
            if each.type.complex and each.span is not None:
                self.findings.fail(
                    "E024",
                    f"{what} needs real values, but its argument is complex",
                    each.span,
                    label="complex",
                    hint="take Re(...), Im(...) or abs(...)",
                )

    def _binary(self, node: ast.Binary, local: Local) -> Term:
        left, right = self.term(node.left, local), self.term(node.right, local)
        if node.op == "**":
            self._check_exponent(right, node.right.span)
        return self.apply(builtins.ARITHMETIC[node.op], (left, right), node.span)

    def _check_exponent(self, exponent: Term, span: Span) -> None:
        """Towers of powers must not cost more than the text that writes them."""
        value = constant_value(exponent)
        if value is None and not is_constant(exponent):
            return
        if value is None or abs(value) > LIMITS.exponent:
            self.findings.fail(
                "E009",
                f"constant exponents go from -{LIMITS.exponent} to {LIMITS.exponent}",
                span,
                hint="write exp(n * log(x))",
            )

    def _compare(self, node: ast.Compare, local: Local) -> Term:
        operands = [self.term(each, local) for each in node.operands]
        links = [
            self.apply(builtins.COMPARISONS[op], (operands[i], operands[i + 1]), node.span)
            for i, op in enumerate(node.ops)
        ]
        whole: Term = links[0]
        for link in links[1:]:
            whole = self.apply("and", (whole, link), node.span)
        return whole

    # ---- names

    def _name(self, node: ast.Name, local: Local) -> Term:
        name = node.id
        if name in local.names:
            return self._sliced(local.names[name], local, node.span)
        if name == "t":
            return Position(type=Type(dependence=Dependence.TIME), span=node.span)
        if name in builtins.CONSTANTS:
            return Constant(name, type=SCALAR, span=node.span)
        if name == "H" or self.scope.is_axis(name):
            self.scope.used.add(base_of(name))
            return AxisSize(base_of(name), type=SCALAR, span=node.span)
        symbol = self.symbol(node, local)
        if symbol.kind is Kind.MEMORY:
            self.findings.fail(
                "E013",
                f"memory '{name}' must be indexed: write {name}[t] or {name}[t-1]",
                node.span,
            )
        if symbol.kind is Kind.KERNEL:
            self.findings.fail(
                "E013",
                f"kernel '{name}' must be indexed by a lag: write {name}[n] or {name}[t-s]",
                node.span,
            )
        if symbol.timed:
            self.findings.fail("E013", f"'{name}' varies in time: write {name}[t]", node.span)
        return self.read(symbol, None, local, node.span)

    def symbol(self, node: ast.Name, local: Local) -> Symbol:
        """The declared state of this name, or an error.

        Raises:
            Abandoned: unknown (reported here), or known but itself in error (silent).
        """
        scope, name = self.scope, node.id
        if not local.closed and name in scope.symbols:
            scope.used.add(name)
            symbol = scope.symbols[name]
            if symbol.type is None:
                raise Abandoned
            return symbol
        if local.closed:
            self.findings.fail(
                "E010",
                f"undefined name '{name}' in a macro: it sees its parameters and axes only",
                node.span,
                hint=did_you_mean(name, local.names) or f"add '{name}' to the parameters",
            )
        if name in scope.elsewhere:
            self.findings.fail(
                "E043",
                f"a match leaves '{name}' undefined for {scope.elsewhere[name]}",
                node.span,
                hint=f"define '{name}' in every case of that match, or use it inside the case",
            )
        if name in scope.later:
            self.findings.fail(
                "E010",
                f"'{name}' is used above its definition",
                node.span,
                labels=(Label(scope.later[name], "defined here"),),
                hint="states are defined above their first use: move the definition up",
            )
        self._undefined(node, local)

    def _undefined(self, node: ast.Name, local: Local) -> NoReturn:
        scope, name = self.scope, node.id
        if name in builtins.ELEMENTWISE or name in scope.macros or name in scope.options:
            self.findings.fail(
                "E010",
                f"'{name}' is a function, not a state",
                node.span,
                hint=f"call it: {name}(...)",
            )
        pool = (*scope.symbols, *scope.axes.names, *local.names, *builtins.CONSTANTS, "t")
        hint = did_you_mean(name, pool)
        self.findings.fail(
            "E010",
            f"undefined state '{name}'" + (f", {hint}" if hint else ""),
            node.span,
            hint=None if hint else "states are declared above their first use",
        )

    def read(self, symbol: Symbol, at: At | None, local: Local, span: Span) -> Term:
        """A read of a symbol that is not in error; the axes of enclosing folds are cut."""
        declared = symbol.type
        assert declared is not None
        axes = tuple(axis for axis in declared.axes if axis not in local.sliced)
        dependence = declared.dependence
        return Read(symbol.name, at, type=Type(axes, declared.complex, dependence), span=span)

    def _sliced(self, term: Term, local: Local, span: Span) -> Term:
        """A macro argument used inside a fold: the fold's axes are cut from it, too."""
        for axis in sorted(local.sliced):
            if axis in term.type.axes:
                term = self.slice(term, axis, span)
        return term

    def slice(self, term: Term, axis: str, span: Span) -> Term:
        """The same term inside a fold over `axis`: one index of the axis is fixed."""
        if axis not in term.type.axes:
            return term
        if not isinstance(term, Apply | Read | Variable | Position | KernelAt):
            self.findings.fail(
                "E020",
                f"this value works along {axis}, which the fold around it has fixed",
                span,
                hint="compute it as a state of its own, before the fold",
            )
        kept = replace(term.type, axes=tuple(a for a in term.type.axes if a != axis))
        changes: dict[str, Any] = {"type": kept}
        for each in fields(term):
            value = getattr(term, each.name)
            if each.name == "args" and isinstance(value, tuple):
                changes["args"] = tuple(self.slice(part, axis, span) for part in value)
        return replace(term, **changes)

    # ---- axes

    def axis(self, name: ast.Name) -> str:
        """The axis of this name, or an error."""
        if self.scope.is_axis(name.id):
            self.scope.used.add(base_of(name.id))
            return name.id
        known = self.scope.axes.names
        if name.id.endswith("'"):
            self.findings.fail(
                "E025",
                f"{name.id} is used and {base_of(name.id)} is not an axis",
                name.span,
                hint=did_you_mean(base_of(name.id), known),
            )
        if name.id == "H":
            self.findings.fail(
                "E021",
                "heads are implicit in a mixer: H is not an axis here",
                name.span,
                hint="index(H) numbers the heads",
            )
        hint = did_you_mean(name.id, known)
        where = f"; the axes of {self.scope.owner} are {show_axes(known)}"
        self.findings.fail(
            "E021",
            f"unknown axis '{name.id}'" + (f", {hint}" if hint else where),
            name.span,
            hint=None if hint else f"declare it: axes {', '.join((*known, name.id))}",
        )

    def attribute(self, node: ast.Attribute, local: Local) -> Term:
        """`left.m` and `right.m` mean something in the invariant of a theorem only."""
        self.findings.fail(
            "E011", "left. and right. belong in the invariant of a theorem", node.span
        )


def _describe(node: ast.Expr) -> str:
    match node:
        case ast.String():
            return "a string"
        case ast.Tuple():
            return "a tuple"
    return "this"
