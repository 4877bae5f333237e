"""The parts that the chunk lowerings share: prologues, decays between points, block levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eosc.ir.build import merge, product, total
from eosc.ir.nodes import (
    END,
    START,
    Decay,
    Dims,
    Let,
    LogDecay,
    Point,
    Relation,
    Sum,
    Use,
    Value,
    at,
    walk,
)
from eosc.lowering.scan import Scan

NOTES = {
    "s": "shrink",
    "e": "expand",
    "x": "input",
    "own": "what the output adds of its own token",
    "w": "what an erasure reads",
    "u": "where it writes",
}
"""What the prologues of a scan are, by name."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a chunk lowering realises its decays.

    chunk: tokens a chunk. base: the size of the diagonal blocks that use the midpoint form; 1 is
    pure halving, `chunk` the factorised form. A decay without K or V axes needs no base: all its
    pairs are formed directly.
    """

    chunk: int
    base: int = 1

    def __post_init__(self) -> None:
        """Both are powers of two and the base is at most the chunk.

        Raises:
            ValueError: when they are not.
        """
        powers = all(n > 0 and n & (n - 1) == 0 for n in (self.chunk, self.base))
        if not powers or self.base > self.chunk:
            raise ValueError(f"no such form: chunk {self.chunk}, base {self.base}")


@dataclass(frozen=True, slots=True)
class Level:
    """A set of pairs (i, j) whose decay splits at a point between them.

    relation: the pairs. For vector decays the row factor is D(low, i] and the column factor
    D(j, high]; a level without them (`split` False) forms the decay of each pair directly.
    """

    name: str
    relation: Relation
    split: bool
    low: Point = START
    high: Point = END


class Parts:
    """The values of a scan by name, after `lets` has named them."""

    def __init__(self, scan: Scan, form: Form) -> None:
        """Name the parts of `scan` for the given form."""
        self.scan, self.form = scan, form
        self.K, self.V = scan.key, scan.value
        self.named = {name: Use(name, dims=part.dims) for name, part in scan.prologues()}
        self.read = at("i") if scan.inclusive else Point("before", "i")

    def lets(self, *names: str) -> Iterator[Let]:
        """The prologues of the given names (all the log-decays always)."""
        for name, part in self.scan.prologues():
            if name in names:
                yield Let(name, part, NOTES[name], self.scan.lines_of(name))
            elif name.startswith("g"):
                log = LogDecay(part, dims=part.dims)
                yield Let(name, log, "log-decay", self.scan.lines_of(name))

    def use(self, name: str) -> Use:
        """A named prologue: s, e, x, g0, gK, gV."""
        return self.named[name]

    def decay(self, names: str, low: Point, high: Point, time: Dims = ()) -> Value | None:
        """The decay over (low, high] of the named parts ("0", "K", "V", "0K", …), or None.

        time: the time dimensions of the result: those of the points.
        """
        factors: list[Value] = []
        for letter in names:
            log = self.named.get(f"g{letter}")
            if log is not None:
                features = tuple(name for name in log.dims if name not in ("i", "j"))
                factors.append(Decay(log, low, high, dims=(*time, *features)))
        if not factors:
            return None
        return product(*factors, dims=merge(*(each.dims for each in factors)))

    def levels(self) -> tuple[Level, ...]:
        """The levels that together cover each pair with j <= i (or j < i) once."""
        strict = not self.scan.inclusive
        if not self.scan.vector:
            return (Level("all", Relation("causal", strict=strict), split=False),)
        found: list[Level] = []
        half = self.form.chunk // 2
        while half >= self.form.base:
            found.append(
                Level(
                    f"half{half}",
                    Relation("level", half),
                    split=True,
                    low=Point("opening", "i", half),
                    high=Point("closing", "j", half),
                )
            )
            half //= 2
        base = self.form.base
        if base == 1 and strict:
            return tuple(found)
        diagonal = Relation("block", base, strict=strict)
        if base == 1:
            # First: it reads the operands themselves, which then need not outlive the levels.
            found.insert(0, Level("diagonal", diagonal, split=False))
        else:
            middle = (Point("middle", "i", base), Point("middle", "j", base))
            found.append(Level("base", diagonal, split=True, low=middle[0], high=middle[1]))
        return tuple(found)

    @property
    def framed(self) -> bool:
        """Whether the middle of the chunk is the one reference of all factors over K and V.

        Operands are then brought there once; what is formed of them is brought on from there.
        """
        return self.scan.vector and self.form.base == self.form.chunk > 1

    def axis(self, name: str) -> str:
        """The axis of an operand: K of s and e, V of x and dy."""
        return self.K if name in ("s", "e") else self.V

    def centring(self, name: str) -> Value | None:
        """The decay between the middle of a framed chunk and the tokens of an operand."""
        if not self.framed:
            return None
        if name in ("s", "dy"):
            return self.decay(self._letter(name), self._middle, self.read, ("i",))
        return self.decay(self._letter(name), at("i"), self._middle, ("i",))

    def centred(self, name: str) -> Value:
        """An operand, brought to the middle of a framed chunk by `middles`."""
        known = self.centring(name) is not None
        return Use(f"{name}_mid" if known else name, dims=("i", self.axis(name)))

    def middles(self, *names: str) -> Iterator[Let]:
        """Bring operands to the middle of a framed chunk."""
        for name in names:
            decay, dims = self.centring(name), ("i", self.axis(name))
            if decay is not None:
                value = product(decay, Use(name, dims=dims), dims=dims)
                yield Let(f"{name}_mid", value, f"{name} about the middle of the chunk")

    def beyond(self, name: str) -> Value | None:
        """The decay from where `centred` left an operand to the start (s, dy) or end (e, x)."""
        here, time = (self._middle, ()) if self.framed else (None, ("i",))
        if name in ("s", "dy"):
            return self.decay(self._letter(name), START, here or self.read, time)
        return self.decay(self._letter(name), here or at("i"), END, time)

    def outside(self, name: str) -> Value | None:
        """The same with the scalar decay."""
        reads = name in ("s", "dy")
        scalar = self.decay("0", *((START, self.read) if reads else (at("i"), END)), ("i",))
        given = [each for each in (scalar, self.beyond(name)) if each is not None]
        return product(*given, dims=merge(*(each.dims for each in given))) if given else None

    def whole(self, name: str, scalar: bool = False) -> Value:
        """An operand with its decay to the start (s, dy) or the end (e, x) of the chunk.

        scalar: with the scalar decay.
        """
        decay = self.outside(name) if scalar else self.beyond(name)
        return product(decay, self.centred(name), dims=("i", self.axis(name)))

    @property
    def _middle(self) -> Point:
        return Point("middle", "i", self.form.chunk)

    @staticmethod
    def _letter(name: str) -> str:
        return "K" if name in ("s", "e") else "V"

    def rows(self, level: Level, letter: str) -> Value | None:
        """The row factor of a level over K or V, D(low, i], beside what `centred` has."""
        split = level.split and not self.framed
        return self.decay(letter, level.low, self.read, ("i",)) if split else None

    def columns(self, level: Level, letter: str) -> Value | None:
        """The column factor of a level over K or V, D(j, high], beside what `centred` has."""
        split = level.split and not self.framed
        return self.decay(letter, at("j"), level.high, ("j",)) if split else None

    def pair(self, dims: Dims) -> Value | None:
        """The scalar decay of each pair times the scale, or None where both are 1."""
        decay = self.decay("0", at("j"), self.read, dims)
        given = [each for each in (decay, self.scan.scale) if each is not None]
        return product(*given) if given else None

    def with_own(self, read: Value) -> Value:
        """The output: what is read, and what it adds of its own token."""
        return read if self.scan.own is None else total((read, self.use("own")))

    def scaled(self, value: Value, decay: Value | None = None) -> Value:
        """The value times a decay and the scale, which goes to a decay without time."""
        scale = self.scan.scale
        if decay is not None and scale is not None and "i" not in decay.dims:
            decay, scale = product(decay, scale), None
        value = product(decay, value, dims=value.dims)
        return value if scale is None else product(value, scale)


def advance(state: Value, decay: Value | None, addition: Value) -> Value:
    """Decay * state + addition, over the state's dimensions."""
    if decay is None:
        return total((state, addition))
    return total((product(decay, state, dims=state.dims), addition))


def blockable(scan: Scan) -> Dims:
    """V may be shared out among programs unless a prologue sums over it."""
    sums = (v for _, part in scan.prologues() for v in walk(part) if isinstance(v, Sum))
    return () if any(scan.value in each.over for each in sums) else (scan.value,)
