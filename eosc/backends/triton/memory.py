"""Loads and stores as Triton text."""

from __future__ import annotations

from eosc.backends.triton.decays import Decays
from eosc.backends.triton.frame import NotPrintableError, Tile
from eosc.backends.triton.lines import BODY, INNER, LOADS
from eosc.ir.nodes import TIME, Array, Dims, Load, Per, Value


class Memory(Decays):
    """The loads and stores of one kernel."""

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
        ahead = self.level == LOADS
        masks = ("valid_ahead" if ahead and d in TIME else self.frame.mask(d) for d in dims)
        return " & ".join(
            self.frame.spread(mask, dim, dims) for mask, dim in zip(masks, dims, strict=True)
        )

    def tokens(self, name: str) -> str:
        """The pointer to the current chunk's first token of an array."""
        pointer = self.parameters[name]
        if self.kernel.chunk == 1:
            return pointer
        if self.level == LOADS:
            return f"{pointer} + start_ahead * {pointer}_t"
        outer, self.level = self.level, BODY
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
                held = "tl.maximum(tl.minimum(ahead, chunks - 1), 0)"
                chunk = held if self.level == LOADS else "c"
                place = "slot" if self.kernel.parallel else f"first_chunk + {chunk}"
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
        outer, self.level = self.level, INNER if self.level_of(value) == INNER else BODY
        if self.blocked in array.axes:
            self.level = INNER
        text = self.full(self.value(value), dims) if dims else self.value(value).text
        pointer = self.parameters[array.name]
        if dims:
            text = f"({text})" if text.startswith("-") else text
            text = f"{text}.to({pointer}.dtype.element_ty)"
        mask = f", mask={self.within(dims)}" if dims else ""
        store = f"tl.store({self.address(array)}, {text}{mask})"
        if guard:
            self.line(f"if {guard}:")
            store = f"    {store}"
        self.line(store)
        self.level = outer
