"""docs/lattice.md: which mixer of the zoo is a special case of which, drawn from what is proved.

python -m benchmarks.lattice settles the claims of examples/theorems and writes the page; a test
holds it against them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.theorems import FOLDER, ROOT
from eosc import api
from eosc.prove.engine import Budget, Verdict, settle
from eosc.prove.reading import Stated, statements
from eosc.semantics.model import Kind
from eosc.semantics.terms import Apply, At, AxisSize, Number, Read, Term
from eosc.semantics.theorems import Equivalence, Side

PAGE = ROOT / "docs" / "lattice.md"
BUDGET = Budget(first=0.05, search=6.0, deep=6.0)
_LABEL = 36

_HEAD = """\
# Who is a special case of whom

An arrow `A → B` says that every `A` is a `B`: with the operands of `B` bound as the theorem says,
the outputs agree for every length, all sizes and all operands in their ranges. The label says what
`B` gives up, or what is fixed. Every arrow was settled by `eosc prove examples/theorems`; what
could not be proved is not drawn. The claims in full are in [theorems.md](theorems.md).

This page is written by `python -m benchmarks.lattice`.

"""


@dataclass(frozen=True, slots=True)
class Edge:
    """`lower` is a special case of `upper`."""

    lower: str
    upper: str
    label: str = ""


def edges(files: Iterable[Path], verdict: Verdict) -> list[Edge]:
    """The pairs of zoo mixers whose equality has this verdict, as claimed."""
    found = []
    for path in files:
        zoo = set(api.load(path).imports)
        for stated in statements(path):
            claim = stated.claim
            if not isinstance(claim, Equivalence) or claim.verdict != _CLAIMED[verdict]:
                continue
            if not {claim.left.mixer.name, claim.right.mixer.name} <= zoo:
                continue
            if settle(stated.theorem, claim, BUDGET).verdict is verdict:
                found.append(_edge(stated, claim))
    return list(dict.fromkeys(sorted(found, key=lambda each: (each.upper, each.lower, each.label))))


_CLAIMED = {Verdict.PROVED: "prove", Verdict.REFUTED: "refute"}
_BINDING = re.compile(r", (?=\w+(?:\[t\])? := )")


def _edge(stated: Stated, claim: Equivalence) -> Edge:
    text = stated.text.partition(" where ")[2]
    written = dict(each.split(" := ") for each in _BINDING.split(text)) if text else {}
    parts = _fixed(claim.left)
    parts += [
        f"{each.args[0].axis} = {each.args[1].value}"
        for each in stated.theorem.assumed
        if isinstance(each, Apply)
        and isinstance(each.args[0], AxisSize)
        and isinstance(each.args[1], Number)
    ]
    for (name, value), target in zip(claim.bindings, written, strict=True):
        shown = written[target].replace("[t]", "")
        if shown != name and not _renames(claim, name, value):
            parts.append(f"{name} = {shown}")
    for name in claim.identified:
        own, wanted = claim.left.mixer.by_name[name], claim.right.mixer.by_name[name]
        missing = [axis for axis in wanted.type.axes if axis not in own.type.axes]
        if missing:
            parts.append(f"one {name} for all {', '.join(missing)}")
    parts += [f"{name} free" for name in claim.free]
    left, _, right = stated.text.partition(" == ")
    return Edge(_name(claim.left, left), _name(claim.right, right), ", ".join(parts))


def _renames(claim: Equivalence, name: str, value: Term) -> bool:
    """Whether a binding passes an operand on as it is."""
    own = claim.left.mixer.by_name
    if not isinstance(value, Read) or value.name not in own:
        return False
    kind, wanted = own[value.name], claim.right.mixer.by_name[name]
    bound = [each.name for _, each in claim.bindings if isinstance(each, Read)]
    once = [*claim.identified, *bound].count(value.name) == 1
    given = kind.kind in (Kind.OPERAND, Kind.PARAM) and once
    return given and kind.type.axes == wanted.type.axes and value.at in (None, At())


def _fixed(side: Side) -> list[str]:
    """What is fixed on the left, but for a scale, which is no matter."""
    return [
        f"{name} = {value.value}"
        for name, value in side.fixed
        if isinstance(value, Number) and name != "scale"
    ]


def _name(side: Side, written: str) -> str:
    """A mixer, or an instance of a family with the choices that the claim names."""
    named = [
        f"{choice} = {option}"
        for choice, option in side.mixer.choices
        if f"{choice} = {option}" in written
    ]
    return f"{side.mixer.name}({', '.join(named)})" if named else side.mixer.name


def page(proved: list[Edge], refuted: list[Edge]) -> str:
    """The page: the graph, and what is refuted."""
    names = sorted({name for edge in proved for name in (edge.lower, edge.upper)})
    numbers = {name: f"n{number}" for number, name in enumerate(names)}
    lines = ["```mermaid", "flowchart BT"]
    lines += [f'    {numbers[name]}["{name}"]' for name in names]
    lines += [
        f"    {numbers[each.lower]} -->{_label(each.label)} {numbers[each.upper]}"
        for each in proved
    ]
    lines += ["```", "", "## What is not", ""]
    lines += ["Each has a counterexample; with the bindings given, if any.", ""]
    lines += [
        f"- `{each.lower}` is not `{each.upper}`" + (f" with `{each.label}`" if each.label else "")
        for each in refuted
    ]
    return _HEAD + "\n".join(lines) + "\n"


def _label(text: str) -> str:
    if not text:
        return ""
    short = text if len(text) <= _LABEL else text[: _LABEL - 1] + "…"
    return '|"' + short.replace('"', "").replace("|", "") + '"|'


def settled_page() -> str:
    """The page as the prover has it now."""
    files = sorted(FOLDER.glob("*.eos"))
    return page(edges(files, Verdict.PROVED), edges(files, Verdict.REFUTED))


if __name__ == "__main__":
    PAGE.write_text(settled_page(), encoding="utf-8")
