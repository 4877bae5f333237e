"""What only layers have: calls that create weights, and calls of other mixers."""

from __future__ import annotations

from dataclasses import replace

from eosc.diagnostics import EosError, did_you_mean
from eosc.semantics.axes import show_axes
from eosc.semantics.calls import axes_of, call, positional, unknown
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Abandoned
from eosc.semantics.model import Family, Kind, Layer, Mixer
from eosc.semantics.resolution import Names
from eosc.semantics.scope import Local
from eosc.semantics.terms import (
    Attention,
    Dependence,
    Linear,
    MixerCall,
    ShortConv,
    Term,
    Type,
    View,
)
from eosc.syntax import ast


class LayerCalls:
    """Function calls within one layer. `Expressions.target` holds the axes a linear() makes."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def __call__(self, work: Expressions, node: ast.Call, local: Local) -> Term:
        """The term of a call.

        Raises:
            Abandoned: after an error was reported.
        """
        name = node.function.id
        operands = any(each.name.id != "width" for each in node.keywords)
        if name in self.names.definitions and (operands or name not in _WEIGHTS):
            return self._mixer(work, node, local)
        if name not in _WEIGHTS:
            return call(work, node, local)
        if local.closed:
            work.findings.fail(
                "E050",
                f"{name}() creates weights: it belongs in a layer, not in a macro",
                node.span,
                hint="pass its result to the macro",
            )
        return _WEIGHTS[name](work, node, local)

    # ---- mixers as functions

    def _mixer(self, work: Expressions, node: ast.Call, local: Local) -> Term:
        name = node.function.id
        callee = self.names.definitions[name]
        if callee is None:
            raise Abandoned
        if isinstance(callee, Layer) or (node.positional and not isinstance(callee, Family)):
            return self._as_layer(work, node, local)
        if isinstance(callee, Family):
            callee, name, node = self._instance(work, callee, node)
        if not isinstance(callee, Mixer):
            unknown(work, node)
        return _apply_mixer(work, callee, name, node, local)

    def _as_layer(self, work: Expressions, node: ast.Call, local: Local) -> Term:
        """A layer, or a mixer with its own layer, as a function of one input."""
        name = node.function.id
        callee = self.names.definitions[name]
        layer = callee if isinstance(callee, Layer) else getattr(callee, "layer", None)
        if not isinstance(layer, Layer):
            work.findings.fail(
                "E052",
                f"{name} has no layer of its own: name its operands",
                node.span,
                hint=f"write {name}(q = q[t], ...)",
            )
        if len(node.positional) != 1:
            given = len(node.positional)
            work.findings.fail("E015", f"{name} takes one input, {given} given", node.span)
        formals = tuple(each.name for each in layer.formals)
        sizes = []
        for keyword in node.keywords:
            if keyword.name.id not in formals:
                _no_operand(work, name, keyword, formals)
            value = work.static(keyword.value, f"'{keyword.name.id}' of {name}", local)
            sizes.append((keyword.name.id, value))
        arg = _inner(work, node.positional[0], local)
        target = _target(work, node)
        kind = Type(target, False, Dependence.DATA)
        return MixerCall(name, (("x", arg),), tuple(sizes), type=kind, span=node.span)

    def _instance(
        self, work: Expressions, family: Family, node: ast.Call
    ) -> tuple[Mixer, str, ast.Call]:
        choices = [each.name for each in family.choices]
        options: dict[str, str] = {}
        for keyword in node.keywords:
            if keyword.name.id in choices:
                options[keyword.name.id] = option_of(work, keyword)
        try:
            mixer = family.instance(**options)
        except EosError as error:
            first = error.diagnostics[0]
            if first.code not in ("E040", "E041"):
                raise Abandoned from None
            work.findings.fail(
                first.code, first.message, node.span, notes=first.notes, hint=first.hint
            )
        kept = tuple(
            each
            for each in node.arguments
            if not (isinstance(each, ast.Keyword) and each.name.id in choices)
        )
        shown = ", ".join(f"{key} = {value}" for key, value in options.items())
        name = f"{family.name}({shown})" if shown else family.name
        return mixer, name, replace(node, arguments=kept)


def option_of(work: Expressions, keyword: ast.Keyword) -> str:
    """The option that `osc = one` names."""
    match keyword.value:
        case ast.Name(id=name):
            return name
        case ast.Number(value=value, text=text):
            return text or str(value)
    work.findings.fail("E040", f"'{keyword.name.id}' takes one of its options", keyword.span)


def _no_operand(work: Expressions, name: str, keyword: ast.Keyword, pool: tuple[str, ...]) -> None:
    listed = ", ".join(pool)
    work.findings.fail(
        "E052",
        f"{name} has no operand '{keyword.name.id}'",
        keyword.name.span,
        hint=did_you_mean(keyword.name.id, pool) or f"it has {listed}",
    )


def _apply_mixer(work: Expressions, mixer: Mixer, name: str, node: ast.Call, local: Local) -> Term:
    if node.positional:
        work.findings.fail(
            "E052",
            f"the operands of {name} are named",
            node.positional[0].span,
            hint=f"write {name}({mixer.operands[0].name} = ...)" if mixer.operands else None,
        )
    operands = {each.name: each for each in mixer.operands}
    sizes = {each.name for each in mixer.axes} | {x.name for x in mixer.of_kind(Kind.CONFIG)}
    given: list[tuple[str, Term]] = []
    settings: list[tuple[str, Term]] = []
    renamed: dict[str, str] = {}
    for keyword in node.keywords:
        key = keyword.name.id
        if key in operands:
            given.append((key, _inner(work, keyword.value, local)))
        elif key in sizes or key == "H":
            settings.append((key, work.static(keyword.value, f"'{key}' of {name}", local)))
            if isinstance(keyword.value, ast.Name) and work.scope.is_axis(keyword.value.id):
                renamed[key] = keyword.value.id
        else:
            _no_operand(work, name, keyword, (*operands, *sorted(sizes)))
    _all_bound(work, mixer, name, {key for key, _ in given}, node)
    heads: set[str] = set()
    for key, term in given:
        heads |= _check_operand(work, name, key, term, operands[key].type, renamed)
    axes = [renamed.get(axis, axis) for axis in mixer.output.type.axes]
    kind = Type(work.scope.axes.order([*axes, *heads]), mixer.output.type.complex, Dependence.DATA)
    return MixerCall(name, tuple(given), tuple(settings), type=kind, span=node.span)


def _all_bound(work: Expressions, mixer: Mixer, name: str, given: set[str], node: ast.Call) -> None:
    for each in mixer.of_kind(Kind.OPERAND):
        if each.name not in given:
            work.findings.fail(
                "E051",
                f"operand '{each.name}' of {name} is not given",
                node.span,
                hint=f"add {each.name} = ...",
            )


def _check_operand(
    work: Expressions, name: str, key: str, term: Term, want: Type, renamed: dict[str, str]
) -> set[str]:
    """The head axes of an operand that is passed; axes it may not have are an error."""
    expected = {renamed.get(axis, axis) for axis in want.axes}
    extra = [axis for axis in term.type.axes if axis not in expected]
    heads = {axis for axis in extra if axis in work.scope.head_axes}
    left = [axis for axis in extra if axis not in heads]
    if left and term.span is not None:
        work.findings.fail(
            "E023",
            f"operand '{key}' of {name} has axes {show_axes(work.scope.axes.order(expected))},"
            f" but its value has axes {show_axes(term.type.axes)}: {show_axes(left)} left over",
            term.span,
            label=f"axes {show_axes(term.type.axes)}",
            hint=f"name the axis of {name} that it stands for, as in V = {left[0]}",
        )
    return heads


# ---- weights


def _target(work: Expressions, node: ast.Call) -> tuple[str, ...]:
    if work.target is None:
        work.findings.fail(
            "E053",
            f"the output axes of this inner {node.function.id} are unknown",
            node.span,
            hint="write to = ..., with an axis of the layer",
        )
    return work.target


def _inner(work: Expressions, node: ast.Expr, local: Local) -> Term:
    """An argument that is consumed: a linear() in it cannot see the statement's axes."""
    outer, work.target = work.target, None
    try:
        return work.term(node, local)
    finally:
        work.target = outer


def _options(work: Expressions, node: ast.Call, allowed: tuple[str, ...]) -> dict[str, ast.Expr]:
    found: dict[str, ast.Expr] = {}
    for keyword in node.keywords:
        if keyword.name.id not in allowed:
            hint = did_you_mean(keyword.name.id, allowed)
            work.findings.fail(
                "E015",
                f"{node.function.id} has no option '{keyword.name.id}'",
                keyword.span,
                hint=hint or (f"its options are {', '.join(allowed)}" if allowed else None),
            )
        found[keyword.name.id] = keyword.value
    return found


def _one(work: Expressions, node: ast.Call) -> ast.Expr:
    bare = replace(node, arguments=node.positional)
    return positional(work, bare, 1)[0]


def _linear(work: Expressions, node: ast.Call, local: Local) -> Term:
    options = _options(work, node, ("to", "rank", "bias"))
    if node.subscripts:
        axes_of(work, node)
        work.findings.fail("E015", "linear consumes every axis: it takes none", node.span)
    to = options.get("to")
    target = _target(work, node) if to is None else _to(work, to)
    arg = _inner(work, _one(work, node), local)
    rank = options.get("rank")
    bias = options.get("bias")
    width = None if rank is None else work.static(rank, "the rank of a linear", local)
    has_bias = bias is not None and _flag(work, bias)
    kind = Type(target, False, max(arg.type.dependence, Dependence.DATA))
    work.require_real((arg,), "linear")
    return Linear(arg, width, has_bias, type=kind, span=node.span)


def _to(work: Expressions, node: ast.Expr) -> tuple[str, ...]:
    """The axes of `to = K` or `to = (H, K)`."""
    names = node.items if isinstance(node, ast.Tuple) else (node,)
    found = []
    for each in names:
        if not isinstance(each, ast.Name):
            work.findings.fail(
                "E053",
                "to names an axis of the layer",
                each.span,
                hint="add it to the layer's sizes, as in layer(D, F = 4 * D), and write to = F",
            )
        found.append(work.axis(each))
    return work.scope.axes.order(found)


def _flag(work: Expressions, node: ast.Expr) -> bool:
    if node in (ast.Name("true"), ast.Name("false")):
        return node == ast.Name("true")
    work.findings.fail("E015", "this option is true or false", node.span)


def _shortconv(work: Expressions, node: ast.Call, local: Local) -> Term:
    options = _options(work, node, ("width",))
    if "width" not in options:
        work.findings.fail("E015", "shortconv needs a width: shortconv(x[t], width = 4)", node.span)
    arg = work.term(_one(work, node), local)
    work.require_real((arg,), "shortconv")
    width = work.static(options["width"], "the width of a shortconv", local)
    return ShortConv(arg, width, type=arg.type, span=node.span)


def _view(work: Expressions, node: ast.Call, local: Local) -> Term:
    _options(work, node, ())
    target = _target(work, node)
    arg = _inner(work, _one(work, node), local)
    kind = replace(arg.type, axes=target)
    return View(arg, type=kind, span=node.span)


def _attention(work: Expressions, node: ast.Call, local: Local) -> Term:
    options = _options(work, node, ("window", "chunked", "scale"))
    bare = replace(node, arguments=node.positional)
    args = tuple(work.term(each, local) for each in positional(work, bare, 3))
    settings = tuple(
        (key, work.static(value, f"'{key}' of attention", local)) for key, value in options.items()
    )
    return Attention(args, settings, type=args[2].type, span=node.span)


_WEIGHTS = {
    "linear": _linear,
    "shortconv": _shortconv,
    "view": _view,
    "attention": _attention,
}
