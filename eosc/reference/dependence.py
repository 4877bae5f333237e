"""What a term depends on: which names, and which variables are bound outside it."""

from __future__ import annotations

from collections.abc import Iterator

import networkx

from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import (
    Accumulator,
    AxisIndex,
    Eye,
    Fold,
    HistorySum,
    KernelAt,
    LagSum,
    Read,
    Term,
    Variable,
    children,
    walk,
)


class FreeSymbols:
    """The symbols that a term takes from outside, remembered per term.

    A symbol is `("name", x)` for a declaration, `("variable", n)`, `("accumulator", S)` or
    `("axis", R)` for a tensor with that axis (which an enclosing fold would slice).
    """

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._found: dict[int, frozenset[tuple[str, str]]] = {}

    def __call__(self, term: Term) -> frozenset[tuple[str, str]]:
        """The free symbols of a term."""
        found = self._found.get(id(term))
        if found is None:
            found = self._found[id(term)] = self._compute(term)
        return found

    def _compute(self, term: Term) -> frozenset[tuple[str, str]]:
        own: set[tuple[str, str]] = set()
        match term:
            case Read(name=name, at=at):
                own = {("name", name), *self._axes(name)}
                if at is not None:
                    if at.variable != "t":
                        own.add(("variable", at.variable))
                    if at.lag is not None:
                        own.add(("variable", at.lag))
            case KernelAt(name=name):
                own = {("name", name), *self._axes(name)}
            case Variable(name=name):
                own = {("variable", name)}
            case Accumulator(name=name):
                own = {("accumulator", name)}
            case AxisIndex(axis=axis):
                own = {("axis", axis)}
            case Eye(rows=rows, columns=columns):
                own = {("axis", rows), ("axis", columns)}
            case Fold(axis=axis, accumulator=accumulator, init=init, body=body):
                inner = self(body) - {("axis", axis), ("accumulator", accumulator)}
                return inner | self(init)
        found = frozenset(own).union(*(self(child) for child in children(term)))
        if isinstance(term, HistorySum | LagSum):
            found = found - {("variable", term.variable)}
        return found

    def _axes(self, name: str) -> Iterator[tuple[str, str]]:
        declaration = self._mixer.by_name.get(name)  # a readout of a plan has none
        for axis in () if declaration is None else declaration.type.axes:
            yield ("axis", axis)


def groups(mixer: Mixer) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """The defined names in an order in which whole sequences can be evaluated.

    A group is the names that read each other (memories and the helpers between them), in the
    order of one step, and True when it is a cycle: then it must be run step by step.
    """
    graph = networkx.DiGraph()
    defined = [each for each in mixer.declarations if each.value is not None]
    for declaration in defined:
        graph.add_node(declaration.name)
        for source in (declaration.value, declaration.initial):
            for term in () if source is None else walk(source):
                if isinstance(term, Read | KernelAt):
                    graph.add_edge(term.name, declaration.name)
    place = {name: index for index, name in enumerate(mixer.order)}
    last = len(place)
    condensed = networkx.condensation(graph)
    members = {
        node: sorted(
            condensed.nodes[node]["members"], key=lambda name: (place.get(name, last), name)
        )
        for node in condensed
    }
    ordered = networkx.lexicographical_topological_sort(
        condensed, key=lambda node: (place.get(members[node][0], last), members[node][0])
    )
    found = []
    for node in ordered:
        names = tuple(
            name
            for name in members[node]
            if mixer.by_name[name].value is not None and mixer.by_name[name].kind is not Kind.KERNEL
        )
        if names:
            cyclic = len(names) > 1 or graph.has_edge(names[0], names[0])
            found.append((names, cyclic))
    return tuple(found)
