"""Which statement each comment belongs to.

A comment on a line of its own belongs to the statement below it, or, where it stands further in
than that statement, to the end of the block it closes. A comment beside code belongs to the
statement it stands beside; if a statement has several, the earlier ones move above it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from eosc.syntax import ast


@dataclass(slots=True)
class Attached:
    """Comments by the identity of the node they belong to."""

    above: dict[int, list[ast.Comment]] = field(default_factory=dict)
    beside: dict[int, ast.Comment] = field(default_factory=dict)
    at_end: dict[int, list[ast.Comment]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """A statement, its block, and the block's column."""

    node: ast.Node
    owners: tuple[tuple[ast.Node, int], ...]


def attach(module: ast.Module) -> Attached:
    """Attach every comment of a module to one of its statements or blocks."""
    places = _places(module)
    starts = [place.node.span.start for place in places]
    attached = Attached()
    beside: dict[int, list[ast.Comment]] = {}
    for comment in module.comments:
        index = bisect_right(starts, comment.span.start) - 1
        inside = index >= 0 and comment.span.start < places[index].node.span.end
        leaf = index >= 0 and not statements(places[index].node)
        if index >= 0 and not comment.own_line:
            beside.setdefault(id(places[index].node), []).append(comment)
        elif inside and leaf:
            attached.above.setdefault(id(places[index].node), []).append(comment)
        else:
            below = places[index + 1].node if index + 1 < len(places) else None
            if below is not None and comment.span.column <= below.span.column:
                attached.above.setdefault(id(below), []).append(comment)
            else:
                owner = _closed_block(module, places[index] if index >= 0 else None, comment)
                attached.at_end.setdefault(id(owner), []).append(comment)
    for key, comments in beside.items():
        attached.beside[key] = comments.pop()
        if comments:
            above = [*attached.above.get(key, ()), *comments]
            attached.above[key] = sorted(above, key=lambda comment: comment.span.start)
    return attached


def statements(node: ast.Node) -> tuple[ast.Node, ...]:
    """The statements in the block of a node, docstring first; empty for a one-line statement."""
    doc: ast.Docstring | None = None
    body: tuple[ast.Node, ...] = ()
    match node:
        case ast.Module():
            doc, body = node.doc, node.items
        case ast.Mixer() | ast.Family() | ast.Layer() | ast.Block() | ast.Model() | ast.Theorem():
            doc, body = node.doc, node.body
        case ast.Grid():
            doc, body = node.doc, node.rows
        case ast.Match():
            body = node.cases
        case ast.Case():
            body = node.body
        case ast.Stack():
            body = node.items
        case ast.Claim() if not is_inline(node):
            body = node.bindings
    return (*((doc,) if doc is not None else ()), *body)


def is_inline(claim: ast.Claim) -> bool:
    """Whether the bindings of a claim were written on its own line."""
    return not claim.bindings or claim.bindings[0].span.line == claim.right.span.end_line


def _places(module: ast.Module) -> list[_Place]:
    places: list[_Place] = []
    pending: list[_Place] = [_Place(module, ())]
    while pending:
        place = pending.pop()
        if place.node is not module:
            places.append(place)
        body = statements(place.node)
        if body:
            owners = ((place.node, body[0].span.column), *place.owners)
            pending += [_Place(node, owners) for node in reversed(body)]
    return places


def _closed_block(module: ast.Module, last: _Place | None, comment: ast.Comment) -> ast.Node:
    """The innermost block around the last statement that is not further in than the comment."""
    if last is not None:
        body = statements(last.node)
        owners = last.owners if not body else ((last.node, body[0].span.column), *last.owners)
        for owner, column in owners:
            if column <= comment.span.column:
                return owner
    return module
