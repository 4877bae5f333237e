"""The nodes of the Algorithm IR.

A `Kernel` walks the chunks (or the tokens) of one sequence and one head, carries tiles from one to
the next, and stores arrays. Batch and head are implicit; a chunk holds tokens `t = c*C + i`, valid
while `t < T`. Feature axes have names and symbolic sizes.

Supported: rectangular chunks, carried tiles, known grids, one time dimension `i` and its second
copy `j`. Not supported: data-dependent loop bounds, aliasing, atomics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal

from eosc.algebra.scalar import S

Dims = tuple[str, ...]
"""Names of a tile's dimensions in layout order: "i", "j" for time, else a feature axis."""

TIME = ("i", "j")


class Per(StrEnum):
    """What an array holds one entry for; its feature axes follow.

    TOKEN [B, T, H, …], HEAD [H, …], SEQUENCE [N, H, …], CHUNK [N, H, chunks, …] (scratch),
    SEGMENT [N, H, segments, …] (scratch), CALL: one number a call.
    """

    TOKEN = "token"
    HEAD = "head"
    SEQUENCE = "sequence"
    CHUNK = "chunk"
    SEGMENT = "segment"
    CALL = "call"


class Precision(StrEnum):
    """operand: the dtype of the inputs; accumulator: fp32 (fp64 for fp64 inputs)."""

    OPERAND = "operand"
    ACCUMULATOR = "accumulator"


@dataclass(frozen=True, slots=True)
class Array:
    """An array in memory. `log` marks a log-decay: natural log, at most 0, -inf is a reset."""

    name: str
    axes: Dims
    per: Per
    precision: Precision = Precision.OPERAND
    log: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """An end of a range of tokens inside the chunk.

    kind: start (before the first token of the chunk), end (its last), at (the token of `dim`),
        before (the one before it), opening or closing (before the first, or the last, token of
        the aligned block of `size` tokens that holds `dim`'s token), middle (the last token of
        that block's first half).
    """

    kind: Literal["start", "end", "at", "before", "opening", "closing", "middle"]
    dim: str = ""
    size: int = 0

    def __str__(self) -> str:
        """`start`, `i`, `i-1`, `opening16(i)`."""
        match self.kind:
            case "at":
                return self.dim
            case "before":
                return f"{self.dim}-1"
            case "start" | "end":
                return self.kind
        return f"{self.kind}{self.size}({self.dim})"


START = Point("start")
END = Point("end")


def at(dim: str) -> Point:
    """The token of `dim`."""
    return Point("at", dim)


@dataclass(frozen=True, slots=True)
class Relation:
    """Which pairs (i, j) of a chunk count: those with `j <= i` (`j < i` where `strict`), and more.

    kind causal: no more; block: both in one aligned block of `size` tokens; level: both in one
    aligned block of 2 * size tokens, i in its second half and j in its first.
    """

    kind: Literal["causal", "block", "level"]
    size: int = 0
    strict: bool = False

    def __str__(self) -> str:
        """`j <= i`, `j < i in block16`, `level8`."""
        order = "j < i" if self.strict else "j <= i"
        return order if self.kind == "causal" else f"{order} in {self.kind}{self.size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Base of all values. `dims` is the tile's layout."""

    dims: Dims


@dataclass(frozen=True, slots=True)
class Load(Value):
    """An entry of an array at the current tokens; outside T it is 0 (the identity for a log)."""

    array: str


@dataclass(frozen=True, slots=True)
class Use(Value):
    """The value of an earlier `Let`."""

    name: str


@dataclass(frozen=True, slots=True)
class State(Value):
    """A carried tile, as it is at this point of the body."""

    name: str


@dataclass(frozen=True, slots=True)
class Size(Value):
    """The size of a feature axis, as a number."""

    axis: str


@dataclass(frozen=True, slots=True)
class Map(Value):
    """A pointwise scalar function of named values, broadcast by dimension name."""

    fn: S
    args: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Dot(Value):
    """Sum over `over` of left * right, both rounded to the operand precision first.

    Over a time dimension only valid tokens count.
    """

    left: Value
    right: Value
    over: str


@dataclass(frozen=True, slots=True)
class Sum(Value):
    """Sum over whole dimensions; over a time dimension only valid tokens count."""

    arg: Value
    over: Dims


@dataclass(frozen=True, slots=True)
class LogDecay(Value):
    """A log-decay made summable: clamped from below where its exponential is 0 anyway, 0 outside T.

    A prologue of padding need not be 0 (the log of a sigmoid is not), so this node says it.
    """

    arg: Value


@dataclass(frozen=True, slots=True)
class Decay(Value):
    """D(low, high] = exp of the sum of `log` over the tokens after `low` up to `high`.

    Where high lies before low the sum runs backwards with a negative sign (only the midpoint
    form uses that). `log` without a time dimension is the same for each valid token.
    """

    log: Value
    low: Point
    high: Point


@dataclass(frozen=True, slots=True)
class Mask(Value):
    """`arg` where the relation holds, else 0."""

    arg: Value
    relation: Relation


@dataclass(frozen=True, slots=True)
class Inverse(Value):
    """The inverse of 1 + `arg`, a strictly triangular matrix of pairs (i, j) of the chunk.

    It is exact: there is a 1 at each diagonal entry, and nothing is divided.
    """

    arg: Value


@dataclass(frozen=True, slots=True)
class Rename(Value):
    """The same tile with other names of its dimensions: tokens as `j` instead of `i`."""

    arg: Value


@dataclass(frozen=True, slots=True)
class Round(Value):
    """`arg` in the operand precision: what a `Dot` will read."""

    arg: Value


@dataclass(frozen=True, slots=True)
class Running(Value):
    """Sums along "i": of the tokens up to i (`suffix`: from i on); `strict` leaves i itself out.

    Only valid tokens count.
    """

    arg: Value
    suffix: bool
    strict: bool


@dataclass(frozen=True, slots=True)
class Recur(Value):
    """States of `m = decay * m + write`, walked over the tokens of the chunk from `start`.

    direction: 1 walks forward in time, -1 in reverse. read: the state before or after each token
        (in the order of the walk, with "i" among the dims), or at the end of the walk (without).
    A token outside T leaves the state as it is, whatever the decay and the write are there.
    """

    decay: Value
    write: Value
    start: Value
    direction: Literal[1, -1]
    read: Literal["before", "after", "end"]


@dataclass(frozen=True, slots=True)
class Let:
    """Name a value. `note` says what it is; `lines` are the lines of the spec it comes from."""

    name: str
    value: Value
    note: str = ""
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """Give a carried tile its next value."""

    state: str
    value: Value
    note: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """Write a value to an array at the current tokens (chunk, segment)."""

    array: str
    value: Value
    note: str = ""


Statement = Let | Update | Store


@dataclass(frozen=True, slots=True)
class Carried:
    """A tile carried along the loop: from `initial` (an array, else 0) to `final` (an array).

    start: the constant it starts from where `initial` is None.
    invariant: what it equals at the start of a chunk, for the reader and the prover.
    """

    name: str
    dims: Dims
    initial: str | None = None
    final: str | None = None
    start: int = 0
    invariant: str = ""


@dataclass(frozen=True, slots=True)
class Guard:
    """Which chunks a kernel computes: those whose entries of `arrays` are all at least `least`.

    arrays: with one row of entries for each chunk. met: False for the other chunks instead.
    """

    arrays: tuple[str, ...]
    least: Fraction
    met: bool = True


@dataclass(frozen=True, slots=True)
class Kernel:
    """One launch: for each sequence, head (and segment) walk the chunks in `direction`.

    chunk: tokens a chunk; 1 is a token recurrence (no time dimension in the body).
    blocked: feature axes that programs may share out among them (all others are whole tiles).
    segmented: whether this launch exists only to start segments of a sequence side by side; it is
        left out when each sequence is one segment. An array per segment has then one entry a
        sequence: the start state of its only segment is its initial state.
    parallel: whether nothing is carried, so that each chunk may have a program of its own.
    guard: which chunks a parallel kernel computes; None is all.
    """

    name: str
    chunk: int
    direction: Literal[1, -1]
    carried: tuple[Carried, ...]
    body: tuple[Statement, ...]
    blocked: Dims = ()
    segmented: bool = False
    parallel: bool = False
    doc: str = ""
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class SegmentScan:
    """Combine segments: from what each adds to the state and decays it by, the state before each.

    state: the array of what the segments add, replaced in place by their start states (in the
    order of `direction`); decay: the arrays of the segments' whole decays, each over its own
    axes; initial: the array of the sequence's first state.
    """

    name: str
    state: str
    axes: Dims
    decay: tuple[str, ...]
    direction: Literal[1, -1]
    initial: str


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Launches in order, with a barrier between each two, and the arrays they read and write.

    inputs, outputs, scratch: arrays by role. `use`: train, prefill, decode, …
    """

    name: str
    launches: tuple[Kernel | SegmentScan, ...]
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    scratch: tuple[Array, ...] = ()
    doc: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def arrays(self) -> dict[str, Array]:
        """Every array by its name."""
        return {each.name: each for each in (*self.inputs, *self.outputs, *self.scratch)}

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The launches that are kernels."""
        return tuple(each for each in self.launches if isinstance(each, Kernel))


def operands(value: Value) -> tuple[Value, ...]:
    """The direct sub-values, in order."""
    match value:
        case Map(args=args):
            return tuple(each for _, each in args)
        case Dot(left=left, right=right):
            return (left, right)
        case Decay(log=log):
            return (log,)
        case Recur(decay=decay, write=write, start=start):
            return (decay, write, start)
        case (
            Sum(arg=arg)
            | LogDecay(arg=arg)
            | Mask(arg=arg)
            | Inverse(arg=arg)
            | Rename(arg=arg)
            | Round(arg=arg)
            | Running(arg=arg)
        ):
            return (arg,)
    return ()


def needed(body: Sequence[Statement]) -> set[str]:
    """The lets that what a body stores or carries is made of."""
    found: set[str] = set()
    for statement in reversed(body):
        if isinstance(statement, Let) and statement.name not in found:
            continue
        found |= {each.name for each in walk(statement.value) if isinstance(each, Use)}
    return found


def walk(value: Value) -> Iterator[Value]:
    """The value and everything below it, parents first."""
    yield value
    for each in operands(value):
        yield from walk(each)
