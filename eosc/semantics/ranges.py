"""Ranges: written ones are assumptions on operands and claims on defined states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from types import MappingProxyType

from eosc.algebra.interval import REAL, Interval
from eosc.semantics.declarations import Draft, Reader
from eosc.semantics.findings import Abandoned, Findings
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.scalars import NONNEGATIVE, Scalars
from eosc.syntax import ast


def infer_ranges(
    declarations: Sequence[Declaration],
    reader: Reader,
    findings: Findings,
    given: Mapping[str, Interval] = MappingProxyType({}),
) -> tuple[tuple[Declaration, ...], Scalars]:
    """The declarations with `declared` and `inferred` filled in, and the scalars of the states.

    Reports claims that interval analysis cannot show (E061).

    Args:
        declarations: of a mixer or a layer.
        reader: that read them; it knows the ranges as written.
        findings: where claims that cannot be shown go.
        given: ranges of names that are declared elsewhere (a layer's options).
    """
    scalars = Scalars({each.name: each for each in declarations}, findings.work)
    for name, range in given.items():
        scalars.given(name, range)
    declared: dict[str, Interval] = {}
    inferred: dict[str, Interval] = {}
    for name in _evaluation_order(declarations, reader.order):
        draft = reader.drafts[name]
        written = _written(draft, reader, scalars, findings)
        if written is not None:
            declared[name] = written
        inferred[name] = _infer(draft, written, scalars, findings)
    ranged = tuple(
        replace(each, declared=declared.get(each.name), inferred=inferred[each.name])
        for each in declarations
    )
    return ranged, scalars


def _evaluation_order(declarations: Sequence[Declaration], order: Sequence[str]) -> tuple[str, ...]:
    """First what is given, then definitions in the order of one step."""
    defined = set(order)
    return (*(each.name for each in declarations if each.name not in defined), *order)


def _infer(
    draft: Draft, written: Interval | None, scalars: Scalars, findings: Findings
) -> Interval:
    anything = NONNEGATIVE if draft.type.complex else REAL
    if draft.value is None or draft.kind is Kind.MEMORY:
        range = anything if written is None else written.intersect(anything) or anything
        scalars.given(draft.name, range)
        return range
    range = scalars.define(draft.name, draft.value)
    if draft.kind is Kind.KERNEL:
        scalars.settle(draft.name, range)
    if written is None or range.within(written):
        return range
    what = "modulus of " if draft.type.complex else ""
    findings.add(
        "E061",
        f"the claimed range {written} of {what}'{draft.name}' cannot be shown: inferred {range}",
        draft.span if draft.value_span is None else draft.value_span,
        label=f"in {range}",
        hint=_advice(written, range),
    )
    known = written.intersect(range) or written
    scalars.settle(draft.name, known)
    return known


def _advice(written: Interval, range: Interval) -> str:
    if range.lo == -inf or range.hi == inf:
        return "give the operands it is made of a range, or bound it (sigmoid, softplus, clamp)"
    if written.lo <= range.lo and range.hi <= written.hi:
        return f"an end may be reached: write {range}"
    return f"write {range}, or change the definition"


def _written(draft: Draft, reader: Reader, scalars: Scalars, findings: Findings) -> Interval | None:
    if draft.range is None:
        return None
    try:
        return written_range(draft.range, f"'{draft.name}'", reader, scalars)
    except Abandoned:
        return None


def written_range(node: ast.Range, what: str, reader: Reader, scalars: Scalars) -> Interval:
    """The range as the text gives it; its ends are static expressions.

    Raises:
        Abandoned: after an error was reported.
    """
    try:
        if isinstance(node, ast.Bound):
            point = _end(node.value, reader, scalars)
            end = point.lo if node.op in (">", ">=") else point.hi
            return Interval.compared(node.op, end)
        low, high = _end(node.low, reader, scalars), _end(node.high, reader, scalars)
        return Interval(low.lo, high.hi, node.low_open, node.high_open)
    except ValueError:
        reader.findings.fail(
            "E061",
            f"the range of {what} is empty",
            node.span,
            hint="write the smaller end first: in (0, 1)",
        )


def _end(node: ast.Expr, reader: Reader, scalars: Scalars) -> Interval:
    term = reader.work.static(node, "the end of a range")
    return scalars.bound(scalars.real(term))
