"""Pictures of a mixer's graph of states: mermaid, dot, svg, html; and the graph itself as JSON.

Nodes are declarations, edges data dependences; an edge that crosses a step is dashed and says from
when it reads. Everything that comes from the specification is escaped for its format.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from eosc.diagnostics import sanitise
from eosc.report.drawing import html_page, svg
from eosc.semantics.graph import Edge, EdgeKind, StateGraph
from eosc.semantics.model import Declaration, Kind
from eosc.semantics.terms import Dependence

_SHAPES = {Kind.MEMORY: "cylinder", Kind.OUTPUT: "oval", Kind.OPERAND: "box"}


def label(declaration: Declaration) -> tuple[str, str]:
    """The two lines of a node: the name with its axes, and its part."""
    kind = declaration.type
    axes = f": {', '.join(kind.axes)}" if kind.axes else ""
    index = "" if kind.dependence is Dependence.STATIC else "[t]"
    number = " complex" if kind.complex else ""
    part = str(declaration.role) or str(declaration.kind)
    return sanitise(f"{declaration.name}{index}{axes}{number}"), sanitise(part)


def crosses(edge: Edge) -> bool:
    """Whether the edge reads an earlier step."""
    return edge.kind is EdgeKind.HISTORY or edge.delay > 0


def to_mermaid(graph: StateGraph) -> str:
    """A mermaid flowchart."""
    ids = _ids(graph)
    lines = ["flowchart LR"]
    for each in graph.nodes:
        text = "<br/>".join(_mermaid(line) for line in label(each))
        left, right = {Kind.MEMORY: ("[(", ")]"), Kind.OUTPUT: ("([", "])")}.get(
            each.kind, ("[", "]")
        )
        lines.append(f'    {ids[each.name]}{left}"{text}"{right}')
    for edge in graph.edges:
        arrow = f"-. {_mermaid(edge.label)} .->" if crosses(edge) else "-->"
        lines.append(f"    {ids[edge.source]} {arrow} {ids[edge.target]}")
    return "\n".join(lines) + "\n"


def to_dot(graph: StateGraph) -> str:
    """A graph for graphviz."""
    ids = _ids(graph)
    lines = [f"digraph {_dot(graph.mixer.name)} {{", "    rankdir=LR;", "    node [shape=box];"]
    for each in graph.nodes:
        text = "\\n".join(_dot(line)[1:-1] for line in label(each))
        shape = _SHAPES.get(each.kind, "box")
        style = ", style=dashed" if each.type.dependence is Dependence.STATIC else ""
        lines.append(f'    {ids[each.name]} [label="{text}", shape={shape}{style}];')
    for edge in graph.edges:
        extra = f" [style=dashed, label={_dot(edge.label)}]" if crosses(edge) else ""
        lines.append(f"    {ids[edge.source]} -> {ids[edge.target]}{extra};")
    return "\n".join([*lines, "}"]) + "\n"


def record(graph: StateGraph) -> dict[str, Any]:
    """The graph as data."""
    return {
        "mixer": graph.mixer.name,
        "nodes": [
            {
                "name": each.name,
                "kind": str(each.kind),
                "role": str(each.role),
                "axes": list(each.type.axes),
                "complex": each.type.complex,
                "dependence": each.type.dependence.name.lower(),
            }
            for each in graph.nodes
        ],
        "edges": [
            {
                "source": each.source,
                "target": each.target,
                "kind": str(each.kind),
                "delay": each.delay,
            }
            for each in graph.edges
        ],
        "stages": [list(group) for group in graph.memory_groups],
    }


def to_json(graph: StateGraph) -> str:
    """The graph as JSON text."""
    return json.dumps(record(graph), indent=2, ensure_ascii=True) + "\n"


def to_svg(graph: StateGraph) -> str:
    """A drawing."""
    return svg(graph, label, crosses)


def to_html(graph: StateGraph) -> str:
    """A page of its own: the drawing and a table of the states; it loads nothing."""
    return html_page(graph, label, crosses)


FORMATS: dict[str, Callable[[StateGraph], str]] = {
    "mermaid": to_mermaid,
    "dot": to_dot,
    "svg": to_svg,
    "json": to_json,
    "html": to_html,
}


def _ids(graph: StateGraph) -> dict[str, str]:
    return {each.name: f"n{index}" for index, each in enumerate(graph.nodes)}


def _mermaid(text: str) -> str:
    """Text of a label: whatever mermaid might read as syntax becomes an entity code."""
    plain = set(" []:,._-'()")
    return "".join(c if c.isalnum() or c in plain else f"#{ord(c)};" for c in text)


def _dot(text: str) -> str:
    """A quoted string of dot."""
    return '"' + sanitise(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
