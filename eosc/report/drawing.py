"""A layered drawing of a graph of states as SVG, and a page around it.

Layers follow the dependences within one step; inside a layer, nodes are moved next to what they
are connected to (a few barycentre sweeps). Edges that cross a step bend below their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import networkx as nx

from eosc.diagnostics import sanitise
from eosc.semantics.graph import Edge, StateGraph
from eosc.semantics.model import Declaration, Kind

_HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 44, 64, 28, 24
_CHARACTER = 7.4
_SWEEPS = 4
_COLORS = {
    Kind.MEMORY: "#fde7c7",
    Kind.OUTPUT: "#d8f0d8",
    Kind.OPERAND: "#dce9fb",
    Kind.STATE: "#f4f4f4",
}
_OTHER = "#ececec"

Label = Callable[[Declaration], tuple[str, str]]
Crosses = Callable[[Edge], bool]


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place: its top left corner and its width."""

    x: float
    y: float
    width: float


def layers(graph: StateGraph) -> list[list[str]]:
    """The nodes in layers: every dependence within a step goes to a later layer."""
    flow = nx.DiGraph()
    flow.add_nodes_from(each.name for each in graph.nodes)
    rank = {each.name: index for index, each in enumerate(graph.nodes)}
    # Every dependence within a step goes forward in the order of evaluation; a read of the last
    # step is taken along where it does too, and bends backwards where it does not.
    done = {name: index for index, name in enumerate(graph.mixer.order)}
    for edge in graph.edges:
        if done.get(edge.source, -1) < done.get(edge.target, -1):
            flow.add_edge(edge.source, edge.target)
    found = [sorted(layer, key=rank.__getitem__) for layer in nx.topological_generations(flow)]
    for sweep in range(_SWEEPS):
        order = range(1, len(found)) if sweep % 2 == 0 else range(len(found) - 2, -1, -1)
        step = -1 if sweep % 2 == 0 else 1
        for index in order:
            found[index] = _settled(found[index], found[index + step], flow, step)
    return found


def _settled(layer: list[str], fixed: list[str], flow: nx.DiGraph, step: int) -> list[str]:
    """The layer, sorted by the mean place of each node's neighbours in the fixed layer."""
    place = {name: index for index, name in enumerate(fixed)}

    def centre(name: str) -> float:
        near = flow.predecessors(name) if step < 0 else flow.successors(name)
        found = [place[each] for each in near if each in place]
        return sum(found) / len(found) if found else layer.index(name)

    keys = {name: (centre(name), index) for index, name in enumerate(layer)}
    return sorted(layer, key=keys.__getitem__)


def placed(graph: StateGraph, label: Label) -> dict[str, Box]:
    """The place of each node."""
    by_name = {each.name: each for each in graph.nodes}
    found: dict[str, Box] = {}
    ordered = layers(graph)
    tallest = max(map(len, ordered), default=0)
    x = float(_MARGIN)
    for layer in ordered:
        width = max(24 + _CHARACTER * max(map(len, label(by_name[name]))) for name in layer)
        y = _MARGIN + (tallest - len(layer)) * (_HEIGHT + _GAP_Y) / 2
        for name in layer:
            found[name] = Box(x, y, width)
            y += _HEIGHT + _GAP_Y
        x += width + _GAP_X
    return found


def svg(graph: StateGraph, label: Label, crosses: Crosses) -> str:
    """The drawing as an SVG document."""
    boxes = placed(graph, label)
    width = max((box.x + box.width for box in boxes.values()), default=0) + _MARGIN
    height = max((box.y + _HEIGHT for box in boxes.values()), default=0) + _MARGIN + _GAP_Y
    name = _text(graph.mixer.name)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="graph of {name}" '
        'font-family="ui-monospace, monospace" font-size="12">',
        f"<title>{name}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
    ]
    lines += [_edge(edge, boxes, crosses(edge)) for edge in graph.edges]
    lines += [_node(each, boxes[each.name], label(each)) for each in graph.nodes]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _node(declaration: Declaration, box: Box, text: tuple[str, str]) -> str:
    color = _COLORS.get(declaration.kind, _OTHER)
    radius = 20 if declaration.kind is Kind.OUTPUT else 6
    middle = box.x + box.width / 2
    return (
        f'<g><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{_HEIGHT}" '
        f'rx="{radius}" fill="{color}" stroke="#555"/>'
        f'<text x="{middle:.1f}" y="{box.y + 19:.1f}" text-anchor="middle">{_text(text[0])}</text>'
        f'<text x="{middle:.1f}" y="{box.y + 35:.1f}" text-anchor="middle" fill="#666" '
        f'font-size="10">{_text(text[1])}</text></g>'
    )


def _edge(edge: Edge, boxes: Mapping[str, Box], dashed: bool) -> str:
    start, end = boxes[edge.source], boxes[edge.target]
    color, dashes = ("#b05a00", ' stroke-dasharray="4 3"') if dashed else ("#555", "")
    if start.x + start.width <= end.x:
        x1, y1 = start.x + start.width, start.y + _HEIGHT / 2
        x2, y2 = end.x, end.y + _HEIGHT / 2
        bend = max(24.0, (x2 - x1) / 2)
        leave, arrive = f"{x1 + bend:.1f} {y1:.1f}", f"{x2 - bend:.1f} {y2:.1f}"
        low = (y1 + y2) / 2 - 4
    else:
        x1, y1 = start.x + start.width * 0.7, start.y + _HEIGHT
        x2, y2 = end.x + end.width * 0.3, end.y + _HEIGHT
        low = max(y1, y2) + 18
        leave, arrive = f"{x1:.1f} {low + 8:.1f}", f"{x2:.1f} {low + 8:.1f}"
    path = f"M{x1:.1f} {y1:.1f}C{leave} {arrive} {x2:.1f} {y2:.1f}"
    line = f'<path d="{path}" fill="none" stroke="{color}"{dashes} marker-end="url(#tip)"/>'
    if not dashed:
        return line
    return (
        f'{line}<text x="{(x1 + x2) / 2:.1f}" y="{low:.1f}" fill="{color}" '
        f'text-anchor="middle" font-size="10">{_text(edge.label)}</text>'
    )


def _text(text: str) -> str:
    """Text between tags or in a quoted attribute, without control characters."""
    return escape(" ".join(sanitise(line) for line in text.split("\n")))


_STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem;max-width:72rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;"
    "border-bottom:1px solid #ddd}td:first-child{font-family:ui-monospace,monospace}"
    ".drawing{overflow-x:auto}"
)


def html_page(graph: StateGraph, label: Label, crosses: Crosses) -> str:
    """A page with the drawing and a table of the states; it loads nothing from elsewhere."""
    name, doc = _text(graph.mixer.name), _text(graph.mixer.doc.strip())
    rows = []
    for each in graph.nodes:
        cells = (
            *label(each),
            each.type.dependence.name.lower(),
            ", ".join(graph.sources(each.name)),
        )
        rows.append("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells) + "</tr>")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{name}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{name}</h1><p>{doc}</p>",
            f'<div class="drawing">{svg(graph, label, crosses)}</div>',
            "<table><tr><th>state</th><th>part</th><th>varies</th><th>reads</th></tr>",
            *rows,
            "</table></body></html>",
            "",
        ]
    )
