"""The lines of a kernel, and the forms in which a tile is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eosc.backends.naming import Names, comment
from eosc.backends.triton.ahead import Ahead
from eosc.backends.triton.fixed import Fixed
from eosc.backends.triton.frame import Frame, Kind, Line, Tile
from eosc.backends.triton.layouts import layouts
from eosc.backends.triton.packs import packs
from eosc.backends.triton.zeros import Zeros
from eosc.ir.nodes import (
    Array,
    Decay,
    Dims,
    Kernel,
    Let,
    Map,
    Recur,
    Relation,
    Rename,
    Round,
    Use,
    Value,
    walk,
)

BODY, INNER, LOADS, EARLY = 1, 2, 3, 4
"""Levels of lines: for each chunk, for each of its blocks; loads ahead, what is made of them."""


def walked(kernel: Kernel) -> bool:
    """Whether a kernel walks over the tokens of a chunk: all tokens of a column in one thread."""
    return any(isinstance(each, Recur) for part in kernel.body for each in walk(part.value))


def pipelined(kernel: Kernel) -> bool:
    """Whether a kernel walks over tiles of two axes: its operands are loaded a chunk ahead."""
    wide = any(len(carried.dims) > 1 for carried in kernel.carried)
    return walked(kernel) and wide and not kernel.parallel and kernel.chunk != 1


class Lines:
    """Where the lines of one kernel go.

    Args:
        kernel: the kernel.
        arrays: the arrays of its algorithm.
        names: names of variables.
        frame: names of the surroundings.
        parameters: the name of each array's pointer (of a number: the number).
        apart: keep sums of two products as two products: fused into one accumulator they count
            as a chain, and with 8 warps Triton then repeats the work in both halves.
        looped: the axis over whose blocks a program loops inside a chunk, if any.
    """

    def __init__(
        self,
        kernel: Kernel,
        arrays: Mapping[str, Array],
        names: Names,
        frame: Frame,
        parameters: Mapping[str, str],
        apart: bool = False,
        looped: str = "",
    ) -> None:
        self.kernel, self.arrays, self.names, self.frame = kernel, arrays, names, frame
        self.parameters, self.apart = parameters, apart
        self.zeros = Zeros(kernel)
        self.named = {each.name: each for each in kernel.body if isinstance(each, Let)}
        self.values = {name: each.value for name, each in self.named.items()}
        self.packs = packs(kernel)
        self.lets: dict[str, Tile] = {}
        self.states: dict[str, str] = {}
        self.setup: list[Line] = []
        self.body: list[Line] = []
        self.inner: list[Line] = []
        self.loads: list[Line] = []
        self.early: list[Line] = []
        self.fixed = Fixed(arrays, self.values)
        self.ahead = Ahead(kernel, arrays) if pipelined(kernel) else None
        self.blocked = looped
        self.level = 1
        self.layouts = layouts(kernel)
        self._turned = False
        self.used: set[str] = set()
        self.loaded: list[str] = []
        self._done: dict[Value, Tile] = {}
        self._arrived: dict[Value, Tile] = {}
        self._texts: dict[str, str] = {}
        self._walks: dict[str, tuple[str, str]] = {}
        self.walks = walked(kernel)
        self._varying: dict[Value, bool] = {}

    def value(self, value: Value, let: Let | None = None) -> Tile:
        """The tile of a value, made the first time it is asked for; `let` names it."""
        raise NotImplementedError

    # Lines

    def line(self, text: str, note: str = "", spec: int | None = None) -> None:
        """Add a line before the loop over chunks, or where `level` says."""
        note = comment(note)
        target = (self.setup, self.body, self.inner, self.loads, self.early)[self.level]
        target.append((0, f"{text}  # {note}" if note else text, spec))

    def name(
        self, wish: str, text: str, dims: Dims, note: str = "", spec: int | None = None
    ) -> str:
        """Assign a text to a new variable."""
        name = self.names.fresh(wish)
        shape = self.frame.shape(dims) if dims else ""
        self.line(f"{name} = {text}", f"{note} {shape}", spec)
        return name

    def once(self, wish: str, text: str, dims: Dims, note: str = "") -> str:
        """The variable that holds a text, assigned the first time."""
        if text not in self._texts:
            self._texts[text] = self.name(wish, text, dims, note)
        return self._texts[text]

    def known(self, text: str) -> str | None:
        """The variable that holds a text, if there is one."""
        return self._texts.get(text)

    def level_of(self, value: Value) -> int:
        """Where a value is made: 0 before the loop, or one of the levels above."""
        if self.blocked and self.varies(value):
            return INNER
        if self.fixed(value):
            return 0
        return EARLY if self.ahead is not None and self.ahead.made(value) else BODY

    def varies(self, value: Value) -> bool:
        """Whether the value depends on the block of the blocked axis."""
        if value not in self._varying:
            below = (
                self.varies(self.values[each.name])
                for each in walk(value)
                if isinstance(each, Use) and each.name in self.values
            )
            self._varying[value] = any(self.blocked in each.dims for each in walk(value)) or any(
                below
            )
        return self._varying[value]

    def call(self, name: str, *args: str) -> str:
        """A call of a runtime function."""
        self.used.add(name)
        return f"{name}({', '.join(args)})"

    # Forms of a tile

    def fp32(self, tile: Tile) -> str:
        """The text of a tile in fp32."""
        return tile.text if tile.kind == "fp32" else f"{tile.text}.to(tl.float32)"

    def cast(self, tile: Tile, wide: bool) -> Tile:
        """The tile as an operand of a product."""
        wanted: Kind = "factor" if wide else "operand"
        if tile.kind == wanted:
            return tile
        return replace(tile, text=f"{tile.text}.to({'FT' if wide else 'DT'})", kind=wanted)

    def aligned(self, tile: Tile, dims: Dims) -> str:
        """The tile's fp32 text, ready to be broadcast to `dims`."""
        text = self.fp32(tile)
        if tile.diagonal:
            return self._matrix(tile, dims)
        return self._laid(text, tile.dims, dims)

    def _laid(self, text: str, have: Dims, dims: Dims) -> str:
        if not have or have == dims:
            return text
        if len(have) == len(dims) == 2:
            return f"tl.trans({text})"
        kept = tuple(dim for dim in dims if dim in have)
        if kept != have:
            text = f"tl.permute({text}, {tuple(have.index(dim) for dim in kept)})"
        if len(kept) == len(dims):
            return text
        return f"{text}[{', '.join(':' if dim in have else 'None' for dim in dims)}]"

    def _matrix(self, tile: Tile, dims: Dims) -> str:
        equal = self._holds(Relation("block", 1), dims)
        return f"tl.where({equal}, {self.frame.spread(tile.text, dims[0], dims)}, 0.0)"

    def full(self, tile: Tile, dims: Dims) -> str:
        """The tile's text with every one of `dims`, in its own dtype."""
        if tile.diagonal:
            return self._matrix(tile, dims)
        text = self._laid(tile.text, tile.dims, dims)
        if len(tile.dims) == len(dims):
            return text
        if not tile.dims:
            return f"tl.full({self.frame.shape(dims)}, {text}, tl.float32)"
        return f"tl.broadcast_to({text}, {self.frame.shape(dims)})"

    def guarded(self, value: Value, over: Dims, tile: Tile | None = None) -> Tile:
        """The value, made 0 outside the arrays along the dimensions in `over`."""
        tile = self.value(value) if tile is None else tile
        for dim in over:
            if tile.diagonal or self.zeros.outside(value, dim):
                continue
            dims = tile.dims if len(tile.dims) == len(value.dims) else value.dims
            mask = self.frame.spread(self.frame.mask(dim), dim, dims)
            text = f"tl.where({mask}, {self.full(tile, dims)}, 0.0)"
            tile = Tile(self.name("inner", text, dims), dims, tile.kind)
        return tile

    def wide(self, value: Value) -> bool:
        """Whether a factor in the midpoint form may leave fp16's range."""
        match value:
            case Decay(low=low, high=high):
                return "middle" in (low.kind, high.kind)
            case Use(name=name):
                return name in self.values and self.wide(self.values[name])
            case Map(args=args):
                return any(self.wide(arg) for _, arg in args)
            case Round(arg=arg) | Rename(arg=arg):
                return self.wide(arg)
        return False

    def _holds(self, relation: Relation, dims: Dims) -> str:
        """The condition of a relation over pairs laid out as `dims`."""
        i, j = (self.frame.spread("token", dim, dims) for dim in ("i", "j"))
        n = relation.size
        if relation.kind == "block" and n == 1 and not relation.strict:
            return f"{i} == {j}"
        order = f"{i} > {j}" if relation.strict else f"{i} >= {j}"
        match relation.kind:
            case "causal":
                return order
            case "block":
                return f"({i} // {n} == {j} // {n}) & ({order})"
            case "level":
                return f"({i} // {n} == {j} // {n} + 1) & ({i} // {n} % 2 == 1)"
