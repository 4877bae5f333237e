"""Walks over the tokens of a chunk as Triton text: states of m = decay * m + write.

All tokens' states are made by one associative scan; the state before the chunk is put into the
first token's write, so that no product of decays is formed where a thread holds a chunk's tokens.
"""

from __future__ import annotations

from eosc.algebra.scalar import ONE, ZERO, Arg, Fn, S, substitute
from eosc.algebra.simplify import simplify
from eosc.backends.triton.frame import LOG2E, Tile
from eosc.backends.triton.lines import BODY
from eosc.backends.triton.memory import Memory
from eosc.ir.nodes import TIME, Dims, Map, Recur, Use, Value, walk


class Walks(Memory):
    """The walks of one kernel."""

    def _recur(self, value: Recur) -> Tile:
        axes = tuple(dim for dim in value.dims if dim not in TIME)
        if value.read == "end" and isinstance(value.write, Map) and value.write.fn is ZERO:
            decay = self._neutral(value.decay, ("i", *axes))
            start = self.full(self.value(value.start), axes)
            return Tile(f"{start} * {self.call('_whole', decay)}", axes)
        before, after = self._walked(value, axes)
        if value.read != "end":
            return Tile(before if value.read == "before" else after, ("i", *axes))
        last = "token == C - 1" if value.direction == 1 else "token == 0"
        return Tile(self.call("_end", after, self._spread(last, axes)), axes)

    def _walked(self, value: Recur, axes: Dims) -> tuple[str, str]:
        """The states before (where any is read) and after each token."""
        dims: Dims = ("i", *axes)
        start = self.full(self.value(value.start), axes)
        first = "token == 0" if value.direction == 1 else "token == C - 1"
        given = (
            self._neutral(value.decay, dims),
            self.full(self.guarded(value.write, ("i",)), dims),
            f"{start}[None, {', '.join(':' for _ in axes)}]",
            self._spread(first, axes),
            str(value.direction == -1),
        )
        if self._read_before(value):
            text = self.call("_states", *given)
            if text not in self._walks:
                names = self.names.fresh("before"), self.names.fresh("after")
                self.line(f"{', '.join(names)} = {text}", f"each token {self.frame.shape(dims)}")
                self._walks[text] = names
            return self._walks[text]
        return "", self.once("after", self.call("_states_after", *given), dims)

    def _spread(self, condition: str, axes: Dims) -> str:
        return self.frame.spread(f"({condition})", "i", ("i", *axes))

    def _read_before(self, value: Recur) -> bool:
        """Whether some value of the kernel reads the states before the tokens of this walk."""
        return any(
            isinstance(each, Recur) and each.read == "before" and _same(each, value)
            for statement in self.kernel.body
            for each in walk(statement.value)
        )

    def _neutral(self, decay: Value, dims: Dims) -> str:
        """The decay at every entry, 1 at tokens behind T."""
        text = self.full(self.value(decay), dims)
        if self._is_neutral(decay):
            return text
        return f"tl.where({self.frame.spread('valid', 'i', dims)}, {text}, 1.0)"

    def power(self, value: Map) -> Tile | None:
        """An exponential of a product of smaller tiles: a power of 2, scaled where it is least.

        A factor over time is 0 behind T, so that the power is 1 there.
        """
        found = exponent(value)
        if found is None:
            return None
        sign, args = found
        least = min(args, key=lambda arg: ("i" in arg.dims, len(arg.dims)))
        moving = next(arg for arg in args if "i" in arg.dims)
        texts = []
        for arg in args:
            tile = self.guarded(arg, ("i",)) if arg is moving else self.value(arg)
            if arg is least:
                outer, self.level = self.level, 0 if self.fixed(arg) else BODY
                text = f"{self.fp32(tile)} * {'-' * (sign < 0)}{LOG2E}"
                tile = Tile(self.once("rate", text, tile.dims, "for a power of 2"), tile.dims)
                self.level = outer
            texts.append(self.aligned(tile, value.dims))
        return Tile(self.call("_exp2", " * ".join(texts)), value.dims)

    def _is_neutral(self, decay: Value) -> bool:
        """Whether the decay is known to be 1 at tokens behind T."""
        if isinstance(decay, Use):
            decay = self.values[decay.name]
        if not isinstance(decay, Map):
            return False
        if exponent(decay) is not None:
            return True
        zero = {name: 0 for name, arg in decay.args if self.zeros.outside(arg, "i")}
        return simplify(substitute(decay.fn, zero)) is ONE


def exponent(value: Map) -> tuple[int, tuple[Value, ...]] | None:
    """The sign and the factors of an exponential whose exponent no factor has all dimensions of."""
    if not isinstance(value.fn, Fn) or value.fn.name != "exp":
        return None
    found, given = _product(value.fn.args[0]), dict(value.args)
    if found is None:
        return None
    sign, args = found[0], tuple(given[name] for name in found[1])
    smaller = all(len(arg.dims) < len(value.dims) for arg in args)
    moving = any("i" in arg.dims for arg in args)
    return (sign, args) if smaller and moving and len(value.dims) > 2 else None


def _product(fn: S) -> tuple[int, tuple[str, ...]] | None:
    """The sign and the arguments of a product of distinct arguments."""
    match fn:
        case Arg(name):
            return 1, (name,)
        case Fn("neg", (inner,)):
            found = _product(inner)
            return None if found is None else (-found[0], found[1])
        case Fn("mul", (left, right)):
            one, other = _product(left), _product(right)
            if one is not None and other is not None:
                return one[0] * other[0], one[1] + other[1]
    return None


def _same(one: Recur, other: Recur) -> bool:
    """Whether two values read the same walk."""
    return (one.decay, one.write, one.start, one.direction) == (
        other.decay,
        other.write,
        other.start,
        other.direction,
    )
