"""Normal forms: rational combinations of terms, each a product of atoms under binders.

A term is (bounds, powers): the sum over its bound variables of a product of atoms with rational
exponents. Atoms are hash-consed, so a term is a tuple of small integers. Binders are locally
nameless: a free variable is a positive number, a bound one a negative number made of the height of
its term and its place there. A term is higher than every term inside it, so that no binder can
take the name of another one around it, and equal terms are equal whatever they were written with.

A sum over time is in potential form: a bound time stands for the sum over 0 < u <= base, which is
minus the sum over base < u <= 0 where base is negative; a written sum is a difference of two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import factorial, floor, gcd
from typing import Any

from .times import Time, later, split, substitute, variables

Number = int | Fraction
Domain = Time | str
Bounds = tuple[tuple[int, Domain], ...]
Powers = tuple[tuple[int, Number], ...]
Term = tuple[Bounds, Powers]
Poly = dict[Term, Number]
Key = tuple[Any, ...]
Point = Time | int | str

ONE: Term = ((), ())
UNIT: Poly = {ONE: 1}
BUDGET = 80_000
TIES = 5_040
BITS = 20_000
PLACES = 256  # bound variables of one term
SELF, OTHERS = 1 << 40, (1 << 40) + 1


class Rejected(Exception):  # noqa: N818
    """The proof does not hold; `residual` is what was left over, as text."""

    def __init__(self, message: str, residual: str = "") -> None:
        super().__init__(message)
        self.message, self.residual = message, residual


def whole(value: Number) -> Number:
    """The number as an int where it is one."""
    return value.numerator if value.denominator == 1 else value


def combine(left: Poly, right: Poly, times: Number = 1) -> Poly:
    """The sum left + times * right."""
    found = dict(left)
    gather(found, right, times)
    return found


def gather(found: Poly, more: Poly, times: Number = 1) -> None:
    """Add times * more to `found` in place."""
    for term, count in more.items():
        value = whole(found.get(term, 0) + times * count)
        if value:
            found[term] = value
        else:
            found.pop(term, None)


def scale(poly: Poly, times: Number) -> Poly:
    """The poly times a number."""
    return {term: whole(count * times) for term, count in poly.items()} if times else {}


class Algebra:
    """The atoms of one check and the arithmetic of normal forms."""

    def __init__(self) -> None:
        self.nodes: list[Key] = []
        self.polys: list[Poly] = []
        self._ids: dict[Key, int] = {}
        self._poly_ids: dict[frozenset[tuple[Term, Number]], int] = {}
        self._free: list[frozenset[int]] = []
        self._height: list[int] = []
        self._special: list[bool] = []
        self._canonical: dict[Term, Term] = {}
        self._variables = 0
        self.sort: dict[int, str] = {}
        self.spent = 0

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or a definition at a point; the reader of formulas unfolds definitions."""
        return self.single(("v", name, point))

    def judge(self, pieces: list[tuple[Poly, Number]]) -> None:
        """Called with the factors that a logarithm is split into."""

    def spend(self, count: int = 1) -> None:
        """Count work, so that a certificate cannot make the checker hang."""
        self.spent += count
        if self.spent > BUDGET:
            raise Rejected("too large: the normal form takes too many steps")

    def fresh(self, sort: str) -> int:
        """A new free variable: of an axis, or of time."""
        self._variables += 1
        self.sort[self._variables] = sort
        return self._variables

    # Atoms.

    def atom(self, key: Key) -> int:
        """The number of an atom."""
        found = self._ids.get(key)
        if found is None:
            self.spend()
            free, height = self._measure(key)
            found = self._ids[key] = len(self.nodes)
            self.nodes.append(key)
            self._free.append(free)
            self._height.append(height)
            self._special.append(key[0] in ("i", "inv", "d") or self.logarithm(found) is not None)
        return found

    def single(self, key: Key) -> Poly:
        """An atom as a poly."""
        return {((), ((self.atom(key), 1),)): 1}

    def keep(self, poly: Poly) -> int:
        """The number of a poly inside an atom."""
        key = frozenset(poly.items())
        found = self._poly_ids.get(key)
        if found is None:
            found = self._poly_ids[key] = len(self.polys)
            self.polys.append(poly)
        return found

    def _measure(self, key: Key) -> tuple[frozenset[int], int]:
        kind = key[0]
        if kind == "v":
            return frozenset(v for point in key[2] for v in self._mentioned(point)), 0
        if kind in ("t", "x", "d"):
            return frozenset(v for v in key[1:] if isinstance(v, int)), 0
        if kind == "E":
            return self.term_free(key[1]), self._term_height(key[1])
        if kind == "C":
            return self._free[key[1]], self._height[key[1]]
        inside = key[2] if kind == "F" else key[1:2] if kind in ("L", "inv") else ()
        terms = [term for number in inside for term in self.polys[number]]
        free = frozenset().union(*(self.term_free(term) for term in terms))
        return free, max((self._term_height(term) for term in terms), default=0)

    def _mentioned(self, point: Point) -> Iterable[int]:
        if isinstance(point, tuple):
            return variables(point)
        return (point,) if isinstance(point, int) else ()

    def free(self, atom: int) -> frozenset[int]:
        """The variables that an atom mentions and does not bind."""
        return self._free[atom]

    def term_free(self, term: Term) -> frozenset[int]:
        """The variables that a term mentions and does not bind."""
        bounds, powers = term
        found = frozenset().union(*(self._free[atom] for atom, _ in powers))
        for _, domain in bounds:
            if not isinstance(domain, str):
                found |= frozenset(variables(domain))
        return found - {variable for variable, _ in bounds}

    def _term_height(self, term: Term) -> int:
        height = max((self._height[atom] for atom, _ in term[1]), default=0)
        return height + 1 if term[0] else height

    def logarithm(self, atom: int) -> Poly | None:
        """The p where the atom is exp(log p)."""
        key = self.nodes[atom]
        if key[0] != "E" or key[1][0] or len(key[1][1]) != 1:
            return None
        (inner, exponent), *_ = key[1][1]
        kind, *rest = self.nodes[inner]
        return self.polys[rest[0]] if kind == "L" and exponent == 1 else None

    # Renaming: one variable to one variable, nothing is simplified by it.

    def rename(self, atom: int, names: Mapping[int, int]) -> int:
        """The atom with free variables renamed one to one."""
        if self._free[atom].isdisjoint(names):
            return atom
        key = self.nodes[atom]
        kind = key[0]
        if kind == "v":
            return self.atom(("v", key[1], tuple(self._renamed(p, names) for p in key[2])))
        if kind in ("t", "x"):
            return self.atom((kind, names.get(key[1], key[1])))
        if kind == "d":
            return self.atom(("d", *sorted((names.get(v, v) for v in key[1:]), key=_order)))
        if kind == "E":
            return self.atom(("E", self.rename_term(key[1], names)))
        if kind == "C":
            return self.atom(("C", self.rename(key[1], names)))
        if kind == "F":
            return self.atom(("F", key[1], tuple(self._rename_kept(p, names) for p in key[2])))
        return self.atom((kind, self._rename_kept(key[1], names)))

    def _renamed(self, point: Any, names: Mapping[int, int]) -> Any:
        if isinstance(point, tuple):
            return tuple(sorted((names.get(v, v), c) for v, c in point))
        return names.get(point, point)

    def _rename_kept(self, number: int, names: Mapping[int, int]) -> int:
        found: Poly = {}
        for term, count in self.polys[number].items():
            gather(found, {self.rename_term(term, names): count})
        return self.keep(found)

    def rename_term(self, term: Term, names: Mapping[int, int]) -> Term:
        """The term with free variables renamed one to one."""
        if self.term_free(term).isdisjoint(names):
            return term
        names = self.around(term, names)
        bounds = tuple((v, self._rename_domain(d, names)) for v, d in term[0])
        return self.canonical(bounds, tuple((self.rename(a, names), e) for a, e in term[1]))

    def around(self, term: Term, names: Mapping[int, int]) -> Mapping[int, int]:
        """The renaming less the names that the term binds itself: those are other variables."""
        own = {variable for variable, _ in term[0]}
        if own.isdisjoint(names):
            return names
        return {old: new for old, new in names.items() if old not in own}

    def _rename_domain(self, domain: Domain, names: Mapping[int, int]) -> Domain:
        return domain if isinstance(domain, str) else self._renamed(domain, names)

    def opened(self, bounds: Bounds, powers: Powers) -> Term:
        """The same term with its bound variables made free."""
        names = {v: self.fresh(d if isinstance(d, str) else "T") for v, d in bounds if v < 0}
        if not names:
            return bounds, powers
        opened = tuple((names.get(v, v), self._rename_domain(d, names)) for v, d in bounds)
        return opened, tuple((self.rename(a, names), e) for a, e in powers)

    # The canonical choice of bound names.

    def canonical(self, bounds: Bounds, powers: Powers) -> Term:
        """The term with its bound variables named by height and place."""
        if not bounds:
            return (), tuple(sorted(powers))
        key = (bounds, tuple(sorted(powers)))
        found = self._canonical.get(key)
        if found is None:
            found = self._canonical[key] = self._named(*key)
        return found

    def _named(self, bounds: Bounds, powers: Powers) -> Term:
        height = max((self._height[atom] for atom, _ in powers), default=0) + 1
        best: tuple[Key, Term] | None = None
        for order in self._orders(bounds, powers):
            self.spend(len(order))
            names = {variable: _bound(height, place) for place, variable in enumerate(order)}
            domains = dict(bounds)
            new = tuple((names[v], self._rename_domain(domains[v], names)) for v in order)
            renamed = tuple(sorted((self.rename(a, names), e) for a, e in powers))
            rank = (tuple(self.atom(("domain", d)) for _, d in new), renamed)
            if best is None or rank < best[0]:
                best = rank, (new, renamed)
        assert best is not None
        return best[1]

    def _orders(self, bounds: Bounds, powers: Powers) -> Iterable[tuple[int, ...]]:
        """The orders of the bound variables to compare: all that colouring cannot tell apart."""
        names = [variable for variable, _ in bounds]
        if len(names) >= PLACES:
            raise Rejected("too large: too many bound variables")
        if len(names) == 1:
            return [tuple(names)]
        colours = dict.fromkeys(names, 0)
        while True:
            keys = {v: self._colour(v, bounds, powers, colours) for v in names}
            ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
            settled = len(ranks) == len(set(colours.values()))
            colours = {v: ranks[keys[v]] for v in names}
            if settled or len(ranks) == len(names):
                break
        groups = [[v for v in names if colours[v] == rank] for rank in range(len(ranks))]
        count = 1
        for group in groups:
            count *= factorial(len(group))
        if count > TIES:
            raise Rejected("too large: too many interchangeable bound variables")
        choices = itertools.product(*(itertools.permutations(group) for group in groups))
        return (tuple(itertools.chain(*choice)) for choice in choices)

    def _colour(
        self, variable: int, bounds: Bounds, powers: Powers, colours: Mapping[int, int]
    ) -> Key:
        names = {v: SELF if v == variable else OTHERS + colours[v] for v in colours}
        seen = [self.atom(("domain", self._rename_domain(dict(bounds)[variable], names)))]
        around = sorted(
            (self.rename(atom, names), exponent)
            for atom, exponent in powers
            if variable in self._free[atom]
        )
        inside = sorted(
            self.atom(("domain", self._rename_domain(domain, names)))
            for _, domain in bounds
            if not isinstance(domain, str) and variable in variables(domain)
        )
        return colours[variable], tuple(seen), tuple(around), tuple(inside)

    # Products.

    def mul(self, left: Poly, right: Poly) -> Poly:
        """The product of two polys."""
        if left == UNIT:
            return right
        if right == UNIT:
            return left
        found: Poly = {}
        for (bounds, powers), count in left.items():
            for (inner, factors), times in right.items():
                if bounds and inner:
                    inner, factors = self.opened(inner, factors)
                gather(found, self.product(count * times, bounds + inner, powers + factors))
        return found

    def power(self, poly: Poly, exponent: int) -> Poly:
        """An integer power."""
        if exponent < 0:
            poly, exponent = self.inverse(poly), -exponent
        found = UNIT
        for _ in range(exponent):
            found = self.mul(found, poly)
        return found

    def product(self, count: Number, bounds: Bounds, powers: Iterable[tuple[int, Number]]) -> Poly:
        """A number times the sum over the bounds of the product of the powers."""
        self.spend()
        if max(count.numerator.bit_length(), count.denominator.bit_length()) > BITS:
            raise Rejected("too large: a number with too many digits")
        merged: dict[int, Number] = {}
        for atom, exponent in powers:
            merged[atom] = merged.get(atom, 0) + exponent
        if not any(self._special[atom] for atom in merged):
            return self.close(count, bounds, tuple((a, whole(e)) for a, e in merged.items() if e))
        if bounds:
            bounds, opened = self.opened(bounds, tuple(merged.items()))
            merged = dict(opened)
        sign, inside, factors = self._simplified(merged)
        factors = [(poly, self._cancelled(poly, n, inside)) for poly, n in factors]
        if not factors:
            return self.close(count * sign, bounds, tuple(inside.items()))
        found = self.product(1, (), [(a, e) for a, e in inside.items() if e])
        for poly, exponent in factors:
            found = self.mul(found, self.power(poly, exponent))
        return self.bind(bounds, found, count * sign)

    def _simplified(
        self, merged: Mapping[int, Number]
    ) -> tuple[int, dict[int, Number], list[tuple[Poly, int]]]:
        """The square of i is -1, exp(n log p) is p^n, an inverse inverted is its poly."""
        sign, inside, factors = 1, {}, []
        for atom, exponent in merged.items():
            kind = self.nodes[atom][0]
            if kind == "i" and exponent:
                exponent = exponent % 4
                if exponent >= 2:
                    sign, exponent = -sign, exponent - 2
            elif kind == "inv" and exponent < 0:
                factors.append((self.polys[self.nodes[atom][1]], int(-exponent)))
                exponent = 0
            elif kind == "d" and exponent:
                if exponent < 1:
                    raise Rejected("division by a Kronecker delta")
                exponent = 1
            elif kind == "E" and exponent and (logged := self.logarithm(atom)) is not None:
                if floor(exponent):
                    factors.append((logged, floor(exponent)))
                exponent -= floor(exponent)
            if exponent:
                inside[atom] = whole(exponent)
        return sign, inside, factors

    def _cancelled(self, poly: Poly, exponent: int, inside: dict[int, Number]) -> int:
        """What is left of p^n beside an inverse of p."""
        atom = self._ids.get(("inv", self.keep(poly)))
        if atom not in inside or exponent < 0:
            return exponent
        both = min(exponent, int(inside[atom]))
        inside[atom] -= both
        return exponent - both

    # Binding.

    def bind(self, bounds: Bounds, poly: Poly, count: Number = 1) -> Poly:
        """The sum of a poly over variables that are free in it."""
        if not bounds:
            return scale(poly, count)
        found: Poly = {}
        for (inner, powers), times in poly.items():
            gather(found, self.close(count * times, bounds + inner, powers))
        return found

    def close(self, count: Number, bounds: Bounds, powers: Powers) -> Poly:
        """A term from factors that need no more simplifying among themselves."""
        for atom, _ in powers:
            if self.nodes[atom][0] == "d":
                found = self._contracted(atom, bounds, powers)
                if found is not None:
                    return scale(found, count)
        used = frozenset().union(*(self._free[atom] for atom, _ in powers))
        for _, domain in bounds:
            if not isinstance(domain, str):
                used |= frozenset(variables(domain))
        for place, (variable, domain) in enumerate(bounds):
            if variable not in used:
                rest = bounds[:place] + bounds[place + 1 :]
                length = self.size(domain) if isinstance(domain, str) else self.number(domain)
                found = {}
                for (_, factors), times in length.items():
                    gather(found, self.product(count * times, rest, powers + factors))
                return found
        return {self.canonical(bounds, powers): whole(count)} if count else {}

    def _contracted(self, atom: int, bounds: Bounds, powers: Powers) -> Poly | None:
        """A delta replaces a bound index, or the later of two free ones; None if it did already."""
        left, right = self.nodes[atom][1:]
        names = {variable for variable, _ in bounds}
        gone, kept = (left, right) if left in names else (right, left)
        others = [(a, e) for a, e in powers if a != atom]
        if gone not in names and not any(gone in self._free[a] for a, _ in others):
            return None
        bounds, opened = self.opened(bounds, ((atom, 1), *others))
        (atom, _), *others = opened
        left, right = self.nodes[atom][1:]
        names = {variable for variable, _ in bounds}
        gone, kept = (left, right) if left in names else (right, left)
        found = self.substitute_powers(others, {gone: kept})
        if gone in names:
            return self.bind(tuple(each for each in bounds if each[0] != gone), found)
        return self.bind(bounds, self.mul(found, {((), ((atom, 1),)): 1}))

    def potential(self, variable: int, time: Time, poly: Poly) -> Poly:
        """The sum of the poly over 0 < variable <= time, in potential form."""
        base, count = split(time)
        found = self.bind(((variable, base),), poly) if base else {}
        steps = range(1, count + 1) if count > 0 else range(count + 1, 1)
        for step in steps:
            self.spend()
            there = self.substitute(poly, {variable: later(base, step)})
            gather(found, there, 1 if count > 0 else -1)
        return found

    # Substitution: times and indices for variables, everything is simplified anew.

    def substitute(self, poly: Poly, values: Mapping[int, Any]) -> Poly:
        """The poly with free variables replaced by times or indices."""
        found: Poly = {}
        for term, count in poly.items():
            if self.term_free(term).isdisjoint(values):
                gather(found, {term: count})
            else:
                gather(found, self._substitute_term(term, values), count)
        return found

    def _substitute_term(self, term: Term, values: Mapping[int, Any]) -> Poly:
        bounds, powers = self.opened(*term)
        found = self.substitute_powers(powers, values)
        waiting: list[tuple[int, Domain]] = []
        for variable, domain in bounds:
            if not isinstance(domain, str):
                known = {v: values[v] for v in variables(domain) if v in values}
                domain = substitute(domain, known)
            waiting.append((variable, domain))
        # A base that gained a constant is taken apart under the sums around it.
        for variable, domain in innermost_first(tuple(waiting)):
            if isinstance(domain, str):
                found = self.bind(((variable, domain),), found)
            else:
                found = self.potential(variable, domain, found)
        return found

    def substitute_powers(
        self, powers: Iterable[tuple[int, Number]], values: Mapping[int, Any]
    ) -> Poly:
        """A product of powers with free variables replaced."""
        still: list[tuple[int, Number]] = []
        moved: list[Poly] = []
        for atom, exponent in powers:
            if self._free[atom].isdisjoint(values):
                still.append((atom, exponent))
            elif self.nodes[atom][0] == "E":
                inner = self._substitute_term(self.nodes[atom][1], values)
                moved.append(self.exp(scale(inner, exponent)))
            else:
                moved.append(self.power(self._substitute_atom(atom, values), int(exponent)))
        found = self.product(1, (), still)
        for poly in moved:
            found = self.mul(found, poly)
        return found

    def _substitute_atom(self, atom: int, values: Mapping[int, Any]) -> Poly:
        key = self.nodes[atom]
        kind = key[0]
        if kind == "v":
            return self.read(key[1], tuple(self._substitute_point(p, values) for p in key[2]))
        if kind == "t":
            return self.number(values[key[1]])
        if kind == "x":
            return self.position(values[key[1]])
        if kind == "d":
            left, right = (values.get(v, v) for v in key[1:])
            return self.delta(left, right)
        if kind == "C":
            return self.conjugate(self._substitute_atom(key[1], values))
        if kind == "F":
            return self.function(
                key[1], [self.substitute(self.polys[number], values) for number in key[2]]
            )
        inner = self.substitute(self.polys[key[1]], values)
        if kind == "inv":
            return self.inverse(inner)
        return self.log(inner, formal=False)

    def _substitute_point(self, point: Point, values: Mapping[int, Any]) -> Point:
        if isinstance(point, tuple):
            return substitute(point, {v: values[v] for v in variables(point) if v in values})
        found: Point = values.get(point, point) if isinstance(point, int) else point
        return found

    # Constructors.

    def number(self, time: Time) -> Poly:
        """A time as a number."""
        found: Poly = {}
        base, count = split(time)
        for variable, times in base:
            gather(found, self.single(("t", variable)), times)
        return combine(found, UNIT, count) if count else found

    def position(self, index: int | str) -> Poly:
        """The 0-based position of an index."""
        if isinstance(index, str):
            return scale(UNIT, int(index))
        return self.single(("x", index))

    def size(self, axis: str) -> Poly:
        """The size of an axis."""
        return self.single(("n", axis))

    def delta(self, left: int | str, right: int | str) -> Poly:
        """1 where two indices are equal."""
        if left == right:
            return UNIT
        if isinstance(left, str) and isinstance(right, str):
            return {}
        return self.single(("d", *sorted((left, right), key=_order)))

    def function(self, name: str, arguments: list[Poly]) -> Poly:
        """An uninterpreted function of normal forms."""
        return self.single(("F", name, tuple(self.keep(each) for each in arguments)))

    def exp(self, poly: Poly) -> Poly:
        """The exponential: one generator for each term."""
        powers = [(self.atom(("E", term)), count) for term, count in poly.items()]
        return self.product(1, (), powers)

    def log(self, poly: Poly, formal: bool) -> Poly:
        """The logarithm. Where it is not formal, factors it is split into must be positive."""
        pieces = self.factors(poly, formal)
        if not formal and len(pieces) > 1:
            self.judge(pieces)
        return self.log_of(pieces, formal)

    def factors(self, poly: Poly, formal: bool) -> list[tuple[Poly, Number]]:
        """Factors with exponents, as a logarithm is split over them.

        Complex ones are only split off where an exponential undoes it: log exp(i x) is not i x.
        """
        if not poly:
            raise Rejected("the logarithm of zero")
        together, inverses = self.together(poly)
        content, rest = self.content(together, formal)
        scalar, rest = self._scalar(rest)
        pieces: list[tuple[Poly, Number]] = [(divisor, -count) for divisor, count in inverses]
        pieces += [({((), ((atom, 1),)): 1}, exponent) for atom, exponent in content]
        pieces += [(scale(UNIT, prime), exponent) for prime, exponent in _primes(scalar)]
        return pieces if rest == UNIT else [*pieces, (rest, 1)]

    def log_of(self, pieces: Iterable[tuple[Poly, Number]], formal: bool) -> Poly:
        """The sum of the logarithms of factors."""
        found: Poly = {}
        for piece, exponent in pieces:
            gather(found, self._log_of(piece, formal), exponent)
        return found

    def _log_of(self, poly: Poly, formal: bool) -> Poly:
        """The logarithm of one factor."""
        if len(poly) == 1:
            (bounds, powers), count = next(iter(poly.items()))
            if count == 1 and not bounds and len(powers) == 1:
                atom, exponent = powers[0]
                if self.nodes[atom][0] == "E" and (formal or self._is_real(atom)):
                    return {self.nodes[atom][1]: exponent}
        return self.single(("L", self.keep(poly)))

    def _scalar(self, poly: Poly) -> tuple[Fraction, Poly]:
        """The positive rational that makes the coefficients whole and without a common factor."""
        counts = [Fraction(count) for count in poly.values()]
        low = 1
        for count in counts:
            low = low * count.denominator // gcd(low, count.denominator)
        high = 0
        for count in counts:
            high = gcd(high, int(count * low))
        share = Fraction(high, low)
        return share, scale(poly, 1 / share)

    def content(self, poly: Poly, formal: bool = True) -> tuple[Powers, Poly]:
        """The atoms that every term shares, with their lowest exponents, and what is left."""
        every = [dict(powers) for _, powers in poly]
        atoms = dict.fromkeys(atom for powers in every for atom in powers)
        lowest = {a: min(powers.get(a, 0) for powers in every) for a in atoms}
        shared = {a: e for a, e in lowest.items() if e}
        for bounds, _ in poly:
            names = {variable for variable, _ in bounds}
            shared = {a: e for a, e in shared.items() if not names & self._free[a]}
        skip = ("i", "d", "inv")
        common = tuple((a, e) for a, e in shared.items() if self.nodes[a][0] not in skip)
        if not formal:
            common = tuple((a, e) for a, e in common if self._is_real(a))
        if not common:
            return (), poly
        down = tuple((atom, -exponent) for atom, exponent in common)
        rest: Poly = {}
        for (bounds, powers), count in poly.items():
            gather(rest, self.product(count, bounds, powers + down))
        return common, rest

    def _is_real(self, atom: int) -> bool:
        poly: Poly = {((), ((atom, 1),)): 1}
        return self.conjugate(poly) == poly

    def together(self, poly: Poly) -> tuple[Poly, list[tuple[Poly, int]]]:
        """The poly over a common denominator: numerator, and divisors with exponents."""
        inverses: dict[int, int] = {}
        for bounds, powers in poly:
            names = {variable for variable, _ in bounds}
            for atom, exponent in powers:
                if self.nodes[atom][0] == "inv" and not names & self._free[atom]:
                    inverses[atom] = max(inverses.get(atom, 0), int(exponent))
        if not inverses:
            return poly, []
        found: Poly = {}
        for (bounds, powers), count in poly.items():
            here = dict(powers)
            kept = tuple((a, e) for a, e in powers if a not in inverses)
            part: Poly = {self.canonical(bounds, kept): count}
            for atom, most in inverses.items():
                divisor = self.polys[self.nodes[atom][1]]
                part = self.mul(part, self.power(divisor, most - int(here.get(atom, 0))))
            gather(found, part)
        return found, [(self.polys[self.nodes[a][1]], n) for a, n in inverses.items()]

    def inverse(self, poly: Poly) -> Poly:
        """The reciprocal."""
        if not poly:
            raise Rejected("division by zero")
        poly, inverses = self.together(poly)
        if not poly:
            raise Rejected("division by zero")
        found = UNIT
        for divisor, times in inverses:
            found = self.mul(found, self.power(divisor, times))
        common, rest = self.content(poly)
        found = self.mul(found, self.product(1, (), [(a, -e) for a, e in common]))
        if len(rest) == 1 and not next(iter(rest))[0]:
            (_, powers), count = next(iter(rest.items()))
            upside = self.product(Fraction(1) / count, (), [(a, -e) for a, e in powers])
            return self.mul(found, upside)
        share: Number
        share, rest = self._scalar(rest)
        if sum(rest.values()) < 0:
            share, rest = -share, scale(rest, -1)
        return scale(self.mul(found, self.single(("inv", self.keep(rest)))), 1 / share)

    def conjugate(self, poly: Poly) -> Poly:
        """The complex conjugate."""
        found: Poly = {}
        for term, count in poly.items():
            gather(found, self._conjugate_term(term), count)
        return found

    def _conjugate_term(self, term: Term) -> Poly:
        bounds, powers = self.opened(*term)
        found = UNIT
        for atom, exponent in powers:
            key = self.nodes[atom]
            if key[0] == "i":
                part = scale(self.single(("i",)), -1)
            elif key[0] == "E":
                part = self.exp(scale(self._conjugate_term(key[1]), exponent))
            elif key[0] == "L":
                part = self.log(self.conjugate(self.polys[key[1]]), formal=False)
            elif key[0] == "inv":
                part = self.inverse(self.conjugate(self.polys[key[1]]))
            elif key[0] == "C":
                part = {((), ((key[1], 1),)): 1}
            elif key[0] == "v" and self.is_complex(key[1]):
                part = self.single(("C", atom))
            else:
                part = {((), ((atom, 1),)): 1}
            found = self.mul(found, part if key[0] == "E" else self.power(part, int(exponent)))
        return self.bind(bounds, found)

    def is_complex(self, name: str) -> bool:
        """Whether a definition may take values that are not real."""
        return False

    # The zero test.

    def is_zero(self, poly: Poly) -> bool:
        """Whether the poly is 0: denominators are cleared, outside binders and inside them."""
        poly, _ = self.together(poly)
        groups: dict[tuple[Domain, ...], Poly] = {}
        for (bounds, powers), count in poly.items():
            names = {v: OTHERS + place for place, (v, _) in enumerate(bounds)}
            key = tuple(self._rename_domain(domain, names) for _, domain in bounds)
            groups.setdefault(key, {})[bounds, powers] = count
        return all(self._vanishes(group) for group in groups.values())

    def _vanishes(self, group: Poly) -> bool:
        """Whether terms under the same binders cancel for every value of the bound variables."""
        divided = any(self.nodes[a][0] == "inv" for _, powers in group for a, _ in powers)
        if not divided or not next(iter(group))[0]:
            return False
        bounds = next(iter(group))[0]
        free = [self.fresh(d if isinstance(d, str) else "T") for _, d in bounds]
        inside: Poly = {}
        for (bounds, powers), count in group.items():
            names = {v: free[place] for place, (v, _) in enumerate(bounds)}
            renamed = [(self.rename(a, names), e) for a, e in powers]
            gather(inside, self.product(count, (), renamed))
        return self.is_zero(inside)


def innermost_first(bounds: Bounds) -> list[tuple[int, Domain]]:
    """Bound variables in an order in which no domain reads one that came before."""
    found: list[tuple[int, Domain]] = []
    waiting = list(bounds)
    while waiting:
        read = {v for _, d in waiting if not isinstance(d, str) for v in variables(d)}
        inner = [each for each in waiting if each[0] not in read]
        found += inner
        waiting = [each for each in waiting if each[0] in read]
    return found


def _bound(height: int, place: int) -> int:
    return -(height * PLACES + place + 1)


def _order(point: int | str) -> tuple[bool, int, str]:
    """Fixed elements before variables."""
    return (False, 0, point) if isinstance(point, str) else (True, point, "")


def _primes(value: Fraction) -> list[tuple[Fraction, int]]:
    """The prime powers of a positive rational; what is left of a large one stays whole."""
    found: dict[int, int] = {}
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        prime = 2
        while prime * prime <= part and prime < 1000:
            while part % prime == 0:
                found[prime] = found.get(prime, 0) + sign
                part //= prime
            prime += 1
        if part > 1:
            found[part] = found.get(part, 0) + sign
    return [(Fraction(p), e) for p, e in found.items() if e]
