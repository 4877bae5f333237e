"""Values of the Algorithm IR as Triton text over padded tiles.

Arithmetic is fp32; the operands of a product are cast to the operand dtype `DT`, or to `FT` where
a factor may leave fp16's range. Log-decays are kept in base 2, so that a decay is one `exp2`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from eosc.algebra.print import spell
from eosc.algebra.scalar import ZERO, substitute
from eosc.backends.naming import Names, comment
from eosc.backends.triton.layouts import layouts, transposed
from eosc.backends.triton.packs import Pack, packs
from eosc.backends.triton.sums import terms
from eosc.backends.triton.zeros import Zeros
from eosc.ir.nodes import (
    TIME,
    Array,
    Decay,
    Dims,
    Dot,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Point,
    Relation,
    Rename,
    Round,
    Running,
    Size,
    State,
    Sum,
    Use,
    Value,
    walk,
)

_SIMPLE = re.compile(r"-?[A-Za-z_0-9.]+(\.to\((tl\.\w+|DT|FT)\))?\Z")

LOG2E = "1.4426950408889634"

Kind = Literal["raw", "operand", "factor", "fp32"]
Line = tuple[int, str, int | None]


class NotPrintableError(Exception):
    """The IR holds something that this backend does not print."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A name or a call, and the dimensions that it really has (a value may have more).

    kind: raw: as loaded; operand, factor: cast to DT, to FT; fp32. diagonal: the text is the
    vector over "i" of a matrix of pairs that is 0 elsewhere.
    """

    text: str
    dims: Dims
    kind: Kind = "fp32"
    diagonal: bool = False

    def renamed(self, mapping: Mapping[str, str]) -> Tile:
        """The same text under other names of its dimensions."""
        return replace(self, dims=tuple(mapping.get(name, name) for name in self.dims))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a kernel calls its surroundings.

    size, block, index, inside: per feature axis, the names of its size, of the padded size of a
    tile, of the indices and of their mask.
    """

    size: Mapping[str, str]
    block: Mapping[str, str]
    index: Mapping[str, str]
    inside: Mapping[str, str]

    def extent(self, dim: str) -> str:
        """The length of a tile along a dimension."""
        return "C" if dim in TIME else self.block[dim]

    def shape(self, dims: Dims) -> str:
        """The shape of a tile."""
        return f"[{', '.join(self.extent(dim) for dim in dims)}]"

    def at(self, dim: str) -> str:
        """The indices along a dimension."""
        return "token" if dim in TIME else self.index[dim]

    def mask(self, dim: str) -> str:
        """Which of them count."""
        return "valid" if dim in TIME else self.inside[dim]

    def spread(self, text: str, dim: str, dims: Dims) -> str:
        """A vector along one dimension, broadcast against the others."""
        if len(dims) == 1:
            return text
        return f"{text}[{', '.join(':' if name == dim else 'None' for name in dims)}]"


class Tiles:
    """The values of one kernel, written line by line.

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
        self.blocked = looped
        self.level = 1
        self.layouts = layouts(kernel)
        self._turned = False
        self.used: set[str] = set()
        self.loaded: list[str] = []
        self._done: dict[Value, Tile] = {}
        self._texts: dict[str, str] = {}
        self._fixed: dict[Value, bool] = {}
        self._varying: dict[Value, bool] = {}

    # Lines

    def line(self, text: str, note: str = "", spec: int | None = None) -> None:
        """Add a line before the loop over chunks, in it, or in that over blocks inside it."""
        note = comment(note)
        target = (self.setup, self.body, self.inner)[self.level]
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

    def level_of(self, value: Value) -> int:
        """Where a value is made: 0 before the loop, 1 for each chunk, 2 for each of its blocks."""
        if self.fixed(value):
            return 0
        return 2 if self.blocked and self.varies(value) else 1

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

    def fixed(self, value: Value) -> bool:
        """Whether the value is the same for all chunks of a program, and small."""
        if value not in self._fixed:
            self._fixed[value] = self._is_fixed(value)
        return self._fixed[value]

    def _is_fixed(self, value: Value) -> bool:
        match value:
            case Load(array=array):
                return self.arrays[array].per in (Per.HEAD, Per.CALL)
            case Use(name=name):
                return self.fixed(self.values[name])
            case Size():
                return True
            case Map(args=args, dims=dims):
                return "i" not in dims and all(self.fixed(arg) for _, arg in args)
            case LogDecay(arg=arg) | Sum(arg=arg):
                return self.fixed(arg)
        return False

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
        if len(have) == len(dims):
            return f"tl.trans({text})"
        (dim,) = have
        return self.frame.spread(text, dim, dims)

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

    # Values

    def value(self, value: Value, let: Let | None = None) -> Tile:
        """The tile of a value, made the first time it is asked for; `let` names it."""
        if value not in self._done:
            other = transposed(value) if self.layouts.paired and value.dims == ("i", "j") else None
            if other is not None:
                self._done[value] = self.value(other, let)
                return self._done[value]
            outer, self.level = self.level, self.level_of(value)
            if let is not None:
                self._turned = let.name in self.layouts.turned
            tile = self._make(value)
            if not _SIMPLE.match(tile.text):
                note, spec = self._note(value), None
                wish = type(value).__name__.lower()
                if let is not None:
                    wish, note = (
                        let.name,
                        f"{let.note}: {note}" if let.note and note else (let.note or note),
                    )
                    spec = let.lines[0] if let.lines else None
                if let is not None and let.name in self.layouts.back and tile.dims != value.dims:
                    tile = Tile(f"tl.trans({tile.text})", value.dims)
                tile = replace(tile, text=self.name(wish, tile.text, tile.dims, note, spec))
            self._done[value], self.level = tile, outer
        return self._done[value]

    def let(self, name: str) -> Tile:
        """The tile of a named value, printed the first time."""
        if name not in self.lets:
            let = self.named[name]
            if name in self.packs.factors:
                self._pack_factors(self.packs.factors[name])
            elif name in self.packs.products:
                self._pack_products(self.packs.products[name])
            else:
                self.lets[name] = self.value(let.value, let)
        return self.lets[name]

    def _later(self, pack: Pack) -> str:
        """The condition that a row lies in the second half of its block."""
        return f"(token // {pack.size} % 2 == 1)[:, None]"

    def _pack_factors(self, pack: Pack) -> None:
        later, earlier = self.named[pack.later], self.named[pack.earlier]
        rows, columns = self.value(later.value, later), self.value(earlier.value, earlier)
        outer, self.level = self.level, self.level_of(later.value)
        text = f"tl.where({self._later(pack)}, {rows.text}, {columns.text})"
        note = f"{pack.later} in second halves of blocks, {pack.earlier} in first"
        tile = replace(rows, text=self.name("both", text, rows.dims, note))
        self.lets[pack.later] = tile
        self.lets[pack.earlier] = replace(tile, dims=columns.dims)
        self.level = outer

    def _pack_products(self, pack: Pack) -> None:
        later, earlier = self.values[pack.later], self.values[pack.earlier]
        assert isinstance(later, Dot) and isinstance(earlier, Dot)
        wide = self.wide(later.right)
        parts = [self.full(self.value(each.left), each.left.dims) for each in (later, earlier)]
        factor = self.cast(self.value(later.right), wide)
        outer, self.level = self.level, self.level_of(later)
        matrix = f"({' + '.join(parts)}).to({'FT' if wide else 'DT'})"
        dims = later.dims
        text = f"tl.dot({matrix}, {factor.text}, input_precision=PRECISION)"
        both = self.name("both", text, dims, f"{pack.later} and {pack.earlier}")
        for name, value, pattern in (
            (pack.later, later, f"{both}, 0.0"),
            (pack.earlier, earlier, f"0.0, {both}"),
        ):
            half = f"tl.where({self._later(pack)}, {pattern})"
            self.lets[name] = Tile(self.name(name, half, value.dims), value.dims)
        self.level = outer

    @staticmethod
    def _note(value: Value) -> str:
        match value:
            case Load(array=array):
                return f"load {array}"
            case Decay(low=low, high=high):
                return f"D({low}, {high}]"
            case LogDecay():
                return "log2 of the decay"
            case Mask(relation=relation):
                return f"pairs with {relation}"
        return ""

    def forget(self, state: str) -> None:
        """A carried tile has a new value: what was made of the old one is no longer it."""
        self._done = {
            value: tile
            for value, tile in self._done.items()
            if not any(isinstance(each, State) and each.name == state for each in walk(value))
        }

    def _make(self, value: Value) -> Tile:
        match value:
            case Load():
                return self._load(value)
            case Use(name=name):
                return self.let(name)
            case State(name=name, dims=dims):
                return Tile(self.states[name], dims)
            case Size(axis=axis):
                return Tile(self.frame.size[axis], ())
            case Map():
                return self._map(value)
            case Dot():
                return self._dot(value)
            case Sum(arg=arg, over=over):
                return self._sum(arg, over)
            case LogDecay(arg=arg):
                return self._log(value, arg)
            case Decay():
                return self._decay(value)
            case Mask(arg=arg, relation=relation):
                return self._mask(arg, relation, value.dims)
            case Rename(arg=arg, dims=dims):
                return self.value(arg).renamed(dict(zip(arg.dims, dims, strict=True)))
            case Round(arg=arg):
                tile = self.cast(self.value(arg), self.wide(arg))
                return tile
            case Running():
                return self._running(value)
        raise NotPrintableError(f"no Triton form of {type(value).__name__}")

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

    # Memory

    def offset(self, axes: Dims, dims: Dims) -> str:
        """The offset of an entry over `axes`, contiguous, as a tile over `dims`."""
        if not axes:
            return "0"
        *outer, last = axes
        parts = [self.frame.spread(self.frame.index[last], last, dims)]
        stride = self.frame.size[last]
        for axis in reversed(outer):
            parts.insert(0, f"{self.frame.spread(self.frame.index[axis], axis, dims)} * {stride}")
            stride = f"{stride} * {self.frame.size[axis]}"
        return " + ".join(parts)

    def within(self, dims: Dims) -> str:
        """The mask of a tile."""
        return " & ".join(self.frame.spread(self.frame.mask(dim), dim, dims) for dim in dims)

    def tokens(self, name: str) -> str:
        """The pointer to the current chunk's first token of an array."""
        pointer = self.parameters[name]
        if self.kernel.chunk == 1:
            return pointer
        outer, self.level = self.level, 1
        text = f"{pointer} + start * {pointer}_t"
        found = self.once(f"{pointer}_c", text, (), "first token of the chunk")
        self.level = outer
        return found

    def address(self, array: Array) -> str:
        """Pointers to the entries of an array at the current token, chunk or segment."""
        pointer, dims = self.parameters[array.name], array.axes
        match array.per:
            case Per.TOKEN if self.kernel.chunk > 1:
                row = self.frame.spread(f"(token * {pointer}_t)", "i", ("i", *dims))
                pointer = f"{self.tokens(array.name)} + {row}"
                dims = ("i", *dims)
            case Per.CHUNK:
                count = self._size(array.axes)
                place = "slot" if self.kernel.parallel else "first_chunk + c"
                row = self.call("_row", place, "h", "H")
                pointer = f"{pointer} + {row} * {count}"
        offset = self.offset(array.axes, dims)
        return pointer if offset == "0" else f"{pointer} + {offset}"

    def _size(self, axes: Dims) -> str:
        return f"({' * '.join(self.frame.size[axis] for axis in axes) or '1'})"

    def _load(self, value: Load) -> Tile:
        array = self.arrays[value.array]
        self.loaded.append(value.array)
        if array.per is Per.CALL:
            return Tile(self.parameters[value.array], ())
        if array.per not in (Per.TOKEN, Per.HEAD, Per.CHUNK):
            raise NotPrintableError(f"a load of {array.name}, {array.per}")
        dims = value.dims
        where = self.address(array)
        mask = self.within(dims)
        if array.per is Per.CHUNK and self.kernel.parallel:
            # A slot may have no chunk of its own: its scratch was never written.
            index = self.frame.spread(self.frame.index[dims[0]], dims[0], dims)
            mask = f"{mask} & ({index} < tl.minimum(left, 1) * {self.frame.size[dims[0]]})"
        text = f"tl.load({where}, mask={mask}, other=0.0)" if dims else f"tl.load({where})"
        text = f"{text}.to(tl.float32)" if array.log else text
        return Tile(text, dims, "fp32" if array.log else "raw")

    def store(self, array: Array, value: Value, guard: str = "") -> None:
        """Store a value; `guard` is a condition on the program."""
        if array.per not in (Per.TOKEN, Per.CHUNK):
            raise NotPrintableError(f"a store to {array.name}, {array.per}")
        timed = array.per is Per.TOKEN and self.kernel.chunk > 1
        dims: Dims = ("i", *array.axes) if timed else array.axes
        outer, self.level = self.level, max(1, self.level_of(value))
        if self.blocked in array.axes:
            self.level = 2
        text = self.full(self.value(value), dims) if dims else self.value(value).text
        pointer = self.parameters[array.name]
        if dims:
            text = f"{text}.to({pointer}.dtype.element_ty)"
        mask = f", mask={self.within(dims)}" if dims else ""
        store = f"tl.store({self.address(array)}, {text}{mask})"
        if guard:
            self.line(f"if {guard}:")
            store = f"    {store}"
        self.line(store)
        self.level = outer

    # Pointwise

    def _map(self, value: Map) -> Tile:
        tiles = {name: self.value(arg) for name, arg in value.args}
        diagonal = [name for name, tile in tiles.items() if tile.diagonal]
        if diagonal:
            apart = substitute(value.fn, {name: 0 for name in diagonal}) is ZERO
            if apart and all(self._has_diagonal(arg) for _, arg in value.args):
                args = {name: self._diagonal(arg) for name, arg in value.args}
                return replace(self._spelled(value, args, ("i",)), diagonal=True)
        have = tuple(
            dim
            for dim in value.dims
            if any(dim in tile.dims or tile.diagonal for tile in tiles.values())
        )
        if any(tile.dims == have[::-1] for tile in tiles.values()) and len(have) == 2:
            have = have[::-1]
        fused = self._sum_of_products(value, tiles, have)
        return fused if fused is not None else self._spelled(value, tiles, have)

    def _spelled(self, value: Map, tiles: Mapping[str, Tile], dims: Dims) -> Tile:
        texts = {name: self.aligned(tile, dims) for name, tile in tiles.items()}
        # A name of its own for each part: a loop may not give a variable another type.
        spelled = spell(value.fn, "triton", texts, f"{self.names.fresh('part')}_")
        lines, result = list(spelled.lines), spelled.result
        if lines and lines[-1][0] == result:
            result = lines.pop()[1]
        for name, line in lines:
            self.line(f"{name} = {line}")
        return Tile(result, dims)

    def _sum_of_products(self, value: Map, tiles: Mapping[str, Tile], dims: Dims) -> Tile | None:
        """A sum of two tiles that are products, kept apart with an fma."""
        found = terms(value)
        if not self.apart or found is None or len(found) < 2 or any(sign < 0 for sign, _ in found):
            return None
        if sum(self._is_product(arg) for _, arg in found) < 2:
            return None
        total = self.full(self.value(found[0][1]), dims)
        one = f"tl.full({self.frame.shape(dims)}, 1.0, tl.float32)"
        for _, arg in found[1:]:
            tile = self.full(self.value(arg), dims)
            total = self.name("total", f"tl.fma({tile}, {one}, {total})", dims)
        return Tile(total, dims)

    def _is_product(self, value: Value) -> bool:
        match value:
            case Dot():
                return True
            case Use(name=name):
                return name in self.values and self._is_product(self.values[name])
            case Map(args=args):
                return any(self._is_product(arg) for _, arg in args)
            case Rename(arg=arg):
                return self._is_product(arg)
        return False

    # Products and sums

    def _dot(self, value: Dot) -> Tile:
        x, y = value.dims
        left, right = value.left, value.right
        if x not in left.dims:
            left, right = right, left
        if set(left.dims) != {x, value.over} or set(right.dims) != {value.over, y}:
            raise NotPrintableError(f"a product {left.dims} x {right.dims} -> {value.dims}")
        a, b = self.value(left), self.value(right)
        if a.diagonal or b.diagonal:
            return self._scaled(a, b, value)
        if not (self.zeros.outside(left, value.over) or self.zeros.outside(right, value.over)):
            a = self.guarded(left, (value.over,), a)
        wide = self.wide(left) or self.wide(right)
        if a.dims == (value.over, x) != (x, value.over) and x in TIME and value.over in TIME:
            return self._reversed(self.cast(a, wide), self.cast(b, wide), value)
        if self._turned and x in TIME and y not in TIME:
            return self._reversed(self.cast(a, wide), self.cast(b, wide), value)
        first = self.full(self.cast(a, wide), (x, value.over))
        second = self.full(self.cast(b, wide), (value.over, y))
        text = f"tl.dot({first}, {second}, input_precision=PRECISION)"
        return Tile(text, value.dims)

    def _reversed(self, a: Tile, b: Tile, value: Dot) -> Tile:
        """The product laid out the other way round."""
        x, y = value.dims
        first, second = self.full(b, (y, value.over)), self.full(a, (value.over, x))
        return Tile(f"tl.dot({first}, {second}, input_precision=PRECISION)", (y, x))

    def _scaled(self, a: Tile, b: Tile, value: Dot) -> Tile:
        """A product with a diagonal matrix."""
        vector, other = (a, b) if a.diagonal else (b, a)
        if other.diagonal:
            raise NotPrintableError("a product of two diagonal matrices")
        feature = next(dim for dim in value.dims if dim not in TIME)
        time = next(dim for dim in value.dims if dim in TIME)
        other = other.renamed({"i": time, "j": time})
        dims: Dims = (time, feature)
        row = self.frame.spread(vector.text, time, dims)
        text = f"{row} * {self.aligned(other, dims)}"
        if dims != value.dims:
            return Tile(f"tl.trans({text})", value.dims)
        return Tile(text, dims)

    def _sum(self, arg: Value, over: Dims) -> Tile:
        tile = self.value(arg)
        if tile.diagonal:
            (left,) = (dim for dim in arg.dims if dim not in over)
            return Tile(tile.text, (left,))
        tile = self.guarded(arg, over, tile)
        dims = tile.dims if len(tile.dims) == len(arg.dims) else arg.dims
        text = self.full(replace(tile, text=self.fp32(tile), kind="fp32"), dims)
        for dim in sorted(over, key=dims.index, reverse=True):
            text = f"tl.sum({text}, {dims.index(dim)})"
        return Tile(text, tuple(dim for dim in dims if dim not in over))

    def _running(self, value: Running) -> Tile:
        tile = self.guarded(value.arg, ("i",)) if value.suffix else self.value(value.arg)
        dims = value.dims
        text = self.full(replace(tile, text=self.fp32(tile), kind="fp32"), dims)
        text = self.once("terms", text, dims)
        reverse = ", reverse=True" if value.suffix else ""
        running = f"tl.cumsum({text}, {dims.index('i')}{reverse})"
        running = f"{running} - {text}" if value.strict else running
        return Tile(running, dims)

    # Pairs of tokens

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

    def _mask(self, arg: Value, relation: Relation, dims: Dims) -> Tile:
        if relation == Relation("block", 1) and self._has_diagonal(arg):
            return replace(self._diagonal(arg), diagonal=True)
        tile = self.value(arg)
        if tile.dims == dims[::-1]:
            dims = dims[::-1]
        text = f"tl.where({self._holds(relation, dims)}, {self.aligned(tile, dims)}, 0.0)"
        return Tile(text, dims)

    def _has_diagonal(self, value: Value) -> bool:
        """Whether the diagonal of a matrix of pairs can be made without the matrix."""
        match value:
            case Dot(left=left, right=right, over=over):
                return over not in TIME and {*left.dims, *right.dims} == {"i", "j", over}
            case Map(args=args):
                return all(self._has_diagonal(arg) for _, arg in args)
            case Use(name=name):
                return name in self.lets and self.lets[name].diagonal
            case Mask(arg=arg, relation=relation):
                return relation == Relation("block", 1) and self._has_diagonal(arg)
            case Decay(low=low, high=high):
                return low == Point("at", "j") and high == Point("at", "i")
            case Load() | Size():
                return not value.dims
        return False

    def _diagonal(self, value: Value) -> Tile:
        """The diagonal of a matrix of pairs, as a vector over "i"."""
        match value:
            case Dot(left=left, right=right, over=over):
                dims: Dims = ("i", over)
                a, b = (self.guarded(each, (over,)) for each in (left, right))
                texts = [self.aligned(each.renamed({"j": "i"}), dims) for each in (a, b)]
                text = f"tl.sum({texts[0]} * {texts[1]}, 1)"
                return Tile(self.once("diagonal", text, ("i",)), ("i",))
            case Map(args=args):
                return self._spelled(value, {n: self._diagonal(arg) for n, arg in args}, ("i",))
            case Decay():
                return Tile("1.0", ())
            case Mask(arg=arg):
                return self._diagonal(arg)
        tile = self.value(value)
        return replace(tile, diagonal=False)

    # Decays

    def _log(self, value: LogDecay, arg: Value) -> Tile:
        """A log-decay with a floor where its exponential is 0 anyway.

        In base 2, except where it varies over time and an axis: it is then left as it was loaded,
        since a product with bf16 numbers is exact without further pieces.
        """
        tile = self.value(arg)
        if "i" in arg.dims:
            tile = self.guarded(arg, ("i",), tile)
        if self.kernel.chunk == 1 or ("i" in arg.dims and len(arg.dims) > 1):
            return Tile(f"tl.maximum({self.fp32(tile)}, -128.0)", tile.dims)
        text = f"tl.maximum({self.fp32(tile)} * {LOG2E}, -150.0)"
        return Tile(text, tile.dims)

    def _position(self, point: Point) -> str:
        n = point.size
        match point.kind:
            case "start":
                return "token * 0 - 1"
            case "end":
                return "token * 0 + (C - 1)"
            case "at":
                return "token"
            case "before":
                return "token - 1"
            case "opening":
                return f"token // {n} * {n} - 1"
            case "closing":
                return f"token // {n} * {n} + {n - 1}"
            case "middle":
                return f"token // {n} * {n} + {n // 2 - 1}"

    def _decay(self, value: Decay) -> Tile:
        features = tuple(dim for dim in value.log.dims if dim not in TIME)
        if not any(dim in TIME for dim in value.log.dims):
            return self._constant(value, features)
        if features:
            return self._local(value, features)
        return self._scalar(value)

    def _constant(self, value: Decay, features: Dims) -> Tile:
        """Constant in time: the number of tokens in the range times the log."""
        times = tuple(dim for dim in value.dims if dim in TIME)
        ends = []
        for point in (value.high, value.low):
            if point.kind in ("start", "end"):
                ends.append("-1" if point.kind == "start" else "(tl.minimum(rest, C) - 1)")
            else:
                ends.append(self.frame.spread(f"({self._position(point)})", point.dim, times))
        count = f"({ends[0]} - {ends[1]})"
        if "middle" not in (value.low.kind, value.high.kind):
            # Behind T, and at pairs that no mask lets through, the range is empty.
            count = f"tl.maximum({count}, 0)"
        dims = (*times, *features)
        if times and features:
            count = f"{count}[:, None]"
        log = self.aligned(self.value(value.log), dims) if features else self.value(value.log).text
        text = f"tl.exp2({count} * {log})"
        return Tile(text, dims)

    @staticmethod
    def _range(value: Decay) -> str:
        return f"D({value.low}, {value.high}]"

    def _scalar(self, value: Decay) -> Tile:
        """One log a token: exact differences of sums of a coarse and a fine part."""
        log = self.value(value.log).text
        times = tuple(dim for dim in value.dims if dim in TIME)
        coarse = self.once(f"{log}_c", self.call("_coarse", log), ("i",))
        parts = []
        for part, source in (("hi", coarse), ("lo", f"({log} - {coarse})")):
            prefix = self.once(f"{log}_{part}", f"tl.cumsum({source}, 0)", ("i",))
            ends = []
            for point in (value.high, value.low):
                match point.kind:
                    case "start":
                        ends.append("")
                    case "end":
                        ends.append(self.once(f"{log}_{part}_end", f"tl.sum({source}, 0)", ()))
                    case "at":
                        ends.append(self.frame.spread(prefix, point.dim, times))
                    case "before":
                        before = self.once(f"{log}_{part}_before", f"{prefix} - {source}", ("i",))
                        ends.append(self.frame.spread(before, point.dim, times))
                    case _:
                        raise NotPrintableError(f"a scalar decay to {point}")
            high, low = ends
            parts.append(f"{high} - {low}" if low else high)
        text = f"tl.exp2({' + '.join(f'({p})' if ' ' in p else p for p in parts)})"
        return Tile(text, times)

    def _local(self, value: Decay, features: Dims) -> Tile:
        """A log over an axis: sums over the range itself, by a product with a 0-1 pattern."""
        log = self.value(value.log)
        dims = (*(dim for dim in value.dims if dim in TIME), *features)
        if value.low.kind == "start" and value.high.kind == "end":
            text = f"tl.exp2(tl.sum({log.text}, 0) * {LOG2E})"
            return Tile(self.once("decay", text, features, self._range(value)), features)
        low, high, signed = self._ends(value)
        pattern = self.call("_between" if signed else "_within", low, high)
        single = self._loaded_type(value.log)
        rows = self.call("_local", pattern, log.text, "EXACT", "PRECISION", single)
        sums = self.once("sums", rows, dims, self._range(value))
        text = f"tl.exp2({sums} * {LOG2E})"
        return Tile(self.once("decay", text, dims, self._range(value)), dims)

    def _loaded_type(self, log: Value) -> str:
        """The condition, known when compiled, that a log-decay is a bf16 number as it was loaded."""
        if isinstance(log, Use):
            log = self.values[log.name]
        if isinstance(log, LogDecay) and isinstance(log.arg, Load):
            return f"{self.parameters[log.arg.array]}.dtype.element_ty == tl.bfloat16"
        return "False"

    def _ends(self, value: Decay) -> tuple[str, str, bool]:
        """The ends of the range of each token, and whether the range may run backwards.

        Of a level's two factors, the first half of each block only needs the one of the columns
        and the second half only the one of the rows: one tile serves both.
        """
        low, high = value.low, value.high
        if low.kind == "opening" or high.kind == "closing":
            n = low.size or high.size
            later = f"token // {n} % 2 == 1"
            end = "token - 1" if high.kind == "before" or self.strict else "token"
            opening, closing = (self._position(Point(k, "i", n)) for k in ("opening", "closing"))
            starts = f"tl.where({later}, {opening}, token)"
            return starts, f"tl.where({later}, {end}, {closing})", False
        return self._position(low), self._position(high), "middle" in (low.kind, high.kind)

    @property
    def strict(self) -> bool:
        """Whether the kernel's outputs read the state before their token."""
        return any(
            isinstance(each, Decay) and each.high.kind == "before"
            for value in self.values.values()
            for each in walk(value)
        )
