"""Normal forms: the arithmetic of values, and when a value is 0.

A sum over time is in potential form: a bound time stands for the sum over 0 < u <= base, which is
minus the sum over base < u <= 0 where base is negative; a written sum is a difference of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import floor, gcd, lcm
from typing import Any, cast

from .atoms import (
    IMAGINARY,
    OTHER,
    TIME,
    UNIT,
    Atoms,
    Bounds,
    Node,
    Number,
    Point,
    Poly,
    Powers,
    Rejected,
    Term,
    elements_first,
    gather,
    named,
    scale,
    variables_of,
    whole,
)
from .times import Time, later, moved, split

BITS = 20_000
Pieces = list[tuple[Poly, Number]]


class Algebra(Atoms):
    """The arithmetic of normal forms."""

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or a definition at a point; the reader of formulas unfolds definitions."""
        return self.single(Node("v", name, point))

    def need(self, kind: str, pieces: Pieces) -> None:
        """Called with the factors that a logarithm is split into."""

    # Products.

    def mul(self, left: Poly, right: Poly) -> Poly:
        """The product of two polys."""
        if left == UNIT or right == UNIT:
            return right if left == UNIT else left
        found: Poly = {}
        for (bounds, powers), count in left.items():
            for (inner, factors), times in right.items():
                if bounds and inner:
                    inner, factors = self.opened(inner, factors)
                gather(found, self.product(count * times, bounds + inner, powers + factors))
        return found

    def power(self, poly: Poly, exponent: Number) -> Poly:
        """A whole power; of a product of atoms without a factor, any that its atoms can take."""
        if len(poly) == 1:
            (((bounds, powers), count),) = poly.items()
            if not bounds:
                count = 1 if count == 1 else Fraction(count) ** int(exponent)
                return self.product(count, (), [(atom, e * exponent) for atom, e in powers])
        if exponent < 0:
            poly, exponent = self._inverse(poly), -exponent
        found = UNIT
        for _ in range(int(exponent)):
            found = self.mul(found, poly)
        return found

    def product(self, count: Number, bounds: Bounds, powers: Iterable[tuple[int, Number]]) -> Poly:
        """A number times the sum over the bounds of the product of the powers, simplified."""
        self.spend()
        if max(count.numerator.bit_length(), count.denominator.bit_length()) > BITS:
            raise Rejected("too large: a number with too many digits")
        merged: dict[int, Number] = {}
        for atom, exponent in powers:
            merged[atom] = whole(merged.get(atom, 0) + exponent)
        powers = tuple((atom, exponent) for atom, exponent in merged.items() if exponent)
        if not any(self._reducible(*power) for power in powers):
            return self._closed(count, bounds, powers)
        bounds, powers = self.opened(bounds, powers)
        sign, kept, factors = self._reduced(powers)
        for atom in kept if not factors else ():
            if self.nodes[atom].kind == "d":
                contracted = self._contracted(atom, bounds, kept)
                if contracted is not None:
                    return self.bind(*contracted, count * sign)
        if not factors:
            return self._closed(count * sign, bounds, tuple(kept.items()))
        found = self.product(1, (), kept.items())
        for poly, exponent in factors:
            found = self.mul(found, self.power(poly, exponent))
        return self.bind(bounds, found, count * sign)

    def _reducible(self, atom: int, exponent: Number) -> bool:
        kind = self.nodes[atom].kind
        if kind == "E":
            return not 0 < exponent < 1 and self.logarithm(atom) is not None
        return kind == "d" or (kind == "i" and exponent != 1) or (kind == "inv" and exponent < 0)

    def logarithm(self, atom: int) -> Poly | None:
        """The p where the atom is exp(log p)."""
        ((bounds, powers),) = self.inside(atom)
        if bounds or len(powers) != 1 or powers[0][1] != 1:
            return None
        inner = powers[0][0]
        return self.inside(inner) if self.nodes[inner].kind == "L" else None

    def _reduced(self, powers: Powers) -> tuple[int, dict[int, Number], Pieces]:
        """The square of i is -1, exp(n log p) is p^n, an inverse inverted is its poly."""
        sign, kept = 1, dict(powers)
        factors: Pieces = []
        for atom, exponent in powers:
            kind = self.nodes[atom].kind
            if kind == "i":
                sign = -sign if exponent % 4 >= 2 else sign
                kept[atom] = exponent % 2
            elif kind == "d":
                if exponent < 0:
                    raise Rejected("division by a Kronecker delta")
                kept[atom] = 1
            elif self._reducible(atom, exponent):
                poly = self.inside(atom) if kind == "inv" else self.logarithm(atom) or {}
                times = -exponent if kind == "inv" else floor(exponent)
                kept[atom] = 0 if kind == "inv" else whole(exponent - times)
                # What stands beside an inverse of it cancels.
                inverse = self.ids.get(Node("inv", inside=(self.keep(poly),)), -1)
                both = max(0, min(times, kept.get(inverse, 0)))
                kept[inverse] = kept.get(inverse, 0) - both
                factors.append((poly, times - both))
        return sign, {atom: exponent for atom, exponent in kept.items() if exponent}, factors

    def _contracted(
        self, delta: int, bounds: Bounds, kept: Mapping[int, Number]
    ) -> tuple[Bounds, Poly] | None:
        """A delta replaces a bound index, or the later of two free ones; None if it did already."""
        names = dict(bounds)
        left, right = cast(tuple[int, int], self.nodes[delta].points)
        gone, stays = (left, right) if left in names else (right, left)
        others = [(atom, exponent) for atom, exponent in kept.items() if atom != delta]
        if gone not in names and not any(gone in self.free[atom] for atom, _ in others):
            return None
        found = self._powers_at(others, {gone: stays})
        if gone in names:
            return tuple(each for each in bounds if each[0] != gone), found
        return bounds, self.mul(found, {((), ((delta, 1),)): 1})

    # Binding.

    def bind(self, bounds: Bounds, poly: Poly, count: Number = 1) -> Poly:
        """The sum of a poly over variables that are free in it."""
        if not bounds:
            return scale(poly, count)
        found: Poly = {}
        for (inner, powers), times in poly.items():
            gather(found, self.product(count * times, bounds + inner, powers))
        return found

    def _closed(self, count: Number, bounds: Bounds, powers: Powers) -> Poly:
        """A term of what is simplified; a sum of what does not vary is a multiple of it."""
        used = frozenset().union(
            *(self.free[atom] for atom, _ in powers), *(variables_of(d) for _, d in bounds)
        )
        for place, (variable, domain) in enumerate(bounds):
            if variable not in used:
                rest = bounds[:place] + bounds[place + 1 :]
                found: Poly = {}
                length = self.size(domain) if isinstance(domain, str) else self.number(domain)
                for (_, factors), times in length.items():
                    gather(found, self.product(count * times, rest, powers + factors))
                return found
        return {self.canonical(bounds, powers): whole(count)} if count else {}

    def potential(self, variable: int, time: Time, poly: Poly) -> Poly:
        """The sum of the poly over 0 < variable <= time, in potential form."""
        base, count = split(time)
        found = self.bind(((variable, base),), poly) if base else {}
        for step in range(min(count, 0) + 1, max(count, 0) + 1):
            self.spend()
            there = self.substitute(poly, {variable: later(base, step)})
            gather(found, there, 1 if count > 0 else -1)
        return found

    # Substitution: times and indices for variables, everything is simplified anew.

    def substitute(self, poly: Poly, values: Mapping[int, Any]) -> Poly:
        """The poly with free variables replaced by times or indices."""
        found: Poly = {}
        for term, count in poly.items():
            kept = self.term_free(term).isdisjoint(values)
            gather(found, {term: 1} if kept else self._term_at(term, values), count)
        return found

    def _term_at(self, term: Term, values: Mapping[int, Any]) -> Poly:
        bounds, powers = self.opened(*term)
        found = self._powers_at(powers, values)
        # A base that gained a constant is taken apart under the sums around it.
        for variable, domain in innermost_first([(v, placed(d, values)) for v, d in bounds]):
            if isinstance(domain, str):
                found = self.bind(((variable, domain),), found)
            else:
                found = self.potential(variable, domain, found)
        return found

    def _powers_at(self, powers: Iterable[tuple[int, Number]], values: Mapping[int, Any]) -> Poly:
        still: list[tuple[int, Number]] = []
        changed: list[Poly] = []
        for atom, exponent in powers:
            if self.free[atom].isdisjoint(values):
                still.append((atom, exponent))
            elif self.nodes[atom].kind == "E":
                inside = self.substitute(self.inside(atom), values)
                changed.append(self.exp(scale(inside, exponent)))
            else:
                changed.append(self.power(self._atom_at(atom, values), exponent))
        found = self.product(1, (), still)
        for poly in changed:
            found = self.mul(found, poly)
        return found

    def _atom_at(self, atom: int, values: Mapping[int, Any]) -> Poly:
        kind, label, points, inside = self.nodes[atom]
        at = tuple(placed(point, values) for point in points)
        if kind == "v" and IMAGINARY not in values:
            return self.read(label, at)
        if kind == "v":
            return self.single(Node("C", inside=(self.keep(self.single(self.nodes[atom])),)))
        if kind == "C" and IMAGINARY in values:
            return self.inside(atom)
        if kind == "i":
            return scale(self.single(Node("i")), -1)
        if kind == "t":
            return self.number(*at)
        if points:
            return self.position(*at) if kind == "x" else self.delta(*at)
        polys = [self.substitute(self.polys[number], values) for number in inside]
        if kind == "F":
            return self.function(label, polys)
        if kind == "L":
            return self.log(polys[0], formal=False)
        return self.power(polys[0], -1) if kind == "inv" else self.conjugate(polys[0])

    def conjugate(self, poly: Poly) -> Poly:
        """The complex conjugate."""
        return self.substitute(poly, {IMAGINARY: IMAGINARY})

    # Constructors.

    def number(self, time: Time) -> Poly:
        """A time as a number."""
        base, count = split(time)
        found = scale(UNIT, count)
        for variable, times in base:
            gather(found, self.single(Node("t", points=(((variable, 1),),))), times)
        return found

    def position(self, index: int | str) -> Poly:
        """The 0-based position of an index."""
        if isinstance(index, str):
            return scale(UNIT, int(index))
        return self.single(Node("x", points=(index,)))

    def size(self, axis: str) -> Poly:
        """The size of an axis."""
        return self.single(Node("n", axis))

    def delta(self, left: int | str, right: int | str) -> Poly:
        """1 where two indices are equal."""
        if left == right:
            return UNIT
        if isinstance(left, str) and isinstance(right, str):
            return {}
        return self.single(Node("d", points=tuple(sorted((left, right), key=elements_first))))

    def function(self, name: str, arguments: list[Poly]) -> Poly:
        """An uninterpreted function of normal forms."""
        return self.single(Node("F", name, inside=tuple(self.keep(each) for each in arguments)))

    def exp(self, poly: Poly) -> Poly:
        """The exponential: one generator for each term."""
        powers = [(self.atom(Node("E", inside=(self.keep({t: 1}),))), c) for t, c in poly.items()]
        return self.product(1, (), powers)

    def log(self, poly: Poly, formal: bool) -> Poly:
        """The logarithm. Where it is not formal, factors it is split into must be positive."""
        pieces = self.factors(poly, formal)
        if not formal and len(pieces) > 1:
            self.need("positive", pieces)
        return self.log_of(pieces, formal)

    def log_of(self, pieces: Pieces, formal: bool) -> Poly:
        """The sum of the logarithms of factors."""
        found: Poly = {}
        for piece, times in pieces:
            ((_, powers), *_) = piece
            atom = powers[0][0] if piece == {((), powers[:1]): 1} and powers[0][1] == 1 else -1
            if atom >= 0 and self.nodes[atom].kind == "E" and (formal or self.plain(atom)):
                gather(found, self.inside(atom), times)
            else:
                gather(found, self.single(Node("L", inside=(self.keep(piece),))), times)
        return found

    def plain(self, atom: int) -> bool:
        """Whether an atom is plainly real."""
        return IMAGINARY not in self.free[atom]

    # Denominators and factors.

    def together(self, poly: Poly) -> tuple[Poly, Pieces]:
        """The poly over a common denominator: the numerator, and divisors with exponents."""
        inverses: dict[int, Number] = {}
        for bounds, powers in poly:
            for atom, exponent in powers:
                if self.nodes[atom].kind == "inv" and self.free[atom].isdisjoint(dict(bounds)):
                    inverses[atom] = max(inverses.get(atom, 0), exponent)
        if not inverses:
            return poly, []
        found: Poly = {}
        for (bounds, powers), count in poly.items():
            here = dict(powers)
            kept = tuple(power for power in powers if power[0] not in inverses)
            part: Poly = {self.canonical(bounds, kept): count}
            for atom, most in inverses.items():
                part = self.mul(part, self.power(self.inside(atom), most - here.get(atom, 0)))
            gather(found, part)
        return found, [(self.inside(atom), -most) for atom, most in inverses.items()]

    def factors(self, poly: Poly, formal: bool) -> Pieces:
        """Divisors, the atoms that every term shares, primes, and what is left, with exponents.

        Where it is not formal, complex atoms are left: log exp(i x) is not i x.
        """
        poly, pieces = self.together(poly)
        if not poly:
            raise Rejected("division by zero, or its logarithm")
        every = [dict(powers) for _, powers in poly]
        bound = {variable for bounds, _ in poly for variable, _ in bounds}
        down: Powers = ()
        for atom in dict.fromkeys(atom for powers in every for atom in powers):
            exponent = min(powers.get(atom, 0) for powers in every)
            apart = self.nodes[atom].kind not in ("i", "d", "inv") and (formal or self.plain(atom))
            if exponent and apart and self.free[atom].isdisjoint(bound):
                pieces.append(({((), ((atom, 1),)): 1}, exponent))
                down += ((atom, -exponent),)
        rest: Poly = {}
        for (bounds, powers), count in poly.items():
            gather(rest, self.product(count, bounds, powers + down))
        low = lcm(*(count.denominator for count in rest.values()))
        share = Fraction(gcd(*(int(count * low) for count in rest.values())), low)
        pieces += [(scale(UNIT, prime), exponent) for prime, exponent in primes(share)]
        rest = scale(rest, 1 / share)
        return pieces if rest == UNIT else [*pieces, (rest, 1)]

    def _inverse(self, poly: Poly) -> Poly:
        """The reciprocal: of each factor, and an atom where there is only one."""
        pieces = self.factors(poly, formal=True)
        if pieces == [(poly, 1)]:
            sign = -1 if sum(poly.values()) < 0 else 1
            return scale(self.single(Node("inv", inside=(self.keep(scale(poly, sign)),))), sign)
        found = UNIT
        for piece, exponent in pieces:
            found = self.mul(found, self.power(piece, -exponent))
        return found

    # The zero test.

    def is_zero(self, poly: Poly) -> bool:
        """Whether the poly is 0: denominators are cleared, outside binders and inside them."""
        groups: dict[Any, Poly] = {}
        for (bounds, powers), count in self.together(poly)[0].items():
            names = {v: OTHER + place for place, (v, _) in enumerate(bounds)}
            key = tuple(named(domain, names) for _, domain in bounds)
            groups.setdefault(key, {})[bounds, powers] = count
        return all(self._vanishes(group) for group in groups.values())

    def _vanishes(self, group: Poly) -> bool:
        """Whether terms under the same binders cancel for every value of the bound variables."""
        divided = any(self.nodes[a].kind == "inv" for _, powers in group for a, _ in powers)
        ((first, _), *_) = group
        if not divided or not first:
            return False
        free = [self.fresh(d if isinstance(d, str) else TIME) for _, d in first]
        inside: Poly = {}
        for (bounds, powers), count in group.items():
            names = {v: here for (v, _), here in zip(bounds, free, strict=True)}
            gather(inside, self.product(count, (), self.renamed(((), powers), names)[1]))
        return self.is_zero(inside)


def placed(point: Any, values: Mapping[int, Any]) -> Any:
    """A time, an index or an axis with its variables replaced."""
    return moved(point, values) if isinstance(point, tuple) else values.get(point, point)


def innermost_first(bounds: Iterable[tuple[int, Time | str]]) -> list[tuple[int, Time | str]]:
    """Bound variables in an order in which no domain reads one that came before."""
    found: list[tuple[int, Time | str]] = []
    waiting = list(bounds)
    while waiting:
        read = frozenset().union(*(variables_of(domain) for _, domain in waiting))
        found += [each for each in waiting if each[0] not in read]
        waiting = [each for each in waiting if each[0] in read]
    return found


def primes(value: Fraction) -> Iterator[tuple[int, int]]:
    """The prime powers of a positive rational; what is left of a large one stays whole."""
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        prime = 2
        while prime * prime <= part and prime < 1000:
            if part % prime:
                prime += 1
            else:
                part //= prime
                yield prime, sign
        if part > 1:
            yield part, sign
