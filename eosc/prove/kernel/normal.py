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
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import factorial, floor, gcd
from typing import Any, NamedTuple

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


class Node(NamedTuple):
    """An atom.

    Its kind: v (a read: label[points]), t and x (a time or an index as a number), n (the size of
    the axis label), d (Kronecker's delta of two points), i, E (exp of the one term inside), L, inv
    (log, reciprocal), C (a conjugate), F (an unknown function label of what is inside).
    """

    kind: str
    label: str = ""
    points: tuple[Point, ...] = ()
    inside: tuple[int, ...] = ()


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
        self.nodes: list[Node] = []
        self.polys: list[Poly] = []
        self._ids: dict[Node, int] = {}
        self._poly_ids: dict[frozenset[tuple[Term, Number]], int] = {}
        self._free: list[frozenset[int]] = []
        self._height: list[int] = []
        self._inside: list[tuple[frozenset[int], int]] = []
        self._special: list[bool] = []
        self._canonical: dict[Term, Term] = {}
        self._variables = 0
        self.sort: dict[int, str] = {}
        self.spent = 0
        self._made: dict[str, Callable[..., Poly]] = {
            "t": self.number,
            "x": self.position,
            "d": self.delta,
        }

    def read(self, name: str, point: tuple[Point, ...]) -> Poly:
        """A symbol or a definition at a point; the reader of formulas unfolds definitions."""
        return self.single(Node("v", name, point))

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

    def atom(self, node: Node) -> int:
        """The number of an atom."""
        found = self._ids.get(node)
        if found is None:
            self.spend()
            free = frozenset(v for point in node.points for v in _mentioned(point))
            found = self._ids[node] = len(self.nodes)
            self.nodes.append(node)
            self._free.append(free.union(*(self._inside[number][0] for number in node.inside)))
            self._height.append(max((self._inside[n][1] for n in node.inside), default=0))
            special = node.kind in ("i", "inv", "d") or self.logarithm(found) is not None
            self._special.append(special)
        return found

    def single(self, node: Node) -> Poly:
        """An atom as a poly."""
        return {((), ((self.atom(node), 1),)): 1}

    def keep(self, poly: Poly) -> int:
        """The number of a poly inside an atom."""
        key = frozenset(poly.items())
        found = self._poly_ids.get(key)
        if found is None:
            found = self._poly_ids[key] = len(self.polys)
            self.polys.append(poly)
            free = frozenset().union(*(self.term_free(term) for term in poly))
            height = max((self._term_height(term) for term in poly), default=0)
            self._inside.append((free, height))
        return found

    def inside(self, atom: int) -> Poly:
        """What an atom is the logarithm, the reciprocal or another function of."""
        return self.polys[self.nodes[atom].inside[0]]

    def exponent(self, atom: int) -> Term:
        """The term that an atom is the exponential of."""
        (term,) = self.inside(atom)
        return term

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
        if self.nodes[atom].kind != "E":
            return None
        bounds, powers = self.exponent(atom)
        if bounds or len(powers) != 1 or powers[0][1] != 1:
            return None
        inner = powers[0][0]
        return self.inside(inner) if self.nodes[inner].kind == "L" else None

    # Renaming: one variable to one variable, nothing is simplified by it.

    def rename(self, atom: int, names: Mapping[int, int]) -> int:
        """The atom with free variables renamed one to one."""
        if self._free[atom].isdisjoint(names):
            return atom
        kind, label, points, inside = self.nodes[atom]
        moved = tuple(self._renamed(point, names) for point in points)
        if kind == "d":
            moved = tuple(sorted(moved, key=_order))
        return self.atom(
            Node(kind, label, moved, tuple(self._rename_kept(n, names) for n in inside))
        )

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
            rank = (tuple(self.atom(_domain(d)) for _, d in new), renamed)
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
        seen = [self.atom(_domain(self._rename_domain(dict(bounds)[variable], names)))]
        around = sorted(
            (self.rename(atom, names), exponent)
            for atom, exponent in powers
            if variable in self._free[atom]
        )
        inside = sorted(
            self.atom(_domain(self._rename_domain(domain, names)))
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
            kind = self.nodes[atom].kind
            if kind == "i" and exponent:
                exponent = exponent % 4
                if exponent >= 2:
                    sign, exponent = -sign, exponent - 2
            elif kind == "inv" and exponent < 0:
                factors.append((self.inside(atom), int(-exponent)))
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
        atom = self._ids.get(Node("inv", inside=(self.keep(poly),)))
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
            if self.nodes[atom].kind == "d":
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
        left, right = self.nodes[atom].points
        names = {variable for variable, _ in bounds}
        gone, kept = (left, right) if left in names else (right, left)
        others = [(a, e) for a, e in powers if a != atom]
        if gone not in names and not any(gone in self._free[a] for a, _ in others):
            return None
        bounds, opened = self.opened(bounds, ((atom, 1), *others))
        (atom, _), *others = opened
        left, right = self.nodes[atom].points
        names = {variable for variable, _ in bounds}
        gone, kept = (left, right) if left in names else (right, left)
        values: dict[Any, Any] = {gone: kept}
        found = self.substitute_powers(others, values)
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
            elif self.nodes[atom].kind == "E":
                inner = self._substitute_term(self.exponent(atom), values)
                moved.append(self.exp(scale(inner, exponent)))
            else:
                moved.append(self.power(self._substitute_atom(atom, values), int(exponent)))
        found = self.product(1, (), still)
        for poly in moved:
            found = self.mul(found, poly)
        return found

    def _substitute_atom(self, atom: int, values: Mapping[int, Any]) -> Poly:
        kind, label, points, inside = self.nodes[atom]
        moved = tuple(self._substitute_point(point, values) for point in points)
        if kind == "v":
            return self.read(label, moved)
        if kind in self._made:
            return self._made[kind](*moved)
        polys = [self.substitute(self.polys[number], values) for number in inside]
        return self.rebuilt(kind, label, polys)

    def rebuilt(self, kind: str, label: str, inside: list[Poly]) -> Poly:
        """An atom of the same kind of what may be other normal forms."""
        if kind == "F":
            return self.function(label, inside)
        if kind == "C":
            return self.conjugate(inside[0])
        return self.inverse(inside[0]) if kind == "inv" else self.log(inside[0], formal=False)

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
            gather(found, self.single(Node("t", points=(((variable, 1),),))), times)
        return combine(found, UNIT, count) if count else found

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
        return self.single(Node("d", points=tuple(sorted((left, right), key=_order))))

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
                if self.nodes[atom].kind == "E" and (formal or self._is_real(atom)):
                    return {self.exponent(atom): exponent}
        return self.single(Node("L", inside=(self.keep(poly),)))

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
        common = tuple((a, e) for a, e in shared.items() if self.nodes[a].kind not in skip)
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
                if self.nodes[atom].kind == "inv" and not names & self._free[atom]:
                    inverses[atom] = max(inverses.get(atom, 0), int(exponent))
        if not inverses:
            return poly, []
        found: Poly = {}
        for (bounds, powers), count in poly.items():
            here = dict(powers)
            kept = tuple((a, e) for a, e in powers if a not in inverses)
            part: Poly = {self.canonical(bounds, kept): count}
            for atom, most in inverses.items():
                divisor = self.inside(atom)
                part = self.mul(part, self.power(divisor, most - int(here.get(atom, 0))))
            gather(found, part)
        return found, [(self.inside(a), n) for a, n in inverses.items()]

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
        return scale(
            self.mul(found, self.single(Node("inv", inside=(self.keep(rest),)))), 1 / share
        )

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
            kind, label, _, _ = self.nodes[atom]
            part: Poly = {((), ((atom, 1),)): 1}
            if kind == "E":
                raised = scale(self._conjugate_term(self.exponent(atom)), exponent)
                found = self.mul(found, self.exp(raised))
                continue
            if kind == "i":
                part = scale(part, -1)
            elif kind == "C":
                part = self.inside(atom)
            elif kind == "v" and self.is_complex(label):
                part = self.single(Node("C", inside=(self.keep(part),)))
            elif kind in ("L", "inv"):
                part = self.rebuilt(kind, label, [self.conjugate(self.inside(atom))])
            found = self.mul(found, self.power(part, int(exponent)))
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
        divided = any(self.nodes[a].kind == "inv" for _, powers in group for a, _ in powers)
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


def _mentioned(point: Point) -> Iterable[int]:
    if isinstance(point, tuple):
        return variables(point)
    return (point,) if isinstance(point, int) else ()


def _domain(domain: Domain) -> Node:
    """A stand-in to compare domains by."""
    return Node("domain", domain) if isinstance(domain, str) else Node("domain", points=(domain,))


def _bound(height: int, place: int) -> int:
    return -(height * PLACES + place + 1)


def _order(point: Any) -> tuple[bool, int, str]:
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
