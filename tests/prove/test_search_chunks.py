"""The search on chunk forms and gradients: pseudo-values, strong induction, potentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eosc.prove.formula import Definition, Equation, Problem, Symbol
from eosc.prove.search import Found, Missed, prove

from .notation import Reader, problem

SORTS = {
    "q": ("T", "K"),
    "k": ("T", "K"),
    "v": ("T", "V"),
    "be": ("T",),
    "ga": ("T",),
    "M": ("K", "V"),
    "m": ("T", "K", "V"),
    "w": ("T", "V"),
    "U": ("T", "V"),
    "W": ("T", "K"),
    "X": ("T", "K"),
}
READ = Reader(SORTS, ("t", "B"))
START = {"B": 1}
CHUNK = ((START, {"t": 1}),)


def recurrence(name: str, parameters: str, body: str, base: str = "0", **more) -> Definition:
    fields = {"start": START, "base": READ(base), **more}
    return Definition(name, tuple(parameters.split()), SORTS[name], READ(body), **fields)


def decayed(low: str, high: str, gated: bool) -> str:
    return f"Prod(j, {low}, {high}, ga[j]) * " if gated else ""


def delta(gated: bool) -> list[Definition]:
    keep = "ga[t] * " if gated else ""
    passed = decayed("u", "t", gated)
    first = decayed("B", "t", gated)
    erased = f"{keep}(m[t-1,x,b] - be[t]*k[t,x]*Ctr(c, K, k[t,c]*m[t-1,c,b]))"
    seen = f"Sum(u, B, t-1, {passed}Ctr(c, K, k[t,c]*k[u,c])*{{}})"
    return [
        recurrence("m", "t x b", f"{erased} + be[t]*k[t,x]*v[t,b]", "M[x,b]"),
        recurrence(
            "w",
            "t b",
            f"be[t]*(v[t,b] - {first}Ctr(c, K, k[t,c]*M[c,b]) - {seen.format('w[u,b]')})",
        ),
        recurrence("U", "t b", f"be[t]*(v[t,b] - {seen.format('U[u,b]')})"),
        recurrence("W", "t x", f"be[t]*({first}k[t,x] - {seen.format('W[u,x]')})"),
    ]


def chunk(gated: bool, value: str, sign: str = "+") -> Problem:
    passed, first = (decayed(low, "t+1", gated) for low in ("u", "B"))
    left = (
        f"{first}Ctr(x, K, q[t+1,x]*M[x,b]) {sign} "
        f"Sum(u, B, t+1, {passed}Ctr(x, K, q[t+1,x]*k[u,x])*{value})"
    )
    stated = problem(READ, delta(gated), left, "Ctr(x, K, q[t+1,x]*m[t+1,x,b])")
    goal = replace(stated.goals[0], facts=CHUNK)
    return replace(stated, goals=(goal,), facts=(({}, START),))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("value", ["w[u,b]", "(U[u,b] - Ctr(c, K, W[u,c]*M[c,b]))"])
def test_delta_rules_in_chunks(gated: bool, value: str) -> None:
    found = prove(chunk(gated, value))
    assert isinstance(found, Found), found.rejection
    assert "keys times pseudo-values" in {each.found for each in found.gauge}


def test_a_wrong_sign_in_a_chunk_gets_no_proof() -> None:
    assert isinstance(prove(chunk(True, "w[u,b]", "-")), Missed)


def test_a_dropped_mask_is_a_gauge_of_the_triangular_system() -> None:
    """W without the decay, scaled by it afterwards, is W: by strong induction."""
    seen = "Sum(u, B, t-1, Ctr(c, K, k[t,c]*k[u,c])*X[u,x])"
    plain = recurrence("X", "t x", f"be[t]*(k[t,x] - {seen})")
    definitions = [plain, delta(True)[3]]
    stated = problem(READ, definitions, "W[t+1,x]", "Prod(j, B, t+1, ga[j])*X[t+1,x]", "t:T x:K")
    goal = replace(stated.goals[0], facts=CHUNK)
    found = prove(replace(stated, goals=(goal,), facts=(({}, START),)))
    assert isinstance(found, Found), found.rejection
    assert found.candidate.steps[0]["rule"] == "strong"


TANGENT = {
    **SORTS,
    "al": ("T", "K"),
    "ald": ("T", "K"),
    "gd": ("T",),
    "bd": ("T",),
    "qd": ("T", "K"),
    "kd": ("T", "K"),
    "vd": ("T", "V"),
    "dy": ("T", "V"),
    "md": ("T", "K", "V"),
    "lam": ("T", "K", "V"),
}


def gradient(update: str, tangent: str, adjoint: str, grads: str) -> Problem:
    read = Reader(TANGENT, ("t", "L"))
    places = ("t", "x", "b")
    sorts = ("T", "K", "V")
    zero = read("0")
    definitions = (
        Definition("m", places, sorts, read(update), start={}, base=zero),
        Definition("md", places, sorts, read(tangent), start={}, base=zero),
        Definition("lam", places, sorts, read(adjoint), start={"L": 1, "": 1}, base=zero, step=-1),
    )
    out = "Ctr(b, V, dy[t,b]*(Ctr(x, K, qd[t,x]*m[t,x,b]) + Ctr(x, K, q[t,x]*md[t,x,b])))"
    shared = (
        "Ctr(x, K, Ctr(b, V, m[t,x,b]*dy[t,b])*qd[t,x])"
        " + Ctr(b, V, {value}*Ctr(x, K, lam[t,x,b]*k[t,x])*vd[t,b]) + "
    )
    left = ("sum", "t", {}, {"L": 1}, read(out))
    value = "be[t]" if "be[t]" in update else "1"
    right = ("sum", "t", {}, {"L": 1}, read(shared.format(value=value) + grads))
    named = {"m", "md", "lam"}
    symbols = tuple(Symbol(name, of) for name, of in TANGENT.items() if name not in named)
    goal = Equation("gradient", (), left, right)
    return Problem(("K", "V"), symbols, definitions, (goal,), (({"": 1}, {"L": 1}),))


SCALAR = (
    "ga[t]*m[t-1,x,b] + k[t,x]*v[t,b]",
    "gd[t]*m[t-1,x,b] + ga[t]*md[t-1,x,b] + kd[t,x]*v[t,b] + k[t,x]*vd[t,b]",
    "q[t,x]*dy[t,b] + ga[t+1]*lam[t+1,x,b]",
    "Ctr(x, K, Ctr(b, V, lam[t,x,b]*v[t,b])*kd[t,x])"
    " + Ctr(x, K, Ctr(b, V, lam[t,x,b]*m[t-1,x,b]))*gd[t]",
)
DIAGONAL = (
    "al[t,x]*m[t-1,x,b] + k[t,x]*v[t,b]",
    "ald[t,x]*m[t-1,x,b] + al[t,x]*md[t-1,x,b] + kd[t,x]*v[t,b] + k[t,x]*vd[t,b]",
    "q[t,x]*dy[t,b] + al[t+1,x]*lam[t+1,x,b]",
    "Ctr(x, K, Ctr(b, V, lam[t,x,b]*v[t,b])*kd[t,x])"
    " + Ctr(x, K, Ctr(b, V, lam[t,x,b]*m[t-1,x,b])*ald[t,x])",
)
LEFT_OVER = "(v[t,b] - Ctr(c, K, k[t,c]*m[t-1,c,b]))"
ERASING = (
    f"m[t-1,x,b] + be[t]*k[t,x]*{LEFT_OVER}",
    f"md[t-1,x,b] + bd[t]*k[t,x]*{LEFT_OVER} + be[t]*kd[t,x]*{LEFT_OVER} + be[t]*k[t,x]"
    "*(vd[t,b] - Ctr(c, K, kd[t,c]*m[t-1,c,b]) - Ctr(c, K, k[t,c]*md[t-1,c,b]))",
    "q[t,x]*dy[t,b] + lam[t+1,x,b] - be[t+1]*k[t+1,x]*Ctr(c, K, k[t+1,c]*lam[t+1,c,b])",
    f"Ctr(b, V, Ctr(x, K, lam[t,x,b]*k[t,x])*{LEFT_OVER})*bd[t]"
    f" + Ctr(x, K, (be[t]*Ctr(b, V, lam[t,x,b]*{LEFT_OVER})"
    " - be[t]*Ctr(b, V, m[t-1,x,b]*Ctr(c, K, lam[t,c,b]*k[t,c])))*kd[t,x])",
)


@pytest.mark.parametrize("system", [SCALAR, DIAGONAL, ERASING])
def test_gradients_telescope(system: tuple[str, str, str, str]) -> None:
    found = prove(gradient(*system))
    assert isinstance(found, Found), found.rejection
    assert found.candidate.strategy == "a potential that telescopes"


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (2, "ga[t+1]", "ga[t]"),
        (3, "m[t-1,x,b]", "m[t,x,b]"),
        (3, "lam[t,x,b]*v[t,b]", "lam[t+1,x,b]*v[t,b]"),
    ],
)
def test_wrong_gradients_get_no_proof(place: int, old: str, new: str) -> None:
    wrong = list(SCALAR)
    assert old in wrong[place]
    wrong[place] = wrong[place].replace(old, new)
    assert isinstance(prove(gradient(*wrong)), Missed)
