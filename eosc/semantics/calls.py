"""Function calls of a mixer: macros, elementwise functions, reductions, sums over time, folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from eosc.diagnostics import Label, did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.axes import show_axes
from eosc.semantics.builtins import Elementwise
from eosc.semantics.expressions import Expressions
from eosc.semantics.measures import constant_value
from eosc.semantics.scope import Local
from eosc.semantics.terms import (
    Accumulator,
    Apply,
    AxisIndex,
    Dependence,
    Fold,
    HistorySum,
    LagSum,
    Normalise,
    Pairs,
    Reduce,
    Rope,
    Running,
    Solve,
    Term,
    Type,
    Variable,
)
from eosc.syntax import ast


def call(work: Expressions, node: ast.Call, local: Local) -> Term:
    """A call in a mixer.

    Raises:
        Abandoned: after an error was reported.
    """
    name = work.scope.options.get(node.function.id, node.function.id)
    if name in work.scope.macros:
        return _macro(work, work.scope.macros[name], node, local)
    if name in _SPECIAL:
        return _SPECIAL[name](work, name, node, local)
    if name in builtins.ELEMENTWISE:
        return _elementwise(work, builtins.ELEMENTWISE[name], node, local)
    if name in builtins.WEIGHTED:
        work.findings.fail(
            "E050",
            f"{name}() creates weights: it belongs in a layer, not in the recurrence",
            node.span,
            hint="declare an `arg` here and bind it in `layer(...)`",
        )
    unknown(work, node)


def unknown(work: Expressions, node: ast.Call) -> NoReturn:
    """Report a function that nothing defines."""
    name = node.function.id
    symbol = work.scope.symbols.get(name)
    if symbol is not None:
        work.findings.fail(
            "E012",
            f"'{name}' is a state, not a function",
            node.function.span,
            hint=f"to multiply, write {name}[t] * (...)",
        )
    hint = did_you_mean(name, (*builtins.FUNCTIONS, *work.scope.macros))
    work.findings.fail(
        "E012",
        f"unknown function '{name}'" + (f", {hint}" if hint else ""),
        node.function.span,
        hint=None if hint else "define it above the mixer: def f(x) = ...",
    )


def positional(work: Expressions, node: ast.Call, count: int) -> tuple[ast.Expr, ...]:
    """Exactly `count` arguments without keywords, or an error."""
    for keyword in node.keywords:
        work.findings.fail(
            "E015",
            f"{node.function.id} has no argument named '{keyword.name.id}'",
            keyword.span,
        )
    if len(node.positional) != count:
        given = len(node.positional)
        work.findings.fail(
            "E015",
            f"{node.function.id} takes {count} argument{'s' * (count != 1)}, {given} given",
            node.span,
        )
    return node.positional


def no_subscripts(work: Expressions, node: ast.Call) -> None:
    """Report axes on a function that works elementwise."""
    if node.subscripts:
        work.findings.fail(
            "E015",
            f"{node.function.id} works on each element: it takes no axes",
            node.span,
            hint=f"write {node.function.id}(...)",
        )


def axes_of(work: Expressions, node: ast.Call) -> tuple[ast.Name, ...]:
    """The axes named in the brackets of `f[K, V](...)`."""
    found = []
    for each in node.subscripts:
        if not isinstance(each, ast.Name):
            work.findings.fail("E011", f"{node.function.id}[...] names axes here", each.span)
        work.axis(each)
        found.append(each)
    return tuple(found)


# ---- macros


def _macro(work: Expressions, macro: ast.Macro, node: ast.Call, local: Local) -> Term:
    """Call by value: the body sees the parameters' values and the axes, nothing else.

    A call with the same values gives the same term object, so that macros that call macros cost
    what they say, not what they would expand to.
    """
    no_subscripts(work, node)
    name = macro.name.id
    if name in work.expanding:
        work.findings.fail(
            "E011",
            f"macro '{name}' calls itself",
            node.span,
            labels=(Label(macro.name.span, "defined here"),),
            hint="a recurrence over time is a memory; over an axis, a fold",
        )
    given = positional(work, node, len(macro.parameters))
    values = tuple(work.term(each, local) for each in given)
    key = (name, *(id(each) for each in values), local.sliced)
    if key not in work.expanded:
        names = {each.id: value for each, value in zip(macro.parameters, values, strict=True)}
        work.expanding.append(name)
        try:
            body = work.term(macro.body, Local(names, closed=True, sliced=local.sliced))
        finally:
            work.expanding.pop()
        work.expanded[key] = (body, values)
    return work.expanded[key][0]


# ---- elementwise


def _elementwise(work: Expressions, row: Elementwise, node: ast.Call, local: Local) -> Term:
    no_subscripts(work, node)
    args = tuple(work.term(each, local) for each in positional(work, node, row.arity))
    if not row.accepts_complex:
        work.require_real(args, row.name)
    is_complex = not row.real and any(each.type.complex for each in args)
    return Apply(row.name, args, type=work.union(args, is_complex), span=node.span)


# ---- over named axes


def _reduce(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    if any(isinstance(each, ast.Compare) for each in node.subscripts):
        return _sum_over_time(work, name, node, local)
    axes, arg = _reduced(work, node, local)
    if name == "max":
        work.require_real((arg,), name)
    kept = tuple(axis for axis in arg.type.axes if axis not in axes)
    return Reduce(name, axes, arg, type=replace(arg.type, axes=kept), span=node.span)


def _normalise(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    axes, arg = _reduced(work, node, local)
    work.require_real((arg,), name)
    return Normalise(name, axes, arg, type=arg.type, span=node.span)


def _reduced(work: Expressions, node: ast.Call, local: Local) -> tuple[tuple[str, ...], Term]:
    """The axes and the argument of a reduction or normalisation, checked against each other."""
    name = node.function.id
    (inner,) = positional(work, node, 1)
    names = axes_of(work, node)
    arg = work.term(inner, local)
    if not names:
        if not work.scope.heads:
            shown = ", ".join(arg.type.axes) or "K"
            work.findings.fail(
                "E020",
                f"{name} needs the axes it works over",
                node.span,
                hint=f"write {name}[{shown}](...)",
            )
        return arg.type.axes, arg
    for each in names:
        if each.id not in arg.type.axes:
            has = show_axes(arg.type.axes)
            shown = work.findings.quote(inner.span) or "the argument"
            work.findings.fail(
                "E020",
                f"{name}[{each.id}]: {shown} has axes {has}, there is no {each.id} to reduce",
                node.span,
                labels=(Label(inner.span, f"axes {has}"),) if inner.span != node.span else (),
                hint=f"reduce over one of {has}" if arg.type.axes else "the value is a scalar",
            )
    return work.scope.axes.order(each.id for each in names), arg


def _pairs(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    inverse = name == "flat"
    (inner,) = positional(work, node, 1)
    rename = node.subscripts[0] if len(node.subscripts) == 1 else None
    if not isinstance(rename, ast.Rename):
        shown = "flat[C -> K](z)" if inverse else "pairs[K -> C](x)"
        work.findings.fail("E015", f"{name} names two axes: {shown}", node.span)
    source, target = work.axis(rename.source), work.axis(rename.target)
    arg = work.term(inner, local)
    if source not in arg.type.axes:
        has = show_axes(arg.type.axes)
        work.findings.fail(
            "E020", f"{name}[{source} -> {target}]: the argument has axes {has}", node.span
        )
    reals, pairs = (target, source) if inverse else (source, target)
    if not work.scope.axes.same_size(reals, pairs, factor=2):
        work.findings.fail(
            "E025",
            f"{reals} and {pairs} differ in size: {reals} must be 2 * {pairs}",
            node.span,
            hint=f"declare axes {pairs}, {reals} = 2 * {pairs}",
        )
    if not inverse:
        work.require_real((arg,), name)
    axes = work.scope.axes.order(target if axis == source else axis for axis in arg.type.axes)
    kind = Type(axes, not inverse, arg.type.dependence)
    return Pairs(arg, source, target, inverse, type=kind, span=node.span)


def _rope(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    inner, where = positional(work, node, 2)
    names = axes_of(work, node)
    if len(names) != 1:
        work.findings.fail("E015", "rope works over one axis: rope[K](x, t)", node.span)
    arg, position = work.term(inner, local), work.term(where, local)
    work.require_real((arg, position), name)
    axis = names[0].id
    if axis not in arg.type.axes:
        has = show_axes(arg.type.axes)
        work.findings.fail(
            "E020", f"rope[{axis}]: the argument has axes {has}, there is no {axis}", node.span
        )
    return Rope(arg, axis, position, type=work.union((arg, position)), span=node.span)


def _index(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    no_subscripts(work, node)
    (inner,) = positional(work, node, 1)
    if not isinstance(inner, ast.Name):
        work.findings.fail("E011", "index takes the name of an axis: index(K)", node.span)
    implicit = inner.id == "H" and not work.scope.heads
    axis = "H" if implicit else work.axis(inner)
    return AxisIndex(axis, type=Type(() if implicit else (axis,)), span=node.span)


def _eye(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    work.findings.fail("E015", "eye takes two axes and no argument: eye[K, K']", node.span)


def _solve(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    left, right = positional(work, node, 2)
    names = axes_of(work, node)
    if len(names) != 2:
        work.findings.fail("E015", "solve names rows and columns: solve[K, K'](A, b)", node.span)
    rows, columns = (each.id for each in names)
    matrix, vector = work.term(left, local), work.term(right, local)
    for axis in (rows, columns):
        if axis not in matrix.type.axes:
            has = show_axes(matrix.type.axes)
            work.findings.fail(
                "E020", f"solve[{rows}, {columns}]: the matrix has axes {has}", left.span
            )
    if rows not in vector.type.axes:
        has = show_axes(vector.type.axes)
        work.findings.fail(
            "E020", f"solve[{rows}, {columns}]: the right side has axes {has}", right.span
        )
    if not work.scope.axes.same_size(rows, columns):
        work.findings.fail("E025", f"{rows} and {columns} differ in size", node.span)
    kind = work.union((matrix, vector))
    kept = tuple(axis for axis in kind.axes if axis != columns)
    return Solve(rows, columns, matrix, vector, type=replace(kind, axes=kept), span=node.span)


# ---- over time


def _running(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    no_subscripts(work, node)
    (inner,) = positional(work, node, 1)
    arg = work.term(inner, local)
    if name == "logcumsumexp":
        work.require_real((arg,), name)
    if work.scope.remembers(arg):
        work.findings.fail(
            "E035",
            f"{name} over a memory-dependent value is not an EOS system",
            node.span,
            hint="sum over operands, or write the sum as a memory of its own",
        )
    dependence = max(arg.type.dependence, Dependence.TIME)
    return Running(name, arg, type=replace(arg.type, dependence=dependence), span=node.span)


def _sum_over_time(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    """`sum[s <= t]`, `sum[s < t]`, `sum[t - W < s <= t]` and `sum[n < w]`."""
    (bounds,) = node.subscripts if len(node.subscripts) == 1 else (None,)
    if not isinstance(bounds, ast.Compare) or name != "sum":
        work.findings.fail("E011", "only sum runs over time: sum[s <= t](...)", node.span)
    match bounds.operands, bounds.ops:
        case (ast.Name() as variable, ast.Name(id="t")), (("<" | "<=") as op,):
            return _history(work, node, variable, op == "<=", None, local)
        case (low, ast.Name() as variable, ast.Name(id="t")), (
            ("<" | "<=") as first,
            ("<" | "<=") as op,
        ):
            window = _window(work, low, first == "<=", local)
            return _history(work, node, variable, op == "<=", window, local)
        case (ast.Name() as variable, width), ("<",):
            return _lags(work, node, variable, width, local)
    work.findings.fail(
        "E011",
        "a sum runs over s <= t, s < t, t - W < s <= t, or over lags n < w",
        bounds.span,
    )


def _window(work: Expressions, low: ast.Expr, inclusive: bool, local: Local) -> Term:
    """W of the lower bound `t - W <`; `t - W <=` counts one position more."""
    if not isinstance(low, ast.Binary) or low.op != "-" or low.left != ast.Name("t"):
        work.findings.fail("E011", "a window starts at t - W", low.span)
    width = work.length(low.right, "the width of a window", local)
    if inclusive:
        one = work.term(ast.Number(1, span=low.span))  # type: ignore[arg-type]
        return work.apply("add", (width, one), low.span)
    return width


def _bound(work: Expressions, variable: ast.Name, local: Local) -> None:
    name = variable.id
    if name in builtins.RESERVED:
        work.findings.fail("E004", f"'{name}' is reserved", variable.span)
    symbol = None if local.closed else work.scope.symbols.get(name)
    if symbol is not None or name in local.names or work.scope.is_axis(name):
        what = "an axis" if work.scope.is_axis(name) else "a state"
        labels = (Label(symbol.span, "the state"),) if symbol is not None else ()
        work.findings.fail(
            "E017",
            f"index '{name}' hides {what}",
            variable.span,
            labels=labels,
            hint="choose another letter for the index",
        )


def _history(
    work: Expressions,
    node: ast.Call,
    variable: ast.Name,
    inclusive: bool,
    window: Term | None,
    local: Local,
) -> Term:
    _bound(work, variable, local)
    (inner,) = positional(work, node, 1)
    name = variable.id
    bound = Variable(name, type=Type(dependence=Dependence.TIME), span=variable.span)
    inside = replace(local.bind(name, bound), histories=(*local.histories, name))
    body = work.term(inner, inside)
    kind = replace(body.type, dependence=max(body.type.dependence, Dependence.TIME))
    return HistorySum(name, inclusive, window, body, type=kind, span=node.span)


def _lags(
    work: Expressions, node: ast.Call, variable: ast.Name, width: ast.Expr, local: Local
) -> Term:
    _bound(work, variable, local)
    (inner,) = positional(work, node, 1)
    length = work.length(width, "the number of lags", local)
    known = constant_value(length)
    if known is not None and not (known.denominator == 1 and 1 <= known <= LIMITS.delay):
        work.findings.fail(
            "E014",
            f"the number of lags is a whole number from 1 to {LIMITS.delay}",
            width.span,
        )
    name = variable.id
    bound = Variable(name, type=Type(), span=variable.span)
    widths = local.widths if known is None else (*local.widths, (name, int(known)))
    inside = replace(local.bind(name, bound), lags=(*local.lags, name), widths=widths)
    body = work.term(inner, inside)
    return LagSum(name, length, body, type=body.type, span=node.span)


# ---- folds


def _fold(work: Expressions, name: str, node: ast.Call, local: Local) -> Term:
    names = axes_of(work, node)
    if len(names) != 1 or len(node.keywords) != 1 or len(node.positional) != 1:
        work.findings.fail(
            "E015", "a fold has one axis, a start and a body: fold[R](S = start, body)", node.span
        )
    axis, start = names[0].id, node.keywords[0]
    accumulator = start.name.id
    _bound(work, start.name, local)
    init = work.term(start.value, local)
    if axis in init.type.axes:
        work.findings.fail(
            "E023",
            f"the start of a fold over {axis} has axes {show_axes(init.type.axes)}:"
            f" {{{axis}}} left over",
            start.value.span,
            hint=f"the value that is carried has no axis {axis}",
        )
    inside = replace(local, sliced=local.sliced | {axis})
    kind = init.type
    # A body may widen what it started from (`S = 0`); the carried value then has the wider type.
    for _ in range(3):
        value = Accumulator(accumulator, type=kind, span=start.span)
        body = work.term(node.positional[0], inside.bind(accumulator, value))
        wider = work.union((value, body))
        if wider == kind:
            break
        kind = wider
    return Fold(axis, accumulator, init, body, type=kind, span=node.span)


_SPECIAL: dict[str, Callable[[Expressions, str, ast.Call, Local], Term]] = {
    **dict.fromkeys(builtins.REDUCTIONS, _reduce),
    **dict.fromkeys(builtins.NORMALISATIONS, _normalise),
    **dict.fromkeys(builtins.RUNNING, _running),
    "pairs": _pairs,
    "flat": _pairs,
    "rope": _rope,
    "index": _index,
    "eye": _eye,
    "solve": _solve,
    "fold": _fold,
}
