"""Decays between tokens, from tables of the decays of aligned blocks.

The tables of a block come from those of its halves. They belong to the function: its kernels
share them.
"""

from __future__ import annotations

from eosc.backends.naming import Names
from eosc.backends.torch.domains import FULL, Domain, times
from eosc.backends.torch.moves import Moves, aligned
from eosc.backends.torch.texts import BLOCK, NotPrintableError, Shared, Text, Writer
from eosc.ir.nodes import TIME, Decay, Dims, Point


class Decays:
    """The decays of one kernel.

    Args:
        writer: where the tables go.
        names: names of variables.
        shared: holds the tables of the function.
        moves: the moves of the kernel.
    """

    def __init__(self, writer: Writer, names: Names, shared: Shared, moves: Moves) -> None:
        self._writer, self._names, self._moves = writer, names, moves
        self._chunk, self._smallest, self._middle = moves.chunk, shared.smallest, shared.middle
        self._tables = shared.tables

    def of(self, value: Decay, log: str, domain: Domain) -> Text:
        """A decay on a part of time. log: the variable of its log-decay at each token."""
        features = tuple(name for name in value.log.dims if name not in TIME)
        own = times(value.dims)
        if len(own) == 2:
            return self._pairs(value, log, domain, own, features)
        dim = own[0] if own else ""
        dims = (dim, *features) if dim else features
        low, high = value.low, value.high
        if not own:
            return self._of_chunk(log, low, high, features)
        if "middle" in (low.kind, high.kind):
            return self._midpoint(log, value, domain, dims)
        if low.kind in ("start", "opening"):
            size = low.size or self._chunk
            kind = "before" if high.kind == "before" else "prefix"
        elif high.kind in ("end", "closing") and low.kind == "at":
            size, kind = high.size or self._chunk, "suffix"
        else:
            raise NotPrintableError(f"no table holds D({low}, {high}]")
        return self._moves.between(Text(self._table(log, kind, size), dims), FULL, domain, dims)

    def _of_chunk(self, log: str, low: Point, high: Point, features: Dims) -> Text:
        """The decay of a chunk, or of one of its halves."""
        if self._middle != self._chunk:
            table = self._table(log, "prefix", self._chunk)
            return Text(f"{table}[:, :, :, -1]", features)
        first, second = (self._half_of_chunk(log, which, features) for which in (0, 1))
        if high.kind == "middle":
            return Text(first, features)
        if low.kind == "middle":
            return Text(second, features)
        return Text(f"{first} * {second}", features, bare=False)

    def _half_of_chunk(self, log: str, which: int, features: Dims) -> str:
        """The variable of the decay of the first or the second half of the chunk."""
        key = (log, f"half {which}", self._chunk)
        if key not in self._tables:
            self._writer.used.add("_half")
            name = self._names.fresh(f"half{which}_{log}")
            text = self._writer.call("_half_decay", log, self._chunk, which)
            note = f"decay of the {'second' if which else 'first'} half of the chunk"
            self._writer.line(f"{name} = {text}[:, :, :, 0, 0]", note)
            self._writer.shapes[name] = ("chunks", "B", "H", *self._sizes(features))
            self._tables[key] = name
        return self._tables[key]

    def _sizes(self, features: Dims) -> tuple[str, ...]:
        return tuple(self._names.of(f"size of {name}", name) for name in features)

    def _pairs(self, value: Decay, log: str, domain: Domain, own: Dims, features: Dims) -> Text:
        low, high = value.low, value.high
        if features or low != Point("at", "j") or high.kind not in ("at", "before"):
            raise NotPrintableError(f"no table holds D({low}, {high}] of pairs")
        call = self._writer.call
        before = high.kind == "before"
        if domain.kind == "level":
            kind = "before" if before else "prefix"
            row = call("_half", self._table(log, kind, domain.size), domain.size, 1)
            column = call("_half", self._table(log, "suffix", domain.size), domain.size, 0)
            shapes = ("[..., :, None]", "[..., None, :]")
            rows, columns = shapes if own == ("i", "j") else shapes[::-1]
            return Text(f"{row}{rows} * {column}{columns}", (BLOCK, *own), bare=False)
        size = domain.size if domain.kind == "block" else self._chunk
        key = (log, "pairs before" if before else "pairs", size)
        if key not in self._tables:
            for each in ("_half", "_level", "_grown", "_grown_back", "_blocks"):
                self._writer.used.add(each)
            text = call("_pairs", self._table(log, "prefix", 1), size)
            if before:
                text = call("_rows_before", text)
            if size == self._chunk:
                text += "[:, :, :, 0]"
            name = self._names.fresh(f"pairs{size}_{log}")
            self._writer.line(f"{name} = {text}", f"D(j, {high}] of the pairs of a block of {size}")
            self._tables[key] = name
        held = self._tables[key]
        if domain is FULL or domain.kind == "full":
            return aligned(Text(held, ("i", "j")), own)
        return aligned(Text(held, (BLOCK, "i", "j")), (BLOCK, *own))

    def _midpoint(self, log: str, value: Decay, domain: Domain, dims: Dims) -> Text:
        """Decay from or to the middle of each block: signed sums, bounded by the certificate."""
        size = value.low.size or value.high.size
        held = Text(self._from_middle(log, value.low.kind, value.high.kind, size), (BLOCK, *dims))
        if size == self._chunk:
            if value.low.kind == "middle":
                sizes = ("chunks", "B", "H", "1", str(size), *self._sizes(dims[1:]))
                self._writer.shapes[held.text] = sizes
            whole = Text(f"{held.text}.flatten(3, 4)", dims)
            return self._moves.between(whole, FULL, domain, dims)
        return self._moves.between(held, Domain("block", size), domain, dims)

    def _table(self, log: str, kind: str, size: int) -> str:
        """The variable that holds D(opening, i], D(opening, i) or D(j, closing] of blocks."""
        if (log, kind, size) in self._tables:
            return self._tables[log, kind, size]
        call = self._writer.call
        smallest, half = self._smallest, size // 2
        if kind == "before":
            text = call("_before", self._table(log, "prefix", size), size)
        elif size > 1 and size == smallest:
            text = self._first_table(log, kind, size)
        elif kind == "prefix":
            text = (
                f"torch.exp({log})"
                if size == 1
                else (call("_grown", self._table(log, kind, half), half))
            )
        elif size == 1:
            text = f"torch.ones_like({self._table(log, 'prefix', 1)})"
        else:
            self._writer.used.add("_half")
            tables = self._table(log, kind, half), self._table(log, "prefix", half)
            text = call("_grown_back", *tables, half)
        notes = {
            "prefix": f"decay from the opening of each block of {size}",
            "before": f"the same up to the token before, blocks of {size}",
            "suffix": f"decay to the closing of each block of {size}",
        }
        name = self._names.fresh(f"{kind}{size}_{log}")
        self._writer.line(f"{name} = {text}", notes[kind])
        self._tables[log, kind, size] = name
        return name

    def _first_table(self, log: str, kind: str, size: int) -> str:
        """The table of the smallest blocks: from the midpoint form where that is there."""
        self._writer.used |= {"_half", "_blocks"}
        forward = kind == "prefix"
        ends = ("middle", "at") if forward else ("at", "middle")
        if size == self._middle:
            half = self._writer.call("_half_decay", log, size, 0 if forward else 1)
            return f"({self._from_middle(log, *ends, size)} * {half}).flatten(3, 4)"
        ends = ("opening", "at") if forward else ("at", "closing")
        quoted = (f'"{each}"' for each in ends)
        return self._writer.call("_between", log, *quoted, size) + ".flatten(3, 4)"

    def _from_middle(self, log: str, low: str, high: str, size: int) -> str:
        """The variable of D(low, high] in blocks, one of the ends the middle of the block."""
        key = (log, f"{low} to {high}", size)
        if key not in self._tables:
            self._writer.used |= {"_half", "_blocks"}
            if low == "middle":
                text = self._writer.call("_between", log, '"middle"', f'"{high}"', size)
            else:
                text = self._writer.call("_inverse", self._from_middle(log, high, low, size))
            name = self._names.fresh(f"{low}_to_{high}{size}_{log}")
            self._writer.line(f"{name} = {text}", f"D({low}, {high}] in blocks of {size}")
            self._tables[key] = name
        return self._tables[key]
