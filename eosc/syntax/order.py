"""The canonical order of the statements of a mixer, and which moves it allows.

A statement never moves across one that defines a name it mentions, or that mentions a name it
defines; operands, memories and everything that keeps a state keep their order among themselves,
because the order is part of the interface of the compiled operator.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import groupby

from eosc.syntax import ast

_OPERAND, _DERIVED, _MEMORY, _EQUATION, _OUTPUT, _LAYER = range(5, 11)
_FIRST: dict[type[ast.Node], int] = {
    ast.Axes: 0,
    ast.Choice: 1,
    ast.Config: 2,
    ast.Require: 3,
    ast.Const: 4,
    ast.Param: _OPERAND,
    ast.Kernel: _OPERAND,
    ast.Memory: _MEMORY,
    ast.Output: _OUTPUT,
    ast.Layer: _LAYER,
}
_RUNNING = frozenset({"cumsum", "logcumsumexp"})


class Arrangement:
    """Orders the blocks of one mixer or family, whose memories it knows."""

    def __init__(self, owner: ast.Mixer | ast.Family) -> None:
        # What the layer binds is outside the recurrence.
        parts = [s for s in owner.body if not isinstance(s, ast.Layer)]
        inside = [node for part in parts for node in ast.walk(part)]
        memories = [node for node in inside if isinstance(node, ast.Memory)]
        self._recurrent = {name.id for node in memories for name in node.names}
        # A helper of a memory is an equation too, however long the chain of helpers is.
        equations = [node for node in inside if isinstance(node, (ast.Equation, ast.State))]
        grown = True
        while grown:
            grown = False
            for node in equations:
                names = _defined(node)
                if not names <= self._recurrent and self._is_recurrent(node):
                    self._recurrent |= names
                    grown = True

    def arranged(self, body: Sequence[ast.Statement]) -> list[ast.Statement]:
        """The statements in canonical order; a `match` stays where it is."""
        result: list[ast.Statement] = []
        for is_match, group in groupby(body, key=lambda node: isinstance(node, ast.Match)):
            run = list(group)
            result += run if is_match else self._sorted(run)
        return result

    def is_equation(self, node: ast.Statement) -> bool:
        """Whether the statement stands below the blank line after the declarations."""
        return self._rank(node) in (_EQUATION, _OUTPUT)

    def _rank(self, node: ast.Statement) -> int:
        if isinstance(node, ast.State) and node.value is None:
            return _OPERAND
        if isinstance(node, (ast.State, ast.Equation)):
            return _EQUATION if self._is_recurrent(node) else _DERIVED
        return _FIRST[type(node)]

    def _is_recurrent(self, node: ast.Node) -> bool:
        """Whether it is, or reads, a memory or a history sum."""
        return any(
            (isinstance(part, ast.Name) and part.id in self._recurrent)
            or (isinstance(part, ast.Call) and _is_history(part))
            for part in ast.walk(node)
        )

    def _sorted(self, body: list[ast.Statement]) -> list[ast.Statement]:
        ranks = [self._rank(node) for node in body]
        before = _constraints(body, ranks)
        waiting = [len(earlier) for earlier in before]
        followers: list[list[int]] = [[] for _ in body]
        for index, earlier in enumerate(before):
            for other in earlier:
                followers[other].append(index)
        ready = [(ranks[i], i) for i in range(len(body)) if waiting[i] == 0]
        heapq.heapify(ready)
        result = []
        while ready:
            _, index = heapq.heappop(ready)
            result.append(body[index])
            for follower in followers[index]:
                waiting[follower] -= 1
                if waiting[follower] == 0:
                    heapq.heappush(ready, (ranks[follower], follower))
        return result


def _constraints(body: Sequence[ast.Statement], ranks: Sequence[int]) -> list[set[int]]:
    """For each statement, the earlier ones that must stay before it."""
    before: list[set[int]] = [set() for _ in body]
    definer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    last: dict[str, int] = {}
    for index, node in enumerate(body):
        defined = _defined(node)
        for name in _mentioned(node) - defined:
            if name in definer:
                before[index].add(definer[name])
            readers.setdefault(name, []).append(index)
        for name in defined:
            if name in definer:
                before[index].add(definer[name])
            # Axes may be named above their declaration, which canonically comes first.
            before[index].update(() if isinstance(node, ast.Axes) else readers.pop(name, ()))
            definer[name] = index
        chains = [f"rank {ranks[index]}"] if ranks[index] in (_OPERAND, _DERIVED, _EQUATION) else []
        if ranks[index] == _MEMORY or _keeps_state(node):
            chains.append("state")
        for chain in chains:
            if chain in last:
                before[index].add(last[chain])
            last[chain] = index
    return before


def _defined(node: ast.Node) -> set[str]:
    match node:
        case ast.Axes(axes=axes):
            return {axis.name.id for axis in axes}
        case ast.Param(names=names) | ast.Memory(names=names):
            return {name.id for name in names}
        case ast.State(targets=targets) | ast.Equation(targets=targets):
            return {target.name.id for target in targets}
        case ast.Output(target=target):
            return {target.name.id}
        case ast.Config(name=name) | ast.Const(name=name) | ast.Kernel(name=name):
            return {name.id}
        case ast.Choice(name=name):
            return {name.id}
        case _:
            return set()


def _mentioned(node: ast.Node) -> set[str]:
    names: Iterable[str] = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return {name.rstrip("'") for name in names}


def _keeps_state(node: ast.Node) -> bool:
    """Whether it reads the past in a way of its own: a delay, a running or a history sum."""
    return any(
        (isinstance(part, ast.Call) and (part.function.id in _RUNNING or _is_history(part)))
        or (isinstance(part, ast.Index) and isinstance(part.items[0], ast.Binary))
        for part in ast.walk(node)
    )


def _is_history(call: ast.Call) -> bool:
    return any(isinstance(item, ast.Compare) for item in call.subscripts)
