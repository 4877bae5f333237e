"""Several memories as one scan of the decay family, their keys and their values side by side.

Requires a grid of memories (`schedule.grids`). Ensures a scan whose state is the grid of theirs
and whose output is their readouts. Prologues over one axis of the mixer stay in the kernel; an axis
that is made up of several is an array that plain tensor code packs.
"""

from __future__ import annotations

from collections.abc import Iterable

from eosc.algebra.interval import End, bound
from eosc.algebra.scalar import Arg, fn
from eosc.ir.build import total
from eosc.ir.nodes import Array, Load, Per, Value
from eosc.lowering.scan import Scan
from eosc.recurrence.building import Builder
from eosc.recurrence.logs import log_of
from eosc.recurrence.model import Factor, System
from eosc.schedule.grids import Grid
from eosc.schedule.program import Layout, Packed, ScanStep
from eosc.schedule.prologue import Prologue, broadcast
from eosc.schedule.rooms.decay import certified, declared, factor_log, loaded, log_bounds
from eosc.schedule.rooms.room import Planned
from eosc.semantics.terms import Dependence, Term

Axes = tuple[tuple[str, ...], ...]


def plan(system: System, grid: Grid, numbers: tuple[str, ...]) -> Planned:
    """The scan of a grid, with what is computed before it.

    Raises:
        NotFusableError: a prologue cannot be held by a kernel.
        EosError: E064, when a decay has no stable logarithm.
    """
    planned = _Packed(system, grid, numbers)
    step = planned.step()
    names = {each.name for each in step.scan.operands}
    hoisted = [each for name, each in planned.prologue.hoisted.items() if name in names]
    packs = [each for name, each in planned.packs.items() if name in names]
    return Planned((*hoisted, *packs, step), system.output)


class _Packed:
    """One grid's scan, assembled."""

    def __init__(self, system: System, grid: Grid, numbers: tuple[str, ...]) -> None:
        self.system, self.grid, self.mixer = system, grid, system.mixer
        self.rows = tuple(row[0] for row in grid.cells)
        self.columns = grid.cells[0]
        self.keys: Axes = tuple(cell.keys for cell in self.rows)
        self.values: Axes = tuple(cell.values for cell in self.columns)
        self.key, self.value = self._axis(self.keys, "keys"), self._axis(self.values, "values")
        self.prologue = Prologue(self.mixer, (self.key, self.value), numbers)
        self.build = Builder(self.mixer)
        self.packs: dict[str, Packed] = {}
        self.lowest: list[End] = []

    def _axis(self, parts: Axes, name: str) -> str:
        """The axis of the mixer, or one for all the parts."""
        if len(parts) == 1 and len(parts[0]) == 1:
            return parts[0][0]
        while name in {each.name for each in self.mixer.axes}:
            name += "_"
        return name

    def step(self) -> ScanStep:
        one = self.build.number(1)
        shrinks = [one if cell.shrink is None else cell.shrink for cell in self.rows]
        shrink = self._side("shrink", shrinks, self.keys, self.key)
        expand = self._side("expand", [cell.expand for cell in self.rows], self.keys, self.key)
        given = self._side("input", [cell.input for cell in self.columns], self.values, self.value)
        shared = [self._log(factor) for factor in self.rows[0].shared]
        logs = [each for each in shared if each is not None]
        on_key = self._logs("keys", [cell.on_keys for cell in self.rows], self.keys, self.key)
        on_value = self._logs(
            "values", [cell.on_values for cell in self.columns], self.values, self.value
        )
        scalar = total(logs) if logs else None
        parts = [each for each in (scalar, on_key, on_value) if each is not None]
        used = loaded(shrink, expand, given, *parts)
        arrays = self.prologue.arrays
        operands = tuple(each for name, each in arrays.items() if name in used)
        memories = tuple(tuple(cell.recurrence.memory for cell in row) for row in self.grid.cells)
        scan = Scan(
            "_".join(dict.fromkeys(self._owner(name) for row in memories for name in row)),
            self.key,
            self.value,
            operands,
            tuple(each.name for each in operands if self.prologue.trainable.get(each.name)),
            shrink,
            expand,
            given,
            log_scalar=scalar,
            log_key=on_key,
            log_value=on_value,
            inclusive=self.rows[0].readout.inclusive,
            lines=self._lines(shrinks),
        )
        forms, certificates = certified(min(self.lowest, default=None))
        return ScanStep(
            scan,
            tuple((each.name, each.name) for each in operands),
            self.grid.results[0],
            forms,
            certificates,
            layout=Layout(self.keys, self.values, memories, self.grid.results),
            phase=self._phase(scan),
        )

    def _phase(self, scan: Scan) -> str:
        """The phase that all memories turn by, where the gradient of its angle is one of the scan.

        It is where each key has a log-decay of its own at each token: the gradient of the angle is
        that of the log-decay, of keys that are read a quarter turn ahead (ADR 0015).
        """
        if len(self.rows) != 2 or not isinstance(scan.log_key, Load):
            return ""
        turns = {turn.parts: turn.phase for turn in self.system.turns}
        turned = {
            turns.get(tuple(cell.recurrence.memory for cell in column))
            for column in zip(*self.grid.cells, strict=True)
        }
        phase = next((each for each in self.system.phases if {each.name} == turned), None)
        decay = self.prologue.arrays[scan.log_key.array]
        if phase is None or decay.per is not Per.TOKEN or decay.name not in scan.trainable:
            return ""
        angle = phase.angle.type
        moves = angle.dependence is Dependence.DATA
        return phase.name if moves and {*angle.axes} <= {*self.keys[0]} else ""

    def _owner(self, memory: str) -> str:
        """The memory of the spec."""
        owners = {part: each.memory for each in self.system.turns for part in each.parts}
        return owners.get(memory, memory)

    def _lines(self, shrinks: list[Term]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The lines of the spec behind each prologue."""

        def values(factors: Iterable[tuple[Factor, ...]]) -> list[Term]:
            return [factor.value for each in factors for factor in each]

        found = {
            "s": shrinks,
            "e": [cell.expand for cell in self.rows],
            "x": [cell.input for cell in self.columns],
            "g0": values(cell.shared for cell in self.rows),
            "gK": values(cell.on_keys for cell in self.rows),
            "gV": values(cell.on_values for cell in self.columns),
        }
        return tuple((name, declared(self.mixer, terms)) for name, terms in found.items())

    # Prologues

    def _side(self, name: str, terms: list[Term], axes: Axes, axis: str) -> Value:
        """One factor of the write, or the shrink, along an axis of the scan."""
        if axes == ((axis,),):
            return broadcast(self.prologue.value(terms[0]), (axis,), time=True)
        return broadcast(self._pack(name, terms, axes, axis), (axis,), time=True)

    def _log(self, factor: Factor) -> Value | None:
        memory = self._owner(self.rows[0].recurrence.memory)
        return factor_log(self.prologue, factor, memory)

    def _logs(
        self, name: str, factors: list[tuple[Factor, ...]], axes: Axes, axis: str
    ) -> Value | None:
        """The log-decay along an axis of the scan; None where it is 1."""
        if axes == ((axis,),):
            logs = [log for log in map(self._log, factors[0]) if log is not None]
            if not logs:
                return None
            log = total(logs)
            self.lowest.append(log_bounds(self.prologue, log).lo)
            return log
        if not any(factors):
            return None
        terms: list[Term] = []
        for each in factors:
            found = self.build.total([log_of(f.value, self.mixer, self.build) for f in each])
            terms.append(self.build.number(0) if found is None else found)
            bounds = [bound(fn("log", Arg("x")), {"x": f.interval}).lo for f in each]
            self.lowest.append(sum(bounds))
        return self._pack(f"log_{name}", terms, axes, axis)

    def _pack(self, name: str, terms: list[Term], axes: Axes, axis: str) -> Load:
        """Load what plain tensor code packs."""
        # A write or a read that is constant in time is still one of each token.
        decay = name.startswith("log_")
        static = decay and all(each.type.dependence is Dependence.STATIC for each in terms)
        per = Per.HEAD if static else Per.TOKEN
        while name in {*self.prologue.arrays, *self.mixer.by_name}:
            name += "_"
        self.packs[name] = Packed(name, axis, tuple(terms), axes)
        self.prologue.arrays[name] = Array(name, (axis,), per)
        self.prologue.trainable[name] = any(map(self.prologue.learned, terms))
        return Load(name, dims=(axis,) if static else ("i", axis))
