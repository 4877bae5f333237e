"""Expressions of a mixer or a layer: syntax to typed terms.

Broadcasting is by axis name; time indices are resolved to `At`; every rule that is broken is
reported once and leaves the statement (`Abandoned`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from eosc.diagnostics import Label, Span, did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.axes import base_of, show_axes
from eosc.semantics.model import Kind
from eosc.semantics.scope import Local, Scope, Symbol
from eosc.semantics.terms import (
    At,
    Apply,
    AxisSize,
    Constant,
    Dependence,
    Eye,
    Imaginary,
    KernelAt,
    Number,
    Position,
    Read,
    Rename,
    Term,
    Type,
    Variable,
    children,
)
from eosc.semantics.timing import Affine, affine
from eosc.syntax import ast

# Nesting of syntax while macros are expanded; the parser's own cap bounds each body.
# It bounds the depth of terms as well, so that passes over terms may recurse.
DEEPEST = 140
_MOST_STEPS = 2 * LIMITS.nodes
SCALAR = Type()
NUMBER = Type()


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
        if self._steps > _MOST_STEPS:
            self.findings.fail(
                "E018",
                f"{self.scope.owner} is too large once its macros and folds are expanded",
                node.span,
                hint="compute a shared part once, as a state with a name",
            )
        self._depth += 1
        try:
            return self._dispatch(node, local)
        finally:
            self._depth -= 1

    def static(self, node: ast.Expr, what: str, local: Local | None = None) -> Term:
        """A term that may not vary in time: a size, an initial value, a distribution."""
        term = self.term(node, local)
        if term.type.dependence is not Dependence.STATIC:
            self.findings.fail("E036", f"{what} varies in time", node.span)
        return term

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
                return self._index(node, local)
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
            exponent = constant_value(right)
            if exponent is not None and abs(exponent) > LIMITS.exponent:
                self.findings.fail(
                    "E009",
                    f"exponents may be at most {LIMITS.exponent} in size",
                    node.right.span,
                    hint="write exp(n * log(x))",
                )
        return self.apply(builtins.ARITHMETIC[node.op], (left, right), node.span)

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
        return self._read(symbol, None, local, node.span)

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
                self._abandon()
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

    def _undefined(self, node: ast.Name, local: Local) -> Any:
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

    def _abandon(self) -> Any:
        from eosc.semantics.findings import Abandoned

        raise Abandoned

    def _read(self, symbol: Symbol, at: At | None, local: Local, span: Span) -> Term:
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

    # ---- indices

    def _index(self, node: ast.Index, local: Local) -> Term:
        if isinstance(node.base, ast.Name) and node.base.id == "eye":
            return self._eye(node)
        if self._is_renaming(node, local):
            return self._rename(node, local)
        if len(node.items) != 1 or isinstance(node.items[0], ast.Rename):
            self.findings.fail("E011", "an index is one time, or axes", node.span)
        index = node.items[0]
        if not isinstance(node.base, ast.Name) or node.base.id in local.names:
            self.findings.fail(
                "E011",
                "only a named state has a past: an expression cannot be indexed by time",
                node.span,
                hint="give the expression a name, then index that",
            )
        base = node.base
        if base.id not in self.scope.symbols and (
            base.id in ("t", "H", *builtins.CONSTANTS) or self.scope.is_axis(base.id)
        ):
            self.findings.fail("E011", f"'{base.id}' is not a state: it has no index", node.span)
        known = self.scope.symbols.get(base.id)
        if known is not None and known.kind is Kind.KERNEL and not local.closed:
            return self._kernel(self.symbol(base, local), index, local, node.span)
        return self._timed(node, base, index, local)

    def _is_renaming(self, node: ast.Index, local: Local) -> bool:
        return all(
            isinstance(item, ast.Rename)
            or (
                isinstance(item, ast.Name)
                and item.id not in ("t", *local.histories, *local.lags)
                and (
                    self.scope.is_axis(item.id)
                    or item.id.endswith("'")
                    or (item.id[:1].isupper() and item.id not in self.scope.symbols)
                )
            )
            for item in node.items
        )

    def _rename(self, node: ast.Index, local: Local) -> Term:
        term = self.term(node.base, local)
        for item in node.items:
            if isinstance(item, ast.Rename):
                source, target = item.source, item.target
            else:
                assert isinstance(item, ast.Name)
                source, target = self._implied_source(item, term), item
            term = self._renamed(term, source, target, node.span)
        return term

    def _implied_source(self, target: ast.Name, term: Term) -> ast.Name:
        """`x[K']` renames K; where x has no K but another copy of it, that one."""
        base = base_of(target.id)
        copies = [axis for axis in term.type.axes if base_of(axis) == base]
        name = base if base in copies or len(copies) != 1 else copies[0]
        return ast.Name(name, span=target.span)

    def _renamed(self, term: Term, source: ast.Name, target: ast.Name, span: Span) -> Term:
        for each in (source, target):
            self.axis(each)
        old, new, axes = source.id, target.id, term.type.axes
        if old == new and old in axes:
            return term
        if old not in axes:
            self.findings.fail(
                "E022",
                f"cannot rename axis {old}: the value has axes {show_axes(axes)}",
                span,
                label=f"axes {show_axes(axes)}",
            )
        if new in axes:
            self.findings.fail(
                "E022",
                f"cannot rename axis {old} to {new}: the value already has an axis {new}",
                span,
                hint=f"use a further copy, {new}'",
            )
        if not self.scope.axes.same_size(old, new):
            self.findings.fail(
                "E025",
                f"{old} and {new} differ in size",
                span,
                hint=f"declare `axes {base_of(old)}, {base_of(new)} = {base_of(old)}`"
                " if they are equal",
            )
        kept = [new if axis == old else axis for axis in axes]
        kind = replace(term.type, axes=self.scope.axes.order(kept))
        return Rename(term, old, new, type=kind, span=span)

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

    def _eye(self, node: ast.Index) -> Term:
        names = [each for each in node.items if isinstance(each, ast.Name)]
        if len(names) != 2 or len(node.items) != 2:
            self.findings.fail("E015", "eye takes two axes: eye[K, K']", node.span)
        rows, columns = (self.axis(each) for each in names)
        if not self.scope.axes.same_size(rows, columns):
            self.findings.fail("E025", f"{rows} and {columns} differ in size", node.span)
        kind = Type(self.scope.axes.order((rows, columns)))
        return Eye(rows, columns, type=kind, span=node.span)

    # ---- time

    def _kernel(self, symbol: Symbol, index: ast.Expr, local: Local, span: Span) -> Term:
        assert symbol.type is not None
        variables = ("t", *local.histories, *local.lags)
        form = affine(index, variables)
        lag = self.term(index, local)
        if form is not None and not form.coefficients and form.constant < 0:
            self.findings.fail("E014", "a lag is 0 or more", index.span)
        if symbol.taps is not None:
            self._check_taps(symbol, form, local, span)
        dependence = max(symbol.type.dependence, lag.type.dependence)
        kind = replace(symbol.type, dependence=dependence)
        return KernelAt(symbol.name, lag, type=kind, span=span)

    def _check_taps(self, symbol: Symbol, form: Affine | None, local: Local, span: Span) -> None:
        assert symbol.taps is not None
        if form is None or len(form.coefficients) > 1:
            return
        largest = form.constant
        for name in form.coefficients:
            width = dict(local.widths).get(name)
            if width is None:
                return
            largest += width - 1
        if largest >= symbol.taps:
            self.findings.fail(
                "E014",
                f"{symbol.name}[{largest}] is out of range: the kernel has {symbol.taps} taps",
                span,
                labels=(Label(symbol.span, f"lags 0 to {symbol.taps - 1}"),),
            )

    def _timed(self, node: ast.Index, base: ast.Name, index: ast.Expr, local: Local) -> Term:
        at = self._at(base, index, local, node.span)
        self._check_past(base, at, local, node.span)
        symbol = self.symbol(base, local)
        if symbol.kind is Kind.MEMORY:
            return self._memory(symbol, at, local, node.span)
        if symbol.kind is Kind.CONFIG:
            self.findings.fail(
                "E011",
                f"'{symbol.name}' is a number, not a signal: it has no index",
                node.span,
                hint=f"write {symbol.name}",
            )
        if not symbol.timed:
            if at != At():
                self.findings.fail(
                    "E011",
                    f"'{symbol.name}' does not vary in time: it has no past",
                    node.span,
                    hint=f"write {symbol.name}",
                )
            return self._read(symbol, None, local, node.span)
        if symbol.remembers and (at.offset or at.lag):
            self.findings.fail(
                "E033",
                f"'{symbol.name}' depends on a memory and is read at a delay",
                node.span,
                hint="only operands and memory-free states may be delayed;"
                " a value kept from the step before is a memory",
            )
        if symbol.remembers and at.variable != "t":
            self._history_over_memory(symbol.name, node.span)
        return self._read(symbol, at, local, node.span)

    def _at(self, base: ast.Name, index: ast.Expr, local: Local, span: Span) -> At:
        form = affine(index, ("t", *local.histories, *local.lags))
        now = [name for name in ("t", *local.histories) if form and name in form.coefficients]
        lags = [name for name in local.lags if form and name in form.coefficients]
        if (
            form is None
            or len(now) != 1
            or len(lags) > 1
            or form.coefficients[now[0]] != 1
            or any(form.coefficients[name] not in (1, -1) for name in lags)
        ):
            self._bad_index(base, index, span)
        if form.constant > 0 or any(form.coefficients[name] == 1 for name in lags):
            shift = f"+{form.constant}" if form.constant > 0 else f"+{lags[0]}"
            self.findings.fail(
                "E030",
                f"non-causal reference {base.id}[{now[0]}{shift}]:"
                " a mixer may read the present and the past only",
                span,
                hint=f"write {base.id}[{now[0]}], or {base.id}[{now[0]}-1]",
            )
        if -form.constant > LIMITS.delay:
            self.findings.fail("E014", f"delays go up to {LIMITS.delay}", index.span)
        return At(now[0], -form.constant, lags[0] if lags else None)

    def _bad_index(self, base: ast.Name, index: ast.Expr, span: Span) -> Any:
        number = affine(index, ())
        symbol = self.scope.symbols.get(base.id)
        if number is not None:
            self.findings.fail(
                "E014",
                f"'{base.id}' cannot be read at a fixed position",
                span,
                hint=f"write {base.id}[t], or {base.id}[t-1] for the step before",
            )
        if isinstance(index, ast.Name) and symbol is not None:
            hint = did_you_mean(index.id, self.scope.axes.names)
            self.findings.fail(
                "E021",
                f"'{index.id}' is neither a time nor an axis",
                index.span,
                hint=hint or f"write {base.id}[t]",
            )
        self.findings.fail(
            "E011",
            "a time index is t, a constant delay t-2, or the index of a sum",
            index.span,
        )

    def _check_past(self, base: ast.Name, at: At, local: Local, span: Span) -> None:
        """A state that reads its own past is a memory, declared or not."""
        name = base.id
        known = self.scope.symbols.get(name)
        if known is not None and known.kind is Kind.MEMORY or local.closed:
            return
        own = name == self.scope.current
        pending = known is None and name in self.scope.later and (at.offset or at.lag)
        if own or pending:
            target = self.scope.current if own else name
            self.findings.fail(
                "E034",
                f"'{target}[t]' refers to its own past, so it is a memory"
                if own
                else f"'{name}' is carried from an earlier step to this one, so it is a memory",
                span,
                hint=f"declare it above: memory {name}: {self._axes_hint(name)}".rstrip(": "),
            )

    def _axes_hint(self, name: str) -> str:
        return ", ".join(self.scope.axes.names) or "..."

    def _memory(self, symbol: Symbol, at: At, local: Local, span: Span) -> Term:
        name = symbol.name
        if at.variable != "t":
            self._history_over_memory(name, span)
        if at.lag is not None:
            self.findings.fail("E032", f"memory '{name}' can be read at t and t-1 only", span)
        if at.offset > 1:
            self.findings.fail(
                "E032",
                f"memory '{name}' is read at t-{at.offset}; only t and t-1 are kept",
                span,
                hint=f"keep a second memory that holds {name}[t-1]",
            )
        if at.offset == 0 and not symbol.defined:
            self.findings.fail(
                "E031",
                f"{name}[t] is read before the equation that defines it",
                span,
                hint=f"did you mean {name}[t-1]?",
            )
        return self._read(symbol, at, local, span)

    def _history_over_memory(self, name: str, span: Span) -> Any:
        self.findings.fail(
            "E035",
            f"a history sum over the memory-dependent '{name}' is not an EOS system",
            span,
            hint="sum over operands, or write the sum as a memory of its own",
        )

    def attribute(self, node: ast.Attribute, local: Local) -> Term:
        """`left.m` and `right.m` mean something in the invariant of a theorem only."""
        self.findings.fail(
            "E011", "left. and right. belong in the invariant of a theorem", node.span
        )


def constant_value(term: Term) -> Any:
    """The exact value of a term made of literals, None otherwise (or where it is too large)."""
    match term:
        case Number(value=value):
            return value
        case Apply(op="neg", args=(arg,)):
            value = constant_value(arg)
            return None if value is None else -value
        case Apply(op=("add" | "sub" | "mul" | "div") as op, args=(left, right)):
            first, second = constant_value(left), constant_value(right)
            if first is None or second is None or (op == "div" and second == 0):
                return None
            return {
                "add": first + second,
                "sub": first - second,
                "mul": first * second,
                "div": first / second if second else None,
            }[op]
    return None


def measure(term: Term, seen: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Nodes of the term written out, and its depth; `seen` keeps what was measured before.

    Iterative: macros make terms whose depth the text does not bound.
    """
    pending = [term]
    while pending:
        current = pending[-1]
        if id(current) in seen:
            pending.pop()
            continue
        below = children(current)
        missing = [each for each in below if id(each) not in seen]
        if missing:
            pending.extend(missing)
            continue
        sizes = [seen[id(each)] for each in below]
        size = 1 + sum(each[0] for each in sizes)
        seen[id(current)] = (size, 1 + max((each[1] for each in sizes), default=0))
        pending.pop()
    return seen[id(term)]


def _describe(node: ast.Expr) -> str:
    match node:
        case ast.String():
            return "a string"
        case ast.Tuple():
            return "a tuple"
    return "this"
