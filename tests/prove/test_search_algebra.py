"""The algebra of the search: expansion, like terms, quotients, exact matrices."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eosc.prove.formula import ONE, ZERO, number
from eosc.prove.search.multipliers import Expansion, TooLong, collected
from eosc.prove.search.rational import divided, product_of, simplified
from eosc.prove.search.ratios import quotient, telescoping
from eosc.prove.search.structure import alike, elementwise, substituted, unfolded
from eosc.prove.search.structure import definitions_of as named

from .notation import Reader, memory, problem, short

READ = Reader(
    {
        "a": (),
        "b": (),
        "c": (),
        "d": (),
        "k": ("T", "K"),
        "v": ("T", "V"),
        "m": ("T", "K", "V"),
        "o": ("T", "K"),
    },
    ("t", "u"),
)


def terms(text: str):
    return collected(Expansion(set()).terms(READ(text)))


def test_like_terms_are_added_up() -> None:
    assert [each.scale for each in terms("a*b + 2*b*a")] == [3]
    assert terms("a*b - b*a") == []
    assert [each.scale for each in terms("I*a*I")] == [-1]


def test_like_terms_are_found_under_binders() -> None:
    assert terms("Ctr(x, K, k[t,x]) - Ctr(y, K, k[t,y])") == []
    assert len(terms("Ctr(x, K, k[t,x]) - Ctr(y, K, k[u,y])")) == 2
    assert terms("Sum(u, 0, t, a*k[u,x]) - Sum(s, 0, t, k[s,x]*a)") == []
    assert len(terms("Sum(u, 0, t, k[u,x]) - Sum(u, 1, t, k[u,x])")) == 2


def test_an_expansion_has_an_end() -> None:
    with pytest.raises(TooLong):
        terms("(a+b+c+d)**4 * (a+b+c+d)**4")


def test_names_of_binders_do_not_tell_formulas_apart() -> None:
    one, other = (
        READ("Ctr(x, K, Ctr(y, K, k[t,x]*k[u,y]))"),
        READ("Ctr(p, K, Ctr(q, K, k[t,p]*k[u,q]))"),
    )
    assert alike(one) == alike(other)
    assert alike(one) != alike(READ("Ctr(x, K, Ctr(y, K, k[t,y]*k[u,x]))"))


def test_quotients_take_out_what_terms_share() -> None:
    over = READ("a*b*k[t,x] + a*b*k[u,x]")
    assert quotient(over, READ("k[t,x] + k[u,x]")) == READ("a*b")
    assert quotient(READ("k[t,x]/2 + k[t,x]/2"), READ("k[t,x]")) == ONE
    powers = READ("exp((t-u)*a) * exp(u*a)")
    assert quotient(powers, READ("exp(t*a)")) == ONE


def test_what_does_not_telescope_is_left() -> None:
    assert telescoping(READ("exp(k[t,x] - k[t-1,x])"), "t")[0] != ONE
    held, rest = telescoping(READ("exp(k[t-2,x] - k[t,x])"), "t")
    assert held == ONE and rest == READ("exp(k[t-2,x] - k[t,x])")


def test_matrices_of_two_divide_by_minors() -> None:
    left, right = [[READ("a"), READ("b")]], [[READ("c"), ZERO], [ZERO, READ("d")]]
    assert divided(left, right) == [[READ("a/c"), READ("b/d")]]
    assert divided(left, [[READ("a"), READ("b")], [READ("a"), READ("b")]]) is None


def test_a_rotation_has_determinant_one() -> None:
    turn = [[READ("cos(a)"), READ("-sin(a)")], [READ("sin(a)"), READ("cos(a)")]]
    identity = divided(turn, turn)
    assert identity == [[ONE, ZERO], [ZERO, ONE]]
    assert simplified(READ("cos(a)*cos(a) + sin(a)*sin(a)")) == ONE


def test_matrices_of_three_divide_exactly() -> None:
    rows = [["a", "b", "1"], ["0", "c", "b"], ["1", "0", "d"]]
    matrix = [[READ(each) for each in row] for row in rows]
    found = divided(product_of(matrix, matrix), matrix)
    assert found is not None
    for row, wanted in zip(found, matrix, strict=True):
        assert [simplified(each) for each in row] == [simplified(each) for each in wanted]
    singular = [*matrix[:2], [READ("2*a"), READ("2*b"), number(2)]]
    assert divided(matrix, singular) is None


def test_coefficients_of_0_fold_away() -> None:
    definitions = [
        short(READ, "o", "t x", "0"),
        memory(READ, "m", "t x b", "o[t,x]*m[t-1,x,b] + k[t,x]*v[t,b]"),
    ]
    stated = problem(READ, definitions, "m[t,x,b]", "m[t,x,b]", "t:T x:K b:V")
    kept, added = elementwise(stated.definitions[1], named(stated))
    assert kept == ZERO and added == READ("k[t,x]*v[t,b]")
    assert unfolded(READ("o[t,x] * a"), named(stated)) == ZERO


def test_times_go_in_under_sums() -> None:
    formula = READ("Sum(s, 0, t, k[s,x] * o[t,x])")
    moved = substituted(formula, {"t": {"s": 1, "": 1}})
    assert moved[3] == {"s": 1, "": 1}
    assert moved[1] != "s"


def test_the_search_imports_neither_torch_nor_sympy() -> None:
    lines = "import sys, eosc.prove.search; print(sorted({'torch', 'sympy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
