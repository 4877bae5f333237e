"""Terms and atoms: a value is a rational combination of terms, each a product under binders.

A term is (bounds, powers): the sum over its bound variables of a product of atoms with rational
exponents. Atoms are hash-consed, so a term is a tuple of small integers. Binders are locally
nameless: a free variable is a positive number, a bound one a negative number made of the height of
its term and its place there. A term is higher than every term inside it, so that no binder can
take the name of another one around it, and equal terms are equal whatever they were written with.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from .times import Time, variables

Number = int | Fraction
Point = Time | int | str  # a time, an index, an element or (of what is bound) an axis
Bounds = tuple[tuple[int, Time | str], ...]
Powers = tuple[tuple[int, Number], ...]
Term = tuple[Bounds, Powers]
Poly = dict[Term, Number]

TIME = "T"
UNIT: Poly = {((), ()): 1}
BUDGET = 80_000  # steps of a check; no term has more bound variables
IMAGINARY = -1  # a variable that all that is not plainly real mentions
OTHER = 1 << 40  # any other variable of a term


class Rejected(Exception):  # noqa: N818
    """The proof does not hold; `residual` is what was left over."""

    def __init__(self, message: str, residual: Any = None) -> None:
        super().__init__(message)
        self.message, self.residual = message, residual


class Node(NamedTuple):
    """An atom.

    Its kind: v, C (a read label[points] and its conjugate), t, x (a time or an index as a number),
    n (the size of the axis label), d (Kronecker's delta of two points), i, E (exp of the one term
    inside), L (log), F (an unknown function label of what is inside). 1/p is exp(log p) to the -1.
    """

    kind: str
    label: str = ""
    points: tuple[Point, ...] = ()
    inside: tuple[int, ...] = ()


def gather(found: Poly, more: Poly, times: Number = 1) -> Poly:
    """Add times * more to `found`, in place."""
    for term, count in more.items():
        if value := whole(found.get(term, 0) + times * count):
            found[term] = value
        else:
            found.pop(term, None)
    return found


def scale(poly: Poly, times: Number) -> Poly:
    """The poly times a number."""
    return gather({}, poly, times)


def whole(value: Number) -> Number:
    """The number as an int where it is one."""
    return value.numerator if value.denominator == 1 else value


def mentioned(point: Point) -> frozenset[int]:
    """The variables that a time, an index, an element or an axis mentions."""
    if isinstance(point, tuple):
        return frozenset(variables(point))
    return frozenset((point,) if isinstance(point, int) else ())


def named(point: Any, names: Mapping[int, int]) -> Any:
    """A time, an index, an element or an axis with its variables renamed one to one."""
    if isinstance(point, tuple):
        return tuple(sorted((names.get(v, v), count) for v, count in point))
    return names.get(point, point)


def bound_name(height: int, place: int) -> int:
    """The name of a bound variable."""
    return -(height * BUDGET + place + 2)


class Atoms:
    """The atoms of one check."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.polys: list[Poly] = []
        self.free: list[frozenset[int]] = []
        self.sort: dict[int, str] = {}
        self.spent = 0
        self._ids: dict[Node, int] = {}
        self._poly_ids: dict[frozenset[tuple[Term, Number]], int] = {}
        self._heights: list[int] = []
        self._canonical: dict[Term, Term] = {}
        self._renamed: dict[Any, int] = {}

    def is_complex(self, name: str) -> bool:
        """Whether a definition may take values that are not real."""
        return False

    def spend(self, count: int = 1) -> None:
        """Count work, so that a certificate cannot make the checker hang."""
        self.spent += count
        if self.spent > BUDGET:
            raise Rejected("too large: the normal form takes too many steps")

    def fresh(self, sort: str) -> int:
        """A new free variable: of an axis, or of time."""
        variable = len(self.sort) + 1
        self.sort[variable] = sort
        return variable

    def atom(self, node: Node) -> int:
        """The number of an atom."""
        found = self._ids.setdefault(node, len(self.nodes))
        if found == len(self.nodes):
            self.spend()
            self.nodes.append(node)
            terms = [term for number in node.inside for term in self.polys[number]]
            free = frozenset().union(*map(mentioned, node.points), *map(self.term_free, terms))
            if node.kind in ("i", "C") or (node.kind == "v" and self.is_complex(node.label)):
                free |= {IMAGINARY}
            self.free.append(free)
            self._heights.append(max(map(self._height, terms), default=0))
        return found

    def single(self, node: Node) -> Poly:
        """An atom as a poly."""
        return {((), ((self.atom(node), 1),)): 1}

    def keep(self, poly: Poly) -> int:
        """The number of a poly inside an atom."""
        found = self._poly_ids.setdefault(frozenset(poly.items()), len(self.polys))
        if found == len(self.polys):
            self.polys.append(poly)
        return found

    def inside(self, atom: int) -> Poly:
        """What an atom is the exponential or the logarithm of."""
        return self.polys[self.nodes[atom].inside[0]]

    def term_free(self, term: Term) -> frozenset[int]:
        """The variables that a term mentions and does not bind."""
        bounds, powers = term
        sets = [self.free[atom] for atom, _ in powers]
        return frozenset().union(*sets, *(mentioned(d) for _, d in bounds)).difference(dict(bounds))

    def _height(self, term: Term) -> int:
        return max((self._heights[atom] for atom, _ in term[1]), default=0) + bool(term[0])

    # Renaming: one variable to one variable, nothing is simplified by it.

    def rename(self, atom: int, names: Mapping[int, int]) -> int:
        """The atom with free variables renamed."""
        if self.free[atom].isdisjoint(names):
            return atom
        key = atom, *map(names.get, self.free[atom], self.free[atom])
        if key not in self._renamed:
            kind, label, points, inside = self.nodes[atom]
            points = tuple(named(point, names) for point in points)
            if kind == "d":
                points = ordered(*points)
            kept = tuple(self.keep(self._rename_poly(self.polys[n], names)) for n in inside)
            self._renamed[key] = self.atom(Node(kind, label, points, kept))
        return self._renamed[key]

    def _rename_poly(self, poly: Poly, names: Mapping[int, int]) -> Poly:
        found: Poly = {}
        for term, count in poly.items():
            if not self.term_free(term).isdisjoint(names):
                # The names that the term binds itself are other variables.
                inner = {old: new for old, new in names.items() if old not in dict(term[0])}
                term = self.canonical(*self.renamed(term, inner))
            gather(found, {term: count})
        return found

    def renamed(self, term: Term, names: Mapping[int, int]) -> Term:
        """The term with its bound variables renamed, too."""
        bounds = tuple((names.get(v, v), named(domain, names)) for v, domain in term[0])
        return bounds, tuple((self.rename(atom, names), e) for atom, e in term[1])

    def opened(self, bounds: Bounds, powers: Powers) -> Term:
        """The same term with its bound variables made free."""
        names = {v: self.fresh(d if isinstance(d, str) else TIME) for v, d in bounds if v < 0}
        return self.renamed((bounds, powers), names)

    def canonical(self, bounds: Bounds, powers: Powers) -> Term:
        """The term with its bound variables named by height and place."""
        term = bounds, tuple(sorted(powers))
        if bounds and term not in self._canonical:
            self._canonical[term] = self._in_order(term)
        return self._canonical[term] if bounds else term

    def _in_order(self, term: Term) -> Term:
        """The term in the least of its orders, chosen place by place among what looks alike."""
        domains, blank = dict(term[0]), dict.fromkeys(dict(term[0]), OTHER)
        kinds: dict[int, Any] = {v: (str(named(d, blank)),) for v, d in term[0]}
        alike = [v for v in kinds if [*kinds.values()].count(kinds[v]) > 1]
        for v in alike:
            names = blank | self._names(term, (v,))
            around = sorted((self.rename(a, names), e) for a, e in term[1] if v in self.free[a])
            kinds[v] = (*kinds[v], around)
        orders: list[tuple[int, ...]] = [()]
        for kind in sorted(kinds.values()):
            orders = [(*o, v) for o in orders for v in domains if kinds[v] == kind and v not in o]
            self.spend(len(orders))
            if len(orders) > 1:
                least = min(looks := [self._look(term, order) for order in orders])
                tied = [o for o, look in zip(orders, looks, strict=True) if look == least]
                orders = []
                for each in tied:
                    if not any(self._mirrored(term, each, other) for other in orders):
                        orders.append(each)
        names = self._names(term, orders[0])
        bounds = tuple((names[v], named(domains[v], names)) for v in orders[0])
        return bounds, tuple(sorted(self.renamed(((), term[1]), names)[1]))

    def _mirrored(self, term: Term, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        """Whether two orders differ in a last variable that the term cannot tell apart."""
        (bounds, powers), last = term, {one[-1]: other[-1], other[-1]: one[-1]}
        turned, factors = self.renamed(term, last) if one[:-1] == other[:-1] else ((), ())
        return set(turned) == set(bounds) and sorted(factors) == sorted(powers)

    def _names(self, term: Term, order: tuple[int, ...]) -> dict[int, int]:
        height = self._height(term)
        return {variable: bound_name(height, place) for place, variable in enumerate(order)}

    def _look(self, term: Term, order: tuple[int, ...]) -> Any:
        """What the term looks like with some bound variables named and the others all alike."""
        names = {**dict.fromkeys(dict(term[0]), OTHER), **self._names(term, order)}
        bounds, powers = self.renamed(term, names)
        return sorted((v, str(domain)) for v, domain in bounds), sorted(powers)


def ordered(left: Any, right: Any) -> tuple[Any, Any]:
    """The two points of a delta: an element comes first, else the earlier variable."""
    later = isinstance(right, str) or (isinstance(left, int) and right < left)
    return (right, left) if later else (left, right)
