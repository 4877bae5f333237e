"""Each guard of the checker is needed: without it, a false theorem with a name goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eosc.prove.checker import Rejected, founded, ranges
from eosc.prove.checker.conditions import Conditions
from eosc.prove.formula import ZERO, Equation, moment, over
from eosc.prove.kernel import atoms, reading
from eosc.prove.kernel.atoms import Poly
from eosc.prove.kernel.normal import Algebra
from eosc.prove.kernel.reading import Reader
from eosc.prove.kernel.rules import Checker
from tests.prove.test_kernel import ORDER, STATE, Chunk, K, T, statement

FROM_ZERO = (({}, {"t": 1}),)


def nothing(*_: Any, **__: Any) -> None:
    return None


def yes(*_: Any, **__: Any) -> bool:
    return True


# False theorems. Each says in its name what it gets wrong.


def an_inner_sum_reads_the_outer_variable() -> Chunk:
    return statement(
        "Sum(u,0,t,x[u]*exp(Sum(w,0,t,y[w]*x[u])))",
        "Sum(u,0,t,x[u]*exp(Sum(w,0,t,y[w]*x[w])))",
        "t:T",
    )


def an_empty_range_holds_a_term() -> Chunk:
    return statement("Sum(u,B,t-1,x[u])+x[t]", "Sum(u,B,t,x[u])", "t:T", ORDER)


def a_sum_runs_backwards() -> Chunk:
    return statement("Sum(u,t,B,x[u])", "-Sum(u,B,t,x[u])", "t:T", ())


def a_square_root_of_a_square_is_the_number() -> Chunk:
    return statement("sqrt(x[t]**2)", "x[t]", "t:T")


def the_logarithm_of_a_product_splits_for_negative_factors() -> Chunk:
    return statement("log(x[t]*x[t])", "2*log(x[t])", "t:T")


def zero_over_zero_is_one() -> Chunk:
    return statement("x[t]/x[t]", "1", "t:T")


def a_sign_change_has_a_sign() -> Chunk:
    return statement("1/(1+x[t])*(1+x[t])", "1", "t:T")


def a_number_is_one_more_than_itself() -> Chunk:
    """Both sides are the sum of L copies of 1 + S: for L = 1 that says S = 1 + S."""
    made = Chunk({"m": (T,)})
    made.facts = (({"": 1}, {"L": 1}),)
    made.recur("m", "t", "0", "1+Sum(u,0,L,m[u])", start={})
    left = over("w", {}, moment("L"), made.read("m[w]"))
    right = over("w", {}, moment("L"), made.read("1+Sum(u,0,L,m[u])"))
    made.goals.append(Equation("circle", (), left, right))
    made.proof.append({"rule": "telescope", "goal": "circle", "potential": ZERO})
    return made


def an_abbreviation_is_one_more_than_itself() -> Chunk:
    made = Chunk({"h": (T,), "j": (T,)})
    made.short("h", "t", "j[t]-1")
    made.short("j", "t", "1+h[t]")
    made.equal("h[t]", "0", "t:T")
    return made


def a_recurrence_never_leaves_a_value_it_never_had() -> Chunk:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "1", "m[t-1]", start={})
    made.closed("m", "2")
    made.equal("m[t]", "2", "t:T", FROM_ZERO)
    return made


def a_recurrence_is_known_before_its_start() -> Chunk:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "1", "m[t-1]", start={})
    made.closed("m", "1")
    made.equal("m[t]", "1", "t:T", ())
    return made


def the_step_holds_at_the_start() -> Chunk:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "1", "2", start={})
    made.equal("m[t+1]", "2", "t:T", (({"": -5}, {"t": 1}),))
    return made


def a_hypothesis_about_late_times_holds_early() -> Chunk:
    made = statement("x[t]", "y[t]", "t:T")
    facts = ((moment("", 9), moment("s")),)
    left, right = made.read("x[s]"), made.read("y[s]")
    made.hypotheses.append(Equation("late", (("s", T),), left, right, facts))
    made.proof[0]["using"] = [{"hypothesis": "late", "arguments": [{"t": 1}]}]
    return made


def an_antisymmetric_sum_stays_so_under_weights() -> Chunk:
    return statement("Ctr(c,K,Ctr(j,K,(k[t,c]*q[t,j]-k[t,j]*q[t,c])/(1+exp(k[t,c]))))", "0", "t:T")


def an_imaginary_number_is_its_own_conjugate() -> Chunk:
    made = Chunk({"h": (T,)})
    made.short("h", "t", "I*x[t]")
    made.definitions[0] = replace(made.definitions[0], facts=((moment("", 9), moment("t")),))
    made.equal("conj(h[t])", "h[t]", "t:T", FROM_ZERO)
    return made


def a_telescope_has_no_ends() -> Chunk:
    made = Chunk()
    made.facts = (({}, {"L": 1}),)
    left = over("t", {}, moment("L"), made.read("1"))
    made.goals.append(Equation("ends", (), left, over("t", {}, moment("L"), ZERO)))
    made.proof.append({"rule": "telescope", "goal": "ends", "potential": made.read("-t")})
    return made


def a_ladder_reaches_below_its_foot() -> Chunk:
    made = Chunk({"m": (T,)})
    made.recur("m", "t", "7", "m[t-1]*0", start={})
    made.goals.append(Equation("low", (("t", T),), made.read("m[t]"), ZERO, FROM_ZERO))
    made.proof.append({"rule": "ladder", "goal": "low", "parameter": "t", "from": {"": 1}})
    return made


def a_delta_joins_two_axes() -> Chunk:
    made = Chunk({"p": (K,), "r": ("V",)})
    made.equal("Ctr(a,K,D(a,b)*p[a]*g)", "Ctr(a,K,D(a,b)*p[a])*g", "b:V", ())
    return made


def an_axis_has_an_eighth_element() -> Chunk:
    made = statement("x[t]", "x[t]", "t:T")
    one = {"name": "one", "left": made.read("Ctr(c,K,D(c,7))"), "right": made.read("1")}
    by = [{"rule": "equal", "goal": "one"}]
    made.proof.insert(0, {"rule": "lemma", "parameters": [], **one, "by": by})
    return made


def clearing_under_the_sum(algebra: Algebra, group: Poly) -> bool:
    """A wrong zero test: it clears denominators as if they came out of the sum."""
    found: Poly = {}
    for (bounds, powers), count in group.items():
        kept = tuple((a, e) for a, e in powers if not (e < 0 and algebra.divides(a)))
        atoms.gather(found, {algebra.canonical(bounds, kept): count})
    return not found


demand = Checker.demand


def no_base(checker: Checker, name: str, *parts: Any) -> None:
    """Every obligation but the bases of inductions."""
    if not name.startswith("base of"):
        demand(checker, name, *parts)


GUARDS: list[tuple[str, Any, str, Any, Callable[[], Chunk]]] = [
    (
        "capture",
        atoms,
        "bound_name",
        lambda height, place: -(257 + place),
        an_inner_sum_reads_the_outer_variable,
    ),
    ("empty range", Reader, "check_range", nothing, an_empty_range_holds_a_term),
    ("range order", reading, "follows", yes, a_sum_runs_backwards),
    ("positivity", Reader, "need", nothing, a_square_root_of_a_square_is_the_number),
    (
        "positivity of factors",
        Conditions,
        "_factors_positive",
        nothing,
        the_logarithm_of_a_product_splits_for_negative_factors,
    ),
    ("division", Reader, "need", nothing, zero_over_zero_is_one),
    ("conditions", Conditions, "_keep", nothing, zero_over_zero_is_one),
    ("signs", ranges, "satisfies", yes, a_sign_change_has_a_sign),
    ("ill-founded recursion", founded, "check_nearer", nothing, a_number_is_one_more_than_itself),
    ("base case", Checker, "demand", no_base, a_recurrence_never_leaves_a_value_it_never_had),
    ("start of a closed form", Reader, "from_start", yes, a_recurrence_is_known_before_its_start),
    ("start of a recurrence", Reader, "_beyond", yes, the_step_holds_at_the_start),
    ("facts of hypotheses", Reader, "holds", yes, a_hypothesis_about_late_times_holds_early),
    (
        "pointwise zero",
        Algebra,
        "_vanishes",
        clearing_under_the_sum,
        an_antisymmetric_sum_stays_so_under_weights,
    ),
    ("real values", founded, "check_real", nothing, an_imaginary_number_is_its_own_conjugate),
    ("elements", Reader, "check_element", nothing, an_axis_has_an_eighth_element),
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda each: each[0])
def test_each_guard_keeps_a_false_theorem_out(
    guard: tuple[str, Any, str, Any, Callable[[], Chunk]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, owner, name, weaker, theorem = guard
    assert not unconditional(theorem())
    monkeypatch.setattr(owner, name, weaker)
    assert unconditional(theorem()), f"{theorem.__name__} is kept out by another guard"


def unconditional(made: Chunk) -> bool:
    """Whether the checker lets the theorem through without a condition."""
    try:
        return not made.check().conditions
    except Rejected:
        return False


@pytest.mark.parametrize(
    "theorem", [a_telescope_has_no_ends, a_ladder_reaches_below_its_foot, a_delta_joins_two_axes]
)
def test_other_false_theorems_are_kept_out(theorem: Callable[[], Chunk]) -> None:
    assert not unconditional(theorem())


def test_an_abbreviation_reads_only_earlier_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that guard the checker would run in circles; it stops, and proves nothing."""
    with pytest.raises(Rejected, match="not listed before it"):
        an_abbreviation_is_one_more_than_itself().check()
    monkeypatch.setattr(founded, "check_order", nothing)
    assert not unconditional(an_abbreviation_is_one_more_than_itself())


def test_a_circle_of_two_is_found() -> None:
    made = Chunk({"m": STATE, "n": STATE})
    made.recur("m", "t a b", "0", "n[t,a,b]", start={})
    made.recur("n", "t a b", "0", "m[t,a,b]+1", start={})
    made.equal("m[t,a,b]", "m[t,a,b]", "t:T a:K b:V")
    with pytest.raises(Rejected, match="well-founded"):
        made.check()
