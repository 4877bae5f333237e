"""The declarations of a mixer, read in the order of the text.

An error ends its statement; the names it declares are then known with their written type, or, where
that is missing too, as names in error whose uses are silent. So one mistake gives one finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eosc.diagnostics import NOWHERE, Label, Span
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.axes import base_of, show_axes
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Abandoned
from eosc.semantics.measures import constant_value
from eosc.semantics.model import Axis, Declaration, Kind, Role
from eosc.semantics.scope import Local, Scope, Symbol
from eosc.semantics.terms import Dependence, Term, Type, Variable
from eosc.semantics.timing import constant_of
from eosc.semantics.values import Values
from eosc.syntax import ast


@dataclass(slots=True)
class Draft:
    """A declaration under construction.

    range: as written. targeted: the place of the name. value_span: of the definition.
    """

    name: str
    kind: Kind
    type: Type
    role: Role = Role.NONE
    value: Term | None = None
    initial: Term | None = None
    init: Term | None = None
    range: ast.Range | None = None
    lag: str | None = None
    width: Term | None = None
    span: Span = NOWHERE
    value_span: Span | None = None
    broken: bool = False

    def finish(self) -> Declaration:
        """The declaration; its ranges are inferred afterwards."""
        return Declaration(
            name=self.name,
            kind=self.kind,
            type=self.type,
            role=self.role,
            value=self.value,
            initial=self.initial,
            init=self.init,
            lag=self.lag,
            width=self.width,
            span=self.span,
        )


def targets_of(statement: ast.Statement) -> Iterator[ast.Name]:
    """The names that a statement declares or defines."""
    match statement:
        case ast.Axes(axes=axes):
            yield from (each.name for each in axes)
        case ast.Config(name=name) | ast.Const(name=name) | ast.Kernel(name=name):
            yield name
        case ast.Param(names=names) | ast.Memory(names=names):
            yield from names
        case ast.State(targets=targets) | ast.Equation(targets=targets):
            yield from (each.name for each in targets)
        case ast.Output(target=target):
            yield target.name


class Reader(Values):
    """Reads statements into drafts within one scope. Layers extend it."""

    def __init__(self, scope: Scope, work: Expressions) -> None:
        super().__init__(scope, work)
        self.drafts: dict[str, Draft] = {}
        self.order: list[str] = []
        self.initials: dict[str, Term] = {}
        self.mentioned: set[str] = set()

    # ---- the statements

    def read(self, statements: Sequence[ast.Statement]) -> None:
        """Read all statements; afterwards `drafts` and `order` are complete."""
        for statement in statements:
            for name in targets_of(statement):
                self.scope.later.setdefault(name.id, name.span)
                if isinstance(statement, ast.Memory):
                    self.scope.memories.add(name.id)
        for statement in statements:
            self.findings.work.spend(2)
            try:
                self._statement(statement)
            except Abandoned:
                self._mark_broken(statement)

    def _mark_broken(self, statement: ast.Statement) -> None:
        """Keep the names of an abandoned statement known, so that their uses stay silent."""
        for name in targets_of(statement):
            if name.id not in self.scope.symbols and not self.scope.is_axis(name.id):
                self.scope.symbols[name.id] = Symbol(name.id, Kind.STATE, None, name.span)

    def _statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Axes():
                self._axes(statement)
            case ast.Config():
                self._config(statement)
            case ast.Const():
                self._const(statement)
            case ast.Param():
                self._param(statement)
            case ast.Kernel():
                self._kernel(statement)
            case ast.State():
                self._state(statement)
            case ast.Memory():
                self._memory(statement)
            case ast.Equation():
                self._equation(statement)
            case ast.Output():
                self._output(statement)

    def _axes(self, statement: ast.Axes) -> None:
        for each in statement.axes:
            try:
                self._axis(each)
            except Abandoned:
                # Known all the same, so that its uses stay silent.
                self.scope.axes.axes.setdefault(each.name.id, Axis(each.name.id))

    def _axis(self, each: ast.Axis) -> None:
        name = each.name.id
        if name.endswith("'"):
            self.findings.fail(
                "E025",
                f"{name} is a copy of {base_of(name)}: declare {base_of(name)} only",
                each.name.span,
            )
        self._claim(each.name, axis=True)
        size = None
        if each.size is not None:
            size = self._size(each.size, f"the size of {name}")
        self.scope.axes.add(Axis(name, size, each.name.span))

    def _config(self, statement: ast.Config) -> None:
        self._claim(statement.name)
        value = self._value(statement.value)
        self._needs_static(statement.name, value)
        self._scalar(statement.name.id, value, statement.value.span)
        self._declare(Draft(statement.name.id, Kind.CONFIG, value.type, value=value), statement)

    def _const(self, statement: ast.Const) -> None:
        draft = Draft(statement.name.id, Kind.CONST, Type(), range=statement.range)
        self._define(statement.name, None, statement.type, statement.value, draft)

    def _param(self, statement: ast.Param) -> None:
        for name in statement.names:
            self._claim(name)
            kind = self._written(statement.type) or Type()
            init = None
            if statement.init is not None:
                init = self._initialiser(statement.init, name.id, kind)
            draft = Draft(name.id, Kind.PARAM, kind, init=init, range=statement.range)
            self._declare(draft, name)

    def _kernel(self, statement: ast.Kernel) -> None:
        name, lag = statement.name, statement.lag
        self._claim(name)
        if lag.id in builtins.RESERVED:
            self.findings.fail("E004", f"'{lag.id}' is reserved", lag.span)
        if lag.id in self.scope.symbols or self.scope.is_axis(lag.id):
            self.findings.fail(
                "E017", f"index '{lag.id}' hides a state", lag.span, hint="choose another letter"
            )
        width, taps = None, None
        if statement.length is not None:
            width = self.work.length(statement.length, "the length of a kernel")
            known = constant_value(width)
            if known is not None:
                if known.denominator != 1 or not 1 <= known <= LIMITS.delay:
                    self.findings.fail(
                        "E014",
                        f"the length of a kernel is a whole number from 1 to {LIMITS.delay}",
                        statement.length.span,
                    )
                taps = int(known)
        kind = self._written(statement.type)
        draft = Draft(
            name.id, Kind.KERNEL, kind or Type(), lag=lag.id, width=width, range=statement.range
        )
        if statement.value is not None:
            local = Local({lag.id: Variable(lag.id, type=Type(), span=lag.span)}, lags=(lag.id,))
            draft.value = self._value(statement.value, local)
            draft.value_span = statement.value.span
            self._needs_static(name, draft.value)
            draft.type = self._fit(name.id, draft.value, kind, statement.value.span)
            self.order.append(name.id)
        if statement.init is not None:
            draft.init = self._initialiser(statement.init, name.id, draft.type)
        self._declare(draft, name, taps=taps)

    def _state(self, statement: ast.State) -> None:
        role = Role(statement.role)
        for target in statement.targets:
            draft = Draft(target.name.id, Kind.STATE, Type(), role=role, range=statement.range)
            if statement.value is not None:
                self._define(target.name, target.index, statement.type, statement.value, draft)
                continue
            self._claim(target.name)
            timed = self._timed(target)
            written = self._written(statement.type) or Type()
            dependence = Dependence.DATA if timed else Dependence.STATIC
            draft.kind, draft.type = Kind.OPERAND, replace(written, dependence=dependence)
            self._declare(draft, target.name, timed=timed)

    def _memory(self, statement: ast.Memory) -> None:
        for name in statement.names:
            self._claim(name)
            kind = replace(self._written(statement.type) or Type(), dependence=Dependence.DATA)
            self._declare(Draft(name.id, Kind.MEMORY, kind), name, timed=True, defined=False)

    def _equation(self, statement: ast.Equation) -> None:
        for target in statement.targets:
            name = target.name.id
            known = self.scope.symbols.get(name)
            if target.index is not None and constant_of(target.index) is not None:
                self._initial(target, statement.value)
            elif known is not None and known.kind is Kind.MEMORY:
                self._update(target, known, statement)
            else:
                draft = Draft(name, Kind.STATE, Type(), range=statement.range)
                self._define(target.name, target.index, statement.type, statement.value, draft)

    def _output(self, statement: ast.Output) -> None:
        name = statement.target.name
        earlier = [each for each in self.drafts.values() if each.kind is Kind.OUTPUT]
        if earlier:
            self.findings.fail(
                "E016",
                f"{self.scope.owner} has a second output '{name.id}': a mixer has exactly one",
                name.span,
                labels=(Label(earlier[0].span, "the first"),),
                hint="return one value; a second result is a mixer of its own",
            )
        draft = Draft(name.id, Kind.OUTPUT, Type(), range=statement.range)
        self._define(name, statement.target.index, statement.type, statement.value, draft)

    def forall(self, node: ast.Forall) -> None:
        """The variables of a theorem: operands, with an index or without."""
        kind = self._written(node.type) or Type()
        for target in node.targets:
            if target.name.id in ("left", "right"):
                self.findings.fail(
                    "E004",
                    f"'{target.name.id}' is reserved: it is a side of the claim",
                    target.name.span,
                )
            self._claim(target.name)
            timed = self._timed(target)
            dependence = Dependence.DATA if timed else Dependence.STATIC
            draft = Draft(
                target.name.id,
                Kind.OPERAND,
                replace(kind, dependence=dependence),
                range=node.range,
            )
            self._declare(draft, target.name, timed=timed)

    # ---- names

    def _claim(self, name: ast.Name, axis: bool = False) -> None:
        """Check that a name is free: not reserved, not declared before."""
        if name.id in (builtins.RESERVED_AXES if axis else builtins.RESERVED):
            what = "time" if name.id == "t" else "an implicit axis"
            note = f" ({what})" if name.id in ("t", *builtins.IMPLICIT_AXES) else ""
            self.findings.fail(
                "E004",
                f"'{name.id}' is reserved{note}",
                name.span,
                hint="choose another name",
            )
        if name.id.endswith("'") and not axis:
            self.findings.fail("E004", f"'{name.id}' has a prime: primes are for axes", name.span)
        earlier = self.scope.symbols.get(name.id)
        place = earlier.span if earlier is not None else None
        if self.scope.is_axis(name.id):
            place = self.scope.axes.axes[base_of(name.id)].span
        elif name.id in self.scope.macros:
            place = self.scope.macros[name.id].name.span
        elif name.id in self.scope.options:
            self.findings.fail(
                "E016", f"'{name.id}' is a choice already", name.span, hint="choose another name"
            )
        if place is not None:
            what = "the axis" if self.scope.is_axis(name.id) else "first defined here"
            self.findings.fail(
                "E016",
                f"'{name.id}' is defined twice",
                name.span,
                label="again",
                labels=(Label(place, what),),
                hint="axes, states and macros share one namespace: rename one of the two",
            )

    def _declare(
        self,
        draft: Draft,
        node: ast.Node,
        *,
        timed: bool = False,
        defined: bool = True,
        taps: int | None = None,
    ) -> None:
        draft.span = node.name.span if isinstance(node, ast.Config) else node.span
        remembers = draft.value is not None and self.scope.remembers(draft.value)
        self.drafts[draft.name] = draft
        self.scope.symbols[draft.name] = Symbol(
            draft.name,
            draft.kind,
            draft.type,
            draft.span,
            timed=timed,
            defined=defined,
            remembers=remembers or draft.kind is Kind.MEMORY,
            taps=taps,
        )

    def _timed(self, target: ast.Target) -> bool:
        """Whether a declaration is written with [t]; no other index may be declared."""
        if target.index is None:
            return False
        if target.index == ast.Name("t"):
            return True
        self.findings.fail(
            "E011",
            f"a declaration is for every step: write {target.name.id}[t]",
            target.index.span,
            hint=f"{target.name.id}[-1] = ... gives the value before the first step",
        )

    # ---- definitions

    def _define(
        self,
        name: ast.Name,
        index: ast.Expr | None,
        written: ast.Type | None,
        value: ast.Expr,
        draft: Draft,
    ) -> None:
        """A name with a definition: its type is inferred and checked against the written one."""
        self._claim(name)
        kind = self._written(written)
        timed = self._timed(ast.Target(name, index, span=name.span))
        has_axes = written is not None and written.axes is not None
        try:
            term = self._value(value, name=name.id)
            if not timed:
                self._needs_static(name, term)
            draft.type = self._fit(name.id, term, kind if has_axes else None, value.span)
            if written is not None and written.complex:
                draft.type = replace(draft.type, complex=True)
            draft.value, draft.value_span = term, value.span
        except Abandoned:
            if not has_axes:
                raise
            assert kind is not None
            dependence = Dependence.DATA if timed else Dependence.STATIC
            draft.type, draft.broken = replace(kind, dependence=dependence), True
        self.order.append(draft.name)
        self._declare(draft, name, timed=timed)

    def _update(self, target: ast.Target, known: Symbol, statement: ast.Equation) -> None:
        name = target.name.id
        draft = self.drafts[name]
        if not self._timed(target):
            self.findings.fail(
                "E013", f"memory '{name}' must be indexed: write {name}[t] = ...", target.span
            )
        if known.defined:
            labels = () if draft.value_span is None else (Label(draft.value_span, "the first"),)
            self.findings.fail(
                "E016",
                f"memory '{name}' has a second equation",
                target.span,
                label="again",
                labels=labels,
                hint="give the first step a name of its own, as in p[t] = a[t] * m[t-1]",
            )
        try:
            draft.value_span = statement.value.span
            term = self._value(statement.value, name=name)
            if statement.type is not None:
                written = self._written(statement.type)
                if written is not None and set(written.axes) != set(draft.type.axes):
                    self.findings.fail(
                        "E023",
                        f"{name} has axes {show_axes(draft.type.axes)} where it is declared,"
                        f" but {show_axes(written.axes)} here",
                        statement.type.span,
                        labels=(Label(draft.span, "declared here"),),
                    )
            self._fit(name, term, draft.type, statement.value.span)
            draft.value, draft.range = term, statement.range
        except Abandoned:
            draft.broken = True
        finally:
            known.defined = True
            self.order.append(name)

    def _initial(self, target: ast.Target, value: ast.Expr) -> None:
        """`z[-1] = expr`."""
        name = target.name.id
        assert target.index is not None
        if constant_of(target.index) != -1:
            self.findings.fail(
                "E014",
                f"only the value before the first step can be set: {name}[-1]",
                target.index.span,
            )
        known = self.scope.symbols.get(name)
        if known is None and name not in self.scope.later:
            self.findings.fail("E010", f"undefined state '{name}'", target.name.span)
        if known is not None and known.type is None:
            raise Abandoned
        if name in self.initials:
            self.findings.fail("E016", f"{name}[-1] is given twice", target.span)
        if known is not None and known.kind in (Kind.CONFIG, Kind.CONST, Kind.PARAM, Kind.KERNEL):
            self.findings.fail(
                "E011", f"'{name}' does not vary in time: it has no first step", target.span
            )
        term = self.work.static(value, f"the start of '{name}'")
        if known is not None and known.type is not None:
            self._fit(name, term, known.type, value.span)
        self.initials[name] = self._bounded(term, value.span)
