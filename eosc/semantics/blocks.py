"""Blocks from their syntax, and the expressions over whole sequences that they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eosc.diagnostics import EosError, Span, did_you_mean
from eosc.semantics import builtins
from eosc.semantics.calls import call
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Abandoned, Findings
from eosc.semantics.measures import grows_unbounded
from eosc.semantics.model import Family, Formal, Kind, Layer, Mixer
from eosc.semantics.resolution import Names
from eosc.semantics.scope import Scope, Symbol
from eosc.semantics.sequences import (
    Block,
    Expression,
    Operation,
    Size,
    Use,
    Value,
)
from eosc.semantics.terms import Term, Type
from eosc.syntax import ast

INPUT = "x"


@dataclass(frozen=True, slots=True)
class _Builtin:
    """Arguments and options of a builtin; -1 arguments: two or more."""

    arguments: int
    options: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


BUILTINS: Mapping[str, _Builtin] = {
    "attention": _Builtin(1, ("heads", "window")),
    "local_attention": _Builtin(1, ("heads", "window"), ("window",)),
    "mlp": _Builtin(1, ("hidden", "act"), ("hidden",)),
    "linear": _Builtin(1, ("to", "bias")),
    "concat": _Builtin(-1),
    "gumbel_gate": _Builtin(1, ("keep",)),
    "bidirectional": _Builtin(2, ("merge",)),
    **{name: _Builtin(1) for name in builtins.NORMALISATIONS},
}
EMBEDDINGS: Mapping[str, _Builtin] = {"tokens": _Builtin(1), "positions": _Builtin(1)}
_MERGES = ("sum", "concat")


class SequenceReader:
    """Reads the expressions of one block or model."""

    def __init__(self, name: str, names: Names, findings: Findings) -> None:
        self.scope = Scope(name, findings)
        self.names = names
        self.findings = findings
        self.sizes = Expressions(self.scope, call)
        self.values: dict[str, Span] = {}
        self.broken: set[str] = set()
        self.used: set[str] = set()
        self.functions: Mapping[str, _Builtin] = BUILTINS

    def formals(self, parameters: Sequence[ast.Parameter]) -> tuple[Formal, ...]:
        """Sizes and options, each with a default that may use the ones before."""
        found: list[Formal] = []
        for each in parameters:
            name = each.name.id
            if name in self.scope.symbols:
                self.findings.fail("E016", f"'{name}' is defined twice", each.name.span)
            default = None
            if each.default is not None:
                default = self.sizes.static(each.default, f"the default of '{name}'")
                if grows_unbounded(default):
                    self.findings.fail(
                        "E009", f"an exponent in '{name}' must be a number", each.default.span
                    )
            self.scope.symbols[name] = Symbol(name, Kind.CONFIG, Type(), each.name.span)
            found.append(Formal(name, default))
        return tuple(found)

    # ---- expressions

    def expression(self, node: ast.Expr) -> Expression:
        """A sequence, or a number.

        Raises:
            Abandoned: after an error was reported.
        """
        match node:
            case ast.Name(id=name) if name in self.broken:
                raise Abandoned
            case ast.Name(id=name) if name in self.values:
                self.used.add(name)
                return Value(name, node.span)
            case ast.Name(id=name) if name not in self.scope.symbols:
                hint = did_you_mean(name, (*self.values, *self.scope.symbols))
                self.findings.fail(
                    "E010", f"undefined '{name}'" + (f", {hint}" if hint else ""), node.span
                )
            case ast.Name() | ast.Number():
                return Size(self.sizes.static(node, "a size"), node.span)
            case ast.Unary(op="-", operand=operand):
                return Operation("neg", (self.expression(operand),), node.span)
            case ast.Binary(op=op, left=left, right=right):
                args = (self.expression(left), self.expression(right))
                return Operation(builtins.ARITHMETIC[op], args, node.span)
            case ast.Call():
                return self.use(node)
            case ast.Index(base=base):
                self.findings.fail(
                    "E011",
                    "blocks work on whole sequences: no index here",
                    node.span,
                    hint=f"write {self.findings.quote(base.span) or 'the name alone'}",
                )
        self.findings.fail("E011", "this has no meaning in a block", node.span)

    def use(self, node: ast.Call) -> Expression:
        """A call of a builtin, a mixer, a layer or a block."""
        name = node.function.id
        if name in self.names.definitions:
            return self._definition(node)
        if name in self.functions:
            return self._builtin(node, self.functions[name])
        row = builtins.ELEMENTWISE.get(name)
        if row is not None and self.functions is BUILTINS:
            self._count(node, row.arity)
            args = tuple(self.expression(each) for each in node.positional)
            return Operation(name, args, node.span)
        pool = (*self.functions, *builtins.ELEMENTWISE, *self.names.definitions)
        hint = did_you_mean(name, pool)
        self.findings.fail(
            "E012",
            f"unknown function '{name}'" + (f", {hint}" if hint else ""),
            node.function.span,
        )

    def _count(self, node: ast.Call, count: int) -> None:
        given = len(node.positional)
        if given == count or (count < 0 and given >= 2):
            return
        expected = "two or more" if count < 0 else str(count)
        plural = "" if count == 1 else "s"
        self.findings.fail(
            "E015",
            f"{node.function.id} takes {expected} argument{plural}, {given} given",
            node.span,
        )

    def _builtin(self, node: ast.Call, row: _Builtin) -> Expression:
        name = node.function.id
        self._count(node, row.arguments)
        options = self.options(node, row.options)
        missing = [each for each in row.required if each not in dict(options)]
        if missing:
            self.findings.fail("E015", f"{name} needs {missing[0]} = ...", node.span)
        if name == "bidirectional":
            return self._bidirectional(node, options)
        args = tuple(self.expression(each) for each in node.positional)
        return Use(name, args, options, node.span)

    def _bidirectional(
        self, node: ast.Call, options: tuple[tuple[str, Term | str], ...]
    ) -> Expression:
        """`bidirectional(mixer, x, merge = sum)`: once forwards, once backwards."""
        mixer, value = node.positional
        if not isinstance(mixer, ast.Name) or mixer.id not in self.names.definitions:
            self.findings.fail("E012", "bidirectional takes the name of a mixer", mixer.span)
        self.layer_formals(mixer)
        merged = (*options, ("mixer", mixer.id))
        return Use("bidirectional", (self.expression(value),), merged, node.span)

    def options(self, node: ast.Call, allowed: Sequence[str]) -> tuple[tuple[str, Term | str], ...]:
        """The keyword arguments of a call: sizes as terms, `act` and `merge` as words."""
        found: list[tuple[str, Term | str]] = []
        for keyword in node.keywords:
            key, value = keyword.name.id, keyword.value
            if key not in allowed:
                hint = did_you_mean(key, allowed)
                listed = f"its options are {', '.join(allowed)}" if allowed else "it has none"
                self.findings.fail(
                    "E015",
                    f"{node.function.id} has no option '{key}'",
                    keyword.name.span,
                    hint=hint or listed,
                )
            if key in ("act", "merge"):
                found.append((key, self._word(key, value)))
            else:
                found.append((key, self.sizes.static(value, f"'{key}'")))
        return tuple(found)

    def _word(self, key: str, node: ast.Expr) -> str:
        pool = _MERGES if key == "merge" else (*builtins.ELEMENTWISE, "swiglu", "geglu")
        name = node.id if isinstance(node, ast.Name) else ""
        if name not in pool:
            self.findings.fail(
                "E012",
                f"'{key}' takes the name of a function"
                if key == "act"
                else "'merge' is sum or concat",
                node.span,
                hint=did_you_mean(name, pool),
            )
        return name

    def layer_formals(self, name: ast.Name) -> tuple[Formal, ...]:
        """The formals of what this name stands for as a function of one sequence."""
        found = self.names.definitions[name.id]
        if found is None:
            raise Abandoned
        if isinstance(found, Family):
            try:
                found = found.make(found.combinations[0])
            except EosError:
                raise Abandoned from None
        if isinstance(found, Mixer):
            if found.layer is None:
                self.findings.fail(
                    "E052",
                    f"{name.id} has no layer: it is no function of one sequence",
                    name.span,
                    hint=f"add `layer(D, ...):` to {name.id}, or write a free-standing layer",
                )
            return found.layer.formals
        if isinstance(found, Layer | Block):
            return found.formals
        self.findings.fail("E012", f"'{name.id}' is no function of a sequence", name.span)

    def _definition(self, node: ast.Call) -> Expression:
        formals = self.layer_formals(node.function)
        self._count(node, 1)
        options = self.options(node, tuple(each.name for each in formals))
        args = tuple(self.expression(each) for each in node.positional)
        return Use(node.function.id, args, options, node.span)


def elaborate_block(node: ast.Block, names: Names, findings: Findings) -> Block | None:
    """A block, or None when it has errors (all of them reported)."""
    before = findings.count_errors()
    work = SequenceReader(node.name.id, names, findings)
    try:
        formals = work.formals(node.parameters)
    except Abandoned:
        return None
    work.values[INPUT] = node.name.span
    bindings: list[tuple[str, Expression]] = []
    output: Expression | None = None
    for statement in node.body:
        try:
            match statement:
                case ast.Equation(targets=targets, value=value):
                    for target in targets:
                        bindings.append((target.name.id, _binding(work, target, value)))
                case ast.Output(target=target, value=value):
                    if output is not None:
                        findings.fail("E016", "a block has one output", statement.span)
                    work.used.add(target.name.id)
                    output = _binding(work, target, value)
                case _:
                    findings.fail("E011", "a block holds bindings and one output", statement.span)
        except Abandoned:
            continue
    if not any(isinstance(each, ast.Output) for each in node.body):
        findings.add(
            "E002",
            f"block '{node.name.id}' has no output",
            node.name.span,
            hint="add `output y = ...`",
        )
    if findings.count_errors() != before or output is None:
        return None
    for name, span in work.values.items():
        if name not in work.used and name != INPUT:
            findings.add("W070", f"unused state '{name}'", span, hint="use it, or remove it")
    doc = node.doc.text if node.doc is not None else ""
    return Block(node.name.id, formals, tuple(bindings), output, doc, node.span)


def _binding(work: SequenceReader, target: ast.Target, value: ast.Expr) -> Expression:
    name = target.name.id
    free = name not in work.values and name not in work.scope.symbols
    work.broken.add(name)
    if target.index is not None:
        work.findings.fail(
            "E011",
            "blocks work on whole sequences: no index here",
            target.span,
            hint=f"write {name} = ...",
        )
    if not free:
        work.findings.fail("E016", f"'{name}' is defined twice", target.name.span)
    expression = work.expression(value)
    work.broken.discard(name)
    work.values[name] = target.name.span
    return expression
