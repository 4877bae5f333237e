"""Memories at the ends of scans: the states a scan starts from, and what it leaves of each.

A scan carries one memory, or a grid of several; a complex memory is two real ones and a phase.
"""

from __future__ import annotations

from eosc.backends.torch.scopes import Val
from eosc.backends.torch.sequences import Sequences
from eosc.recurrence.model import Turn
from eosc.recurrence.operands import State
from eosc.schedule.program import Layout, Program, ScanStep

Axes = tuple[str, ...]


class Memories:
    """The memories of one program.

    left: of each memory of a scan, the text of its state behind the sequence and its axes.

    Args:
        seq: prints the values.
        program: whose memories they are.
        packed: the variable of the bounds of packed sequences; None where each runs alone.
    """

    def __init__(self, seq: Sequences, program: Program, packed: str) -> None:
        self.seq, self.program, self.packed = seq, program, packed
        self.left: dict[str, tuple[str, Axes]] = {}
        self._turns = {part: each for each in program.turns for part in each.parts}

    def scanned(self) -> list[str]:
        """The states that scans carry."""
        held = {self._owner(name) for step in self.program.scans for name in step.memories}
        return [each.name for each in self.seq.states if each.name in held]

    def before(self, step: ScanStep) -> str:
        """The state that a scan starts from."""
        layout = step.layout
        if layout is None or plain(step):
            memory = step.memories[0]
            return self._before(memory, step.scan.axes)
        rows = []
        for row, key in zip(layout.memories, layout.keys, strict=True):
            named = zip(row, layout.values, strict=True)
            cells = [self._before(name, (*key, *value)) for name, value in named]
            rows.append(f"({', '.join(cells)},)")
        return self.seq.call("_gridded", f"({', '.join(rows)},)", *self._sizes(layout))

    def behind(self, step: ScanStep, y: str, final: str) -> None:
        """Enter what a scan computed: its readouts, and what it leaves of its memories."""
        seq, layout = self.seq, step.layout
        if layout is None or plain(step):
            seq.given[step.result] = Val(y, step.scan.reads)
            self.left[step.memories[0]] = (final, step.scan.axes)
            return
        keys, values = self._sizes(layout)
        columns, cells = seq.names.fresh("columns"), seq.names.fresh("cells")
        seq.line(f"{columns} = {seq.call('_columns', y, values)}")
        seq.line(f"{cells} = {seq.call('_cells', final, keys, values)}")
        for n, (name, axes) in enumerate(zip(layout.results, layout.values, strict=True)):
            seq.given[name] = Val(f"{columns}[{n}]", axes)
        for n, row in enumerate(layout.memories):
            for k, name in enumerate(row):
                axes = (*layout.keys[n], *layout.values[k])
                self.left[name] = (f"{cells}[{n}][{k}]", axes)

    def final(self, state: State) -> str:
        """A state behind the sequence, in its layout."""
        turn = next((each for each in self.program.turns if each.memory == state.name), None)
        if turn is None and state.name not in self.left:
            return self.seq.final(state)
        assert state.declaration is not None, "a memory is declared"
        declared = state.declaration.type.axes
        if turn is None:
            return self._left(state.name, declared)
        parts = [self._left(name, declared) for name in turn.parts]
        if turn.peak:
            height = self.seq.given[turn.peak].text
            return self.seq.call("_lifted", *parts, height, self.packed)
        return self.seq.call("_turned", *parts, self._phase(turn, declared), self.packed)

    def _left(self, name: str, declared: Axes) -> str:
        text, axes = self.left[name]
        return f"{text}{_moved(axes, declared)}"

    def _phase(self, turn: Turn, declared: Axes) -> str:
        """The phase over the axes of a memory, as declared."""
        if not turn.phase:
            return "None"
        ordered = self.seq.sort(declared)
        val = self.seq.aligned(self.seq.given[turn.phase], ordered)
        if ordered == declared:
            return val.text
        places = ", ".join(str(3 + ordered.index(axis)) for axis in declared)
        return f"{val.operand}.permute(0, 1, 2, {places})"

    def _owner(self, memory: str) -> str:
        """The memory of the spec that a memory of a scan is, or is a part of."""
        return self._turns[memory].memory if memory in self._turns else memory

    def _before(self, memory: str, axes: Axes) -> str:
        """The state of one memory before the sequence, with its axes in this order."""
        state = next(each for each in self.seq.states if each.name == self._owner(memory))
        held, turn = self.seq.state_name(state), self._turns.get(memory)
        whole = turn is None or len(turn.parts) == 1
        part = "" if whole or turn is None else (".real", ".imag")[turn.parts.index(memory)]
        assert state.declaration is not None, "a memory is declared"
        moved = _moved(state.declaration.type.axes, axes)
        return f"None if {held} is None else {held}{part}{moved}" if part or moved else held

    def _sizes(self, layout: Layout) -> tuple[str, str]:
        """The sizes of the axes of each row, and of each column."""
        return self._shapes(layout.keys), self._shapes(layout.values)

    def _shapes(self, parts: tuple[Axes, ...]) -> str:
        found = ["".join(f"{self.seq.size(axis)}, " for axis in axes).rstrip() for axes in parts]
        return f"({', '.join(f'({each})' for each in found)},)"


def plain(step: ScanStep) -> bool:
    """Whether a scan carries one memory over its own axes."""
    if step.layout is None:
        return True
    keys, values = step.scan.axes[:-1], step.scan.axes[-1:]
    own = (step.layout.keys, step.layout.values) == ((keys,), (values,))
    return own and len(step.memories) == 1


def _moved(axes: Axes, wanted: Axes) -> str:
    """What brings a state [N, H, axes] into another order of its axes; nothing where it is."""
    if axes == wanted:
        return ""
    return f".permute(0, 1, {', '.join(str(2 + axes.index(axis)) for axis in wanted)})"
