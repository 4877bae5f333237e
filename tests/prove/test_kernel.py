"""The trusted checker: what it proves, what it does not, and what it refuses to look at."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from eosc.prove.checker import Checked, Rejected, check
from eosc.prove.formula import (
    ZERO,
    Definition,
    Equation,
    Formula,
    Problem,
    Symbol,
    as_json,
    moment,
    over,
)
from tests.prove.notation import Reader

KERNEL = Path(__file__).parents[2] / "eosc" / "prove" / "kernel"
CHECKER = KERNEL.with_name("checker")
T, K, V = "T", "K", "V"
STATE = (T, K, V)
SORTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("q", "k", "al", "z", "lg", "Bm", "Cm", "q1", "q2", "k1", "k2"), (T, K)),
    **dict.fromkeys(("v", "xd", "dd", "fd", "dy"), (T, V)),
    **dict.fromkeys(("be", "ga", "dt", "la", "ig", "x", "y"), (T,)),
    **dict.fromkeys(("lb", "th", "ar", "ai", "cr", "ci", "br", "bi"), (K,)),
    **dict.fromkeys(("g", "Alog", "bias", "Dt", "om"), ()),
    **dict.fromkeys(("AA", "M", "A1", "A2", "A3", "b1", "b2", "b3"), (K, V)),
    "Q": (K, K),
    "O": (T, K, K),
}
RANGES = {
    "al": ("0", "1", True, True),
    "ga": ("0", "1", True, True),
    "g": ("0", "1", True, True),
    "lb": ("0", "1", False, True),
}


def spec(s: str, e: str, i: str, o: str, out: str = "{}") -> dict[str, str]:
    return {"s": s, "e": e, "i": i, "o": o, "out": out}


SPECS = {
    "linear": spec("q[t,a]", "k[t,a]", "v[t,b]", "1"),
    "retnet": spec("q[t,a]", "k[t,a]", "v[t,b]", "g"),
    "gauged": spec("q[t,a]*g**t", "k[t,a]*g**(-t)", "v[t,b]", "1"),
    "tnl": spec("silu(q[t,a])", "silu(k[t,a])", "v[t,b]", "exp(-g)"),
    "tnl gauged": spec("silu(q[t,a])*exp(-g*t)", "silu(k[t,a])*exp(g*t)", "v[t,b]", "1"),
    "gla": spec("q[t,a]", "k[t,a]", "v[t,b]", "al[t,a]"),
    "gla log": spec("q[t,a]", "k[t,a]", "v[t,b]", "exp(log(al[t,a]))"),
    "gla sigmoid": spec("q[t,a]", "k[t,a]", "v[t,b]", "sigmoid(z[t,a])**(1/16)"),
    "gla logsigmoid": spec("q[t,a]", "k[t,a]", "v[t,b]", "exp(log(sigmoid(z[t,a]))/16)"),
    "hgrn2": spec("q[t,a]", "1-al[t,a]", "v[t,b]", "al[t,a]"),
    "hgrn2 sigmoid": spec("q[t,a]", "sigmoid(-z[t,a])", "v[t,b]", "sigmoid(z[t,a])"),
    "gla complement": spec("q[t,a]", "1-sigmoid(z[t,a])", "v[t,b]", "sigmoid(z[t,a])"),
    "hgrn2 bound": spec(
        "q[t,a]",
        "1-(lb[a]+(1-lb[a])*sigmoid(z[t,a]))",
        "v[t,b]",
        "lb[a]+(1-lb[a])*sigmoid(z[t,a])",
    ),
    "hgrn2 bound turned": spec(
        "q[t,a]", "(1-lb[a])*sigmoid(-z[t,a])", "v[t,b]", "1-(1-lb[a])*sigmoid(-z[t,a])"
    ),
    "mamba2": spec(
        "Cm[t,a]",
        "Bm[t,a]",
        "softplus(dt[t]+bias)*xd[t,b]",
        "exp(-exp(Alog)*softplus(dt[t]+bias))",
    ),
    "mamba2 sigmoid": spec(
        "Cm[t,a]",
        "Bm[t,a]",
        "-log(sigmoid(-dt[t]-bias))*xd[t,b]",
        "sigmoid(-dt[t]-bias)**exp(Alog)",
    ),
    "mamba": spec(
        "Cm[t,a]", "Bm[t,a]", "softplus(dd[t,b])*xd[t,b]", "exp(-exp(AA[a,b])*softplus(dd[t,b]))"
    ),
    "mamba power": spec(
        "Cm[t,a]", "Bm[t,a]", "softplus(dd[t,b])*xd[t,b]", "(1+exp(dd[t,b]))**(-exp(AA[a,b]))"
    ),
    "lrpe": spec("q1[t,a]-I*q2[t,a]", "k1[t,a]+I*k2[t,a]", "v[t,b]", "exp(-I*th[a])", out="Re({})"),
    "mlstm": spec("q[t,a]", "k[t,a]", "exp(ig[t])*v[t,b]", "sigmoid(la[t])"),
    "mlstm softplus": spec("q[t,a]", "exp(ig[t])*k[t,a]", "v[t,b]", "exp(-softplus(-la[t]))"),
    "cosformer": spec("q[t,a]", "k[t,a]", "v[t,b]", "exp(-I*om)", out="Re({})"),
    "s4d": spec(
        "cr[a]+I*ci[a]",
        "(exp(Dt*(ar[a]+I*ai[a]))-1)/(ar[a]+I*ai[a])*(br[a]+I*bi[a])",
        "v[t,b]",
        "exp(Dt*(ar[a]+I*ai[a]))",
        out="Re({})",
    ),
    "gateloop": spec("q[t,a]", "k[t,a]", "v[t,b]", "al[t,a]*exp(I*0*z[t,a])", out="Re({})"),
}
ROPE = (
    "Sum(u,0,t,Ctr(a,K,(q1[t,a]*cos(th[a]*t)-q2[t,a]*sin(th[a]*t))"
    "*(k1[u,a]*cos(th[a]*u)-k2[u,a]*sin(th[a]*u))"
    "+(q1[t,a]*sin(th[a]*t)+q2[t,a]*cos(th[a]*t))"
    "*(k1[u,a]*sin(th[a]*u)+k2[u,a]*cos(th[a]*u)))*v[u,b])"
)
CONVOLUTION = (
    "Sum(u,0,t,Ctr(a,K,Re((cr[a]+I*ci[a])*exp((t-u)*Dt*(ar[a]+I*ai[a]))"
    "*(exp(Dt*(ar[a]+I*ai[a]))-1)*(br[a]+I*bi[a])/(ar[a]+I*ai[a])))*v[u,b])"
)
QUADRATIC = "Sum(u,0,t,Ctr(a,K,q[t,a]*k[u,a])*g**(t-u)*v[u,b])"
TURNED = (
    "Sum(u,0,t,Ctr(a,K,q[t,a]*cos(om*t)*k[u,a]*cos(om*u)+q[t,a]*sin(om*t)*k[u,a]*sin(om*u))*v[u,b])"
)

TRUE = [
    ("retnet", "gauged"),
    ("tnl", "tnl gauged"),
    ("gla", "gla log"),
    ("gla sigmoid", "gla logsigmoid"),
    ("hgrn2 sigmoid", "gla complement"),
    ("hgrn2 bound", "hgrn2 bound turned"),
    ("mamba2", "mamba2 sigmoid"),
    ("mamba", "mamba power"),
    ("mlstm", "mlstm softplus"),
    ("gla", "gateloop"),
    ("lrpe", ROPE),
    ("s4d", CONVOLUTION),
    ("retnet", QUADRATIC),
    ("cosformer", TURNED),
]
FALSE = [
    ("retnet", {**SPECS["gauged"], "s": "q[t,a]*g**(-t)", "e": "k[t,a]*g**t"}),
    ("hgrn2", {**SPECS["gla"], "e": "al[t,a]"}),
    ("mamba2", {**SPECS["mamba2 sigmoid"], "i": "xd[t,b]"}),
    ("mamba2", {**SPECS["mamba2"], "o": "exp(-exp(Alog)*exp(dt[t]+bias))"}),
    ("lrpe", {**SPECS["lrpe"], "o": "exp(I*th[a])"}),
    ("gla", {**SPECS["gla"], "e": "al[t,a]*k[t,a]"}),
    ("tnl", {**SPECS["tnl"], "s": "q[t,a]*sigmoid(-q[t,a])"}),
    ("mlstm", {**SPECS["mlstm softplus"], "i": "exp(ig[t])*v[t,b]"}),
    ("s4d", {**SPECS["s4d"], "e": "Dt*(br[a]+I*ci[a])"}),
    ("gla", {**SPECS["gla"], "o": "fd[t,b]"}),
    (
        {**SPECS["gla"], "o": "tanh(z[t,a])"},
        {**SPECS["gla"], "o": "2*sigmoid(z[t,a])-1"},
    ),
]


def named(given: str | dict[str, str]) -> str | dict[str, str]:
    return SPECS.get(given, given) if isinstance(given, str) else given


def side(given: dict[str, str], tag: str, read: Reader) -> tuple[list[Definition], dict]:
    """A memory, its output, and the claim of its closed form."""
    read.sorts |= {f"m{tag}": STATE, f"y{tag}": (T, V), f"o{tag}": STATE}
    complex_ = "I" in given["s"] + given["e"] + given["i"] + given["o"]
    o, m = f"o{tag}[{{}},a,b]", f"m{tag}"
    definitions = [
        Definition(f"o{tag}", ("t", "a", "b"), STATE, read(given["o"]), complex=complex_),
        Definition(
            m,
            ("t", "a", "b"),
            STATE,
            read(f"{o.format('t')}*{m}[t-1,a,b]+({given['e']})*({given['i']})"),
            complex=complex_,
            start={},
            base=ZERO,
        ),
        Definition(
            f"y{tag}",
            ("t", "b"),
            (T, V),
            read(given["out"].format(f"Ctr(a,K,({given['s']})*{m}[t,a,b])")),
            complex=complex_ and not given["out"].startswith("Re"),
        ),
    ]
    inside = f"({given['e']})*({given['i']})".replace("[t", "[u").replace("**t", "**u")
    inside = inside.replace("**(-t)", "**(-u)").replace("g*t", "g*u")
    closed = f"Sum(u,0,t,Prod(j,u,t,{o.format('j')})*{inside})"
    return definitions, {"definition": m, "closed": read(closed)}


def symbols(read: Reader, definitions: list[Definition]) -> tuple[Symbol, ...]:
    made = {each.name for each in definitions}
    return tuple(
        Symbol(name, sorts, RANGES.get(name))
        for name, sorts in read.sorts.items()
        if name not in made
    )


def pair(left: str | dict[str, str], right: str | dict[str, str]) -> tuple[dict, list]:
    """Outputs agree at every time, by the closed forms of both memories."""
    read = Reader(SORTS)
    definitions, claim = side(named(left), "A", read)
    proof = [{"rule": "induction", "claims": [claim]}]
    given = named(right)
    if isinstance(given, str):
        wanted = read(given)
    else:
        more, claim = side(given, "B", read)
        definitions += more
        proof.append({"rule": "induction", "claims": [claim]})
        wanted = read("yB[t,b]")
    goal = Equation("y", (("t", T), ("b", V)), read("yA[t,b]"), wanted, (({}, {"t": 1}),))
    proof.append({"rule": "equal", "goal": "y"})
    stated = Problem((K, V), symbols(read, definitions), tuple(definitions), (goal,))
    return as_json(stated), proof


def settle(problem: dict, proof: list) -> Checked:
    """Check what survives a passage through JSON."""
    return check(*json.loads(json.dumps([problem, proof])))


def texts(found: Checked) -> list[str]:
    return [condition.text for condition in found.conditions]


@pytest.mark.parametrize("left,right", TRUE, ids=lambda each: str(each)[:20])
def test_equal_mixers_are_proved(left: str, right: str) -> None:
    found = settle(*pair(left, right))
    assert found.goals == ("y",)
    assert texts(found) == (["(ar[k] + i·ai[k]) ≠ 0"] if left == "s4d" else [])


@pytest.mark.parametrize("number", range(len(FALSE)))
def test_different_mixers_are_not(number: int) -> None:
    with pytest.raises(Rejected, match="y fails") as caught:
        settle(*pair(*FALSE[number]))
    assert caught.value.residual


# Lowerings: chunks of any length, with the memory M at the time B before it.

ORDER: tuple = (({"B": 1}, {"t": 1}),)


class Chunk:
    """Statements about one chunk, times B < t, and the proof of them."""

    def __init__(self, sorts: dict[str, tuple[str, ...]] | None = None) -> None:
        self.read = Reader({**SORTS, **(sorts or {})}, ("t", "B"))
        self.definitions: list[Definition] = []
        self.goals: list[Equation] = []
        self.hypotheses: list[Equation] = []
        self.proof: list[dict] = []
        self.facts: tuple = (({}, {"B": 1}), ({}, {"C": 1}))

    def recur(self, name: str, parameters: str, base: str, body: str, **more: object) -> None:
        self.definitions.append(
            Definition(
                name,
                tuple(parameters.split()),
                self.read.sorts[name],
                self.read(body),
                base=self.read(base),
                **{"start": {"B": 1}, **more},
            )
        )

    def short(self, name: str, parameters: str, body: str) -> None:
        named = tuple(parameters.split())
        self.definitions.append(Definition(name, named, self.read.sorts[name], self.read(body)))

    def closed(self, name: str, closed: str, rule: str = "induction", **more: object) -> None:
        claim = {"definition": name, "closed": self.read(closed)}
        step = {"claims": [claim]} if rule == "induction" else claim
        self.proof.append({"rule": rule, **step, **more})

    def equal(self, left: str, right: str, parameters: str, facts: tuple = ORDER) -> None:
        name = f"goal {len(self.goals)}"
        named = tuple(tuple(each.split(":")) for each in parameters.split())
        self.goals.append(Equation(name, named, self.read(left), self.read(right), facts))
        self.proof.append({"rule": "equal", "goal": name})

    def check(self) -> Checked:
        stated = Problem(
            (K, V),
            symbols(self.read, self.definitions),
            tuple(self.definitions),
            tuple(self.goals),
            self.facts,
            tuple(self.hypotheses),
        )
        return settle(as_json(stated), self.proof)


def diagonal(o: str, q: str = "", k: str = "") -> Chunk:
    """A chunk of a memory with a diagonal decay, with scaled queries and keys."""
    made = Chunk({"m": STATE})
    made.recur("m", "t a b", "M[a,b]", f"{o.format('t')}*m[t-1,a,b]+k[t,a]*v[t,b]")
    whole = f"Prod(j,B,{{}},{o.format('j')})"
    inner = f"Prod(j,u,t,{o.format('j')})*k[u,a]*v[u,b]"
    made.closed("m", f"{whole.format('t')}*M[a,b]+Sum(u,B,t,{inner})")
    q = q or f"q[t,a]*{whole.format('t')}"
    k = k or f"k[u,a]/{whole.format('u')}"
    made.equal(
        f"Ctr(a,K,({q})*M[a,b])+Sum(u,B,t,Ctr(a,K,({q})*({k}))*v[u,b])",
        "Ctr(a,K,q[t,a]*m[t,a,b])",
        "t:T b:V",
    )
    end = whole.format("B+C")
    made.equal(
        f"{end}*M[a,b]+Sum(u,B,B+C,k[u,a]*{end}/{whole.format('u')}*v[u,b])",
        "m[B+C,a,b]",
        "a:K b:V",
        facts=(),
    )
    return made


@pytest.mark.parametrize(
    "o", ["al[{},a]", "ga[{}]", "g", "sigmoid(z[{},a])", "(lb[a]+(1-lb[a])*sigmoid(z[{},a]))"]
)
def test_chunks_of_diagonal_decays(o: str) -> None:
    assert not settle_conditions(diagonal(o))


def settle_conditions(made: Chunk) -> list[str]:
    return texts(made.check())


def test_a_chunk_in_log_space() -> None:
    made = diagonal(
        "exp(lg[{},a])",
        "q[t,a]*exp(Sum(j,B,t,lg[j,a]))",
        "k[u,a]*exp(-Sum(j,B,u,lg[j,a]))",
    )
    assert not settle_conditions(made)


@pytest.mark.parametrize(
    "bug",
    [
        {"q": "q[t,a]*Prod(j,B,t-1,al[j,a])"},
        {"k": "k[u,a]/Prod(j,B,u-1,al[j,a])"},
        {"k": "k[u,a]*Prod(j,B,u,al[j,a])"},
    ],
    ids=["exclusive", "off by one", "wrong way"],
)
def test_wrong_chunks_are_not(bug: dict[str, str]) -> None:
    with pytest.raises(Rejected):
        diagonal("al[{},a]", **bug).check()


def test_a_chunk_of_dense_transitions() -> None:
    made = Chunk({"m": STATE, "P": (T, T, K, K)})
    made.recur("P", "t s a c", "D(a,c)", "Ctr(x,K,O[t,a,x]*P[t-1,s,x,c])", start={"s": 1})
    made.recur("m", "t a b", "M[a,b]", "Ctr(c,K,O[t,a,c]*m[t-1,c,b])+k[t,a]*v[t,b]")
    closed = "Ctr(c,K,P[t,B,a,c]*M[c,b])+Sum(u,B,t,Ctr(c,K,P[t,u,a,c]*k[u,c])*v[u,b])"
    made.closed("m", closed)
    made.equal("m[t,a,b]", closed, "t:T a:K b:V")
    made.check()


def delta(gated: bool, bug: str = "") -> Chunk:
    """The WY and UT forms of a chunk of the (gated) delta rule."""
    made = Chunk({"m": STATE, "w": (T, V), "U": (T, V), "W": (T, K)})
    gate = "ga[t]*" if gated else ""
    decay = "Prod(j,{},{},ga[j])*" if gated else ""
    whole, part = decay.format("B", "t"), decay.format("u", "t")
    made.recur(
        "m",
        "t a b",
        "M[a,b]",
        f"{gate}(m[t-1,a,b]-be[t]*k[t,a]*Ctr(c,K,k[t,c]*m[t-1,c,b]))+be[t]*k[t,a]*v[t,b]",
    )
    mask = "" if bug == "mask" else part
    made.recur(
        "w",
        "t b",
        "0",
        f"be[t]*(v[t,b]-{whole}Ctr(c,K,k[t,c]*M[c,b])"
        f"-Sum(u,B,t-1,{mask}Ctr(c,K,k[t,c]*k[u,c])*w[u,b]))",
    )
    for name, index, value in (("U", "b", "v[t,b]"), ("W", "c", f"{whole}k[t,c]")):
        made.recur(
            name,
            f"t {index}",
            "0",
            f"be[t]*({value}-Sum(u,B,t-1,{part}Ctr(x,K,k[t,x]*k[u,x])*{name}[u,{index}]))",
        )
    sign = "-" if bug == "sign" else "+"
    made.closed("m", f"{whole}M[a,b]{sign}Sum(u,B,t,{part}k[u,a]*w[u,b])")
    made.closed("w", "U[t,b]-Ctr(c,K,W[t,c]*M[c,b])", rule="strong")
    made.equal(
        f"{whole}Ctr(a,K,q[t,a]*M[a,b])"
        f"+Sum(u,B,t,{part}Ctr(a,K,q[t,a]*k[u,a])*(U[u,b]-Ctr(c,K,W[u,c]*M[c,b])))",
        "Ctr(a,K,q[t,a]*m[t,a,b])",
        "t:T b:V",
    )
    return made


@pytest.mark.parametrize("gated", [False, True])
def test_delta_rules_in_chunks(gated: bool) -> None:
    assert not settle_conditions(delta(gated))


@pytest.mark.parametrize("gated,bug", [(False, "sign"), (True, "sign"), (True, "mask")])
def test_wrong_delta_rules_in_chunks_are_not(gated: bool, bug: str) -> None:
    with pytest.raises(Rejected, match="step of m"):
        delta(gated, bug).check()


def unmasked(closed: str) -> Chunk:
    made = delta(True)
    made.read.sorts["Wn"] = (T, K)
    made.recur("Wn", "t c", "0", "be[t]*(k[t,c]-Sum(u,B,t-1,Ctr(x,K,k[t,x]*k[u,x])*Wn[u,c]))")
    made.proof, made.goals = [], []
    made.closed("W", closed, rule="strong")
    made.equal("W[t,c]", closed, "t:T c:K")
    return made


def test_a_mask_may_be_moved_out_of_the_triangular_system() -> None:
    unmasked("Prod(j,B,t,ga[j])*Wn[t,c]").check()
    with pytest.raises(Rejected, match="step of W"):
        unmasked("Wn[t,c]").check()


def backward(kind: str, bug: str = "") -> Chunk:
    """The gradient of a decaying memory by telescoping, that of log decays by reversal."""
    o, tangent = ("ga[{}]", "gd[{}]") if kind == "scalar" else ("al[{},a]", "ald[{},a]")
    made = Chunk(
        {"m": STATE, "md": STATE, "lam": STATE, "qd": (T, K), "kd": (T, K), "vd": (T, V)}
        | {"gd": (T,), "ald": (T, K), "dq": (T, K), "dk": (T, K), "dv": (T, V), "da": (T, K)}
    )
    made.facts = (({"": 1}, {"L": 1}),)
    now, then = o.format("t"), o.format("t" if bug == "shift" else "t+1")
    zero: dict = {"start": {}}
    made.recur("m", "t a b", "0", f"{now}*m[t-1,a,b]+k[t,a]*v[t,b]", **zero)
    made.recur(
        "md",
        "t a b",
        "0",
        f"{tangent.format('t')}*m[t-1,a,b]+{now}*md[t-1,a,b]+kd[t,a]*v[t,b]+k[t,a]*vd[t,b]",
        **zero,
    )
    made.recur(
        "lam",
        "t a b",
        "0",
        f"q[t,a]*dy[t,b]+{then}*lam[t+1,a,b]",
        start={"L": 1, "": 1},
        step=-1,
    )
    made.short("dq", "t a", "Ctr(b,V,m[t,a,b]*dy[t,b])")
    made.short("dk", "t a", "Ctr(b,V,lam[t,a,b]*v[t,b])")
    made.short("dv", "t b", "Ctr(a,K,lam[t,a,b]*k[t,a])")
    made.short("da", "t a", f"Ctr(b,V,lam[t,a,b]*m[{'t' if bug == 'now' else 't-1'},a,b])")
    whole = "Ctr(a,K,da[t,a])*gd[t]" if kind == "scalar" else "Ctr(a,K,da[t,a]*ald[t,a])"
    outputs = made.read("Ctr(b,V,dy[t,b]*(Ctr(a,K,qd[t,a]*m[t,a,b])+Ctr(a,K,q[t,a]*md[t,a,b])))")
    inputs = made.read(
        f"Ctr(a,K,dq[t,a]*qd[t,a])+Ctr(a,K,dk[t,a]*kd[t,a])+Ctr(b,V,dv[t,b]*vd[t,b])+{whole}"
    )
    last = moment("L")
    made.goals.append(
        Equation("grad", (), over("t", {}, last, outputs), over("t", {}, last, inputs))
    )
    potential = made.read(f"Ctr(a,K,Ctr(b,V,{o.format('t+1')}*lam[t+1,a,b]*md[t,a,b]))")
    made.proof.append({"rule": "telescope", "goal": "grad", "potential": potential})
    if kind != "scalar":
        sign = "+" if bug == "logs" else "-"
        right = made.read(f"Sum(u,t-1,L,q[u,a]*dq[u,a]{sign}k[u,a]*dk[u,a])")
        facts = (({"": 1}, {"t": 1}), ({"t": 1}, last))
        left = made.read("al[t,a]*da[t,a]")
        made.goals.append(Equation("logs", (("t", T), ("a", K)), left, right, facts))
        made.proof.append({"rule": "reversal", "goal": "logs", "parameter": "t"})
    return made


@pytest.mark.parametrize("kind", ["scalar", "diagonal"])
def test_backwards_are_gradients(kind: str) -> None:
    assert not settle_conditions(backward(kind))


@pytest.mark.parametrize("bug", ["shift", "now", "logs"])
def test_wrong_backwards_are_not(bug: str) -> None:
    with pytest.raises(Rejected):
        backward("diagonal", bug).check()


def rotated(times: str) -> Chunk:
    """The delta rule in coordinates turned by an orthogonal Q."""
    made = Chunk({"mA": STATE, "mB": STATE, "kp": (T, K)})
    made.short("kp", "t a", "Ctr(c,K,Q[a,c]*k[t,c])")
    for m, k in (("mA", "k"), ("mB", "kp")):
        made.recur(
            m,
            "t a b",
            "0",
            f"{m}[t-1,a,b]-be[t]*{k}[t,a]*Ctr(c,K,{k}[t,c]*{m}[t-1,c,b])+be[t]*{k}[t,a]*v[t,b]",
            start={},
        )
    orthogonal = made.read("Ctr(c,K,Q[c,x]*Q[c,y])"), made.read("D(x,y)")
    made.hypotheses.append(Equation("orthogonal", (("x", K), ("y", K)), *orthogonal))
    used = {
        "hypothesis": "orthogonal",
        "arguments": ["x", "y"],
        "over": [["x", K], ["y", K]],
        "times": made.read(times),
    }
    made.closed("mB", "Ctr(c,K,Q[a,c]*mA[t,c,b])", using=[used])
    made.equal("mB[t,a,b]", "Ctr(c,K,Q[a,c]*mA[t,c,b])", "t:T a:K b:V", (({}, {"t": 1}),))
    return made


def test_hypotheses_are_used_with_multipliers() -> None:
    rotated("-be[t+1]*kp[t+1,a]*k[t+1,x]*mA[t,y,b]").check()
    with pytest.raises(Rejected, match="step of mB"):
        rotated("-kp[t+1,a]*k[t+1,x]*mA[t,y,b]").check()


def test_the_operator_of_a_scan_is_associative() -> None:
    made = Chunk()
    made.equal(
        "A3[a,b]*A2[a,b]*b1[a,b]+A3[a,b]*b2[a,b]+b3[a,b]",
        "A3[a,b]*(A2[a,b]*b1[a,b]+b2[a,b])+b3[a,b]",
        "a:K b:V",
        (),
    )
    made.check()


# Small statements, one thing each.


def statement(
    left: str, right: str, parameters: str = "t:T a:K b:V", facts: tuple = (({}, {"t": 1}),)
) -> Chunk:
    made = Chunk()
    made.equal(left, right, parameters, facts)
    return made


@pytest.mark.parametrize(
    "left,right",
    [
        ("Sum(u,0,t+1,x[u])", "Sum(u,0,t,x[u])+x[t+1]"),
        ("Prod(u,0,t+1,x[u])", "x[t+1]*Prod(u,0,t,x[u])"),
        ("Sum(u,0,t,Sum(w,0,u,x[w])-Sum(w,0,u-1,x[w]))", "Sum(u,0,t,x[u])"),
        ("Ctr(c,K,D(a,c)*k[t,c])", "k[t,a]"),
        ("Ctr(c,K,Ctr(j,K,k[t,c]*q[t,j]))", "Ctr(j,K,k[t,j])*Ctr(c,K,q[t,c])"),
        ("D(a,c)*k[t,a]", "D(a,c)*k[t,c]"),
        ("Sum(u,0,t,g)", "t*g"),
        ("sqrt(g)*sqrt(g)", "g"),
        ("log(8*g)", "3*log(2)+log(g)"),
        ("softplus(x[t])-softplus(-x[t])", "x[t]"),
        ("tanh(x[t])", "2*sigmoid(2*x[t])-1"),
        ("cos(x[t]+y[t])", "cos(x[t])*cos(y[t])-sin(x[t])*sin(y[t])"),
        ("conj(exp(I*x[t]))*exp(I*x[t])", "1"),
        ("relu(x[t]+0)", "relu(1*x[t])"),
        ("1/(1+exp(x[t]))+1/(1+exp(-x[t]))", "1"),
        ("1/(2+exp(x[t]))/(3+exp(y[t]))", "1/((3+exp(y[t]))*(2+exp(x[t])))"),
        # Bound variables that are alike in pairs, and only all of them in a circle.
        ("Ctr(c,K,Ctr(j,K,Q[c,j]*lb[c]*lb[j]))", "Ctr(c,K,Ctr(j,K,lb[j]*lb[c]*Q[j,c]))"),
        (
            "Ctr(c,K,Ctr(j,K,Ctr(n,K,Q[c,j]*Q[j,n]*Q[n,c])))",
            "Ctr(c,K,Ctr(j,K,Ctr(n,K,Q[j,c]*Q[c,n]*Q[n,j])))",
        ),
        # Ten that are alike could be put in 3,628,800 orders.
        ("Ctr(c,K,lb[c])**10*g", "Ctr(c,K,g*lb[c])*Ctr(j,K,lb[j])**9"),
    ],
)
def test_identities(left: str, right: str) -> None:
    assert not settle_conditions(statement(left, right, "t:T a:K c:K b:V"))


@pytest.mark.parametrize(
    "left,right",
    [
        ("Sum(u,0,t+1,x[u])", "Sum(u,0,t,x[u])"),
        ("Ctr(c,K,k[t,c])", "k[t,a]"),
        ("Ctr(c,K,k[t,c]*q[t,c])", "Ctr(j,K,k[t,j])*Ctr(c,K,q[t,c])"),
        ("D(a,c)", "1"),
        ("Ctr(c,K,g)", "g"),
        ("relu(x[t])", "x[t]"),
        ("conj(exp(I*x[t]))", "exp(I*x[t])"),
        ("Sum(u,0,t,Sum(w,0,u,x[w]*y[u]))", "Sum(u,0,t,Sum(w,0,u,x[u]*y[w]))"),
        ("Ctr(c,K,Ctr(j,K,(k[t,c]*q[t,j]-k[t,j]*q[t,c])/(1+exp(k[t,c]))))", "0"),
        ("Ctr(c,K,Ctr(j,K,Q[c,j]*Q[j,c]))", "Ctr(c,K,Ctr(j,K,Q[c,j]*Q[c,j]))"),
        (
            "Ctr(c,K,Ctr(j,K,Ctr(n,K,Q[c,j]*Q[j,n]*Q[n,c])))",
            "Ctr(c,K,Ctr(j,K,Ctr(n,K,Q[c,j]*Q[j,n]*Q[c,n])))",
        ),
        ("Sum(u,0,t,Sum(w,0,u,x[u]*x[w]))", "Sum(u,0,t,Sum(w,0,t,x[u]*x[w]))"),
    ],
)
def test_what_is_no_identity(left: str, right: str) -> None:
    with pytest.raises(Rejected, match="fails"):
        statement(left, right, "t:T a:K c:K b:V").check()


@pytest.mark.parametrize(
    "left,right,expected",
    [
        ("x[t]/x[t]", "1", ["x[t] ≠ 0"]),
        ("1/sigmoid(x[t])", "1+exp(-x[t])", []),
        ("1/(1-al[t,a])*(1-al[t,a])", "1", []),
        ("1/(1+x[t])*(1+x[t])", "1", ["(1 + x[t]) ≠ 0"]),
        ("1/(1+x[t]**2)*(1+x[t]**2)", "1", []),
        ("log(x[t]*y[t])", "log(x[t])+log(y[t])", ["x[t] > 0", "y[t] > 0"]),
        ("sqrt(x[t]**2)", "x[t]", ["x[t] > 0"]),
        ("exp(log(al[t,a]))", "al[t,a]", []),
        ("1/(1+t)*(1+t)", "1", []),
        ("1/t*t", "1", ["t ≠ 0"]),
        ("1/Prod(u,0,t,al[u,a])*Prod(u,0,t,al[u,a])", "1", []),
        ("1/Prod(u,0,t,x[u])*Prod(u,0,t,x[u])", "1", ["x[t] ≠ 0"]),
        ("1/Sum(u,0,t+1,exp(x[u]))*Sum(u,0,t+1,exp(x[u]))", "1", []),
        ("1/max(abs(x[t]),1)*max(abs(x[t]),1)", "1", []),
        ("1/(lb[a]+(1-lb[a])*sigmoid(z[t,a]))*(lb[a]+(1-lb[a])*sigmoid(z[t,a]))", "1", []),
        ("1/sqrt(Ctr(c,K,k[t,c]**2)+1)*sqrt(Ctr(c,K,k[t,c]*k[t,c])+1)", "1", []),
    ],
)
def test_conditions_follow_from_ranges_or_are_printed(
    left: str, right: str, expected: list[str]
) -> None:
    assert settle_conditions(statement(left, right)) == expected


def test_a_log_of_zero_is_allowed_inside_an_exponential_only() -> None:
    zeros = {"p": (T,)}
    made = Chunk(zeros)
    made.equal("exp(log(p[t]))", "p[t]", "t:T")
    inverse = Chunk(zeros)
    inverse.equal("1/exp(log(p[t]))", "1/p[t]", "t:T")
    bare = Chunk(zeros)
    bare.equal("log(p[t])*x[t]", "x[t]*log(p[t])", "t:T")
    RANGES["p"] = ("0", "1", False, False)
    try:
        assert settle_conditions(made) == []
        assert settle_conditions(inverse) == ["p[t] ≠ 0"]
        assert settle_conditions(bare) == ["p[t] > 0"]
    finally:
        del RANGES["p"]


def normaliser(base: str, body: str) -> Chunk:
    made = Chunk({"n": (T,)})
    made.recur("n", "t", base, body, start={})
    made.equal("n[t]/n[t]", "1", "t:T", (({}, {"t": 1}),))
    return made


def test_a_recurrence_that_starts_and_stays_positive_is_positive() -> None:
    assert settle_conditions(normaliser("1", "ga[t]*n[t-1]+exp(x[t])")) == []
    assert settle_conditions(normaliser("0", "ga[t]*n[t-1]+exp(x[t])")) == ["n[t] ≠ 0"]
    assert settle_conditions(normaliser("1", "ga[t]*n[t-1]+x[t]")) == ["n[t] ≠ 0"]


def test_a_sign_found_under_local_facts_is_not_kept_for_elsewhere() -> None:
    """The sum runs forwards where 0 <= B only; where it does not, n may vanish."""
    made = Chunk({"n": (T,)})
    made.facts = ()
    made.recur("n", "t", "1", "n[t-1]+Sum(u,B-1,B,exp(x[u]))*B", start={})
    first = (({}, {"B": 1}), ({}, {"t": 1}))
    made.equal("n[t]/n[t]", "1", "t:T", first)
    made.equal("n[t]/n[t]", "1", "t:T", (({}, {"t": 1}),))
    assert settle_conditions(made) == ["n[t] ≠ 0"]


# What is refused.


@pytest.mark.parametrize(
    "base,body",
    [
        ("0", "m[t,a,b]+1"),
        ("0", "m[t+1,a,b]"),
        ("m[0,a,b]", "m[t-1,a,b]"),
        ("0", "Sum(u,0,t,m[u,a,b])"),
        ("0", "Sum(u,0,t+3,m[u,a,b])"),
        ("0", "z2[t,a,b]"),
    ],
)
def test_circular_definitions_are_refused(base: str, body: str) -> None:
    made = Chunk({"m": STATE, "z2": STATE})
    made.short("z2", "t a b", "m[t,a,b]")
    made.recur("m", "t a b", base, body, start={})
    made.equal("m[t,a,b]", "m[t,a,b]", "t:T a:K b:V")
    with pytest.raises(Rejected, match="well-founded|too deeply"):
        made.check()


def test_coupled_memories_may_read_each_other_at_earlier_times_only() -> None:
    def coupled(at: str) -> Chunk:
        made = Chunk({"m": STATE, "n": STATE})
        made.recur("m", "t a b", "0", "n[t-1,a,b]+1", start={})
        made.recur("n", "t a b", "0", f"m[{at},a,b]*2", start={})
        made.equal("m[t+1,a,b]", "n[t,a,b]+1", "t:T a:K b:V", (({}, {"t": 1}),))
        return made

    coupled("t").check()
    coupled("t-1").check()
    with pytest.raises(Rejected, match="well-founded"):
        coupled("t+1").check()


def test_several_claims_are_shown_together() -> None:
    made = Chunk({"m": (T,), "n": (T,)})
    made.recur("m", "t", "1", "n[t-1]*2", start={})
    made.recur("n", "t", "1", "m[t-1]*2", start={})
    both = [{"definition": each, "closed": made.read("2**t")} for each in ("m", "n")]
    made.proof.append({"rule": "induction", "claims": both})
    made.equal("m[t]", "n[t]", "t:T", (({}, {"t": 1}),))
    made.check()
    made.proof[0] = {"rule": "induction", "claims": both[:1]}
    with pytest.raises(Rejected, match="step of m"):
        made.check()


def test_a_closed_form_is_shown_at_the_start_too() -> None:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "1", "m[t-1]", start={})
    made.closed("m", "2")
    made.equal("m[t]", "2", "t:T")
    with pytest.raises(Rejected, match="base of m"):
        made.check()


def test_before_its_start_a_recurrence_is_unknown() -> None:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "1", "m[t-1]", start={})
    made.closed("m", "1")
    made.equal("m[t]", "1", "t:T", facts=())
    with pytest.raises(Rejected, match="goal 0 fails"):
        made.check()


def test_a_closed_form_holds_where_the_facts_of_its_definition_do() -> None:
    def limited(facts: tuple) -> Chunk:
        made = Chunk({"m": (T,)})
        made.recur("m", "t", "1", "m[t-1]", start={}, facts=((moment("t"), moment("L")),))
        made.facts = (({}, moment("L")),)
        made.closed("m", "1")
        made.equal("m[t]", "1", "t:T", facts)
        return made

    start = ({}, moment("t"))
    limited((start, (moment("t"), moment("L")))).check()
    with pytest.raises(Rejected, match="goal 0 fails"):
        limited((start,)).check()


def test_a_circle_cannot_hide_behind_a_read_that_cancels() -> None:
    """The sum up to t - 1 is the one up to t less h[t], which is no read; the last h[t] is."""
    made = Chunk({"h": (T,), "m": (T,)})
    made.short("h", "t", "m[t]")
    made.recur("m", "t", "0", "Sum(u,0,t-1,h[u])+h[t]", start={})
    made.equal("m[t]", "m[t]", "t:T")
    with pytest.raises(Rejected, match="well-founded"):
        made.check()
    made.definitions[1] = replace(made.definitions[1], body=made.read("Sum(u,0,t-1,h[u])"))
    made.check()


def test_numbers_and_facts_cannot_make_the_checker_hang() -> None:
    made = Chunk({f"d{n}": () for n in range(40)})
    made.short("d0", "", "7")
    for n in range(1, 40):
        made.short(f"d{n}", "", f"d{n - 1}*d{n - 1}")
    made.equal("d39", "d39", "t:T")
    with pytest.raises(Rejected, match="too large"):
        made.check()
    names = [f"n{n}" for n in range(40)]
    facts = tuple((moment(a), moment(b)) for a in names for b in names if a != b)
    made = Chunk()
    made.goals.append(Equation("goal", (("t", T),), ZERO, made.read("Sum(u,n0,t,x[u])"), facts))
    made.proof.append({"rule": "equal", "goal": "goal"})
    with pytest.raises(Rejected, match="range of u"):
        made.check()


def test_reversed_ranges_are_refused() -> None:
    with pytest.raises(Rejected, match="range of u"):
        statement("Sum(u,B,t-1,x[u])+x[t]", "Sum(u,B,t,x[u])", facts=ORDER).check()


def test_nothing_is_read_in_an_empty_range() -> None:
    """From L to L all facts hold, and a memory that reads all of its past would unfold for ever."""

    def last(value: str) -> Chunk:
        made = Chunk({"m": (T,)})
        made.recur("m", "t", "1", "x[t]+Sum(u,t,L,m[u])", start=moment("L"), step=-1)
        made.facts = (({}, moment("L")),)
        made.equal("Sum(u,L-1,L,m[u])", value, "", ())
        return made

    last("1").check()
    with pytest.raises(Rejected, match="goal 0 fails"):
        last("2").check()


def test_a_ladder_climbs_from_below_and_from_above() -> None:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "0", "m[t-1]+2*t-1", start={})
    facts = (({}, {"t": 1}),)
    made.goals.append(Equation("square", (("t", T),), made.read("m[t]"), made.read("t*t"), facts))
    made.proof.append({"rule": "ladder", "goal": "square", "parameter": "t", "from": {}})
    made.check()
    made.proof[0]["from"] = {"": 1}
    with pytest.raises(Rejected, match="before the start"):
        made.check()


def test_lemmas_are_used_by_name() -> None:
    made = statement("x[t]*g", "y[t]*g", "t:T")
    made.hypotheses.append(Equation("same", (("s", T),), made.read("x[s]"), made.read("y[s]")))
    made.proof = [
        {
            "rule": "lemma",
            "name": "twice",
            "parameters": [["s", T]],
            "left": made.read("2*x[s]"),
            "right": made.read("2*y[s]"),
            "by": [
                {
                    "rule": "equal",
                    "goal": "twice",
                    "using": [
                        {"hypothesis": "same", "arguments": [{"s": 1}], "times": ["number", "2"]}
                    ],
                }
            ],
        },
        {
            "rule": "equal",
            "goal": "goal 0",
            "using": [{"hypothesis": "twice", "arguments": [{"t": 1}], "times": made.read("g/2")}],
        },
    ]
    made.check()
    made.proof[0]["by"] = []
    with pytest.raises(Rejected, match="nothing proves twice"):
        made.check()


def test_definitions_may_be_added_but_not_changed() -> None:
    made = statement("x[t]", "x[t]", "t:T")
    step = {"name": "h", "parameters": ["t"], "sorts": [T], "body": made.read("x[t]")}
    made.proof.insert(0, {"rule": "define", "definition": step})
    made.check()
    made.proof[0]["definition"] = {**step, "name": "x"}
    with pytest.raises(Rejected, match="defined twice"):
        made.check()


def test_every_goal_needs_a_proof() -> None:
    made = statement("x[t]", "x[t]")
    made.proof = []
    with pytest.raises(Rejected, match="nothing proves"):
        made.check()


def test_a_worked_step_is_handed_out() -> None:
    found = settle(*pair("retnet", "gauged"))
    assert [each.name for each in found.steps][:2] == ["base of mA", "step of mA"]
    assert found.obligations == len(found.steps) == 5


def deep() -> Formula:
    form: Formula = ("at", "g")
    for _ in range(5000):
        form = ("add", form, ("at", "om"))
    return form


@pytest.mark.parametrize(
    "form",
    [
        deep(),
        ("power", ("add", *(("at", name) for name in ("g", "om", "Dt", "bias"))), "60"),
        ("power", ("at", "g"), "100000"),
        ("mul", *(("add", ("at", "g"), ("at", "x", {"t": n})) for n in range(30))),
        ("sum", "u", {}, {"": 10**9}, ("at", "x", {"u": 1})),
        ("number", "1e999999"),
    ],
)
def test_what_is_too_large_is_refused(form: Formula) -> None:
    made = statement("g", "g", "t:T")
    made.goals[0] = Equation("goal 0", (("t", T),), form, ZERO)
    with pytest.raises(Rejected):
        check(*[as_json_raw(made), made.proof])


def as_json_raw(made: Chunk) -> dict:
    stated = Problem((K, V), symbols(made.read, []), (), tuple(made.goals), made.facts)
    found = as_json(Problem((K, V), stated.symbols, (), (), made.facts))
    goal = made.goals[0]
    found["goals"] = [
        {"name": goal.name, "parameters": goal.parameters, "left": goal.left, "right": goal.right}
    ]
    return found


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        ["nothing"],
        ["at", "nobody"],
        ["at", "x"],
        ["at", "x", "a"],
        ["at", "k", {"t": 1}, {"t": 1}],
        ["at", "k", {"t": 1}, "b"],
        ["at", "x", {"t": 0.5}],
        ["contract", "c", "nowhere", ["number", "1"]],
        ["sum", "u", {}, {"t": 1}],
        ["number", "a"],
        ["power", ["at", "g"], "x"],
        ["delta", "a", "b"],
        ["call", "relu", ["i"]],
        ["call", "sigmoid", ["mul", ["i"], ["at", "g"]]],
        ["call", "exp", ["at", "g"], ["at", "g"]],
    ],
)
def test_malformed_formulas_are_refused(form: object) -> None:
    problem = as_json_raw(statement("g", "g"))
    problem["goals"][0]["left"] = form
    with pytest.raises(Rejected):
        check(problem, [{"rule": "equal", "goal": "goal 0"}])


def test_a_proof_cannot_name_elements_that_the_statement_does_not() -> None:
    def naming(element: int) -> Chunk:
        made = statement("k[t,1]", "k[t,1]", "t:T")
        one = {
            "name": "one",
            "left": made.read(f"Ctr(c,K,D(c,{element}))"),
            "right": made.read("1"),
        }
        by = [{"rule": "equal", "goal": "one"}]
        made.proof.insert(0, {"rule": "lemma", "parameters": [], **one, "by": by})
        return made

    naming(0).check()
    naming(1).check()
    with pytest.raises(Rejected, match="no element 7"):
        naming(7).check()


def test_the_kernel_stands_by_itself() -> None:
    """Only the standard library is imported, so that the checker can be read on its own."""
    for path in (*KERNEL.glob("*.py"), *CHECKER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found = [node.module or ""]
            else:
                assert not isinstance(node, ast.ImportFrom) or node.level == 1
                continue
            for name in found:
                own = path.parent == CHECKER and name.startswith(
                    ("eosc.prove.kernel", "eosc.prove.checker")
                )
                assert own or name.split(".")[0] in sys.stdlib_module_names, path


@pytest.mark.parametrize("room", ["eosc.prove.kernel", "eosc.prove.checker"])
def test_the_kernel_loads_nothing_else(room: str) -> None:
    """Also what it loads on the way is the standard library's."""
    script = f"import sys; sys.path.insert(0, '.'); import {room}; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, cwd=KERNEL.parents[2])
    known = {*sys.stdlib_module_names, "__main__"}
    found = {name for name in run.stdout.split() if name.split(".")[0] not in known}
    rooms = {"eosc.prove.kernel", room}
    inside = tuple(f"{each}." for each in rooms)
    assert {name for name in found if not name.startswith(inside)} == {"eosc", "eosc.prove", *rooms}


def code_lines(text: str) -> int:
    """Lines that hold code: no docstrings, comments or blank lines."""
    said: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            said |= set(range(first.lineno, (first.end_lineno or 0) + 1))
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    return sum(
        bool(line) and not line.startswith("#") and number not in said
        for number, line in lines.items()
    )


@pytest.mark.parametrize(("room", "code", "every"), [(KERNEL, 900, 1265), (CHECKER, 880, 1195)])
def test_the_trusted_rooms_stay_small(room: Path, code: int, every: int) -> None:
    """They are to be read as a whole by whoever doubts a proof."""
    texts = [path.read_text(encoding="utf-8") for path in room.glob("*.py")]
    assert sum(map(code_lines, texts)) <= code
    assert sum(len(text.splitlines()) for text in texts) <= every


def test_a_certificate_is_checked_by_a_process_of_its_own(tmp_path: Path) -> None:
    problem, proof = pair("retnet", "gauged")
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"problem": problem, "proof": proof}))
    command = [sys.executable, "-m", "eosc.prove.checker", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=KERNEL.parents[2])
    assert run.returncode == 0 and run.stdout.startswith("PROVED y"), run
    path.write_text(json.dumps({"problem": problem, "proof": proof[1:]}))
    run = subprocess.run(command, capture_output=True, text=True, cwd=KERNEL.parents[2])
    assert run.returncode == 1 and run.stdout.startswith("REJECTED"), run
    path.write_text("[" * 100_000)
    run = subprocess.run(command, capture_output=True, text=True, cwd=KERNEL.parents[2])
    assert run.returncode == 1 and run.stdout.startswith("REJECTED"), run
