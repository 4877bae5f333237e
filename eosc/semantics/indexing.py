"""Indices: renamed axes (`x[K']`), times (`x[t-1]`), lags of a kernel (`h[t-s]`).

Time rules are checked here: causality (E030), memories at t and t-1 (E031, E032), delays of
memory-free states only (E033), states that read their own past (E034).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from eosc.diagnostics import Label, Span, did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.axes import base_of, show_axes
from eosc.semantics.model import Kind
from eosc.semantics.scope import Local, Symbol
from eosc.semantics.terms import At, Eye, KernelAt, Rename, Term, Type
from eosc.semantics.timing import Affine, affine
from eosc.syntax import ast

if TYPE_CHECKING:
    from eosc.semantics.expressions import Expressions


def index(work: Expressions, node: ast.Index, local: Local) -> Term:
    """The term of `x[...]`: axes are renamed, times and lags resolved.

    Raises:
        Abandoned: after an error was reported.
    """
    if isinstance(node.base, ast.Name) and node.base.id == "eye":
        return _eye(work, node)
    if _is_renaming(work, node, local):
        return _rename(work, node, local)
    if len(node.items) != 1 or isinstance(node.items[0], ast.Rename):
        work.findings.fail("E011", "an index is one time, or axes", node.span)
    index = node.items[0]
    if not isinstance(node.base, ast.Name) or node.base.id in local.names:
        work.findings.fail(
            "E011",
            "only a named state has a past: an expression cannot be indexed by time",
            node.span,
            hint="give the expression a name, then index that",
        )
    base = node.base
    if base.id not in work.scope.symbols and (
        base.id in ("t", "H", *builtins.CONSTANTS) or work.scope.is_axis(base.id)
    ):
        work.findings.fail("E011", f"'{base.id}' is not a state: it has no index", node.span)
    known = work.scope.symbols.get(base.id)
    if known is not None and known.kind is Kind.KERNEL and not local.closed:
        return _kernel(work, work.symbol(base, local), index, local, node.span)
    return _timed(work, node, base, index, local)


def _is_renaming(work: Expressions, node: ast.Index, local: Local) -> bool:
    return all(
        isinstance(item, ast.Rename)
        or (
            isinstance(item, ast.Name)
            and item.id not in ("t", *local.histories, *local.lags)
            and (
                work.scope.is_axis(item.id)
                or item.id.endswith("'")
                or (item.id[:1].isupper() and item.id not in work.scope.symbols)
            )
        )
        for item in node.items
    )


def _rename(work: Expressions, node: ast.Index, local: Local) -> Term:
    term = work.term(node.base, local)
    for item in node.items:
        if isinstance(item, ast.Rename):
            source, target = item.source, item.target
        else:
            assert isinstance(item, ast.Name)
            source, target = _implied_source(work, item, term), item
        term = _renamed(work, term, source, target, node.span)
    return term


def _implied_source(work: Expressions, target: ast.Name, term: Term) -> ast.Name:
    """`x[K']` renames K; where x has no K but another copy of it, that one."""
    base = base_of(target.id)
    copies = [axis for axis in term.type.axes if base_of(axis) == base]
    name = base if base in copies or len(copies) != 1 else copies[0]
    return ast.Name(name, span=target.span)


def _renamed(work: Expressions, term: Term, source: ast.Name, target: ast.Name, span: Span) -> Term:
    for each in (source, target):
        work.axis(each)
    old, new, axes = source.id, target.id, term.type.axes
    if old == new and old in axes:
        return term
    if old not in axes:
        work.findings.fail(
            "E022",
            f"cannot rename axis {old}: the value has axes {show_axes(axes)}",
            span,
            label=f"axes {show_axes(axes)}",
        )
    if new in axes:
        work.findings.fail(
            "E022",
            f"cannot rename axis {old} to {new}: the value already has an axis {new}",
            span,
            hint=f"use a further copy, {new}'",
        )
    if not work.scope.axes.same_size(old, new):
        work.findings.fail(
            "E025",
            f"{old} and {new} differ in size",
            span,
            hint=_size_hint(work, old, new),
        )
    kept = [new if axis == old else axis for axis in axes]
    kind = replace(term.type, axes=work.scope.axes.order(kept))
    return Rename(term, old, new, type=kind, span=span)


def _size_hint(work: Expressions, old: str, new: str) -> str | None:
    if work.scope.axes.same_size(old, new, factor=2):
        return f"pairs[{old} -> {new}](...) makes {new} complex numbers of {old} reals"
    if work.scope.axes.axes[base_of(new)].size is None:
        equal = f"{base_of(old)}, {base_of(new)} = {base_of(old)}"
        return f"declare `axes {equal}` if they are equal"
    return None


def _eye(work: Expressions, node: ast.Index) -> Term:
    names = [each for each in node.items if isinstance(each, ast.Name)]
    if len(names) != 2 or len(node.items) != 2:
        work.findings.fail("E015", "eye takes two axes: eye[K, K']", node.span)
    rows, columns = (work.axis(each) for each in names)
    if not work.scope.axes.same_size(rows, columns):
        work.findings.fail("E025", f"{rows} and {columns} differ in size", node.span)
    kind = Type(work.scope.axes.order((rows, columns)))
    return Eye(rows, columns, type=kind, span=node.span)


# ---- time


def _kernel(work: Expressions, symbol: Symbol, index: ast.Expr, local: Local, span: Span) -> Term:
    assert symbol.type is not None
    variables = ("t", *local.histories, *local.lags)
    form = affine(index, variables)
    lag = work.term(index, local)
    if form is not None and not form.coefficients and form.constant < 0:
        work.findings.fail("E014", "a lag is 0 or more", index.span)
    if symbol.taps is not None:
        _check_taps(work, symbol, form, local, span)
    dependence = max(symbol.type.dependence, lag.type.dependence)
    kind = replace(symbol.type, dependence=dependence)
    return KernelAt(symbol.name, lag, type=kind, span=span)


def _check_taps(
    work: Expressions, symbol: Symbol, form: Affine | None, local: Local, span: Span
) -> None:
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
        work.findings.fail(
            "E014",
            f"{symbol.name}[{largest}] is out of range: the kernel has {symbol.taps} taps",
            span,
            labels=(Label(symbol.span, f"lags 0 to {symbol.taps - 1}"),),
        )


def _timed(
    work: Expressions, node: ast.Index, base: ast.Name, index: ast.Expr, local: Local
) -> Term:
    at = _at(work, base, index, local, node.span)
    _check_past(work, base, at, local, node.span)
    symbol = work.symbol(base, local)
    if symbol.kind is Kind.MEMORY:
        return _memory(work, symbol, at, local, node.span)
    if symbol.kind is Kind.CONFIG:
        work.findings.fail(
            "E011",
            f"'{symbol.name}' is a number, not a signal: it has no index",
            node.span,
            hint=f"write {symbol.name}",
        )
    if not symbol.timed:
        if at != At():
            work.findings.fail(
                "E011",
                f"'{symbol.name}' does not vary in time: it has no past",
                node.span,
                hint=f"write {symbol.name}",
            )
        return work.read(symbol, None, local, node.span)
    if symbol.remembers and (at.offset or at.lag):
        work.findings.fail(
            "E033",
            f"'{symbol.name}' depends on a memory and is read at a delay",
            node.span,
            hint="only operands and memory-free states may be delayed;"
            " a value kept from the step before is a memory",
        )
    if symbol.remembers and at.variable != "t":
        _history_over_memory(work, symbol.name, node.span)
    return work.read(symbol, at, local, node.span)


def _at(work: Expressions, base: ast.Name, index: ast.Expr, local: Local, span: Span) -> At:
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
        _bad_index(work, base, index, span)
    if form.constant > 0 or any(form.coefficients[name] == 1 for name in lags):
        shift = f"+{form.constant}" if form.constant > 0 else f"+{lags[0]}"
        work.findings.fail(
            "E030",
            f"non-causal reference {base.id}[{now[0]}{shift}]:"
            " a mixer may read the present and the past only",
            span,
            hint=f"write {base.id}[{now[0]}], or {base.id}[{now[0]}-1]",
        )
    if -form.constant > LIMITS.delay:
        work.findings.fail("E014", f"delays go up to {LIMITS.delay}", index.span)
    return At(now[0], -form.constant, lags[0] if lags else None)


def _bad_index(work: Expressions, base: ast.Name, index: ast.Expr, span: Span) -> NoReturn:
    number = affine(index, ())
    symbol = work.scope.symbols.get(base.id)
    if number is not None:
        work.findings.fail(
            "E014",
            f"'{base.id}' cannot be read at a fixed position",
            span,
            hint=f"write {base.id}[t], or {base.id}[t-1] for the step before",
        )
    if isinstance(index, ast.Name) and symbol is not None:
        hint = did_you_mean(index.id, work.scope.axes.names)
        work.findings.fail(
            "E021",
            f"'{index.id}' is neither a time nor an axis",
            index.span,
            hint=hint or f"write {base.id}[t]",
        )
    work.findings.fail(
        "E011",
        "a time index is t, a constant delay t-2, or the index of a sum",
        index.span,
    )


def _check_past(work: Expressions, base: ast.Name, at: At, local: Local, span: Span) -> None:
    """A state that reads its own past is a memory, declared or not."""
    name = base.id
    known = work.scope.symbols.get(name)
    if name in work.scope.memories or local.closed:
        return
    own = name == work.scope.current
    pending = known is None and name in work.scope.later and (at.offset or at.lag)
    if own or pending:
        target = work.scope.current if own else name
        work.findings.fail(
            "E034",
            f"'{target}[t]' refers to its own past, so it is a memory"
            if own
            else f"'{name}' is carried from an earlier step to this one, so it is a memory",
            span,
            hint=f"declare it above: memory {name}: {_axes_hint(work, name)}".rstrip(": "),
        )


def _axes_hint(work: Expressions, name: str) -> str:
    return ", ".join(work.scope.axes.names) or "..."


def _memory(work: Expressions, symbol: Symbol, at: At, local: Local, span: Span) -> Term:
    name = symbol.name
    if at.variable != "t":
        _history_over_memory(work, name, span)
    if at.lag is not None:
        work.findings.fail("E032", f"memory '{name}' can be read at t and t-1 only", span)
    if at.offset > 1:
        work.findings.fail(
            "E032",
            f"memory '{name}' is read at t-{at.offset}; only t and t-1 are kept",
            span,
            hint=f"keep a second memory that holds {name}[t-1]",
        )
    if at.offset == 0 and not symbol.defined:
        work.findings.fail(
            "E031",
            f"{name}[t] is read before the equation that defines it",
            span,
            hint=f"did you mean {name}[t-1]?",
        )
    return work.read(symbol, at, local, span)


def _history_over_memory(work: Expressions, name: str, span: Span) -> NoReturn:
    work.findings.fail(
        "E035",
        f"a history sum over the memory-dependent '{name}' is not an EOS system",
        span,
        hint="sum over operands, or write the sum as a memory of its own",
    )
