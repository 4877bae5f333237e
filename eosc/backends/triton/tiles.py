"""Values of the Algorithm IR as Triton text over padded tiles.

Arithmetic is fp32; the operands of a product are cast to the operand dtype `DT`, or to `FT` where
a factor may leave fp16's range.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from eosc.algebra.print import spell
from eosc.algebra.scalar import ZERO, substitute
from eosc.backends.triton.frame import NotPrintableError, Tile
from eosc.backends.triton.layouts import transposed
from eosc.backends.triton.lines import EARLY, LOADS
from eosc.backends.triton.packs import Pack
from eosc.backends.triton.sums import terms
from eosc.backends.triton.walks import Walks
from eosc.ir.nodes import (
    TIME,
    Decay,
    Dims,
    Dot,
    Inverse,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Point,
    Recur,
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

QUICK = {
    "div": "_ratio({0}, {1})",
    "exp": "_exp({0})",
    "logsigmoid": "_logsigmoid({0})",
    "softplus": "_softplus({0})",
}
"""Functions of the runtime for what element-wise scans do most."""

_SIMPLE = re.compile(r"-?[A-Za-z_0-9.]+(\.to\((tl\.\w+|DT|FT)\))?\Z")


class Tiles(Walks):
    """The values of one kernel, written line by line."""

    def value(self, value: Value, let: Let | None = None) -> Tile:
        """The tile of a value, made the first time it is asked for; `let` names it."""
        if self.ahead is not None:
            while isinstance(value, Use) and isinstance(self.values.get(value.name), Load):
                let = self.named[value.name]
                value = let.value
            if self.ahead.loaded(value):
                return self._operand(value, let)
            if isinstance(value, Use) and self.ahead.made(value):
                return self.let(value.name)
        if value not in self._done:
            other = transposed(value) if self.layouts.paired and value.dims == ("i", "j") else None
            if other is not None:
                self._done[value] = self.value(other, let)
                return self._done[value]
            outer, self.level = self.level, self.level_of(value)
            if let is not None:
                self._turned = let.name in self.layouts.turned
            tile = self._make(value)
            if self.level == EARLY or not _SIMPLE.match(tile.text):
                wish, note, spec = self._called(value, let)
                if let is not None and let.name in self.layouts.back and tile.dims != value.dims:
                    tile = Tile(f"tl.trans({tile.text})", value.dims)
                tile = replace(tile, text=self.name(wish, tile.text, tile.dims, note, spec))
            self._done[value], self.level = tile, outer
        return self._done[value]

    def _called(self, value: Value, let: Let | None) -> tuple[str, str, int | None]:
        """What a value's variable should be called, its note, and its line of the spec."""
        note = self._note(value)
        if let is None:
            return type(value).__name__.lower(), note, None
        note = ": ".join(dict.fromkeys(each for each in (let.note, note) if each))
        return let.name, note, let.lines[0] if let.lines else None

    def _operand(self, value: Value, let: Let | None) -> Tile:
        """An operand that is loaded a chunk ahead: as it arrives, or this chunk's."""
        assert isinstance(value, Load)
        wish, note, spec = self._called(value, let)
        outer = self.level
        if value not in self._done:
            self.level = LOADS
            tile = self._load(value)
            name = self.name(f"{wish}_ahead", tile.text, tile.dims, note, spec)
            self._done[value] = replace(tile, text=name)
        tile = self._done[value]
        if outer != EARLY:
            if value not in self._arrived:
                self.level = EARLY
                name = self.name(wish, self.fp32(tile), tile.dims)
                self._arrived[value] = Tile(name, tile.dims)
            tile = self._arrived[value]
        self.level = outer
        return tile

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
            case Inverse(arg=arg):
                text = self.full(self.value(arg), value.dims)
                text = self.call("_inverse_of_unit", text, "token", "C", "EXACT", "PRECISION")
                return Tile(text, value.dims)
            case Rename(arg=arg, dims=dims):
                return self.value(arg).renamed(dict(zip(arg.dims, dims, strict=True)))
            case Round(arg=arg):
                tile = self.cast(self.value(arg), self.wide(arg))
                return tile
            case Running():
                return self._running(value)
            case Recur():
                return self._recur(value)
        raise NotPrintableError(f"no Triton form of {type(value).__name__}")

    # Pointwise

    def _map(self, value: Map) -> Tile:
        power = self.power(value)
        if power is not None:
            return power
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
        prefix = f"{self.names.fresh('part')}_"
        spelled = spell(value.fn, "triton", texts, prefix, QUICK if self.walks else None)
        lines, result = list(spelled.lines), spelled.result
        if lines and lines[-1][0] == result:
            result = lines.pop()[1]
        for name, line in lines:
            self.line(f"{name} = {line}")
        for function in QUICK.values():
            name = function.partition("(")[0]
            if any(f"{name}(" in text for text in (*(line for _, line in lines), result)):
                self.used.add(name)
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
        if self.ahead is not None and len(dims) == 3 and over == dims[2:]:
            return Tile(self.call("_across", text, "EXACT"), dims[:2])
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
            case Use(name=name) if name in self.lets and self.lets[name].diagonal:
                return True
            case Use(name=name):
                return name in self.values and self._has_diagonal(self.values[name])
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
                # In one order, so that row and column sums read the same numbers.
                texts = sorted(self.aligned(each.renamed({"j": "i"}), dims) for each in (a, b))
                text = f"tl.sum({texts[0]} * {texts[1]}, 1)"
                return Tile(self.once("diagonal", text, ("i",)), ("i",))
            case Map(args=args):
                return self._spelled(value, {n: self._diagonal(arg) for n, arg in args}, ("i",))
            case Decay():
                return Tile("1.0", ())
            case Mask(arg=arg):
                return self._diagonal(arg)
            case Use(name=name) if not (name in self.lets and self.lets[name].diagonal):
                return self._diagonal(self.values[name])
        tile = self.value(value)
        return replace(tile, diagonal=False)
