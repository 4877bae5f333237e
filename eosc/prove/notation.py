"""Formulas for people: plain text with Σ and ∏, or LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

Json: TypeAlias = Any

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
"""How strongly the outermost operator of a text binds."""

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
    " upsilon phi chi psi omega"
).split()
_LETTERS = dict(zip(_GREEK, "αβγδεζηθικλμνξπρστυφχψω", strict=True))
_DEEPEST = 60


def text(formula: Json) -> str:
    """The formula on one line, as in `Σ_{0<u≤t} k[u,a]·v[u,b]`."""
    return _Text().show(formula, _SUM)


def latex(formula: Json) -> str:
    r"""The formula in LaTeX, as in `\sum_{0<u\le t} k_{u,a}\,v_{u,b}`."""
    return _Latex().show(formula, _SUM)


def moment(value: Mapping[str, int]) -> str:
    """A time, as in `t-1`."""
    parts = [(name, int(count)) for name, count in value.items() if name and count]
    shown = "".join(
        ("+" if count > 0 else "-") + (f"{abs(count)}{name}" if abs(count) != 1 else name)
        for name, count in parts
    )
    constant = int(value.get("", 0))
    if constant or not parts:
        shown += f"{constant:+d}" if shown else str(constant)
    return shown.removeprefix("+")


class _Text:
    """The traversal, with the words of plain text."""

    times, stacks = "·", False

    def __init__(self) -> None:
        self.depth = 0

    def show(self, formula: Json, around: int) -> str:
        self.depth += 1
        if self.depth > _DEEPEST:
            self.depth -= 1
            return "…"
        found, strength = _SHOWN.get(formula[0], _unknown)(self, formula)
        self.depth -= 1
        return self.bracket(found) if strength < around else found

    def bracket(self, inside: str) -> str:
        return f"({inside})"

    def name(self, name: str) -> str:
        return re.sub(r"[A-Za-z]+", lambda found: _LETTERS.get(found[0], found[0]), name)

    def read(self, name: str, places: Sequence[str]) -> str:
        return f"{self.name(name)}[{','.join(places)}]" if places else self.name(name)

    def over(self, sign: str, variable: str, low: str, high: str, body: str) -> str:
        return f"{'Σ' if sign == 'sum' else '∏'}_{{{low}<{variable}≤{high}}} {body}"

    def contract(self, variable: str, axis: str, body: str) -> str:
        return f"Σ_{{{variable}:{axis}}} {body}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{exponent if exponent.isalnum() else f'({exponent})'}"

    def delta(self, left: str, right: str) -> str:
        return f"δ[{left},{right}]"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        return f"{function}({', '.join(arguments)})"

    def conjugate(self, inside: str) -> str:
        return f"conj({inside})"

    def fraction(self, value: Fraction) -> str:
        return str(value)


class _Latex(_Text):
    r"""The same in LaTeX; names are escaped, and nothing of a spec is read as a command."""

    times, stacks = r"\,", True

    def bracket(self, inside: str) -> str:
        return rf"\left({inside}\right)"

    def name(self, name: str) -> str:
        side, dot, rest = name.partition(".")
        if dot and side in ("left", "right"):
            return f"{self._letter(rest)}^{{{'A' if side == 'left' else 'B'}}}"
        return self._letter(name)

    def _letter(self, name: str) -> str:
        head, underscore, tail = name.partition("_")
        if head in _LETTERS and not tail:
            return "\\" + head
        if len(name) == 1:
            return name
        plain = re.sub(
            r"[^A-Za-z0-9.'()/+*-]", lambda found: r"\_" if found[0] == "_" else "?", name
        )
        return rf"\mathrm{{{plain}}}"

    def read(self, name: str, places: Sequence[str]) -> str:
        return f"{self.name(name)}_{{{','.join(places)}}}" if places else self.name(name)

    def over(self, sign: str, variable: str, low: str, high: str, body: str) -> str:
        word = "sum" if sign == "sum" else "prod"
        return rf"\{word}_{{{low}<{variable}\le {high}}} {body}"

    def contract(self, variable: str, axis: str, body: str) -> str:
        return rf"\sum_{{{variable}\in {self._letter(axis)}}} {body}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def delta(self, left: str, right: str) -> str:
        return rf"\delta_{{{left},{right}}}"

    def call(self, function: str, arguments: Sequence[str]) -> str:
        known = function in ("exp", "log", "cos", "sin", "tanh", "max", "min")
        word = f"\\{function}" if known else rf"\operatorname{{{self._plain(function)}}}"
        return rf"{word}\left({', '.join(arguments)}\right)"

    def _plain(self, word: str) -> str:
        return re.sub(r"[^A-Za-z0-9]", "", word)

    def conjugate(self, inside: str) -> str:
        return rf"\overline{{{inside}}}"

    def fraction(self, value: Fraction) -> str:
        if value.denominator == 1:
            return str(value)
        sign = "-" if value < 0 else ""
        return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _unknown(style: _Text, formula: Json) -> tuple[str, int]:
    return "?", _ATOM


def _number(style: _Text, formula: Json) -> tuple[str, int]:
    value = Fraction(formula[1])
    bare = value.denominator == 1 or style.stacks
    return style.fraction(value), _SUM if value < 0 else _ATOM if bare else _PRODUCT


def _place(value: Json) -> str:
    return moment(value) if isinstance(value, Mapping) else str(value)


def _at(style: _Text, formula: Json) -> tuple[str, int]:
    return style.read(formula[1], [_place(each) for each in formula[2:]]), _ATOM


def _add(style: _Text, formula: Json) -> tuple[str, int]:
    found = ""
    for each in formula[1:]:
        negated = _negated(each)
        part = style.show(each if negated is None else negated, _PRODUCT)
        sign = " + " if negated is None else " - "
        found += sign + part if found or negated is not None else part
    return f"-{found[3:]}" if found.startswith(" - ") else found, _SUM


def _negated(formula: Json) -> Json | None:
    """The formula without its minus sign, None where it has none."""
    if formula[0] == "number" and Fraction(formula[1]) < 0:
        return ("number", str(-Fraction(formula[1])))
    if formula[0] != "mul" or formula[1][0] != "number" or Fraction(formula[1][1]) >= 0:
        return None
    size = -Fraction(formula[1][1])
    rest = formula[2:] if size == 1 else (("number", str(size)), *formula[2:])
    return rest[0] if len(rest) == 1 else ("mul", *rest)


def _mul(style: _Text, formula: Json) -> tuple[str, int]:
    negated = _negated(formula)
    if negated is not None:
        return f"-{style.show(negated, _PRODUCT)}", _SUM
    # What a sum or product ranges over ends with the text, so it stands last or in brackets.
    last = len(formula) - 1
    parts = [
        style.show(each, _POWER if number < last else _PRODUCT)
        for number, each in enumerate(formula[1:], 1)
    ]
    return style.times.join(parts), _PRODUCT


def _power(style: _Text, formula: Json) -> tuple[str, int]:
    exponent = style.fraction(Fraction(formula[2]))
    return style.raised(style.show(formula[1], _ATOM), exponent), _POWER


def _over(style: _Text, formula: Json) -> tuple[str, int]:
    sign, variable, low, high, body = formula
    inside = style.show(body, _PRODUCT)
    return style.over(sign, variable, moment(low), moment(high), inside), _PRODUCT


def _contract(style: _Text, formula: Json) -> tuple[str, int]:
    return style.contract(formula[1], formula[2], style.show(formula[3], _PRODUCT)), _PRODUCT


def _call(style: _Text, formula: Json) -> tuple[str, int]:
    return style.call(formula[1], [style.show(each, _SUM) for each in formula[2:]]), _ATOM


_SHOWN: dict[str, Callable[[_Text, Json], tuple[str, int]]] = {
    "number": _number,
    "i": lambda style, formula: ("i", _ATOM),
    "at": _at,
    "add": _add,
    "mul": _mul,
    "power": _power,
    "sum": _over,
    "product": _over,
    "contract": _contract,
    "delta": lambda s, f: (s.delta(_place(f[1]), _place(f[2])), _ATOM),
    "time": lambda s, f: (moment(f[1]), _ATOM if len(f[1]) < 2 else _SUM),
    "size": lambda s, f: (s.call("size", [s.name(f[1])]), _ATOM),
    "index": lambda s, f: (s.call("index", [_place(f[1])]), _ATOM),
    "call": _call,
    "conjugate": lambda s, f: (s.conjugate(s.show(f[1], _SUM)), _ATOM),
    "real": lambda s, f: (s.call("Re", [s.show(f[1], _SUM)]), _ATOM),
}
