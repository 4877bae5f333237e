"""Mutants of theorem files: one token of a claim or of one of its mixers is another.

What came from the zoo is written out beside the claim, so that it can change, too.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eosc.diagnostics import Source
from eosc.semantics.elaborate import elaborate
from eosc.semantics.theorems import Property, Theorem
from eosc.syntax import ast, parse

_TOKEN = re.compile(
    r'"""(?:.|\n)*?"""|#[^\n]*|assume [^\n]*|[^\W\d]\w*\'*|\d[\d.e-]*j?|\*\*|:=|[<>=]=|\S|\s+'
)

# What a token may become. Names are exchanged for other names of the same text.
_OTHERS: dict[str, tuple[str, ...]] = {
    "+": ("-", "*"),
    "-": ("+", "*"),
    "*": ("+", "/", "-"),
    "/": ("*",),
    "**": ("*",),
    "<=": ("<",),
    "<": ("<=",),
    "exp": ("sigmoid", "softplus", "silu"),
    "sigmoid": ("exp", "tanh", "silu"),
    "silu": ("relu", "sigmoid"),
    "relu": ("silu",),
    "tanh": ("sigmoid",),
    "cos": ("sin",),
    "sin": ("cos",),
    "log": ("exp",),
    "conj": ("identity",),
    "Re": ("Im",),
    "cumsum": ("logcumsumexp",),
    "logcumsumexp": ("cumsum",),
    "maximum": ("minimum",),
    "1": ("0", "2"),
    "2": ("1", "3"),
    "0": ("1",),
    "t": ("t-1",),
    "0.5": ("1",),
}
_KEEP = {
    *("mixer", "theorem", "axes", "config", "const", "param", "arg", "input", "expand", "shrink"),
    *("oscillation", "memory", "output", "prove", "refute", "where", "assume", "forall", "in"),
    *("complex", "sum", "mean", "def", "if", "else", "fold", "softmax", "l2norm", "index", "eye"),
    *("pairs", "flat", "rope", "H", "K", "V", "C", "S", "R", "G", "N", "P", "y", "scale", "is"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """A theorem of one claim as a text of its own: the mixers it speaks of, then the theorem."""

    name: str
    text: str


def subjects(folder: Path) -> Iterator[Subject]:
    """Every claim of the theorem files that equates two sides, with what it needs."""
    items = _library(folder.parent)
    for path in sorted(folder.glob("*.eos")):
        source = Source(str(path), path.read_text(encoding="utf-8"))
        module, _ = parse(source)
        own = {**items, **_named(module, source)}
        macros = [_text(each, source) for each in module.items if isinstance(each, ast.Macro)]
        for item in module.items:
            if isinstance(item, ast.Theorem):
                yield from _subjects(item, source, own, macros)


def _library(zoo: Path) -> dict[str, tuple[str, ...]]:
    """The text of every mixer of the zoo, after the macros of its file."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(zoo.glob("*/*.eos")):
        if path.parent.name != "theorems":
            source = Source(str(path), path.read_text(encoding="utf-8"))
            module, _ = parse(source)
            macros = [_text(each, source) for each in module.items if isinstance(each, ast.Macro)]
            for name, text in _named(module, source).items():
                found[name] = (*macros, *text)
    return found


def _named(module: ast.Module, source: Source) -> dict[str, tuple[str, ...]]:
    return {
        item.name.id: (_without_layer(_text(item, source)),)
        for item in module.items
        if isinstance(item, ast.Mixer)
    }


def _text(item: ast.Node, source: Source) -> str:
    return source.text[item.span.start : item.span.end].rstrip() + "\n"


def _without_layer(text: str) -> str:
    return re.split(r"\n    layer\(", text)[0].rstrip() + "\n"


def _subjects(
    item: ast.Theorem, source: Source, own: dict[str, tuple[str, ...]], macros: list[str]
) -> Iterator[Subject]:
    claims = [each for each in item.body if isinstance(each, ast.Claim)]
    rest = [each for each in item.body if not isinstance(each, ast.Claim)]
    for number, claim in enumerate(claims):
        if claim.relation != "==":
            continue
        words = set(re.findall(r"[^\W\d]\w*", _text(claim, source)))
        mixers = [text for name in sorted(words & set(own)) for text in own[name]]
        lines = ["    " + _text(each, source).rstrip() for each in (*rest, claim)]
        text = "\n".join([*dict.fromkeys([*macros, *mixers]), "theorem subject:", *lines]) + "\n"
        name = item.name.id if isinstance(item.name, ast.Name) else item.name.value
        yield Subject(f"{name}:{number}", text)


def theorem_of(text: str) -> Theorem | None:
    """The theorem of a text, None where the text has errors or claims a structure."""
    source = Source("<mutant>", text)
    module, found = parse(source)
    if any(each.code.startswith("E") for each in found):
        return None
    unit, more = elaborate(module, source, thorough=False)
    wrong = [each for each in more if each.code.startswith("E") and each.code != "E081"]
    if wrong or len(unit.theorems) != 1 or isinstance(unit.theorems[0].claims[0], Property):
        return None
    return unit.theorems[0]


def mutated(text: str, chance: random.Random) -> str:
    """The text with one token changed; the same text where nothing can be changed.

    Assumptions stay: the numbers to compare with are drawn so that they hold.
    """
    parts = _TOKEN.findall(text)
    names = sorted({each for each in parts if _is_name(each)})
    places = [place for place, each in enumerate(parts) if each in _OTHERS or _is_name(each)]
    if not places:
        return text
    place = chance.choice(places)
    others = _OTHERS.get(parts[place]) or [each for each in names if each != parts[place]]
    if not others:
        return text
    parts[place] = chance.choice(list(others))
    return "".join(parts)


def _is_name(token: str) -> bool:
    return bool(re.fullmatch(r"[^\W\d]\w*", token)) and token not in _KEEP and token not in _OTHERS
