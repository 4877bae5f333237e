"""Multipliers of hypotheses: an equation rewritten by hypotheses, term by term, as a combination.

Where `left - right` vanishes only under hypotheses, the kernel wants the multiplier of each use. A
hypothesis whose left side is one product under contractions is a rule: wherever its factors stand
in a term of the expanded difference, the rest of the term is the multiplier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from eosc.prove.formula import (
    IMAGINARY,
    ZERO,
    Argument,
    Equation,
    Formula,
    Time,
    children,
    combined,
    contract,
    mul,
    number,
    over,
)
from eosc.prove.search.structure import free_names, fresh, frozen, substituted

_MOST_TERMS = 400
_MOST_USES = 40


class TooLong(Exception):
    """An expansion has too many terms."""


@dataclass(frozen=True, slots=True)
class Binder:
    """A contraction over an axis, or a sum over `low < name <= high`."""

    name: str
    axis: str | None = None
    low: Time | None = None
    high: Time | None = None

    def around(self, body: Formula) -> Formula:
        """The body under this binder."""
        if self.axis is not None:
            return contract(self.name, self.axis, body)
        assert self.low is not None and self.high is not None
        return over(self.name, self.low, self.high, body)


@dataclass(frozen=True, slots=True)
class Term:
    """A rational times factors, under binders."""

    scale: Fraction
    binders: tuple[Binder, ...]
    factors: tuple[Formula, ...]

    @property
    def product(self) -> Formula:
        """The term without its binders."""
        return mul(number(self.scale), *self.factors)

    @property
    def formula(self) -> Formula:
        """The whole term."""
        value = self.product
        for binder in reversed(self.binders):
            value = binder.around(value)
        return value


@dataclass(frozen=True, slots=True)
class Use:
    """A hypothesis at arguments, times a formula, summed over the binders."""

    hypothesis: str
    arguments: tuple[Argument, ...]
    times: Formula
    binders: tuple[Binder, ...]


class Expansion:
    """Writes formulas as sums of terms; every binder gets a name of its own.

    whole: keep a complex symbol, a real part and i times another, as one factor.
    """

    def __init__(self, taken: set[str], *, whole: bool = True) -> None:
        self._taken = set(taken)
        self._whole = whole

    def terms(self, formula: Formula) -> list[Term]:
        """The terms of a formula.

        Raises:
            TooLong: there are too many.
        """
        match formula[0]:
            case "number":
                value = Fraction(formula[1])
                return [Term(value, (), ())] if value else []
            case "add" if not (self._whole and _pair(formula)):
                return [term for each in formula[1:] for term in self.terms(each)]
            case "mul":
                return self._product(formula[1:])
            case "power" if Fraction(formula[2]) in (2, 3, 4):
                return self._product((formula[1],) * int(formula[2]))
            case "contract" | "sum":
                return self._bound(formula)
            case "call" if formula[1:] == ("exp", ZERO):
                return [Term(Fraction(1), (), ())]
        return [Term(Fraction(1), (), (formula,))]

    def _product(self, factors: tuple[Formula, ...]) -> list[Term]:
        found = [Term(Fraction(1), (), ())]
        for each in factors:
            inner = self.terms(each)
            if len(found) * len(inner) > _MOST_TERMS:
                raise TooLong
            found = [
                Term(
                    one.scale * other.scale,
                    one.binders + other.binders,
                    one.factors + other.factors,
                )
                for one in found
                for other in inner
            ]
        return found

    def _bound(self, formula: Formula) -> list[Term]:
        variable, body = formula[1], formula[-1]
        name = fresh(variable, self._taken | free_names(body))
        self._taken.add(name)
        timed = formula[0] == "sum"
        put: Argument = {name: 1} if timed else name
        binder = (
            Binder(name, low=formula[2], high=formula[3]) if timed else Binder(name, formula[2])
        )
        inner = self.terms(substituted(body, {variable: put}))
        return [replace(each, binders=(binder, *each.binders)) for each in inner]


def _pair(formula: Formula) -> bool:
    """Whether a sum is a complex symbol as it is written: its real part and i times the other."""
    if len(formula) != 3 or formula[1][0] != "at":
        return False
    second = formula[2]
    return bool(second[0] == "mul" and IMAGINARY in second and len(second) == 3)


@dataclass(frozen=True, slots=True)
class Rule:
    """A hypothesis as a rewriting rule: the product on its left, for what is on its right."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    pattern: Term
    right: Formula
    facts: tuple[tuple[Time, Time], ...] = ()


def rules(hypotheses: tuple[Equation, ...]) -> tuple[Rule, ...]:
    """Those of the hypotheses that have a product under contractions on the left."""
    found = []
    for each in hypotheses:
        names = {name for name, _ in each.parameters}
        try:
            terms = Expansion(names).terms(each.left)
        except TooLong:
            continue
        if len(terms) == 1 and terms[0].factors and terms[0].scale == 1:
            found.append(Rule(each.name, each.parameters, terms[0], each.right, each.facts))
    return tuple(found)


Binding = dict[str, Argument]


def _argument(pattern: Argument, target: Argument, free: set[str], found: Binding) -> bool:
    if isinstance(pattern, dict):
        variables = [name for name in pattern if name in free]
        if len(variables) != 1 or pattern[variables[0]] != 1 or not isinstance(target, dict):
            return frozen(pattern) == frozen(target)
        name = variables[0]
        rest = {key: count for key, count in pattern.items() if key != name}
        value: Argument = combined(target, rest, -1)
    elif isinstance(pattern, str) and pattern in free:
        if isinstance(target, dict):
            return False
        name, value = pattern, target
    else:
        return pattern == target
    if name in found:
        return frozen(found[name]) == frozen(value)
    found[name] = value
    return True


def _unified(pattern: Formula, target: Formula, free: set[str], found: Binding) -> bool:
    if pattern[0] != target[0] or len(pattern) != len(target):
        return False
    if pattern[0] == "at":
        return pattern[1] == target[1] and all(
            _argument(one, other, free, found)
            for one, other in zip(pattern[2:], target[2:], strict=True)
        )
    inside, others = children(pattern), children(target)
    if not inside or len(inside) != len(others):
        return frozen(pattern) == frozen(target)
    if pattern[0] in ("power", "call") and pattern[:-1] != target[:-1] and pattern[0] == "power":
        return False
    return all(_unified(one, other, free, found) for one, other in zip(inside, others, strict=True))


def _matches(rule: Rule, term: Term) -> Iterator[tuple[Binding, tuple[Formula, ...]]]:
    """Ways in which the factors of the rule stand in the term, with the factors that are left."""
    bound = {each.name: each.axis for each in rule.pattern.binders}
    free = {name for name, _ in rule.parameters} | set(bound)

    def placed(
        wanted: tuple[Formula, ...], left: tuple[Formula, ...], found: Binding
    ) -> Iterator[tuple[Binding, tuple[Formula, ...]]]:
        if not wanted:
            yield found, left
            return
        for at, factor in enumerate(left):
            extended = dict(found)
            if _unified(wanted[0], factor, free, extended):
                yield from placed(wanted[1:], left[:at] + left[at + 1 :], extended)

    axes = {each.name: each.axis for each in term.binders if each.axis is not None}
    for found, left in placed(rule.pattern.factors, term.factors, {}):
        held = [found.get(name) for name in bound]
        still = {name for each in left for name in free_names(each)}
        still |= {
            name
            for parameter, _ in rule.parameters
            if isinstance(put := found.get(parameter), str)
            for name in (put,)
        }
        fits = all(
            isinstance(each, str) and axes.get(each) == axis and each not in still
            for each, axis in zip(held, bound.values(), strict=True)
        )
        if fits and len({str(each) for each in held}) == len(held):
            if all(name in found for name, _ in rule.parameters) and _known(rule, found, term):
                yield found, left


def _known(rule: Rule, found: Binding, term: Term) -> bool:
    """Whether the facts of a rule hold where it is used, every free time being at least 0."""
    least = {each.name: each.low.get("", 0) + 1 for each in term.binders if each.low is not None}
    for low, high in rule.facts:
        places = [_moved(each, found) for each in (high, low)]
        gap = combined(places[0], places[1], -1)
        if any(count < 0 for name, count in gap.items() if name):
            return False
        if sum(count * (least.get(name, 0) if name else 1) for name, count in gap.items()) < 0:
            return False
    return True


def _moved(time: Time, found: Binding) -> Time:
    moved = substituted(("time", time), found)[1]
    assert isinstance(moved, dict)
    return moved


def _without_deltas(term: Term) -> Term:
    """The term with the contractions that a delta decides carried out."""
    for at, factor in enumerate(term.factors):
        if factor[0] != "delta":
            continue
        for name, put in ((factor[1], factor[2]), (factor[2], factor[1])):
            binder = next((each for each in term.binders if each.name == name), None)
            if binder is None or binder.axis is None:
                continue
            left = term.factors[:at] + term.factors[at + 1 :]
            kept = tuple(each for each in term.binders if each.name != name)
            moved = tuple(substituted(each, {name: put}) for each in left)
            return _without_deltas(Term(term.scale, kept, moved))
    return term


def collected(terms: list[Term]) -> list[Term]:
    """The terms with like ones added up; i squared is -1."""
    found: dict[object, Term] = {}
    for term in terms:
        count = sum(each == IMAGINARY for each in term.factors)
        kept = sorted((each for each in term.factors if each != IMAGINARY), key=_order)
        factors = (*kept, IMAGINARY) if count % 2 else tuple(kept)
        scale = term.scale * (-1) ** (count // 2)
        key = _likeness(term.binders, factors)
        if key in found:
            scale += found[key].scale
        found[key] = Term(scale, term.binders, factors)
    return [each for each in found.values() if each.scale]


def _likeness(binders: tuple[Binder, ...], factors: tuple[Formula, ...]) -> object:
    """The same for terms that differ in the names of their binders only."""
    if not binders:
        return tuple(frozen(each) for each in factors)
    names: dict[str, Argument] = {
        each.name: f"#{place}" if each.axis is not None else {f"#{place}": 1}
        for place, each in enumerate(binders)
    }
    ranges = tuple((each.axis, frozen(each.low), frozen(each.high)) for each in binders)
    return ranges, tuple(sorted(_order(substituted(each, names)) for each in factors))


def _order(formula: Formula) -> str:
    return repr(frozen(formula))


def uses(difference: Formula, ruled: tuple[Rule, ...], taken: set[str]) -> tuple[Use, ...]:
    """The uses of hypotheses that rewrite the difference as far as they reach.

    Raises:
        TooLong: an expansion has too many terms.
    """
    expansion = Expansion(taken | free_names(difference))
    ahead = collected([_without_deltas(each) for each in expansion.terms(difference)])
    found: list[Use] = []
    while ahead and len(found) < _MOST_USES:
        term = ahead.pop()
        for rule in ruled:
            match = next(_matches(rule, term), None)
            if match is None:
                continue
            binding, left = match
            used = {str(binding[each.name]) for each in rule.pattern.binders}
            kept = tuple(each for each in term.binders if each.name not in used)
            arguments = tuple(binding[name] for name, _ in rule.parameters)
            rest = Term(term.scale, kept, left)
            found.append(Use(rule.name, arguments, rest.product, kept))
            put = {name: binding[name] for name, _ in rule.parameters}
            for each in expansion.terms(mul(rest.product, substituted(rule.right, put))):
                ahead.append(_without_deltas(replace(each, binders=kept + each.binders)))
            ahead = collected(ahead)
            break
    return tuple(found)
