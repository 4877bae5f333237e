"""Which memories of a mixer are one scan: rows are added by the readout, columns are read alike.

    sum[K](s1 * m1) + sum[K](s2 * m2)                 two rows: keys side by side, one input
    sum[K](q * m) / sum[K](q * n), n written by k     two columns: the inputs [v; 1] side by side

    m[row, column][t] = o[t] m[row, column][t-1] + e[row] i[column]
    y[column] = sum over rows and their keys of s[row] m[row, column]

Requires real memories. Ensures that each readout of the new system is one column of one grid.
Source: for columns, the statement on normalised linear attention in `examples/theorems`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from eosc.recurrence.building import Builder, Fingerprints, is_number, rebuild
from eosc.recurrence.model import Factor, Field, Readout, Recurrence, System
from eosc.semantics.terms import NOW, Apply, Read, Term, walk

ELEMENTWISE = ("identity", "scalar", "diag", "separable")


@dataclass(frozen=True, slots=True)
class Cell:
    """One memory as a scan sees it.

    keys, values: its axes, those that the readout sums and the others. shared, on_keys, on_values:
    the factors of its decay over none, some of the keys, some of the values. expand, input: its
    write over the keys and over the values. shrink: of the readout (None: 1).
    """

    recurrence: Recurrence
    readout: Readout
    keys: tuple[str, ...]
    values: tuple[str, ...]
    expand: Term
    input: Term
    shrink: Term | None
    shared: tuple[Factor, ...] = ()
    on_keys: tuple[Factor, ...] = ()
    on_values: tuple[Factor, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """Readouts that one scan computes: `cells[row][column]`, and the name of each column."""

    cells: tuple[tuple[Cell, ...], ...]
    results: tuple[str, ...]

    @property
    def single(self) -> Cell | None:
        """The only memory, where it is one."""
        return self.cells[0][0] if len(self.cells) == 1 and len(self.results) == 1 else None

    def needs(self) -> set[str]:
        """The names that the scan reads."""
        return {name for row in self.cells for cell in row for name in reads_of(cell)}


def reads_of(cell: Cell) -> set[str]:
    """The names that the scan of one cell reads."""
    factors = (*cell.shared, *cell.on_keys, *cell.on_values)
    terms = [cell.expand, cell.input, *(each.value for each in factors)]
    terms += [] if cell.shrink is None else [cell.shrink]
    return {name for term in terms for name in names_in(term)}


def names_in(term: Term) -> set[str]:
    """The names that a term reads."""
    return {each.name for each in walk(term) if isinstance(each, Read)}


def arranged(system: System) -> tuple[System, tuple[Grid, ...], tuple[Readout, ...]]:
    """The system with added readouts replaced by their sum, its grids, and the readouts left over.

    Left over are readouts of memories that have no such form: others take them.
    """
    return _Arranger(system).run()


class _Arranger:
    def __init__(self, system: System) -> None:
        self.system = system
        self.build = Builder(system.mixer)
        self.prints = Fingerprints()
        recurrences = {each.memory: each for each in system.recurrences}
        self.readouts = {each.name: each for each in system.readouts}
        self.cells: dict[str, Cell] = {}
        for each in system.readouts:
            cell = self._cell(recurrences[each.memory], each)
            if cell is not None:
                self.cells[each.name] = cell
        self.sums: dict[str, tuple[Cell, ...]] = {}
        self._known: dict[tuple[bytes, ...], str] = {}
        self._done: dict[int, tuple[Term, Term]] = {}

    def run(self) -> tuple[System, tuple[Grid, ...], tuple[Readout, ...]]:
        system = replace(self.system, output=self._rewrite(self.system.output))
        terms = [system.output]
        for each in system.recurrences:
            terms += [factor.value for factor in each.decay]
            terms += [term for write in each.writes for term in (write.expand, write.input)]
        terms += [each.shrink for each in system.readouts if each.shrink is not None]
        used = {name for term in terms for name in names_in(term)}
        columns: dict[str, tuple[Cell, ...]] = {}
        for name in self.readouts:
            if name in self.cells and name in used:
                columns[name] = (self.cells[name],)
        columns.update(self.sums)
        left = tuple(r for r in system.readouts if r.name not in self.cells)
        return system, tuple(self._grids(columns)), left

    # One memory

    def _cell(self, recurrence: Recurrence, readout: Readout) -> Cell | None:
        """A memory with a decay that separates, one outer write, and a readout within its axes."""
        structure, axes = recurrence.structure, recurrence.type.axes
        if structure.kind not in ELEMENTWISE or structure.detail or recurrence.initial is not None:
            return None
        if recurrence.field is Field.COMPLEX or recurrence.type.complex or readout.type.complex:
            return None
        keys = self.build.axes(readout.over)
        if len(recurrence.writes) != 1 or (keys and not recurrence.writes[0].outer):
            return None
        values = self.build.axes(axis for axis in axes if axis not in keys)
        expand, given = recurrence.writes[0].expand, recurrence.writes[0].input
        if not keys:  # read as it is: nothing is summed, and the write is one value
            expand, given = self.build.number(1), self.build.mul(expand, given)
        if not self._within(expand, keys) or not self._within(given, values):
            expand, given = given, expand
        if not self._within(expand, keys) or not self._within(given, values):
            return None
        shrink = readout.shrink
        if {*readout.type.axes} != {*values} or (shrink and not self._within(shrink, keys)):
            return None
        parts: tuple[list[Factor], ...] = ([], [], [])
        for factor in recurrence.decay:
            if not factor.axes:
                parts[0].append(factor)
            elif {*factor.axes} <= {*keys}:
                parts[1].append(factor)
            elif {*factor.axes} <= {*values}:
                parts[2].append(factor)
            else:
                return None
        if parts[2] and not keys:
            return None  # elementwise: there is no product over keys to be saved
        decays = tuple(tuple(part) for part in parts)
        return Cell(recurrence, readout, keys, values, expand, given, shrink, *decays)

    def _within(self, term: Term, axes: tuple[str, ...]) -> bool:
        return {*term.type.axes} <= {*axes} and not term.type.complex

    # Rows: readouts that are added

    def _rewrite(self, term: Term) -> Term:
        if id(term) not in self._done:
            self._done[id(term)] = (term, self._rewritten(term))
        return self._done[id(term)][1]

    def _rewritten(self, term: Term) -> Term:
        if not (isinstance(term, Apply) and term.op in ("add", "sub")):
            return rebuild(term, self._rewrite)
        addends = self._addends(term, 1)
        groups: dict[tuple[bytes, ...], list[int]] = {}
        cells: dict[int, Cell] = {}
        for place, (sign, addend) in enumerate(addends):
            cell = self._scaled(addend, sign)
            if cell is not None:
                cells[place] = cell
                groups.setdefault(self._input_key(cell), []).append(place)
        merged = {places[0]: places for places in groups.values() if len(places) > 1}
        gone = {place for places in merged.values() for place in places}
        if not merged:
            return rebuild(term, self._rewrite)
        parts: list[Term] = []
        for place, (sign, addend) in enumerate(addends):
            if place in merged:
                parts.append(self._sum(tuple(cells[each] for each in merged[place])))
            elif place not in gone:
                new = self._rewrite(addend)
                parts.append(new if sign == 1 else self.build.neg(new))
        total = self.build.total(parts)
        assert total is not None
        return total

    def _addends(self, term: Term, sign: int) -> list[tuple[int, Term]]:
        match term:
            case Apply(op="add" | "sub" as op, args=(left, right)):
                other = sign if op == "add" else -sign
                return [*self._addends(left, sign), *self._addends(right, other)]
            case Apply(op="neg", args=(arg,)):
                return self._addends(arg, -sign)
        return [(sign, term)]

    def _scaled(self, term: Term, sign: int) -> Cell | None:
        """A readout times factors without axes: the cell with these in its shrink."""
        factors = _factors(term)
        found = [each for each in factors if isinstance(each, Read) and each.name in self.cells]
        others = [each for each in factors if each not in found]
        if len(found) != 1 or any(e.type.axes or e.type.complex for e in others):
            return None
        if any(name in self.readouts for each in others for name in names_in(each)):
            return None
        assert isinstance(found[0], Read)
        cell = self.cells[found[0].name]
        scale = self.build.product(others)
        scale = self.build.neg(scale) if sign == -1 else scale
        if is_number(scale, 1):
            return cell
        shrink = scale if cell.shrink is None else self.build.mul(scale, cell.shrink)
        return replace(cell, shrink=shrink)

    def _sum(self, cells: tuple[Cell, ...]) -> Term:
        key = tuple(
            part for cell in cells for part in (cell.readout.name.encode(), *self._row(cell))
        )
        if key not in self._known:
            name = "_".join(dict.fromkeys(cell.recurrence.memory for cell in cells)) + "_read"
            taken = {*self.readouts, *self.sums, *self.system.mixer.by_name}
            while name in taken:
                name += "_"
            self._known[key] = name
            self.sums[name] = cells
        return Read(self._known[key], NOW, type=cells[0].readout.type)

    def _input_key(self, cell: Cell) -> tuple[bytes, ...]:
        """What rows of one scan have in common."""
        axes = ",".join(cell.values).encode()
        inclusive = b"1" if cell.readout.inclusive else b"0"
        decays = self._factors_key((*cell.shared, *cell.on_values))
        # Products of features fill a tile by themselves.
        wide = b"1" if len(cell.keys) > 1 else b"0"
        return (axes, inclusive, wide, self.prints.of(cell.input), decays)

    def _factors_key(self, factors: Iterable[Factor]) -> bytes:
        return b"".join(sorted(self.prints.of(each.value) for each in factors))

    # Columns: readouts with the same rows

    def _row(self, cell: Cell) -> tuple[bytes, ...]:
        """What the cells of one row have in common."""
        shrink = b"" if cell.shrink is None else self.prints.of(cell.shrink)
        axes = ",".join(cell.keys).encode()
        return (axes, shrink, self.prints.of(cell.expand), self._factors_key(cell.on_keys))

    def _grids(self, columns: dict[str, tuple[Cell, ...]]) -> Iterable[Grid]:
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, cells in columns.items():
            inclusive, shared = cells[0].readout.inclusive, self._factors_key(cells[0].shared)
            rows = tuple(sorted(self._row(cell) for cell in cells))
            key: tuple[object, ...] = (inclusive, shared, rows)
            if len({*rows}) < len(rows) or self._chained(columns, groups.get(key, []), name):
                key = (name,)
            groups.setdefault(key, []).append(name)
        for names in groups.values():
            first = [self._row(cell) for cell in columns[names[0]]]
            ordered = []
            for name in names:
                by_row = {self._row(cell): cell for cell in columns[name]}
                ordered.append([by_row[row] for row in first] if len(names) > 1 else columns[name])
            yield Grid(tuple(zip(*ordered, strict=True)), tuple(names))

    def _chained(self, columns: dict[str, tuple[Cell, ...]], others: list[str], name: str) -> bool:
        """Whether a column needs one of the others, or they it."""
        found = {each: self._behind(columns, each) for each in (name, *others)}
        return any(name in found[each] or each in found[name] for each in others)

    def _behind(self, columns: dict[str, tuple[Cell, ...]], name: str) -> set[str]:
        """Every column that one needs."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for each in {n for cell in columns[waiting.pop()] for n in reads_of(cell)} - seen:
                if each in columns:
                    seen.add(each)
                    waiting.append(each)
        return seen


def _factors(term: Term) -> list[Term]:
    if isinstance(term, Apply) and term.op == "mul":
        return [*_factors(term.args[0]), *_factors(term.args[1])]
    return [term]
