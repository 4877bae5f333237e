"""Theorems and claims from their syntax: sides, bindings, properties, invariants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from eosc.algebra.interval import Interval
from eosc.diagnostics import EosError, Label, Severity, Span, did_you_mean
from eosc.semantics.axes import show_axes
from eosc.semantics.calls import call
from eosc.semantics.declarations import Reader
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Abandoned, Findings
from eosc.semantics.model import Declaration, Family, Kind, Mixer
from eosc.semantics.ranges import infer_ranges, written_range
from eosc.semantics.resolution import Names
from eosc.semantics.scalars import Scalars
from eosc.semantics.scope import Local, Scope, Symbol
from eosc.semantics.terms import Dependence, Term
from eosc.semantics.theorems import Claim, Equivalence, Identity, Property, Side, Theorem
from eosc.semantics.weights import option_of
from eosc.syntax import ast

PROPERTIES = {
    "identity": "none",
    "scalar": "none",
    "diag": "axes",
    "separable": "axes",
    "lowrank": "rank",
    "dense": "none",
    "coupled": "none",
    "lti": "none",
    "complex": "none",
    "quadratic": "none",
    "stable": "none",
}


def elaborate_theorem(
    node: ast.Theorem | ast.Claim, names: Names, findings: Findings
) -> Theorem | None:
    """A theorem, or a claim that stands alone; None when it has errors."""
    before = findings.count_errors()
    work = _Theorem(node, names, findings)
    theorem = work.run()
    return theorem if findings.count_errors() == before else None


class _Theorem:
    def __init__(self, node: ast.Theorem | ast.Claim, names: Names, findings: Findings) -> None:
        self.node = node
        self.names = names
        self.findings = findings
        self.scope = Scope("the theorem", findings, macros=dict(names.macros))
        self.reader = Reader(self.scope, Expressions(self.scope, call))
        self.body: Sequence[ast.TheoremStatement] = (
            node.body if isinstance(node, ast.Theorem) else (node,)
        )

    def run(self) -> Theorem | None:
        """The theorem, or None when a part of it has errors (reported)."""
        declared = [each for each in self.body if isinstance(each, ast.Axes)]
        self.reader.read(declared)
        for each in self.body:
            if isinstance(each, ast.Forall):
                self._try(self._forall, each)
        claims = [self._try(self._claim, each) for each in self.body if isinstance(each, ast.Claim)]
        if not claims and isinstance(self.node, ast.Theorem):
            self.findings.add(
                "E002",
                "the theorem claims nothing",
                self.node.name.span,
                hint="add `prove ... == ...` or `refute ...`",
            )
        drafts = tuple(each.finish() for each in self.reader.drafts.values())
        variables, _ = infer_ranges(drafts, self.reader, self.findings)
        axes = tuple(self.scope.axes.axes.values())
        self._enter_sides([each for each in claims if isinstance(each, Equivalence)])
        assumed: list[Term] = []
        ranges: list[tuple[str, Interval]] = []
        for each in self.body:
            if isinstance(each, ast.Assume):
                self._try(self._assume, each, assumed, ranges)
        invariants = [each for each in self.body if isinstance(each, ast.Invariant)]
        invariant = None
        for each in invariants:
            invariant = self._try(self._invariant, each)
        kept = tuple(each for each in claims if each is not None)
        if len(kept) != len(claims):
            return None
        doc = self.node.doc if isinstance(self.node, ast.Theorem) else None
        return Theorem(
            self._name(),
            kept,
            axes,
            variables,
            tuple(assumed),
            tuple(ranges),
            invariant,
            doc.text if doc is not None else "",
            self.node.span,
        )

    def _name(self) -> str:
        if isinstance(self.node, ast.Claim):
            span = self.node.left.span.to(self.node.right.span)
            return " ".join(self.findings.source.text[span.start : span.end].split())
        name = self.node.name
        return name.id if isinstance(name, ast.Name) else name.value

    def _try(self, step: Any, *args: Any) -> Any:
        try:
            return step(*args)
        except Abandoned:
            return None

    # ---- variables and assumptions

    def _forall(self, node: ast.Forall) -> None:
        self.reader.forall(node)

    def _assume(
        self, node: ast.Assume, assumed: list[Term], ranges: list[tuple[str, Interval]]
    ) -> None:
        if node.range is None:
            assumed.append(self.reader.work.term(node.condition))
            return
        if not isinstance(node.condition, ast.Name):
            self.findings.fail("E011", "a range is assumed of a name", node.condition.span)
        name = node.condition
        self.reader.work.symbol(name, Local())
        interval = written_range(
            node.range, f"'{name.id}'", self.reader, Scalars({}, self.findings.work)
        )
        ranges.append((name.id, interval))

    def _invariant(self, node: ast.Invariant) -> Term:
        return self.reader.work.term(_qualified(node.condition))

    def _enter_sides(self, claims: Sequence[Equivalence]) -> None:
        """What assumptions and invariants can name: axes, states and memories of both sides."""
        for claim in claims:
            for word, side in (("left", claim.left), ("right", claim.right)):
                for axis in side.mixer.axes:
                    if axis.name not in self.scope.axes:
                        self.scope.axes.add(axis)
                for each in side.mixer.declarations:
                    qualified = f"{word}.{each.name}"
                    self.scope.symbols[qualified] = _symbol(each, qualified)
                    if each.kind is not Kind.MEMORY:
                        self.scope.symbols.setdefault(each.name, _symbol(each, each.name))

    # ---- claims

    def _claim(self, node: ast.Claim) -> Claim:
        if node.relation == "is":
            return self._property(node)
        left, right = self._side(node.left), self._side(node.right)
        if left is not None and right is not None:
            return self._equivalence(node, left, right)
        if left is not None or right is not None:
            odd = node.right if right is None else node.left
            self.findings.fail(
                "E011", "a mixer is compared with a mixer", odd.span, label="this is none"
            )
        if node.bindings:
            self.findings.fail(
                "E011",
                "`where` binds operands of a mixer; expressions have none",
                node.bindings[0].span,
            )
        term = self.reader.work.term
        return Identity(node.verdict, term(node.left), term(node.right), node.span)

    def _side(self, node: ast.Expr) -> Side | None:
        """The mixer that an expression names, None where it is an expression of values."""
        match node:
            case ast.Name() as name if name.id not in self.scope.symbols:
                keywords: tuple[ast.Keyword, ...] = ()
            case ast.Call(function=name, keywords=keywords) if name.id in self.names.definitions:
                if node.positional or node.subscripts:
                    self.findings.fail(
                        "E015", f"{name.id} takes name = value in a claim", node.span
                    )
            case _:
                return None
        if name.id not in self.names.definitions:
            if self.scope.is_axis(name.id) or self.reader.drafts:
                return None
            hint = did_you_mean(name.id, self.names.definitions)
            self.findings.fail(
                "E010",
                f"undefined mixer '{name.id}'" + (f", {hint}" if hint else ""),
                name.span,
                hint=None if hint else f"import it: from zoo import {name.id}",
            )
        return self._instance(name, keywords)

    def _instance(self, name: ast.Name, keywords: Sequence[ast.Keyword]) -> Side:
        definition = self.names.definitions[name.id]
        if definition is None:
            raise Abandoned
        for place, each in enumerate(keywords):
            if each.name.id in [other.name.id for other in keywords[:place]]:
                self.findings.fail("E016", f"'{each.name.id}' is given twice", each.name.span)
        choices: tuple[str, ...] = ()
        if isinstance(definition, Family):
            choices = tuple(each.name for each in definition.choices)
            settled = {
                each.name.id: option_of(self.reader.work, each)
                for each in keywords
                if each.name.id in choices
            }
            try:
                definition = definition.instance(**settled)
            except EosError as error:
                first = error.diagnostics[0]
                if first.code not in ("E040", "E041"):
                    raise Abandoned from None
                self.findings.fail(
                    first.code, first.message, name.span, notes=first.notes, hint=first.hint
                )
        if not isinstance(definition, Mixer):
            self.findings.fail("E010", f"'{name.id}' is not a mixer", name.span)
        fixed = [each for each in keywords if each.name.id not in choices]
        return Side(definition, tuple(self._fixed(definition, each, choices) for each in fixed))

    def _fixed(self, mixer: Mixer, node: ast.Keyword, choices: tuple[str, ...]) -> tuple[str, Term]:
        kinds = (Kind.OPERAND, Kind.PARAM, Kind.CONFIG)
        pool = (*(each.name for each in mixer.of_kind(*kinds)), *choices)
        if node.name.id not in pool:
            self.findings.fail(
                "E052",
                f"{mixer.name} has no operand, param or config '{node.name.id}'",
                node.name.span,
                hint=did_you_mean(node.name.id, pool) or f"it has {', '.join(pool)}",
            )
        scope = _scope_of(mixer, self.findings, states=False)
        value = Expressions(scope, call).static(node.value, f"'{node.name.id}'")
        return node.name.id, value

    def _equivalence(self, node: ast.Claim, left: Side, right: Side) -> Equivalence:
        self._same_sizes(node, left.mixer, right.mixer)
        operands = {each.name: each for each in right.mixer.operands}
        scope = _scope_of(left.mixer, self.findings, states=True)
        work = Expressions(scope, call)
        bound: list[tuple[str, Term]] = []
        for binding in node.bindings:
            bound.append(self._binding(binding, right, operands, [b[0] for b in bound], work))
        taken = {*(name for name, _ in bound), *(name for name, _ in right.fixed)}
        own = {each.name: each for each in left.mixer.operands}
        identified, free = [], []
        for name, operand in operands.items():
            if name in taken:
                continue
            if name not in own:
                free.append(name)
                self.findings.add(
                    "E081",
                    f"'{name}' of {right.mixer.name} is free on the right: universally quantified",
                    node.right.span,
                    hint=f"bind it below the claim: where {name}[t] := ...",
                    severity=Severity.NOTE,
                )
                continue
            self._same_axes(node.right.span, name, own[name], operand, right.mixer)
            identified.append(name)
        return Equivalence(
            node.verdict, left, right, tuple(bound), tuple(identified), tuple(free), node.span
        )

    def _same_sizes(self, node: ast.Claim, left: Mixer, right: Mixer) -> None:
        own = {each.name: each.size for each in left.axes}
        for axis in right.axes:
            size = own.get(axis.name)
            if size is not None and axis.size is not None and size != axis.size:
                self.findings.fail(
                    "E080",
                    f"sizes of {axis.name} differ between {left.name} and {right.name}",
                    node.left.span.to(node.right.span),
                    hint="compare mixers whose axes are derived in the same way",
                )

    def _same_axes(
        self, span: Span, name: str, own: Declaration, operand: Declaration, right: Mixer
    ) -> None:
        extra = [axis for axis in own.type.axes if axis not in operand.type.axes]
        if extra:
            self.findings.fail(
                "E080",
                f"sizes differ: '{name}' has axes {show_axes(own.type.axes)} on the left,"
                f" but {show_axes(operand.type.axes)} in {right.name}",
                span,
                hint=f"bind it: where {name}[t] := ...",
            )

    def _binding(
        self,
        node: ast.Binding,
        right: Side,
        operands: dict[str, Declaration],
        bound: Sequence[str],
        work: Expressions,
    ) -> tuple[str, Term]:
        name = node.target.name
        operand = operands.get(name.id)
        if operand is None:
            self.findings.fail(
                "E052",
                f"{right.mixer.name} has no operand '{name.id}'",
                name.span,
                hint=did_you_mean(name.id, operands) or f"it has {', '.join(operands)}",
            )
        if name.id in bound or name.id in dict(right.fixed):
            self.findings.fail("E016", f"'{name.id}' is bound twice", name.span)
        value = work.term(node.value)
        extra = [axis for axis in value.type.axes if axis not in operand.type.axes]
        if extra:
            self.findings.fail(
                "E080",
                f"sizes differ: '{name.id}' of {right.mixer.name} has axes"
                f" {show_axes(operand.type.axes)}, but is bound to a value with axes"
                f" {show_axes(value.type.axes)}",
                node.value.span,
                label=f"axes {show_axes(value.type.axes)}",
                labels=(Label(name.span, f"axes {show_axes(operand.type.axes)}"),),
                hint=f"reduce it, as in sum[{extra[0]}](...), or compare with a mixer whose"
                f" '{name.id}' has these axes",
            )
        if value.type.complex and not operand.type.complex:
            self.findings.fail(
                "E024",
                f"'{name.id}' of {right.mixer.name} is real, but is bound to a complex value",
                node.value.span,
            )
        if operand.type.dependence is Dependence.STATIC and value.type.dependence:
            self.findings.fail(
                "E036",
                f"'{name.id}' of {right.mixer.name} does not vary in time, but its value does",
                node.value.span,
            )
        return name.id, value

    def _property(self, node: ast.Claim) -> Property:
        side = self._side(node.left)
        if side is None:
            self.findings.fail("E011", "`is` speaks of a mixer", node.left.span)
        match node.right:
            case ast.Name() as name:
                args: tuple[ast.Expr, ...] = ()
            case ast.Call(function=name):
                args = node.right.positional
            case _:
                self.findings.fail("E012", "`is` takes a property", node.right.span)
        if name.id not in PROPERTIES:
            hint = did_you_mean(name.id, PROPERTIES)
            self.findings.fail(
                "E012",
                f"unknown property '{name.id}'" + (f", {hint}" if hint else ""),
                name.span,
                hint=None if hint else f"it is one of {', '.join(PROPERTIES)}",
            )
        return self._with_arguments(node, side, name, args)

    def _with_arguments(
        self, node: ast.Claim, side: Side, name: ast.Name, args: tuple[ast.Expr, ...]
    ) -> Property:
        expected = PROPERTIES[name.id]
        if expected == "rank":
            match args:
                case (ast.Number(value=value),) if value.denominator == 1:
                    return Property(node.verdict, side, name.id, rank=int(value), span=node.span)
            self.findings.fail("E015", "lowrank takes a number: lowrank(1)", node.right.span)
        if expected == "none" and args:
            self.findings.fail("E015", f"{name.id} takes no argument", node.right.span)
        if expected == "axes" and not args:
            self.findings.fail("E015", f"{name.id} names axes: {name.id}(K)", node.right.span)
        work = Expressions(_scope_of(side.mixer, self.findings, states=False), call)
        axes = []
        for each in args:
            if not isinstance(each, ast.Name):
                self.findings.fail("E011", f"{name.id} names axes", each.span)
            axes.append(work.axis(each))
        return Property(node.verdict, side, name.id, tuple(axes), span=node.span)


def _symbol(declaration: Declaration, name: str) -> Symbol:
    timed = declaration.type.dependence is not Dependence.STATIC
    span = declaration.span
    assert span is not None
    return Symbol(name, declaration.kind, declaration.type, span, timed=timed)


def _scope_of(mixer: Mixer, findings: Findings, states: bool) -> Scope:
    """The names of a mixer from outside: its axes and, on the left of a claim, its values."""
    scope = Scope(mixer.name, findings)
    for axis in mixer.axes:
        scope.axes.add(axis)
    for each in mixer.declarations if states else ():
        if each.kind not in (Kind.MEMORY, Kind.OUTPUT):
            scope.symbols[each.name] = _symbol(each, each.name)
    return scope


def _qualified(node: Any) -> Any:
    """`left.m` as one name; names of the language hold no dot, so nothing can collide."""
    if isinstance(node, ast.Attribute):
        if isinstance(node.base, ast.Name) and node.base.id in ("left", "right"):
            return ast.Name(f"{node.base.id}.{node.name.id}", span=node.span)
        return node
    if isinstance(node, tuple):
        return tuple(_qualified(each) for each in node)
    if not isinstance(node, ast.Node):
        return node
    changes = {
        each.name: _qualified(getattr(node, each.name))
        for each in fields(node)
        if each.name != "span"
    }
    return replace(node, **changes)
