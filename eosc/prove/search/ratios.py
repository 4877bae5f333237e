"""The quotient of two formulas with common factors cancelled: what a diagonal gauge is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from eosc.prove.formula import Formula, add, call, mul, number, power
from eosc.prove.search.multipliers import Expansion, TooLong, collected
from eosc.prove.search.structure import alike, free_names, frozen, substituted


@dataclass(slots=True)
class _Factors:
    """A product: a rational, powers of opaque factors, and one exponential of a sum."""

    scale: Fraction = Fraction(1)
    powers: dict[object, tuple[Formula, Fraction]] = field(default_factory=dict)
    exponent: dict[object, tuple[Formula, Fraction]] = field(default_factory=dict)

    def multiply(self, formula: Formula, times: Fraction) -> None:
        """Multiply by `formula ** times`."""
        if formula[0] == "mul":
            for each in formula[1:]:
                self.multiply(each, times)
        elif formula[0] == "power":
            self.multiply(formula[1], times * Fraction(formula[2]))
        elif formula[0] == "number" and times.denominator == 1 and Fraction(formula[1]):
            self.scale *= Fraction(formula[1]) ** int(times)
        elif formula[:2] == ("call", "exp"):
            self._raise(formula[2], times)
        elif formula[0] == "add":
            self._divide_out(formula, times)
        else:
            _count(self.powers, formula, times)

    def _divide_out(self, formula: Formula, times: Fraction) -> None:
        """Multiply by a power of a sum: of what its terms have in common, and of the rest."""
        try:
            terms = collected(Expansion(free_names(formula)).terms(formula))
        except TooLong:
            terms = []
        if not terms:
            _count(self.powers, formula, times)
            return
        parts = [_Factors(each.scale) for each in terms]
        for part, term in zip(parts, terms, strict=True):
            if term.binders:
                _count(part.powers, replace(term, scale=Fraction(1)).formula, Fraction(1))
                continue
            for factor in term.factors:
                if factor[0] == "add":
                    _count(part.powers, factor, Fraction(1))
                else:
                    part.multiply(factor, Fraction(1))
        first, *others = parts
        common = _Factors(first.scale)
        for name in ("powers", "exponent"):
            held, shared = getattr(first, name), getattr(common, name)
            for key, (factor, count) in held.items():
                if all(getattr(each, name).get(key, (factor, 0))[1] == count for each in others):
                    shared[key] = (factor, count)
        self.absorb(common, times)
        rest = [quotient_of(each, common) for each in parts]
        if len(rest) > 1:
            rest.sort(key=lambda each: repr(frozen(each)))
            _count(self.powers, add(*rest), times)

    def absorb(self, other: _Factors, times: Fraction) -> None:
        if times.denominator == 1:
            self.scale *= other.scale ** int(times)
        else:
            _count(self.powers, number(other.scale), times)
        for own, held in ((self.powers, other.powers), (self.exponent, other.exponent)):
            for factor, count in held.values():
                _count(own, factor, count * times)

    def _raise(self, exponent: Formula, times: Fraction) -> None:
        if exponent[0] == "add":
            for each in exponent[1:]:
                self._raise(each, times)
            return
        inside = _flat(exponent)
        for place, each in enumerate(inside):
            several = each[1:] if each[0] == "add" else _instants(each)
            if several:
                for part in several:
                    self._raise(mul(*inside[:place], part, *inside[place + 1 :]), times)
                return
        others = [each for each in inside if each[0] != "number"]
        for each in inside:
            if each[0] == "number":
                times *= Fraction(each[1])
        others.sort(key=lambda each: repr(frozen(each)))
        _count(self.exponent, mul(*others), times)

    def formula(self) -> Formula:
        """The product written out."""
        written = [power(each, times) for each, times in self.powers.values() if times]
        terms = [mul(number(times), each) for each, times in self.exponent.values() if times]
        if terms:
            written.append(call("exp", add(*terms)))
        return mul(number(self.scale), *written)


def _flat(formula: Formula) -> tuple[Formula, ...]:
    """The factors of a product, of products in it too."""
    if formula[0] != "mul":
        return (formula,)
    return tuple(factor for each in formula[1:] for factor in _flat(each))


def _instants(formula: Formula) -> tuple[Formula, ...]:
    """A time that is more than a variable as multiples of its variables and a number."""
    if formula[0] != "time" or (len(formula[1]) == 1 and "" not in formula[1]):
        return ()
    parts = sorted(formula[1].items())
    return tuple(
        mul(number(count), ("time", {name: 1})) if name else number(count) for name, count in parts
    )


def _count(held: dict[object, tuple[Formula, Fraction]], formula: Formula, times: Fraction) -> None:
    key = alike(formula)
    held[key] = (formula, held.get(key, (formula, Fraction(0)))[1] + times)


def quotient_of(over: _Factors, under: _Factors) -> Formula:
    """The quotient of two products."""
    found = _Factors()
    found.absorb(over, Fraction(1))
    found.absorb(under, Fraction(-1))
    return found.formula()


def quotient(over: Formula, under: Formula) -> Formula:
    """`over / under`, with equal factors and summands of exponents cancelled."""
    found = _Factors()
    found.multiply(over, Fraction(1))
    found.multiply(under, Fraction(-1))
    return found.formula()


def telescoping(formula: Formula, time: str) -> tuple[Formula, Formula]:
    """H and R with `formula(t) = H(t-1) / H(t) * R(t)`, as much of it in H as is found."""
    found, held = _Factors(), _Factors()
    found.multiply(formula, Fraction(1))
    for own, kept in ((found.powers, held.powers), (found.exponent, held.exponent)):
        for key, (part, times) in list(own.items()):
            before = alike(substituted(part, {time: {time: 1, "": -1}}))
            if key in own and times and before != key and own.get(before, (part, 0))[1] == -times:
                kept[key] = (part, -times)
                del own[key], own[before]
    return held.formula(), found.formula()
