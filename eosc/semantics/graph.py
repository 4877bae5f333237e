"""The graph of states: what each declaration needs, and from which step.

Nodes are the declarations of a mixer; an edge leads from what is read to what reads it. Memories
that reach each other (through helpers) form a group; groups in topological order are the stages.

Supported: every mixer that elaborates. Not supported: layers, blocks and models.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import KernelAt, Read, Running, Term, walk

if TYPE_CHECKING:
    import networkx as nx


class EdgeKind(StrEnum):
    """How one step reads another value.

    STATIC: a value that does not vary in time. DELAY: the value `delay` steps earlier (0: now).
    HISTORY: all earlier values, through a history sum, a lag sum or a running sum.
    """

    STATIC = "static"
    DELAY = "delay"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """`target` reads `source`. `label` is `t`, `t-1`, `history` or empty for a static value."""

    source: str
    target: str
    kind: EdgeKind
    delay: int = 0

    @property
    def label(self) -> str:
        """As pictures write it."""
        if self.kind is EdgeKind.DELAY:
            return f"t-{self.delay}" if self.delay else "t"
        return "history" if self.kind is EdgeKind.HISTORY else ""


class StateGraph:
    """The data dependences of one mixer, with deterministic iteration in the order of the text."""

    def __init__(self, mixer: Mixer) -> None:
        self.mixer = mixer
        self._rank = {each.name: rank for rank, each in enumerate(mixer.declarations)}

    @cached_property
    def graph(self) -> nx.MultiDiGraph:
        """The networkx graph: nodes carry their declaration's attributes, edges kind and delay."""
        import networkx as nx  # a fifth of a second that most checks need not spend

        graph = nx.MultiDiGraph()
        for each in self.mixer.declarations:
            graph.add_node(
                each.name,
                kind=each.kind,
                role=each.role,
                axes=each.type.axes,
                complex=each.type.complex,
                dependence=each.type.dependence,
            )
        for edge in self.edges:
            graph.add_edge(
                edge.source, edge.target, key=edge.label, kind=edge.kind, delay=edge.delay
            )
        return graph

    @property
    def nodes(self) -> tuple[Declaration, ...]:
        """The declarations, in the order of the text."""
        return self.mixer.declarations

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All dependences, by target, then source, then delay; each once."""
        found = {
            Edge(source, each.name, kind, delay)
            for each in self.mixer.declarations
            for term in _terms(each)
            for source, kind, delay in _reads(term, self.mixer)
        }
        return tuple(
            sorted(
                found,
                key=lambda edge: (
                    self._rank[edge.target],
                    self._rank[edge.source],
                    edge.kind,
                    edge.delay,
                ),
            )
        )

    @cached_property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {each.name: {} for each in self.mixer.declarations}
        for edge in self.edges:
            found[edge.target].setdefault(edge.source)
        return {name: tuple(sources) for name, sources in found.items()}

    def sources(self, name: str) -> tuple[str, ...]:
        """What a declaration reads directly, in the order of the text."""
        return self._sources[name]

    def targets(self, name: str) -> tuple[str, ...]:
        """What reads a declaration directly, in the order of the text."""
        return tuple(target for target, sources in self._sources.items() if name in sources)

    def upstream(self, name: str) -> tuple[str, ...]:
        """Everything that a declaration depends on, itself left out unless it is on a cycle."""
        seen: set[str] = set()
        pending = list(self._sources[name])
        while pending:
            current = pending.pop()
            if current not in seen:
                seen.add(current)
                pending.extend(self._sources[current])
        return tuple(sorted(seen, key=self._rank.__getitem__))

    @cached_property
    def _condensed(self) -> tuple[tuple[str, ...], ...]:
        """Strongly connected components in topological order, ties by the order of the text."""
        import networkx as nx

        condensed = nx.condensation(nx.DiGraph(self.graph))
        members = {
            node: sorted(data["members"], key=self._rank.__getitem__)
            for node, data in condensed.nodes(data=True)
        }
        ordered = nx.lexicographical_topological_sort(
            condensed, key=lambda node: self._rank[members[node][0]]
        )
        return tuple(tuple(members[node]) for node in ordered)

    def between(self, group: tuple[str, ...]) -> frozenset[str]:
        """The declarations that lie between memories of a group, the memories with them."""
        if len(self.mixer.memories) == 1:
            return frozenset(self._rank)
        return self._members[group[0]]

    @cached_property
    def _members(self) -> dict[str, frozenset[str]]:
        sets = (frozenset(members) for members in self._condensed)
        return {name: each for each in sets for name in each}

    @cached_property
    def memory_groups(self) -> tuple[tuple[str, ...], ...]:
        """Memories that read each other, group by group, earlier groups first."""
        memories = {each.name for each in self.mixer.memories}
        if len(memories) == 1:
            return (tuple(memories),)
        groups = (tuple(n for n in members if n in memories) for members in self._condensed)
        return tuple(each for each in groups if each)

    def stages(self) -> tuple[tuple[str, ...], ...]:
        """The memory groups, in the order in which a parallel form computes them."""
        return self.memory_groups

    def __iter__(self) -> Iterator[Declaration]:
        return iter(self.mixer.declarations)


def _terms(declaration: Declaration) -> Iterator[Term]:
    """The terms whose reads make a declaration's value."""
    for term in (declaration.value, declaration.initial, declaration.width):
        if term is not None:
            yield term


def _reads(term: Term, mixer: Mixer) -> Iterator[tuple[str, EdgeKind, int]]:
    """What a term reads, how, and from how many steps back."""
    running = {
        id(inner)
        for each in walk(term)
        if isinstance(each, Running)
        for inner in walk(each.arg)
        if isinstance(inner, Read)
    }
    for each in walk(term):
        if isinstance(each, KernelAt):
            yield each.name, EdgeKind.STATIC, 0
        if not isinstance(each, Read) or each.name not in mixer.by_name:
            continue
        if each.at is None or mixer.by_name[each.name].kind is Kind.CONFIG:
            yield each.name, EdgeKind.STATIC, 0
        elif each.at.variable != "t" or each.at.lag is not None or id(each) in running:
            yield each.name, EdgeKind.HISTORY, 0
        else:
            yield each.name, EdgeKind.DELAY, each.at.offset
