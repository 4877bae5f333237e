"""Normal forms back as formulas, and formulas as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eosc.prove.kernel.atoms import Bounds, Node, Poly, Term, mentioned
from eosc.prove.kernel.normal import Algebra
from eosc.prove.kernel.times import CONSTANT, Time

LIMIT = 20  # terms of a sum that are printed


def as_formula(algebra: Algebra, poly: Poly, names: Mapping[int, str]) -> Any:
    """The formula of a normal form; a potential is the sum over 0 < u <= base."""
    forms: list[Any] = []
    for (bounds, powers), count in poly.items():
        inner = {**names, **_chosen(bounds, names)}
        factors: list[Any] = [] if count == 1 and powers else [["number", str(count)]]
        factors += [_powered(algebra, atom, exponent, inner) for atom, exponent in powers]
        form: Any = factors[0] if len(factors) == 1 else ["mul", *factors]
        for variable, domain in innermost_first(bounds):
            name = inner[variable]
            if isinstance(domain, str):
                form = ["contract", name, domain, form]
            else:
                form = ["sum", name, {}, _time(domain, inner), form]
        forms.append(form)
    return forms[0] if len(forms) == 1 else ["add", *forms] if forms else ["number", "0"]


def innermost_first(bounds: Bounds) -> Bounds:
    """Bound variables in an order in which no domain reads one that came before."""
    found, waiting = bounds[:0], bounds
    while waiting:
        read = frozenset().union(*(mentioned(domain) for _, domain in waiting))
        found += tuple(each for each in waiting if each[0] not in read)
        waiting = tuple(each for each in waiting if each[0] in read)
    return found


def _chosen(bounds: Any, names: Mapping[int, str]) -> dict[int, str]:
    taken, found = set(names.values()), {}
    for variable, domain in bounds:
        stem = "j" if isinstance(domain, str) else "u"
        place = 0
        while (name := stem + (str(place) if place else "")) in taken:
            place += 1
        taken.add(name)
        found[variable] = name
    return found


def _name(variable: int, names: Mapping[int, str]) -> str:
    return names.get(variable, f"n{variable}" if variable < 1 << 50 else f"n{variable - (1 << 50)}")


def _time(time: Time, names: Mapping[int, str]) -> dict[str, int]:
    return {("" if v == CONSTANT else _name(v, names)): c for v, c in reversed(time)}


def _powered(algebra: Algebra, atom: int, exponent: Any, names: Mapping[int, str]) -> Any:
    node = algebra.nodes[atom]
    if node.kind == "E":
        return _exponential(algebra, next(iter(algebra.inside(atom))), exponent, names)
    form = _atom(algebra, node, names)
    return form if exponent == 1 else ["power", form, str(exponent)]


def _exponential(algebra: Algebra, term: Term, exponent: Any, names: Mapping[int, str]) -> Any:
    bounds, powers = term
    single = len(powers) == 1 and powers[0][1] == 1 and len(bounds) <= 1
    if single and algebra.nodes[powers[0][0]].kind == "L":
        inner = {**names, **_chosen(bounds, names)}
        form = as_formula(algebra, algebra.inside(powers[0][0]), inner)
        for variable, domain in bounds:
            if isinstance(domain, str):
                return ["call", "exp", as_formula(algebra, {term: exponent}, names)]
            form = ["product", inner[variable], {}, _time(domain, inner), form]
        return form if exponent == 1 else ["power", form, str(exponent)]
    return ["call", "exp", as_formula(algebra, {term: exponent}, names)]


def _atom(algebra: Algebra, node: Node, names: Mapping[int, str]) -> Any:
    points = [_time(p, names) if isinstance(p, tuple) else _index(p, names) for p in node.points]
    inside = [as_formula(algebra, algebra.polys[number], names) for number in node.inside]
    if node.kind in ("v", "C"):
        read = ["at", node.label, *points]
        return read if node.kind == "v" else ["conjugate", read]
    if node.kind in ("L", "F"):
        return ["call", node.label or "log", *inside]
    if node.kind == "n":
        return ["size", node.label]
    kinds = {"t": "time", "x": "index", "d": "delta", "i": "i"}
    return [kinds[node.kind], *points, *inside]


def _index(point: int | str, names: Mapping[int, str]) -> Any:
    return int(point) if isinstance(point, str) else _name(point, names)


def text(form: Any) -> str:
    """A formula as a line of text."""
    kind = form[0]
    if kind == "number":
        return str(form[1])
    if kind == "at":
        inside = ",".join(moment(p) if isinstance(p, dict) else str(p) for p in form[2:])
        return f"{form[1]}[{inside}]" if inside else str(form[1])
    if kind == "add":
        more = f" + ... ({len(form) - 1} terms)" if len(form) - 1 > LIMIT else ""
        return "(" + " + ".join(text(each) for each in form[1 : LIMIT + 1]) + more + ")"
    if kind == "mul":
        return "·".join(text(each) for each in form[1:])
    if kind == "power":
        return f"{text(form[1])}^({form[2]})"
    if kind in ("sum", "product"):
        sign = "Σ" if kind == "sum" else "∏"
        return f"{sign}_{{{moment(form[2])}<{form[1]}≤{moment(form[3])}}} {text(form[4])}"
    if kind == "contract":
        return f"Σ_{{{form[1]}∈{form[2]}}} {text(form[3])}"
    if kind == "delta":
        return f"δ({form[1]},{form[2]})"
    if kind == "time":
        return moment(form[1])
    if kind in ("size", "index"):
        return f"|{form[1]}|" if kind == "size" else str(form[1])
    if kind == "call":
        return f"{form[1]}({', '.join(text(each) for each in form[2:])})"
    return "i" if kind == "i" else f"{kind}({text(form[1])})"


def moment(time: Mapping[str, int]) -> str:
    """A TIME as text."""
    found = ""
    for name, count in time.items():
        size = name if abs(count) == 1 and name else f"{abs(count)}{name}"
        found += ("-" if count < 0 else "+" if found else "") + size
    return found or "0"
