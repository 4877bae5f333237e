"""What a proof needs beyond its equations: discharged by declared ranges, or left to be printed."""

from __future__ import annotations

from collections.abc import Iterator

from eosc.prove.checker.signs import Signs
from eosc.prove.kernel.atoms import TIME, Point, Poly
from eosc.prove.kernel.normal import Pieces
from eosc.prove.kernel.reading import Condition, Reader
from eosc.prove.kernel.times import later, split

Left = list[tuple[str, Poly, dict[int, str]]]


def left_over(reader: Reader) -> Left:
    """The conditions that do not follow: a kind, a value, and the names of its variables."""
    conditions = Conditions(reader)
    for each in reader.conditions.values():
        with conditions.signs.under(each.facts):
            conditions.judge(each)
    names = conditions.names()
    return [(kind, poly, names) for (kind, _), poly in conditions.left.items()]


class Conditions:
    """The conditions of one proof."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.signs = reader, Signs(reader)
        self.left: dict[tuple[str, int], Poly] = {}
        self._general: dict[tuple[str, int], int] = {}

    def judge(self, given: Condition) -> None:
        """Keep what does not follow from the ranges under the facts at hand."""
        follows = given.form is not None and self.signs.written(given.kind, given.form, given.scope)
        if given.kind != "nonzero":
            self._factors_positive(given.kind, given.pieces, follows)
        elif not follows:
            self._keep("nonzero", given.pieces[0][0])

    def _factors_positive(self, kind: str, pieces: Pieces, whole: bool) -> None:
        """A logarithm is split: each factor must be positive, not only their product.

        Where the product is known to be, and all factors but a simple one, so is that.
        """
        left = [(piece, e) for piece, e in pieces if not self.signs.normal("positive", piece)]
        if whole and [exponent for _, exponent in left] in ([], [1]):
            return
        for piece, exponent in left:
            if exponent < 0 or not self.signs.normal(kind, piece):
                self._keep("positive", piece)

    def _keep(self, kind: str, poly: Poly) -> None:
        if self.signs.normal(kind, poly):
            return
        parts = self._parts(poly) if kind == "nonzero" else []
        if parts and parts != [poly]:
            for part in parts:
                self._keep(kind, part)
            return
        settled = self._settled(poly)
        self.left.setdefault((kind, self.reader.keep(settled)), settled)

    def _parts(self, poly: Poly) -> list[Poly]:
        """What must not vanish for a product not to: an exponential only does where a log is."""
        reader = self.reader
        (bounds, powers), *more = poly
        if bounds or more:
            return []
        found: list[Poly] = []
        for atom, _ in powers:
            if reader.nodes[atom].kind == "E":
                (term,) = reader.inside(atom)
                opened = reader.opened(*term)[1]
                found += [reader.inside(a) for a, _ in opened if reader.nodes[a].kind == "L"]
            else:
                found.append({((), ((atom, 1),)): 1})
        return found

    def _settled(self, poly: Poly) -> Poly:
        """The poly with free variables of its own, so that what holds for all is printed once."""
        reader = self.reader
        lowest: dict[int, int] = {}
        for atom in self._atoms(poly):
            for point in reader.nodes[atom].points:
                parts, count = split(point) if isinstance(point, tuple) else ((), 0)
                if len(parts) == 1 and parts[0][1] == 1:
                    lowest[parts[0][0]] = min(count, lowest.get(parts[0][0], count))
                elif isinstance(point, int):
                    lowest[point] = 0
        fixed = {time[0][0] for time in reader.times.values()}
        values: dict[int, Point] = {}
        places: dict[str, int] = {}
        for variable in (v for v in lowest if v > 0 and v not in fixed):
            sort = reader.sort[variable]
            places[sort] = places.get(sort, 0) + 1
            name = self._general.setdefault((sort, places[sort]), reader.fresh(sort))
            values[variable] = later(((name, 1),), -lowest[variable]) if sort == TIME else name
        # What a read stands for would say no more.
        given, reader.definitions = reader.definitions, {}
        reader.forget()
        try:
            return reader.substitute(poly, values)
        finally:
            reader.definitions = given
            reader.forget()

    def names(self) -> dict[int, str]:
        """What the variables of conditions are called."""
        return {
            variable: ("t" if sort == TIME else sort.lower()) + ("'" * (place - 1))
            for (sort, place), variable in self._general.items()
        }

    def _atoms(self, poly: Poly) -> Iterator[int]:
        for _, powers in poly:
            for atom, _ in powers:
                yield atom
                for number in self.reader.nodes[atom].inside:
                    yield from self._atoms(self.reader.polys[number])
