"""Decays as Triton text.

Scalar decays are differences of running sums, exact since the sums are kept as a coarse and a fine
part. Decays over an axis are sums over their own range, formed as a product with a pattern of 0
and 1. A decay that is constant in time is a power.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.backends.triton.frame import LOG2E, NotPrintableError, Tile
from eosc.backends.triton.lines import Lines
from eosc.ir.nodes import TIME, Decay, Dims, Load, LogDecay, Point, Use, Value, walk


class Decays(Lines):
    """The decays of one kernel."""

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
            elif point.kind == "middle" and not times:
                ends.append(str(point.size // 2 - 1))
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
        coarse = self.once(f"{log}_c", self.call("_coarse", log, "EXACT"), ("i",))
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
        text = f"tl.exp2({self.call('_joined', *parts, 'EXACT')})"
        return Tile(text, times)

    def _local(self, value: Decay, features: Dims) -> Tile:
        """A log over an axis: sums over the range itself, by a product with a 0-1 pattern."""
        log = self.value(value.log)
        dims = (*(dim for dim in value.dims if dim in TIME), *features)
        if value.low.kind == "start" and value.high.kind == "end":
            text = f"tl.exp2(tl.sum({log.text}, 0) * {LOG2E})"
            return Tile(self.once("decay", text, features, self._range(value)), features)
        if len(dims) == len(features):
            kept = "<=" if value.high.kind == "middle" else ">"
            half = f"(token {kept} {(value.low.size or value.high.size) // 2 - 1})[:, None]"
            text = f"tl.exp2(tl.sum(tl.where({half}, {log.text}, 0.0), 0) * {LOG2E})"
            return Tile(self.once("decay", text, features, self._range(value)), features)
        text = f"tl.exp2({self._sums(value, log, dims)} * {LOG2E})"
        return Tile(self.once("decay", text, dims, self._range(value)), dims)

    def _sums(self, value: Decay, log: Tile, dims: Dims) -> str:
        """The variable that holds the sums of a log over the range of each token."""
        low, high, signed = self._ends(value)
        single = self._loaded_type(value.log)

        def rows(function: str, low: str, high: str) -> str:
            pattern = self.call(function, low, high)
            return self.call("_local", pattern, log.text, "EXACT", "PRECISION", single)

        back = self.known(rows("_between", high, low)) if signed else None
        if back:
            text = f"-{back}"
        elif signed and value.high.kind == "before":
            # One product serves both sides of the middle: up to the token, and without it.
            up_to = replace(value, high=replace(value.high, kind="at"))
            text = f"{self._sums(up_to, log, dims)} - {log.text}"
        else:
            text = rows("_between" if signed else "_within", low, high)
        return self.once("sums", text, dims, self._range(value))

    def _loaded_type(self, log: Value) -> str:
        """The condition, known when compiled, that a log-decay is bf16 as it was loaded."""
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
            before = high.kind == "before" or (high.kind == "closing" and self.strict)
            end = "token - 1" if before else "token"
            opening, closing = (self._position(Point(k, "i", n)) for k in ("opening", "closing"))
            starts = f"tl.where({later}, {opening}, token)"
            return starts, f"tl.where({later}, {end}, {closing})", False
        return self._position(low), self._position(high), "middle" in (low.kind, high.kind)

    @property
    def strict(self) -> bool:
        """Whether something of the kernel reads the state before its token."""
        return any(
            isinstance(each, Decay) and each.high.kind == "before"
            for value in self.values.values()
            for each in walk(value)
        )
