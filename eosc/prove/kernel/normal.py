"""Normal forms: the arithmetic of values, and when a value is 0.

A sum over time is in potential form: a bound time stands for the sum over 0 < u <= base, which is
minus the sum over base < u <= 0 where base is negative; a written sum is a difference of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import Any, TypeAlias

from . import atoms
from .atoms import IMAGINARY, OTHER, TIME, UNIT, Atoms, Node, Number, Poly, Rejected, gather, scale
from .times import Time, later, moved, split

Bounds: TypeAlias = atoms.Bounds
Powers: TypeAlias = atoms.Powers
Pieces = list[tuple[Poly, Number]]
BITS = 20_000


class Algebra(Atoms):
    """The arithmetic of normal forms."""

    def read(self, name: str, point: Any) -> Poly:
        """A symbol or a definition at a point; the reader of formulas unfolds definitions."""
        return self.single(Node("v", name, point))

    def need(self, pieces: Pieces, *needed: Any) -> None:
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
        if is_product(poly):
            (((_, powers), count),) = poly.items()
            count = 1 if count == 1 else Fraction(count) ** int(exponent)
            return self.product(count, (), [(atom, e * exponent) for atom, e in powers])
        found = UNIT
        for piece, times in self.factors(poly, formal=True) if exponent < 0 else ():
            sign = -1 if sum(piece.values()) < 0 else 1
            logarithm = self.log_of([(scale(piece, sign), times * exponent)], formal=True)
            found = scale(self.mul(found, self.exp(logarithm)), sign if exponent % 2 else 1)
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
            merged[atom] = atoms.whole(merged[atom] + exponent if atom in merged else exponent)
        powers = tuple((atom, exponent) for atom, exponent in merged.items() if exponent)
        for place, (atom, _) in enumerate(powers):
            if self.nodes[atom].kind in ("i", "d", "E") and self._reducible(bounds, powers, place):
                bounds, poly = self._reduced(*self.opened(bounds, powers), place)
                return self.bind(bounds, poly, count)
        return self._closed(count, bounds, powers)

    def _reducible(self, bounds: Bounds, powers: Powers, place: int) -> bool:
        """Whether one power of a product can be simplified."""
        atom, exponent = powers[place]
        kind, _, points, _ = self.nodes[atom]
        if kind != "d":
            return exponent != 1 if kind == "i" else self._taken_out(atom, exponent) != 0
        used = frozenset().union(*(self.free[other] for other, _ in powers if other != atom))
        return exponent != 1 or points[1] in used or not dict(bounds).keys().isdisjoint(points)

    def _taken_out(self, atom: int, exponent: Number) -> int:
        """How often p leaves a power of exp(log p); a reciprocal only if p is a product."""
        poly = self.logarithm(atom)
        return floor(exponent) if poly and (exponent >= 1 or is_product(poly)) else 0

    def _reduced(self, bounds: Bounds, powers: Powers, place: int) -> tuple[Bounds, Poly]:
        """The square of i is -1, exp(n log p) is p^n, and a delta replaces an index.

        It replaces a bound index, or the later of two free ones.
        """
        atom, exponent = powers[place]
        others = powers[:place] + powers[place + 1 :]
        points: Any = self.nodes[atom].points
        if self.nodes[atom].kind == "i":
            found = self.product(1, (), (*others, (atom, exponent % 2)))
            return bounds, scale(found, -1 if exponent % 4 >= 2 else 1)
        if self.nodes[atom].kind == "E":
            times = self._taken_out(atom, exponent)
            found = self.product(1, (), (*others, (atom, exponent - times)))
            return bounds, self.mul(found, self.power(self.logarithm(atom) or {}, times))
        if exponent < 0:
            raise Rejected("division by a Kronecker delta")
        gone, stays = points if points[0] in dict(bounds) else reversed(points)
        found = self._powers_at(others, {gone: stays})
        if gone in dict(bounds):
            return tuple(each for each in bounds if each[0] != gone), found
        return bounds, self.mul(found, {((), ((atom, 1),)): 1})

    def logarithm(self, atom: int) -> Poly | None:
        """The p where the atom is exp(log p)."""
        if self.nodes[atom].kind != "E":
            return None
        ((bounds, powers),) = self.inside(atom)
        if bounds or len(powers) != 1 or powers[0][1] != 1:
            return None
        return self.inside(powers[0][0]) if self.nodes[powers[0][0]].kind == "L" else None

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
        used = self.term_free(((), powers)) if bounds else frozenset()
        used = used.union(*(atoms.mentioned(domain) for _, domain in bounds))
        for place, (variable, domain) in enumerate(bounds):
            if variable not in used:
                rest = bounds[:place] + bounds[place + 1 :]
                found: Poly = {}
                for (_, factors), times in self.length(domain).items():
                    gather(found, self.product(count * times, rest, powers + factors))
                return found
        return {self.canonical(bounds, powers): atoms.whole(count)} if count else {}

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

    def _term_at(self, term: atoms.Term, values: Mapping[int, Any]) -> Poly:
        bounds, powers = self.opened(*term)
        found = self._powers_at(powers, values)
        waiting = [(variable, placed(domain, values)) for variable, domain in bounds]
        # Innermost first: a base that gained a constant is taken apart under the sums around it.
        while waiting:
            read = frozenset().union(*(atoms.mentioned(domain) for _, domain in waiting))
            variable, domain = next(each for each in waiting if each[0] not in read)
            waiting.remove((variable, domain))
            axis = isinstance(domain, str)
            bound = self.bind(((variable, domain),), found) if axis else None
            found = self.potential(variable, domain, found) if bound is None else bound
        return found

    def _powers_at(self, powers: Powers, values: Mapping[int, Any]) -> Poly:
        kept = [power for power in powers if self.free[power[0]].isdisjoint(values)]
        found = self.product(1, (), kept)
        for atom, exponent in powers:
            if self.free[atom].isdisjoint(values):
                continue
            logged = self.logarithm(atom) if int(exponent) == exponent else None
            if self.nodes[atom].kind != "E":
                part = self.power(self._atom_at(atom, values), exponent)
            elif logged is not None:
                part = self.power(self.substitute(logged, values), exponent)
            else:
                part = self.exp(scale(self.substitute(self.inside(atom), values), exponent))
            found = self.mul(found, part)
        return found

    def _atom_at(self, atom: int, values: Mapping[int, Any]) -> Poly:
        kind, label, points, inside = self.nodes[atom]
        at = tuple(placed(point, values) for point in points)
        match kind:
            case "v" | "C" if IMAGINARY in values:
                return self.single(Node("C" if kind == "v" else "v", label, points))
            case "v":
                return self.read(label, at)
            case "C":
                return self.conjugate(self.read(label, at))
            case "i":
                return {((), ((atom, 1),)): -1}
            case "t":
                return self.number(*at)
            case "x":
                return self.position(*at)
            case "d":
                return self.delta(*at)
        polys = [self.substitute(self.polys[number], values) for number in inside]
        if kind == "L":
            return self.log(polys[0])
        if IMAGINARY in values and polys != [self.polys[number] for number in inside]:
            raise Rejected(f"the conjugate of {label} of what is not plainly real")
        return self.function(label, polys)

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

    def length(self, domain: Time | str) -> Poly:
        """How many values a bound variable takes: a time, or the size of an axis."""
        return self.single(Node("n", domain)) if isinstance(domain, str) else self.number(domain)

    def position(self, index: int | str) -> Poly:
        """The 0-based position of an index."""
        fixed = isinstance(index, str)
        return scale(UNIT, int(index)) if fixed else self.single(Node("x", points=(index,)))

    def delta(self, left: int | str, right: int | str) -> Poly:
        """1 where two indices are equal."""
        if left == right or (isinstance(left, str) and isinstance(right, str)):
            return UNIT if left == right else {}
        return self.single(Node("d", points=atoms.ordered(left, right)))

    def function(self, name: str, arguments: list[Poly]) -> Poly:
        """An uninterpreted function of normal forms."""
        return self.single(Node("F", name, inside=tuple(map(self.keep, arguments))))

    def exp(self, poly: Poly) -> Poly:
        """The exponential: one generator for each term."""
        powers = [(self.atom(Node("E", inside=(self.keep({t: 1}),))), c) for t, c in poly.items()]
        return self.product(1, (), powers)

    def log(self, poly: Poly, formal: bool = False, *needed: Any) -> Poly:
        """The logarithm. Where it is not formal, factors it is split into must be positive."""
        pieces = self.factors(poly, formal)
        if not formal and (needed or len(pieces) > 1):
            self.need(pieces, *needed)
        return self.log_of(pieces, formal)

    def log_of(self, pieces: Pieces, formal: bool) -> Poly:
        """The sum of the logarithms of factors."""
        found: Poly = {}
        for piece, times in pieces:
            ((_, powers), *_) = piece
            atom = powers[0][0] if powers and piece == {((), powers[:1]): 1} else -1
            plain = atom >= 0 and (formal or IMAGINARY not in self.free[atom])
            if plain and self.nodes[atom].kind == "E":
                gather(found, self.inside(atom), times * powers[0][1])
            else:
                gather(found, self.single(Node("L", inside=(self.keep(piece),))), times)
        return found

    # Denominators and factors.

    def divides(self, atom: int) -> bool:
        """Whether a negative power of the atom is a reciprocal of a sum."""
        poly = self.logarithm(atom)
        return poly is not None and not is_product(poly)

    def together(self, poly: Poly) -> tuple[Poly, Pieces]:
        """The poly over a common denominator: the numerator, and divisors with exponents."""
        most: dict[int, Number] = {}
        for bounds, powers in poly:
            for atom, exponent in powers:
                if exponent < 0 and self.divides(atom) and self.free[atom].isdisjoint(dict(bounds)):
                    most[atom] = max(most.get(atom, 0), ceil(-exponent))
        above: Poly = {} if most else poly
        for (bounds, powers), count in poly.items() if most else ():
            gather(above, self.product(count, bounds, (*powers, *most.items())))
        return above, [(self.logarithm(atom) or {}, -times) for atom, times in most.items()]

    def factors(self, poly: Poly, formal: bool) -> Pieces:
        """Divisors, the atoms that every term shares, primes, and what is left, with exponents.

        Where it is not formal, complex atoms are left: log exp(i x) is not i x.
        """
        poly, pieces = self.together(poly)
        if not poly:
            raise Rejected("division by zero, or its logarithm")
        every = [dict(powers) for _, powers in poly]
        bound = {variable for bounds, _ in poly for variable, _ in bounds}
        bound |= set() if formal else {IMAGINARY}
        down: Powers = ()
        for atom in dict.fromkeys(atom for powers in every for atom in powers):
            exponent = min(powers.get(atom, 0) for powers in every)
            apart = self.nodes[atom].kind not in ("i", "d") and self.free[atom].isdisjoint(bound)
            if exponent and apart:
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

    # The zero test.

    def is_zero(self, poly: Poly) -> bool:
        """Whether the poly is 0: denominators are cleared, outside binders and inside them."""
        groups: dict[Any, Poly] = {}
        for (bounds, powers), count in self.together(poly)[0].items():
            names = {variable: OTHER + place for place, (variable, _) in enumerate(bounds)}
            key = tuple(atoms.named(domain, names) for _, domain in bounds)
            groups.setdefault(key, {})[bounds, powers] = count
        return all(self._vanishes(group) for group in groups.values())

    def _vanishes(self, group: Poly) -> bool:
        """Whether terms under the same binders cancel for every value of the bound variables."""
        divided = any(e < 0 and self.divides(a) for _, powers in group for a, e in powers)
        ((first, _), *_) = group
        if not divided or not first:
            return False
        free = [self.fresh(d if isinstance(d, str) else TIME) for _, d in first]
        inside: Poly = {}
        for (bounds, powers), count in group.items():
            names = dict(zip(dict(bounds), free, strict=True))
            gather(inside, self.product(count, (), self.renamed(((), powers), names)[1]))
        return self.is_zero(inside)


def is_product(poly: Poly) -> bool:
    """Whether a poly is one product of powers, without a sum."""
    return len(poly) == 1 and not next(iter(poly))[0]


def placed(point: Any, values: Mapping[int, Any]) -> Any:
    """A time, an index, an element or an axis with its variables replaced."""
    return moved(point, values) if isinstance(point, tuple) else values.get(point, point)


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
