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
Point = Time | int | str
Bounds = tuple[tuple[int, Time | str], ...]  # each variable with its time or its axis
Powers = tuple[tuple[int, Number], ...]
Term = tuple[Bounds, Powers]
Poly = dict[Term, Number]

TIME = "T"
UNIT: Poly = {((), ()): 1}
BUDGET = 80_000
TIES = 5_040
PLACES = 256  # bound variables of one term
IMAGINARY = -1  # a variable that all that is not plainly real mentions
OTHER = 1 << 40  # any other variable of a term


class Rejected(Exception):  # noqa: N818
    """The proof does not hold; `residual` is what was left over."""

    def __init__(self, message: str, residual: Any = None) -> None:
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


def gather(found: Poly, more: Poly, times: Number = 1) -> None:
    """Add times * more to `found` in place."""
    for term, count in more.items():
        value = whole(found.get(term, 0) + times * count)
        if value:
            found[term] = value
        else:
            found.pop(term, None)


def combine(left: Poly, right: Poly, times: Number = 1) -> Poly:
    """The sum left + times * right."""
    found = dict(left)
    gather(found, right, times)
    return found


def scale(poly: Poly, times: Number) -> Poly:
    """The poly times a number."""
    return {term: whole(count * times) for term, count in poly.items()} if times else {}


def whole(value: Number) -> Number:
    """The number as an int where it is one."""
    return value.numerator if value.denominator == 1 else value


def variables_of(point: Point) -> frozenset[int]:
    """The variables that a time, an index or an element mentions."""
    if isinstance(point, tuple):
        return frozenset(variables(point))
    return frozenset((point,) if isinstance(point, int) else ())


def named(point: Any, names: Mapping[int, int]) -> Any:
    """A time, an index or an axis with its variables renamed one to one."""
    if isinstance(point, tuple):
        return tuple(sorted((names.get(v, v), c) for v, c in point))
    return names.get(point, point)


class Atoms:
    """The atoms of one check."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.polys: list[Poly] = []
        self.sort: dict[int, str] = {}
        self.spent = 0
        self.free: list[frozenset[int]] = []
        self.ids: dict[Node, int] = {}
        self._height: list[int] = []
        self._poly_ids: dict[frozenset[tuple[Term, Number]], int] = {}
        self._canonical: dict[Term, Term] = {}

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
        found = self.ids.get(node)
        if found is None:
            self.spend()
            found = self.ids[node] = len(self.nodes)
            self.nodes.append(node)
            terms = [term for number in node.inside for term in self.polys[number]]
            mentioned = [*map(variables_of, node.points), *map(self.term_free, terms)]
            if node.kind == "i" or (node.kind == "v" and self.is_complex(node.label)):
                mentioned.append(frozenset((IMAGINARY,)))
            self.free.append(frozenset().union(*mentioned))
            self._height.append(max(map(self._term_height, terms), default=0))
        return found

    def single(self, node: Node) -> Poly:
        """An atom as a poly."""
        return {((), ((self.atom(node), 1),)): 1}

    def keep(self, poly: Poly) -> int:
        """The number of a poly inside an atom."""
        key = frozenset(poly.items())
        found = self._poly_ids.setdefault(key, len(self.polys))
        if found == len(self.polys):
            self.polys.append(poly)
        return found

    def inside(self, atom: int) -> Poly:
        """What an atom is the exponential, the logarithm, the reciprocal of."""
        return self.polys[self.nodes[atom].inside[0]]

    def term_free(self, term: Term) -> frozenset[int]:
        """The variables that a term mentions and does not bind."""
        bounds, powers = term
        mentioned = [self.free[atom] for atom, _ in powers]
        mentioned += [variables_of(domain) for _, domain in bounds]
        return frozenset().union(*mentioned) - {variable for variable, _ in bounds}

    def _term_height(self, term: Term) -> int:
        return max((self._height[atom] for atom, _ in term[1]), default=0) + bool(term[0])

    def rename(self, atom: int, names: Mapping[int, int]) -> int:
        """The atom with free variables renamed one to one; nothing is simplified by it."""
        if self.free[atom].isdisjoint(names):
            return atom
        kind, label, points, inside = self.nodes[atom]
        moved = [named(point, names) for point in points]
        if kind == "d":
            moved.sort(key=elements_first)
        kept = [self.keep(self._poly(self.polys[number], names)) for number in inside]
        return self.atom(Node(kind, label, tuple(moved), tuple(kept)))

    def _poly(self, poly: Poly, names: Mapping[int, int]) -> Poly:
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
        return bounds, tuple(sorted((self.rename(a, names), e) for a, e in term[1]))

    def opened(self, bounds: Bounds, powers: Powers) -> Term:
        """The same term with its bound variables made free."""
        names = {v: self.fresh(d if isinstance(d, str) else TIME) for v, d in bounds if v < 0}
        return self.renamed((bounds, powers), names) if names else (bounds, powers)

    def canonical(self, bounds: Bounds, powers: Powers) -> Term:
        """The term with its bound variables named by height and place."""
        term = bounds, tuple(sorted(powers))
        if not bounds:
            return term
        found = self._canonical.get(term)
        if found is None:
            found = self._canonical[term] = self._ordered(term)
        return found

    def _ordered(self, term: Term) -> Term:
        """The term in the least of its orders, chosen place by place among what looks alike."""
        names = [variable for variable, _ in term[0]]
        if len(names) >= PLACES:
            raise Rejected("too large: too many bound variables")
        alone = {v: self._rank(term, (v,)) if len(names) > 1 else () for v in names}
        orders: list[tuple[int, ...]] = [()]
        for next_ in sorted(alone.values()):
            longer = [(*o, v) for o in orders for v in names if alone[v] == next_ and v not in o]
            self.spend(len(longer))
            if len(longer) > TIES:
                raise Rejected("too large: too many interchangeable bound variables")
            if len(longer) > 1:
                ranks = [self._rank(term, order) for order in longer]
                least = min(ranks)
                longer = [o for o, rank in zip(longer, ranks, strict=True) if rank == least]
            orders = longer
        chosen, domains = self._bound(term, orders[0]), dict(term[0])
        bounds = tuple((chosen[v], named(domains[v], chosen)) for v in orders[0])
        return bounds, self.renamed(((), term[1]), chosen)[1]

    def _bound(self, term: Term, order: tuple[int, ...]) -> dict[int, int]:
        height = max((self._height[atom] for atom, _ in term[1]), default=0) + 1
        return {variable: bound_name(height, place) for place, variable in enumerate(order)}

    def _rank(self, term: Term, order: tuple[int, ...]) -> Any:
        """What the term looks like with some bound variables named and the others all alike."""
        names = {**{variable: OTHER for variable, _ in term[0]}, **self._bound(term, order)}
        bounds, powers = self.renamed(term, names)
        ids = [(v, self.atom(Node("domain", points=(domain,)))) for v, domain in bounds]
        return sorted(ids), powers


def bound_name(height: int, place: int) -> int:
    """The name of a bound variable."""
    return -(height * PLACES + place + 1)


def elements_first(point: Any) -> tuple[bool, int, str]:
    """A key that sorts fixed elements before variables."""
    return (False, 0, point) if isinstance(point, str) else (True, point, "")
