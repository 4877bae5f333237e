"""Values and their types: what a definition amounts to, and whether it fits what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eosc.diagnostics import Span
from eosc.options import LIMITS
from eosc.semantics.axes import show_axes
from eosc.semantics.builtins import INITIALISERS
from eosc.semantics.expressions import DEEPEST, Expressions
from eosc.semantics.findings import Abandoned
from eosc.semantics.measures import grows_unbounded, measure
from eosc.semantics.scope import Local, Scope
from eosc.semantics.terms import Apply, Dependence, Term, Type
from eosc.syntax import ast


class Values:
    """Elaborates right-hand sides within one scope and checks them against written types."""

    def __init__(self, scope: Scope, work: Expressions) -> None:
        self.scope = scope
        self.findings = scope.findings
        self.work = work
        # Sizes by identity, and the terms themselves, so that no identity is used twice.
        self._sizes: dict[int, tuple[int, int]] = {}
        self._kept: list[Term] = []
        self._nodes = 0

    def _size(self, node: ast.Expr, what: str) -> Term:
        """A size: static, and no power of a size by a size, which would never end."""
        term = self._bounded(self.work.static(node, what), node.span)
        if grows_unbounded(term):
            self.findings.fail("E009", f"an exponent in {what} must be a number", node.span)
        return term

    def _value(self, node: ast.Expr, local: Local | None = None, name: str | None = None) -> Term:
        self.scope.current = name
        try:
            return self._bounded(self.work.term(node, local), node.span)
        finally:
            self.scope.current = None

    def _bounded(self, term: Term, span: Span) -> Term:
        """Refuse terms that macros made too large or too deep for the passes that follow."""
        self._kept.append(term)
        size, depth = measure(term, self._sizes)
        self._nodes += size
        if self._nodes - size > LIMITS.nodes:
            raise Abandoned
        if self._nodes > LIMITS.nodes:
            self.findings.fail(
                "E018",
                f"{self.scope.owner} has more than {LIMITS.nodes} nodes once its macros are"
                " expanded",
                span,
                hint="compute a shared part once, as a state with a name",
            )
        if depth > DEEPEST:
            self.findings.fail(
                "E008",
                "the expression is nested too deeply once its macros are expanded",
                span,
                hint="name a part of it as a state of its own",
            )
        return term

    def _needs_static(self, name: ast.Name, value: Term) -> None:
        if value.type.dependence is not Dependence.STATIC:
            self.findings.fail(
                "E036",
                f"'{name.id}' varies in time but is declared without [t]",
                name.span,
                hint=f"write {name.id}[t]",
            )

    def _scalar(self, name: str, value: Term, span: Span) -> None:
        if value.type.axes:
            axes = show_axes(value.type.axes)
            self.findings.fail(
                "E023", f"config '{name}' is one number, but its value has axes {axes}", span
            )

    def _written(self, written: ast.Type | None) -> Type | None:
        """The type as the text gives it, with its axes checked."""
        if written is None:
            return None
        names = tuple(self.work.axis(each) for each in written.axes or ())
        for position, each in enumerate(written.axes or ()):
            if each.id in names[:position]:
                self.findings.fail(
                    "E016",
                    f"axis {each.id} is named twice",
                    each.span,
                    hint=f"a second copy of {each.id} is written {each.id}'",
                )
        return Type(self.scope.axes.order(names), written.complex)

    def _fit(self, name: str, value: Term, want: Type | None, span: Span) -> Type:
        """Check a value against a declared type; the type of the declared name."""
        have = value.type
        if want is None:
            return have
        extra = tuple(axis for axis in have.axes if axis not in want.axes)
        if extra:
            self._left_over(name, have, want, extra, span)
        if have.complex and not want.complex:
            self.findings.fail(
                "E024",
                f"{name} is declared real but its value is complex",
                span,
                label="complex",
                hint="add `complex` to its type, or take Re(...)",
            )
        return Type(want.axes, want.complex, have.dependence)

    def _left_over(
        self, name: str, have: Type, want: Type, extra: tuple[str, ...], span: Span
    ) -> None:
        listed = ", ".join(extra)
        text = self.findings.quote(span)
        reduction = f"sum[{listed}]({text})" if text else f"sum[{listed}](...)"
        self.findings.fail(
            "E023",
            f"{name} has axes {show_axes(want.axes)}, but its right-hand side has axes"
            f" {show_axes(have.axes)}: {show_axes(extra)} left over",
            span,
            label=f"axes {show_axes(have.axes)}",
            hint=f"sum over {listed}: {reduction}; or add {listed} to the axes of {name}",
        )

    def _initialiser(self, node: ast.Expr, name: str, kind: Type) -> Term:
        """The distribution after `~`; its arguments are static."""
        if not isinstance(node, ast.Call) or node.function.id not in INITIALISERS:
            term = self.work.static(node, f"the start of '{name}'")
            self._fit(name, term, replace(kind, complex=True), node.span)
            return term
        function = node.function.id
        expected = INITIALISERS[function]
        if len(node.positional) != expected or (node.keywords and function != "mlp"):
            self.findings.fail(
                "E015",
                f"{function} takes {expected} argument{'s' * (expected != 1)},"
                f" {len(node.arguments)} given",
                node.span,
            )
        if function == "mlp":
            args = self._mlp(node)
        else:
            args = tuple(self._initialiser(each, name, kind) for each in node.positional)
        return Apply(function, args, type=replace(self.work.union(args)), span=node.span)

    def _mlp(self, node: ast.Call) -> tuple[Term, ...]:
        given: Mapping[str, ast.Expr] = {each.name.id: each.value for each in node.keywords}
        if sorted(given) != ["hidden", "layers"]:
            self.findings.fail(
                "E015", "mlp takes layers and hidden: mlp(layers = 3, hidden = 64)", node.span
            )
        return tuple(
            self.work.static(given[key], f"'{key}' of mlp") for key in ("layers", "hidden")
        )
