"""Two checkers of separate code: what the kernel accepts of mutated problems, the second bears out.

A mutant of a problem keeps its proof. Most are rejected; where the kernel accepts one, the second
checker evaluates every obligation of it, and the goals themselves, at random points.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from eosc.prove.checker import Rejected, check
from eosc.prove.engine import Verdict, settle
from eosc.prove.formula import as_json
from eosc.prove.reading import statements
from eosc.prove.second import Separated, evaluate
from eosc.resources import zoo_folder

FEW = {"gating": 6, "linear": 4, "delta": 3, "position": 2, "convolution": 2}
CHANGED = ("0", "1", "-1", "2", "1/2")
SWAPPED = {"add": "mul", "mul": "add", "sum": "product", "product": "sum"}

Node = tuple[tuple[Any, ...], Any]


@cache
def proofs() -> tuple[tuple[Any, Any], ...]:
    """Problems of the example theorems with their proofs."""
    found = []
    for stem, count in FEW.items():
        kept = 0
        for stated in statements(zoo_folder() / "theorems" / f"{stem}.eos"):
            if kept == count or not stated.text.startswith("prove"):
                continue
            outcome = settle(stated.theorem, stated.claim)
            assert outcome.verdict is Verdict.PROVED and outcome.problem is not None
            text = json.dumps([as_json(outcome.problem), list(outcome.proof)])
            if len(text) < 8000:
                problem, proof = json.loads(text)
                found.append((problem, proof))
                kept += 1
    return tuple(found)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[Node]:
    if len(path) > 1 and path[0] in ("definitions", "goals", "hypotheses"):
        yield path, value
    items = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else items:
        yield from nodes(each, (*path, key))


def tagged(node: Node, *tags: str) -> bool:
    return isinstance(node[1], list) and bool(node[1]) and node[1][0] in tags


def moved(node: Node, every: list[Node], draw: random.Random) -> Any:
    """A time one earlier or later."""
    value = node[1]
    if not isinstance(value, dict) or not all(type(n) is int for n in value.values()):
        return None
    name = draw.choice(["", *value])
    return {**value, name: value.get(name, 0) + draw.choice((1, -1))}


def renumbered(node: Node, every: list[Node], draw: random.Random) -> Any:
    return ["number", draw.choice(CHANGED)] if tagged(node, "number") else None


def turned(node: Node, every: list[Node], draw: random.Random) -> Any:
    """A sum for a product, and the other way round."""
    return [SWAPPED[node[1][0]], *node[1][1:]] if tagged(node, *SWAPPED) else None


def shortened(node: Node, every: list[Node], draw: random.Random) -> Any:
    if not tagged(node, "add", "mul") or len(node[1]) < 3:
        return None
    place = draw.randrange(1, len(node[1]))
    return node[1][:place] + node[1][place + 1 :]


def reread(node: Node, every: list[Node], draw: random.Random) -> Any:
    """Another symbol, or other indices."""
    others = [v for _, v in every if isinstance(v, list) and v[:1] == ["at"]]
    others = [v for v in others if tagged(node, "at") and len(v) == len(node[1])]
    if not others:
        return None
    value, other = list(node[1]), draw.choice(others)
    place = draw.randrange(1, len(value))
    value[place] = other[place]
    return value


def unproven(node: Node, every: list[Node], draw: random.Random) -> Any:
    """Without its facts."""
    return [] if node[0][-1] == "facts" and node[1] else None


MUTATIONS: tuple[Callable[[Node, list[Node], random.Random], Any], ...] = (
    moved, renumbered, turned, shortened, reread, unproven,
)  # fmt: skip


def mutant(problem: Any, draw: random.Random) -> Any:
    changed = copy.deepcopy(problem)
    every = list(nodes(changed))
    mutation = draw.choice(MUTATIONS)
    for path, value in draw.sample(every, len(every)):
        new = mutation((path, value), every, draw)
        if new is not None:
            *inside, last = path
            parent = changed
            for key in inside:
                parent = parent[key]
            parent[last] = copy.deepcopy(new)
            return changed
    return None


def accepted(count: int, seed: int) -> int:
    """How many of so many mutants the kernel accepts; the second checker raises on a false one."""
    draw, found = random.Random(seed), 0
    for _ in range(count):
        problem, proof = draw.choice(proofs())
        changed = mutant(problem, draw)
        if changed is None or changed == problem:
            continue
        try:
            check(changed, proof)
        except Rejected:
            continue
        evaluate(changed, proof, points=3, seed=seed)
        found += 1
    return found


def test_second_checker_bears_out_what_the_kernel_accepts() -> None:
    assert 5 < accepted(120, seed=1) < 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_second_checker_bears_out_many_more(seed: int) -> None:
    assert accepted(400, seed) > 20


def test_a_kernel_that_accepts_everything_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs()
    monkeypatch.setattr("eosc.prove.kernel.reading.Reader.is_zero", lambda *_: True)
    with pytest.raises(Separated):
        accepted(60, seed=1)
