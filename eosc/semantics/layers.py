"""Layers: the projections around a mixer, or several mixers put together.

In a layer all axes but batch and time are written, H included; `linear` makes the axes of the
statement that it stands in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eosc.algebra.interval import Interval
from eosc.diagnostics import Label, did_you_mean
from eosc.semantics import builtins
from eosc.semantics.axes import base_of, show_axes
from eosc.semantics.declarations import Draft, Reader
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Abandoned, Findings
from eosc.semantics.model import Axis, Declaration, Formal, Kind, Layer, Mixer
from eosc.semantics.ranges import infer_ranges
from eosc.semantics.resolution import Names
from eosc.semantics.scalars import NONNEGATIVE, Scalars
from eosc.semantics.scope import Scope, Symbol
from eosc.semantics.terms import Dependence, Type
from eosc.semantics.weights import LayerCalls
from eosc.syntax import ast

INPUT = "x"
WIDTH = "D"
# In a model, the number of the layer in the stack, from 0.
DEPTH = "layer_index"


def layer_of_mixer(
    node: ast.Layer,
    mixer: Mixer,
    names: Names,
    findings: Findings,
    elsewhere: Mapping[str, str],
) -> Mixer:
    """The mixer with its default layer; without one when the layer has errors."""
    reader = LayerReader(node, names, findings, mixer, elsewhere)
    layer = reader.run()
    return mixer if layer is None else replace(mixer, layer=layer)


def elaborate_layer(node: ast.Layer, names: Names, findings: Findings) -> Layer | None:
    """A free-standing layer; None when it has errors."""
    return LayerReader(node, names, findings, None, {}).run()


class LayerReader(Reader):
    """Reads the statements of one layer."""

    def __init__(
        self,
        node: ast.Layer,
        names: Names,
        findings: Findings,
        mixer: Mixer | None,
        elsewhere: Mapping[str, str],
    ) -> None:
        self.node = node
        self.mixer = mixer
        name = node.name.id if node.name is not None else "the layer"
        owner = name if mixer is None else f"the layer of {mixer.name}"
        scope = Scope(
            owner, findings, macros=dict(names.macros), heads=True, elsewhere=dict(elsewhere)
        )
        if mixer is not None:
            scope.options = dict(mixer.choices)
        super().__init__(scope, Expressions(scope, LayerCalls(names)))
        operands = () if mixer is None else mixer.operands
        self.operands: dict[str, Declaration] = {each.name: each for each in operands}
        self.formals: list[Formal] = []
        self.derived: list[Axis] = []

    def run(self) -> Layer | None:
        """The layer, or None when it has errors (all of them reported)."""
        before = self.findings.count_errors()
        try:
            self._enter_axes()
            self._enter_formals()
            self._enter_values()
        except Abandoned:
            return None
        self.read(self.node.body)
        self._complete()
        if self.findings.count_errors() != before:
            return None
        self._unused()
        for draft in self.drafts.values():
            draft.initial = self.initials.get(draft.name)
        declarations = self._ranged()
        if self.findings.count_errors() != before:
            return None
        name = self.node.name.id if self.node.name is not None else ""
        return Layer(
            name or (self.mixer.name if self.mixer is not None else ""),
            tuple(self.formals),
            tuple(self.derived),
            declarations,
            self.node.doc.text if self.node.doc is not None else "",
            self.node.span,
        )

    # ---- sizes and options

    def _enter_axes(self) -> None:
        """Axes in row-major order: groups, H, the mixer's axes, then the other sizes."""
        written = _axes_written(self.node.body)
        formals = [each.name.id for each in self.node.parameters]
        own = [each.name.id for s in self.node.body if isinstance(s, ast.Axes) for each in s.axes]
        mixer = [] if self.mixer is None else [each.name for each in self.mixer.axes]
        heads = [name for name in own if name not in ("H", *mixer)]
        rest = [name for name in formals if name in written or name == WIDTH]
        sizes = {} if self.mixer is None else {each.name: each.size for each in self.mixer.axes}
        for name in (*heads, "H", *mixer, *rest):
            if name == "H" and name not in (*formals, *own) and self.mixer is None:
                continue
            if name not in self.scope.axes.axes:
                self.scope.axes.add(Axis(name, sizes.get(name)))
        self.scope.head_axes = frozenset((*heads, "H"))

    def _enter_formals(self) -> None:
        for each in self.node.parameters:
            name = each.name.id
            if name in builtins.RESERVED and name != "H":
                self.findings.fail("E004", f"'{name}' is reserved", each.name.span)
            if any(formal.name == name for formal in self.formals):
                self.findings.fail("E016", f"'{name}' is defined twice", each.name.span)
            self._check_derived(each)
            default = None
            if each.default is not None:
                default = self._size(each.default, f"the default of '{name}'")
            self.formals.append(Formal(name, default))
            if not self.scope.is_axis(name):
                self.scope.symbols[name] = Symbol(name, Kind.CONFIG, Type(), each.name.span)
        if WIDTH not in [formal.name for formal in self.formals]:
            self.findings.fail(
                "E021",
                f"{self.scope.owner} takes no {WIDTH}, the width of its input x[t]: {WIDTH}",
                self.node.span,
                hint=f"write layer({WIDTH}, ...)",
            )
        self._check_sizes()

    def _check_derived(self, each: ast.Parameter) -> None:
        axes = () if self.mixer is None else self.mixer.axes
        for axis in axes:
            if axis.name == each.name.id and axis.size is not None:
                labels = () if axis.span is None else (Label(axis.span, "derived here"),)
                self.findings.fail(
                    "E016",
                    f"the size of {axis.name} is derived from the other axes already",
                    each.name.span,
                    labels=labels,
                )

    def _check_sizes(self) -> None:
        """Every free axis of the mixer needs a size."""
        if self.mixer is None:
            return
        given = {formal.name for formal in self.formals}
        own = {each.name.id for s in self.node.body if isinstance(s, ast.Axes) for each in s.axes}
        for axis in (*self.mixer.axes, Axis("H")):
            if axis.size is None and axis.name not in given | own:
                self.findings.fail(
                    "E021",
                    f"axis {axis.name} of {self.mixer.name} has no size in this layer",
                    self.node.span,
                    hint=f"add it to the layer: layer({WIDTH}, ..., {axis.name} = ...)",
                )

    def _enter_values(self) -> None:
        """The input, and what the mixer gives: its output and its configs."""
        symbols = self.scope.symbols
        symbols.setdefault(DEPTH, Symbol(DEPTH, Kind.CONFIG, Type(), self.node.span))
        kind = Type((WIDTH,), False, Dependence.DATA)
        symbols[INPUT] = Symbol(INPUT, Kind.OPERAND, kind, self.node.span, timed=True)
        if self.mixer is None:
            return
        output = self.mixer.output
        axes = self.scope.axes.order(("H", *output.type.axes))
        kind = replace(output.type, axes=axes, dependence=Dependence.DATA)
        assert output.span is not None
        symbols[output.name] = Symbol(output.name, Kind.OPERAND, kind, output.span, timed=True)
        for config in self.mixer.of_kind(Kind.CONFIG):
            if config.name not in symbols and config.span is not None:
                symbols[config.name] = Symbol(config.name, Kind.CONFIG, Type(), config.span)

    # ---- statements

    def _statement(self, statement: ast.Statement) -> None:
        if isinstance(statement, ast.State | ast.Memory):
            word = statement.role if isinstance(statement, ast.State) else "memory"
            self.findings.fail(
                "E011",
                f"'{word}' belongs in a mixer, not in a layer",
                statement.span,
                hint="write the recurrence as a mixer, and call it here",
            )
        super()._statement(statement)

    def _axes(self, statement: ast.Axes) -> None:
        """`axes G, H = G * R`: head groups, and H derived from them."""
        for each in statement.axes:
            size = None
            if each.size is not None:
                size = self._size(each.size, f"the size of {each.name.id}")
            if any(axis.name == each.name.id for axis in self.derived):
                self.findings.fail("E016", f"'{each.name.id}' is defined twice", each.name.span)
            axis = Axis(each.name.id, size, each.name.span)
            self.scope.axes.axes[axis.name] = axis
            self.derived.append(axis)

    def _claim(self, name: ast.Name, axis: bool = False) -> None:
        if name.id in self.operands and name.id not in self.drafts:
            return
        super()._claim(name, axis)

    def _equation(self, statement: ast.Equation) -> None:
        for target in statement.targets:
            written = statement.type is not None and statement.type.axes is not None
            if not written and self._is_elsewhere(target.name):
                continue
            if target.index is not None and target.index != ast.Name("t"):
                self._initial(target, statement.value)
                continue
            operand = self.operands.get(target.name.id)
            if operand is not None:
                self._check_timing(target, operand)
            if not written and operand is None:
                self._untyped(target.name)
            draft = Draft(target.name.id, Kind.STATE, Type(), range=statement.range)
            self._bind(target, statement.type, statement.value, draft, operand)

    def _is_elsewhere(self, name: ast.Name) -> bool:
        """Operands that only other options of the family have are bound in vain.

        So are params: they become parameters of the layer by themselves.
        """
        operand = self.operands.get(name.id)
        if operand is None:
            return name.id in self.scope.elsewhere
        return operand.kind is Kind.PARAM and bool(self.mixer and self.mixer.choices)

    def _check_timing(self, target: ast.Target, operand: Declaration) -> None:
        timed = operand.type.dependence is not Dependence.STATIC
        if timed and target.index is None:
            self.findings.fail(
                "E036",
                f"'{operand.name}' varies in time but is bound without [t]",
                target.span,
                hint=f"write {operand.name}[t] = ...",
            )

    def _untyped(self, name: ast.Name) -> None:
        owner = "" if self.mixer is None else f" of {self.mixer.name}"
        hint = did_you_mean(name.id, self.operands)
        self.findings.fail(
            "E054",
            f"'{name.id}' is neither an operand{owner} nor has a type",
            name.span,
            hint=hint or f"write its axes: {name.id}[t]: H, V = ...",
        )

    def _output(self, statement: ast.Output) -> None:
        if statement.type is None or statement.type.axes is None:
            self._untyped_output(statement)
        target, value = statement.target, statement.value
        for each in self.drafts.values():
            if each.kind is Kind.OUTPUT:
                self.findings.fail("E016", "a layer has one output", statement.span)
        draft = Draft(target.name.id, Kind.OUTPUT, Type(), range=statement.range)
        self._bind(target, statement.type, value, draft, None)

    def _untyped_output(self, statement: ast.Output) -> None:
        name = statement.target.name
        self.findings.fail(
            "E054", f"output '{name.id}' has no type", name.span, hint=f"write {name.id}[t]: D"
        )

    def _bind(
        self,
        target: ast.Target,
        written: ast.Type | None,
        value: ast.Expr,
        draft: Draft,
        operand: Declaration | None,
    ) -> None:
        """One binding: its own weights, its axes from the type or from the mixer's operand."""
        name = target.name
        self._claim(name)
        timed = self._timed(target)
        want = self._wanted(written, operand)
        self._check_binding(name, want, operand)
        dependence = Dependence.DATA if timed else Dependence.STATIC
        draft.type = replace(want, dependence=dependence)
        self.work.target = want.axes
        try:
            term = self._value(value, name=name.id)
            if not timed:
                self._needs_static(name, term)
            draft.type = self._fit(name.id, term, want, value.span)
            if written is None and operand is not None and self._shared(term.type):
                axes = tuple(a for a in draft.type.axes if a not in self.scope.head_axes)
                draft.type = replace(draft.type, axes=axes)
            draft.value, draft.value_span = term, value.span
        except Abandoned:
            draft.broken = True
        finally:
            self.work.target = None
        self.order.append(draft.name)
        self._declare(draft, name, timed=timed)

    def _shared(self, kind: Type) -> bool:
        return not self.scope.head_axes & set(kind.axes)

    def _wanted(self, written: ast.Type | None, operand: Declaration | None) -> Type:
        kind = self._written(written)
        if kind is not None and written is not None and written.axes is not None:
            return kind
        assert operand is not None
        return replace(operand.type, axes=self.scope.axes.order(("H", *operand.type.axes)))

    def _check_binding(self, name: ast.Name, want: Type, operand: Declaration | None) -> None:
        if operand is None:
            return
        allowed = {*operand.type.axes, *self.scope.head_axes}
        extra = [axis for axis in want.axes if axis not in allowed]
        if extra:
            self.findings.fail(
                "E023",
                f"operand '{name.id}' has axes {show_axes(operand.type.axes)} and heads,"
                f" but is bound with {show_axes(want.axes)}: {show_axes(extra)} left over",
                name.span,
            )

    # ---- the whole

    def _complete(self) -> None:
        if not any(isinstance(each, ast.Output) for each in self.node.body):
            self.findings.add(
                "E002",
                f"{self.scope.owner} has no output",
                self.node.span,
                label="this layer",
                hint=f"add `output o[t]: {WIDTH} = ...`",
            )
        for operand in self.operands.values():
            bound = operand.name in self.scope.symbols
            if operand.kind is not Kind.OPERAND or bound or operand.span is None:
                continue
            assert self.mixer is not None
            self.findings.add(
                "E051",
                f"operand '{operand.name}' of {self.mixer.name} is not bound in this layer",
                operand.span,
                label="needs a value",
                hint=f"add {operand.name}[t] = linear(x[t]) to the layer",
            )

    def _ranged(self) -> tuple[Declaration, ...]:
        """The declarations with their ranges; a binding must keep what its operand assumes."""
        given = self._option_ranges()
        drafts = tuple(each.finish() for each in self.drafts.values())
        declarations, _ = infer_ranges(drafts, self, self.findings, given)
        for each in declarations:
            operand = self.operands.get(each.name)
            if operand is None or operand.declared is None or each.value is None:
                continue
            if each.inferred.within(operand.declared) or each.span is None:
                continue
            assert self.mixer is not None
            labels = () if operand.span is None else (Label(operand.span, "assumed here"),)
            self.findings.add(
                "E061",
                f"'{each.name}' of {self.mixer.name} is assumed in {operand.declared},"
                f" which its binding does not show: inferred {each.inferred}",
                each.span,
                label=f"in {each.inferred}",
                labels=labels,
                hint="bound it here, as in sigmoid(linear(x[t])), or widen the operand's range",
            )
        return declarations

    def _option_ranges(self) -> dict[str, Interval]:
        """Options at their defaults, and the mixer's configs."""
        scalars = Scalars({}, self.findings.work)
        given: dict[str, Interval] = {DEPTH: NONNEGATIVE}
        for config in () if self.mixer is None else self.mixer.of_kind(Kind.CONFIG):
            given[config.name] = config.inferred
        for formal in self.formals:
            if formal.default is not None:
                given[formal.name] = scalars.bound(scalars.real(formal.default))
                scalars.given(formal.name, given[formal.name])
        return given

    def _unused(self) -> None:
        for draft in self.drafts.values():
            kept = draft.kind is Kind.OUTPUT or draft.name in self.operands
            if kept or draft.name in self.scope.used:
                continue
            what = "state" if draft.kind is Kind.STATE else str(draft.kind)
            self.findings.add(
                "W070", f"unused {what} '{draft.name}'", draft.span, hint="use it, or remove it"
            )


def _axes_written(body: Sequence[ast.Statement]) -> set[str]:
    """Names used as axes: in types, and after `to =`."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Type):
                found |= {base_of(each.id) for each in node.axes or ()}
            if isinstance(node, ast.Keyword) and node.name.id == "to":
                found |= {base_of(n.id) for n in ast.walk(node.value) if isinstance(n, ast.Name)}
    return found
