"""Models from their syntax: an embedding, a stack of blocks, a norm and a head."""

from __future__ import annotations

from collections.abc import Sequence

from eosc.diagnostics import did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.blocks import EMBEDDINGS, SequenceReader
from eosc.semantics.findings import Abandoned, Findings
from eosc.semantics.measures import constant_value
from eosc.semantics.resolution import Names
from eosc.semantics.sequences import (
    Expression,
    Model,
    Repeat,
    Shared,
    StackItem,
    Use,
)
from eosc.semantics.terms import Term
from eosc.syntax import ast

_HEADS = ("tied", "linear")


def elaborate_model(node: ast.Model, names: Names, findings: Findings) -> Model | None:
    """A model, or None when it has errors (all of them reported)."""
    before = findings.count_errors()
    work = SequenceReader(node.name.id, names, findings)
    work.functions = EMBEDDINGS
    try:
        formals = work.formals(node.parameters)
    except Abandoned:
        return None
    embed: Expression | None = None
    stack: list[StackItem] = []
    words = {"norm": "layernorm", "head": "tied"}
    shared: list[tuple[str, tuple[str, ...]]] = []
    seen: set[str] = set()
    for statement in node.body:
        kind = type(statement).__name__.lower()
        try:
            if kind != "param" and kind in seen:
                findings.fail("E016", f"a model has one {kind}", statement.span)
            seen.add(kind)
            match statement:
                case ast.Embed(value=value):
                    embed = work.expression(value)
                case ast.Stack(items=items):
                    for item in items:
                        stack.append(_stack_item(work, item))
                case ast.Norm(value=value):
                    words["norm"] = _named(work, value, builtins.NORMALISATIONS, "norm")
                case ast.Head(value=value):
                    words["head"] = _named(work, value, _HEADS, "head")
                case ast.Param():
                    shared.extend(_shared_params(work, statement))
        except Abandoned:
            continue
    for needed in ("embed", "stack"):
        if needed not in seen:
            findings.add("E002", f"model '{node.name.id}' has no {needed}", node.name.span)
    if findings.count_errors() != before or embed is None:
        return None
    doc = node.doc.text if node.doc is not None else ""
    return Model(
        node.name.id,
        formals,
        embed,
        tuple(stack),
        words["norm"],
        words["head"],
        tuple(shared),
        doc,
        node.span,
    )


def _named(work: SequenceReader, node: ast.Expr, pool: Sequence[str], what: str) -> str:
    name = node.id if isinstance(node, ast.Name) else ""
    if name not in pool:
        work.findings.fail(
            "E012",
            f"unknown {what}",
            node.span,
            hint=did_you_mean(name, pool) or f"it is one of {', '.join(pool)}",
        )
    return name


def _shared_params(work: SequenceReader, statement: ast.Param) -> list[tuple[str, tuple[str, ...]]]:
    """`shared param Gamma: L, V`: L counts the layers, other axes are sizes of the model."""
    axes = statement.type.axes if statement.type is not None else None
    for each in axes or ():
        if each.id != "L" and each.id not in work.scope.symbols:
            work.findings.fail(
                "E021",
                f"unknown axis '{each.id}'",
                each.span,
                hint=did_you_mean(each.id, work.scope.symbols) or "add it to the model's sizes",
            )
    names = tuple(each.id for each in axes or ())
    return [(each.id, names) for each in statement.names]


def _stack_item(work: SequenceReader, node: ast.Expr) -> StackItem:
    match node:
        case ast.Binary(op="*", left=left, right=right):
            count = work.sizes.static(left, "a repeat count")
            known = constant_value(count)
            whole = known is None or (known.denominator == 1 and 0 <= known <= LIMITS.repeat)
            if not whole:
                work.findings.fail(
                    "E009",
                    f"a repeat count is a whole number up to {LIMITS.repeat}",
                    left.span,
                )
            items = right.items if isinstance(right, ast.Tuple) else (right,)
            return Repeat(count, tuple(_stack_item(work, each) for each in items))
        case ast.Call(function=ast.Name(id="shared"), arguments=(ast.Call() as inner,)):
            item = _stack_item(work, inner)
            assert isinstance(item, Use)
            return Shared(item)
        case ast.Call():
            return _stacked(work, node)
    work.findings.fail(
        "E011", "a stack holds block(...), n * block(...) or n * (block(...), ...)", node.span
    )


def _stacked(work: SequenceReader, node: ast.Call) -> Use:
    name = node.function
    if name.id not in work.names.definitions:
        pool = tuple(work.names.definitions)
        hint = did_you_mean(name.id, pool)
        work.findings.fail(
            "E012", f"unknown block '{name.id}'" + (f", {hint}" if hint else ""), name.span
        )
    formals = work.layer_formals(name)
    if len(node.positional) > len(formals):
        count = len(node.positional)
        work.findings.fail(
            "E015", f"{name.id} takes {len(formals)} arguments, {count} given", node.span
        )
    given: list[tuple[str, Term | str]] = []
    for formal, value in zip(formals, node.positional, strict=False):
        given.append((formal.name, work.sizes.static(value, f"'{formal.name}'")))
    given.extend(work.options(node, tuple(each.name for each in formals)))
    missing = [f.name for f in formals if f.default is None and f.name not in dict(given)]
    if missing:
        work.findings.fail(
            "E015", f"{name.id} needs {missing[0]}", node.span, hint=f"add {missing[0]} = ..."
        )
    return Use(name.id, (), tuple(given), node.span)
