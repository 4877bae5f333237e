"""Normal forms keep values: random formulas are evaluated before and after."""

from __future__ import annotations

import cmath
import hashlib
import itertools
import random
from collections.abc import Mapping
from typing import Any

import pytest

from eosc.prove.checker.signs import Signs
from eosc.prove.checker.sugar import Sugar
from eosc.prove.checker.written import as_formula
from eosc.prove.kernel.atoms import Poly, Rejected, gather
from eosc.prove.kernel.reading import Reader
from eosc.prove.kernel.times import later

SIZES = {"K": 2, "V": 3}
SYMBOLS = {"x": ("T",), "a": ("T", "K"), "w": ("K", "V"), "g": (), "p": ("T", "T")}
FUNCTIONS = ("exp", "sigmoid", "softplus", "silu", "tanh", "cos", "sin", "other")
PARTS = ("times", "facts", "definitions", "hypotheses")
Scope = Mapping[str, Any]


def symbol(name: str, point: tuple[int, ...]) -> float:
    """A number between 0.3 and 1.3 that depends on the name and the point alone."""
    digest = hashlib.sha256(repr((name, point)).encode()).digest()
    return 0.3 + int.from_bytes(digest[:4], "big") / 2**32


def place(form: Any, scope: Scope) -> int:
    if isinstance(form, dict):
        return sum(count * (scope[name] if name else 1) for name, count in form.items())
    return form if isinstance(form, int) else scope[form]


def signed(low: int, high: int) -> list[tuple[int, int]]:
    """The places of a range with sign 1, or of the reversed one with sign -1."""
    if high >= low:
        return [(at, 1) for at in range(low + 1, high + 1)]
    return [(at, -1) for at in range(high + 1, low + 1)]


def evaluate(form: Any, scope: Scope) -> complex:
    """The value of a formula at small sizes."""
    kind, rest = form[0], form[1:]
    if kind == "number":
        top, _, bottom = rest[0].partition("/")
        return complex(int(top) / int(bottom or 1))
    if kind == "i":
        return 1j
    if kind == "at":
        return complex(symbol(rest[0], tuple(place(each, scope) for each in rest[1:])))
    if kind in ("add", "mul"):
        found = complex(kind == "mul")
        for each in rest:
            value = evaluate(each, scope)
            found = found * value if kind == "mul" else found + value
        return found
    if kind == "power":
        top, _, bottom = rest[1].partition("/")
        return evaluate(rest[0], scope) ** (int(top) / int(bottom or 1))
    if kind in ("sum", "product"):
        found = complex(kind == "product")
        for at, sign in signed(place(rest[1], scope), place(rest[2], scope)):
            value = evaluate(rest[3], {**scope, rest[0]: at})
            found = found + sign * value if kind == "sum" else found * value**sign
        return found
    if kind == "contract":
        return sum(evaluate(rest[2], {**scope, rest[0]: at}) for at in range(SIZES[rest[1]]))
    if kind == "delta":
        return complex(place(rest[0], scope) == place(rest[1], scope))
    if kind in ("time", "index"):
        return complex(place(rest[0], scope))
    if kind == "size":
        return complex(SIZES[rest[0]])
    if kind in ("real", "conjugate"):
        value = evaluate(rest[0], scope)
        return complex(value.real) if kind == "real" else value.conjugate()
    return called(rest[0], [evaluate(each, scope) for each in rest[1:]])


def called(name: str, values: list[complex]) -> complex:
    (x,) = values
    return {
        "exp": lambda: cmath.exp(x),
        "log": lambda: cmath.log(x),
        "sqrt": lambda: cmath.sqrt(x),
        "sigmoid": lambda: 1 / (1 + cmath.exp(-x)),
        "softplus": lambda: cmath.log(1 + cmath.exp(x)),
        "silu": lambda: x / (1 + cmath.exp(-x)),
        "tanh": lambda: cmath.tanh(x),
        "cos": lambda: cmath.cos(x),
        "sin": lambda: cmath.sin(x),
        "other": lambda: 1 / (3 + x * x),
    }[name]()


class Maker:
    """Makes random formulas that are real, with what is divided or logged positive."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.names = itertools.count()

    def time(self, times: dict[str, int]) -> dict[str, int]:
        name = self.random.choice(sorted(times))
        shift = self.random.randint(-1, 1)
        return {name: 1, "": shift} if shift else {name: 1}

    def leaf(self, times: dict[str, int], axes: dict[str, str]) -> Any:
        kind = self.random.randrange(6)
        if kind == 0:
            return ["number", self.random.choice(["1", "2", "-1", "1/2"])]
        if kind == 1 and axes:
            name = self.random.choice(sorted(axes))
            return ["index", name]
        if kind == 2:
            return ["time", self.time(times)]
        return self.read(times, axes)

    def read(self, times: dict[str, int], axes: dict[str, str]) -> Any:
        name = self.random.choice(sorted(SYMBOLS))
        points: list[Any] = []
        for sort in SYMBOLS[name]:
            fitting = [each for each in sorted(axes) if axes[each] == sort]
            if sort == "T":
                points.append(self.time(times))
            else:
                points.append(self.random.choice([*fitting, 0, 1]))
        return ["at", name, *points]

    def positive(self, depth: int, times: dict[str, int], axes: dict[str, str]) -> Any:
        kind = self.random.randrange(4)
        if depth == 0 or kind == 0:
            return self.read(times, axes)
        if kind == 1:
            squared = ["power", self.form(depth - 1, times, axes), "2"]
            return ["add", ["number", "1"], squared]
        if kind == 2:
            return ["call", "sigmoid", self.form(depth - 1, times, axes)]
        return ["mul", self.positive(depth - 1, times, axes), self.positive(0, times, axes)]

    def form(self, depth: int, times: dict[str, int], axes: dict[str, str]) -> Any:
        if depth == 0:
            return self.leaf(times, axes)
        kind = self.random.randrange(11)
        inner = depth - 1
        if kind < 2:
            return ["add", self.form(inner, times, axes), self.form(inner, times, axes)]
        if kind < 4:
            return ["mul", self.form(inner, times, axes), self.form(inner, times, axes)]
        if kind == 4:
            exponent = self.random.choice(["-1", "-2", "1/2", "-1/2", "3/2"])
            return ["power", self.positive(inner, times, axes), exponent]
        if kind == 5:
            name = self.random.choice(FUNCTIONS)
            small = ["mul", ["number", "1/4"], self.form(inner, times, axes)]
            return ["call", name, small]
        if kind == 6:
            name = f"c{next(self.names)}"
            axis = self.random.choice(["K", "V"])
            body = self.form(inner, times, {**axes, name: axis})
            same = [each for each in sorted(axes) if axes[each] == axis]
            if same and self.random.random() < 0.5:
                body = ["mul", ["delta", name, self.random.choice(same)], body]
            return ["contract", name, axis, body]
        if kind == 10:
            turned = ["call", "exp", ["mul", ["i"], self.form(inner, times, axes)]]
            if self.random.random() < 0.5:
                turned = ["conjugate", ["mul", turned, ["i"]]]
            other = ["mul", ["i"], self.form(inner, times, axes)]
            return ["real", ["mul", turned, ["add", self.form(inner, times, axes), other]]]
        if kind == 7:
            return ["call", "log", self.positive(inner, times, axes)]
        return self.ranged(inner, times, axes, kind == 8)

    def ranged(self, inner: int, times: dict[str, int], axes: dict[str, str], summed: bool) -> Any:
        name = f"u{next(self.names)}"
        high = self.random.choice(sorted(times))
        low, shift = self.random.choice([({}, -1), ({}, 0), ({}, 1), ({high: 1, "": -2}, 0)])
        last = {high: 1, "": shift} if shift else {high: 1}
        if low:
            last = {high: 1}
        now = {**times, name: 1}
        if summed:
            return ["sum", name, low, last, self.form(inner, now, axes)]
        return ["product", name, low, last, self.positive(inner, now, axes)]


def reader() -> tuple[Reader, dict[str, Any], dict[int, str]]:
    between = ["3/10", "13/10", False, True]
    symbols = {name: {"sorts": sorts, "range": between} for name, sorts in SYMBOLS.items()}
    made = Reader({**dict.fromkeys(PARTS, ()), "axes": SIZES, "symbols": symbols})
    scope: dict[str, Any] = {}
    names: dict[int, str] = {}
    for name, sort in (("t", "T"), ("k", "K"), ("v", "V")):
        variable = made.fresh(sort)
        names[variable] = name
        scope[name] = ((variable, 1),) if sort == "T" else variable
    made.facts = (later(scope["t"], -1),)
    return made, scope, names


def plain(form: Any) -> Any:
    """What the kernel reads of a formula."""
    return Sugar(set())(form)


def normal(made: Reader, form: Any, scope: Scope) -> Poly:
    return made.value(plain(form), scope)


@pytest.mark.parametrize("seed", range(8))
def test_normal_forms_keep_values(seed: int) -> None:
    maker = Maker(seed)
    compared = 0
    for _ in range(60):
        form = maker.form(4, {"t": 1}, {"k": "K", "v": "V"})
        made, scope, names = reader()
        try:
            found = as_formula(made, normal(made, form, scope), names)
        except Rejected as error:
            assert any(each in error.message for each in ("too large", "zero", "range")), form
            continue
        there = {"t": 3, "k": 1, "v": 2}
        try:
            before, after = evaluate(form, there), evaluate(found, there)
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        if cmath.isfinite(before) and cmath.isfinite(after):
            assert abs(before - after) <= 1e-7 * (1 + abs(before)), form
        compared += 1
    assert compared > 30


@pytest.mark.parametrize("seed", range(4))
def test_substitution_keeps_values(seed: int) -> None:
    """A time moved in the normal form is a time moved in the formula."""
    maker = Maker(1000 + seed)
    compared = 0
    for _ in range(40):
        form = maker.form(3, {"t": 1}, {"k": "K", "v": "V"})
        made, scope, names = reader()
        (variable, _), *_ = scope["t"]
        try:
            moved = made.substitute(normal(made, form, scope), {variable: ((0, 1), (variable, 1))})
            found = as_formula(made, moved, names)
        except Rejected:
            continue
        try:
            before = evaluate(form, {"t": 4, "k": 0, "v": 1})
            after = evaluate(found, {"t": 3, "k": 0, "v": 1})
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        if cmath.isfinite(before) and cmath.isfinite(after):
            assert abs(before - after) <= 1e-7 * (1 + abs(before)), form
        compared += 1
    assert compared > 20


KINDS = {
    "positive": lambda value: value.real > 0,
    "nonnegative": lambda value: value.real >= 0,
    "nonzero": lambda value: value != 0,
}


@pytest.mark.parametrize("seed", range(4))
def test_signs_are_those_of_values(seed: int) -> None:
    """What follows from the ranges holds at numbers in them, for formulas and normal forms."""
    maker = Maker(2000 + seed)
    judged = 0
    for _ in range(150):
        form = maker.form(3, {"t": 1}, {"k": "K", "v": "V"})
        made, scope, _ = reader()
        try:
            poly = normal(made, form, scope)
            signs, bare = Signs(made), plain(form)
            said = [k for k in KINDS if signs.written(k, bare, scope) or signs.normal(k, poly)]
            values = [evaluate(form, {"t": t, "k": 1, "v": 2}) for t in (1, 2, 4)]
        except (Rejected, ZeroDivisionError, OverflowError, ValueError):
            continue
        for kind in said:
            for value in values:
                underflow = abs(value) < 1e-12
                assert KINDS[kind](value) or underflow or not cmath.isfinite(value), (kind, form)
        judged += bool(said)
    assert judged > 30


SHADOWED = [
    "mul",
    ["sum", "u", {}, {"t": 1}, ["product", "w", {}, {"u": 1}, ["at", "g"]]],
    ["sum", "u", {}, {"t": 1}, ["product", "w", {}, {"u": 1}, ["at", "p", {"w": 1}, {"w": 1}]]],
]
"""A flat sum times one with a sum inside: the inner name may be that of the flat sum's."""


def test_an_inner_name_shadows_an_outer_one() -> None:
    made, scope, names = reader()
    there = {"t": 3, "k": 1, "v": 2}
    found = as_formula(made, normal(made, SHADOWED, scope), names)
    assert abs(evaluate(SHADOWED, there) - evaluate(found, there)) < 1e-9


def test_a_logarithm_keeps_its_branch() -> None:
    """A complex exponential is not split off: the log of exp(i x) is i x up to 2 pi i only."""
    angle = ["mul", ["number", "2"], ["time", {"t": 1}]]
    form = ["call", "log", ["add", ["number", "1"], ["power", ["call", "sin", angle], "2"]]]
    made, scope, names = reader()
    there = {"t": 3, "k": 1, "v": 2}
    found = as_formula(made, normal(made, form, scope), names)
    assert abs(evaluate(form, there) - evaluate(found, there)) < 1e-9


def mutated(maker: Maker, form: Any, times: dict[str, int], axes: dict[str, str]) -> Any:
    """The formula with one place changed: a time, an index, a range, a sign, a whole part."""
    if isinstance(form, dict):
        name = maker.random.choice(sorted(times))
        return {**form, "": form.get("", 0) + 1} if maker.random.random() < 0.5 else {name: 1}
    if not isinstance(form, list) or maker.random.random() < 0.15:
        return maker.form(1, times, axes) if isinstance(form, list) else form
    if form[0] in ("number", "i"):
        return ["number", maker.random.choice(["1", "2", "-1"])]
    inner_times, inner_axes = dict(times), dict(axes)
    if form[0] in ("sum", "product"):
        inner_times[form[1]] = 1
    if form[0] == "contract":
        inner_axes[form[1]] = form[2]
    places = [k for k in range(1, len(form)) if isinstance(form[k], (list, dict))]
    if not places:
        return ["mul", ["number", "2"], form]
    k = maker.random.choice(places)
    last = k == len(form) - 1 and form[0] in ("sum", "product", "contract")
    scope = (inner_times, inner_axes) if last else (times, axes)
    return [*form[:k], mutated(maker, form[k], *scope), *form[k + 1 :]]


@pytest.mark.parametrize("seed", range(4))
def test_what_is_proved_equal_is_equal(seed: int) -> None:
    maker = Maker(3000 + seed)
    proved = 0
    for _ in range(120):
        form = maker.form(4, {"t": 1}, {"k": "K", "v": "V"})
        other = mutated(maker, form, {"t": 1}, {"k": "K", "v": "V"})
        made, scope, _ = reader()
        try:
            gap = gather(dict(normal(made, form, scope)), normal(made, other, scope), -1)
            if not made.is_zero(gap):
                continue
            pairs = [
                (evaluate(form, there), evaluate(other, there))
                for there in ({"t": 1, "k": 0, "v": 0}, {"t": 4, "k": 1, "v": 2})
            ]
        except (Rejected, ZeroDivisionError, OverflowError, ValueError, KeyError):
            continue
        for left, right in pairs:
            if cmath.isfinite(left) and cmath.isfinite(right):
                assert abs(left - right) <= 1e-7 * (1 + abs(left)), (form, other)
        proved += 1
    assert proved > 3
