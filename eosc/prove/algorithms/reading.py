"""Tiles of the Algorithm IR as formulas: the meaning that `eosc/ir/evaluate.py` runs.

A value is read at a place: `Dot` and `Sum` are contractions over axes and sums over the tokens of
the chunk, a `Mask` is the range of the sum that it stands in, a `Decay` is exp of a sum of logs
over a range of tokens, and rounding is not there. Only real numbers are meant: log-decays are
finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from eosc.algebra.scalar import Arg, Fn, S, args_of
from eosc.ir.nodes import (
    TIME,
    Array,
    Decay,
    Dims,
    Dot,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
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
)
from eosc.prove import formula
from eosc.prove.algorithms.masks import masks, product_masks, product_under
from eosc.prove.algorithms.places import Here, Place, Walk
from eosc.prove.algorithms.scalars import Unreadable, apply, scalar
from eosc.prove.algorithms.walks import Walks
from eosc.prove.formula import ZERO, Formula, Time, shifted

Meaning = Callable[[Time, tuple[str, ...]], Formula]
"""What an array or a carried tile holds, at a time and at its indices."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The names in force at one statement: lets with the scope of each, carried tiles, arrays.

    cuts: lets that are read as what they are shown to be.
    """

    lets: Mapping[str, tuple[Value, Scope]] = field(default_factory=dict)
    states: Mapping[str, tuple[Value, Scope] | Meaning] = field(default_factory=dict)
    loads: Mapping[str, Meaning] = field(default_factory=dict)
    cuts: Mapping[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Blockwise:
    """A value under a sum over tokens whose blocks were taken to be the whole chunk."""

    value: Value
    scope: Scope


class Reader:
    """Reads the values of one kernel.

    blockwise: values that must be shown not to depend on how the chunk is cut into blocks.
    """

    def __init__(
        self, arrays: Mapping[str, Array], walk: Walk, timed: bool, walks: Walks | None = None
    ) -> None:
        """A reader of a chunk; `timed` where its tiles have a time dimension.

        walks: where recurrences over the chunk's tokens are defined, if there may be any.
        """
        self.arrays, self.walk, self.timed = arrays, walk, timed
        self.walks = walks
        self.blockwise: list[Blockwise] = []
        self._fresh = 0

    def fresh(self, letter: str) -> str:
        """A variable that this side of a statement does not have yet."""
        self._fresh += 1
        return f"{letter}{self._fresh}"

    def whole(self, value: Value, here: Here, scope: Scope) -> Formula:
        """A value as one side of a statement: its bound variables are numbered from 1.

        Raises:
            Unreadable: the value has no reading.
        """
        self._fresh = 0
        return self.read(value, here, scope)

    def _note(self, value: Value, scope: Scope) -> None:
        if not any(each.value is value for each in self.blockwise):
            self.blockwise.append(Blockwise(value, scope))

    def read(self, value: Value, here: Here, scope: Scope) -> Formula:
        """A value without masks, at a place.

        Raises:
            Unreadable: the value has no reading.
        """
        match value:
            case Load():
                return self._load(value, here, scope)
            case Use(name=name):
                return self._use(name, value.dims, here, scope)
            case State(name=name):
                return self._state(name, value.dims, here, scope)
            case Size(axis=axis):
                return ("size", axis)
            case Map(fn=fn, args=args):
                return scalar(fn, {name: self.read(arg, here, scope) for name, arg in args})
            case Dot(left=left, right=right, over=over):
                return self._summed((left, right), (over,), here, scope)
            case Sum(arg=arg, over=over):
                return self._summed((arg,), over, here, scope)
            case LogDecay(arg=arg) | Round(arg=arg):
                return self.read(arg, here, scope)
            case Decay():
                return self._decay(value, here, scope)
            case Rename(arg=arg):
                return self.read(arg, here.renamed(arg.dims, value.dims), scope)
            case Running():
                return self._running(value, here, scope)
            case Recur():
                return self._recur(value, here, scope)
        raise Unreadable(f"no reading of {type(value).__name__} here")

    def part(self, value: Value, here: Here, scope: Scope, want: Relation | None) -> Formula:
        """The summands of a value that stand under a relation; with None those under no mask.

        A value is the sum over relations r of [r] times its part under r, and its part under none.
        """
        if not masks(value, scope):
            return self.read(value, here, scope) if want is None else ZERO
        match value:
            case Mask(arg=arg, relation=relation):
                return self.read(arg, here, scope) if relation == want else ZERO
            case Use(name=name):
                inner, inside = scope.lets[name]
                return self.part(inner, here.renamed(inner.dims, value.dims), inside, want)
            case Round(arg=arg):
                return self.part(arg, here, scope, want)
            case Map(fn=fn, args=args):
                return self._scalar_part(fn, dict(args), here, scope, want)
            case Dot(left=left, right=right, over=over):
                name = self.fresh("n")
                body = self._product_part((left, right), here.index(over, name), scope, want)
                return ZERO if body == ZERO else formula.contract(name, over, body)
        raise Unreadable(f"no reading of a mask under {type(value).__name__}")

    def _scalar_part(
        self, fn: S, args: Mapping[str, Value], here: Here, scope: Scope, want: Relation | None
    ) -> Formula:
        match fn:
            case Arg(name):
                return self.part(args[name], here, scope, want)
            case Fn("add" | "sub" | "neg" as name, below):
                parts = tuple(self._scalar_part(each, args, here, scope, want) for each in below)
                return apply(name, parts)
            case Fn("mul", (left, right)):
                plain = [self._scalar_part(each, args, here, scope, None) for each in (left, right)]
                if want is None:
                    return formula.mul(*plain)
                under = [self._scalar_part(each, args, here, scope, want) for each in (left, right)]
                return product_under(plain, under)
        if want is not None:
            return ZERO
        used = set(args_of(fn))
        return scalar(
            fn, {name: self.read(arg, here, scope) for name, arg in args.items() if name in used}
        )

    def _product_part(
        self, factors: tuple[Value, ...], here: Here, scope: Scope, want: Relation | None
    ) -> Formula:
        plain = [self.part(each, here, scope, None) for each in factors]
        if want is None or len(factors) == 1:
            return formula.mul(*plain) if want is None else self.part(factors[0], here, scope, want)
        return product_under(plain, [self.part(each, here, scope, want) for each in factors])

    def _load(self, value: Load, here: Here, scope: Scope) -> Formula:
        array = self.arrays[value.array]
        meaning = scope.loads.get(array.name)
        if meaning is None:
            raise Unreadable(f"{array.name} is read before anything is stored in it")
        features = tuple(name for name in value.dims if name not in TIME)
        if features != array.axes:
            raise Unreadable(f"{array.name} is read over {features}, not over {array.axes}")
        times = [name for name in value.dims if name in TIME]
        if bool(times) != (array.per is Per.TOKEN and self.timed):
            raise Unreadable(f"{array.name} is read with the wrong dimensions")
        time = here.times[times[0]].time if times else self.walk.high
        return meaning(time, tuple(here.indices[axis] for axis in array.axes))

    def _use(self, name: str, dims: Dims, here: Here, scope: Scope) -> Formula:
        if name in scope.cuts:
            return _meant(scope.cuts[name], dims, here, self.walk.high)
        if name not in scope.lets:
            raise Unreadable(f"{name} is used before it is named")
        value, inside = scope.lets[name]
        return self.read(value, here.renamed(value.dims, dims), inside)

    def _state(self, name: str, dims: Dims, here: Here, scope: Scope) -> Formula:
        if name not in scope.states:
            raise Unreadable(f"{name} is not carried")
        held = scope.states[name]
        if isinstance(held, tuple):
            return self.read(held[0], here.renamed(held[0].dims, dims), held[1])
        return _meant(held, dims, here, self.walk.high)

    def _summed(self, args: tuple[Value, ...], over: Dims, here: Here, scope: Scope) -> Formula:
        """The sum over dimensions of a product of values."""
        if not over:
            return formula.mul(*(self.read(each, here, scope) for each in args))
        times = [dim for dim in over if dim in TIME]
        if times and len(over) > 1:
            whole = args[0]
            outer = tuple(dim for dim in whole.dims if dim not in times)
            inner = Sum(whole, tuple(times), dims=outer)
            if len(args) > 1 or len(times) > 1:
                raise Unreadable("a sum over pairs of tokens")
            return self._summed((inner,), tuple(d for d in over if d not in times), here, scope)
        dim, rest = over[0], over[1:]
        if not times:
            name = self.fresh("n")
            body = self._summed(args, rest, here.index(dim, name), scope)
            return ZERO if body == ZERO else formula.contract(name, dim, body)
        relations = product_masks([masks(each, scope) for each in args])
        return formula.total(
            self._over_chunk(args, dim, here, scope)
            if relation is None
            else self._over_pairs(args, dim, relation, here, scope)
            for relation in relations
        )

    def _over_chunk(self, args: tuple[Value, ...], dim: str, here: Here, scope: Scope) -> Formula:
        """The sum over all valid tokens of the chunk, of what stands under no mask."""
        bound = self.fresh("u")
        inside = replace(here.bind(dim, Place({bound: 1})), relation=None)
        before, self.walk.free = self.walk.free, False
        body = self._product_part(args, inside, scope, None)
        if self.walk.free:
            if len(args) > 1 or len(here.times) > 0 or dim != "i":
                raise Unreadable("blocks inside a sum over the whole chunk")
            self._note(args[0], scope)
        self.walk.free = before
        return ZERO if body == ZERO else formula.over(bound, self.walk.low, self.walk.high, body)

    def _over_pairs(
        self, args: tuple[Value, ...], dim: str, relation: Relation, here: Here, scope: Scope
    ) -> Formula:
        """The sum over the tokens that relate to the one of the other dimension."""
        other = "i" if dim == "j" else "j"
        if other not in here.times:
            raise Unreadable(f"a mask without {other}")
        bound = self.fresh("u")
        low, high, place = self.walk.related(relation, here.times[other], dim, bound)
        body = self._product_part(args, here.bind(dim, place, relation), scope, relation)
        return ZERO if body == ZERO else formula.over(bound, low, high, body)

    def _running(self, value: Running, here: Here, scope: Scope) -> Formula:
        """A sum over the tokens up to this one, or from it on."""
        token, bound = here.times["i"].time, self.fresh("u")
        low, high = self.walk.low, self.walk.high
        if value.suffix:
            low = token if value.strict else shifted(token, -1)
        else:
            high = shifted(token, -1) if value.strict else token
        inside = here.bind("i", Place({bound: 1}))
        before, self.walk.free = self.walk.free, False
        body = self.read(value.arg, inside.renamed(value.arg.dims, value.dims), scope)
        if self.walk.free:
            self._note(value.arg, scope)
        self.walk.free = before
        return formula.over(bound, low, high, body)

    def _recur(self, value: Recur, here: Here, scope: Scope) -> Formula:
        """A state of a walk over the tokens of the chunk, which becomes a definition."""
        if self.walks is None or not self.timed:
            raise Unreadable("a walk over tokens where there are none")

        def part(of: Value, at: Here) -> Formula:
            kept, self._fresh = self._fresh, 0
            free, self.walk.free = self.walk.free, False
            found = self.read(of, at, scope)
            if self.walk.free:
                raise Unreadable("blocks inside a walk over tokens")
            self._fresh, self.walk.free = kept, free
            return found

        return self.walks.read(value, here, self.walk, part)

    def _point(self, point: Point, here: Here) -> Time:
        if point.kind == "start":
            return self.walk.low
        if point.kind == "end":
            return self.walk.high
        if point.dim not in here.times:
            raise Unreadable(f"no token {point.dim} here")
        place = here.times[point.dim]
        match point.kind:
            case "at":
                return place.time
            case "before":
                return shifted(place.time, -1)
            case "opening" | "closing" | "middle":
                return self.walk.point(place, point.kind, point.size)
        raise Unreadable(f"no reading of the point {point}")

    def _decay(self, value: Decay, here: Here, scope: Scope) -> Formula:
        if not _summable(value.log, scope):
            raise Unreadable("a decay over tokens behind the end of the sequence")
        low, high = self._point(value.low, here), self._point(value.high, here)
        if _in_order(value.low, value.high, here.relation):
            return formula.call("exp", self._logs(value.log, low, high, here, scope))
        # The signed sum, as a difference of sums from the start of the chunk.
        upper = self._logs(value.log, self.walk.low, high, here, scope)
        lower = self._logs(value.log, self.walk.low, low, here, scope)
        return formula.call("exp", formula.minus(upper, lower))

    def _logs(self, log: Value, low: Time, high: Time, here: Here, scope: Scope) -> Formula:
        bound = self.fresh("u")
        inside = replace(here.bind("i", Place({bound: 1})), relation=None)
        return formula.over(bound, low, high, self.read(log, inside, scope))


def _meant(meaning: Meaning, dims: Dims, here: Here, otherwise: Time) -> Formula:
    """What a tile with these dimensions holds here."""
    times = [here.times[name].time for name in dims if name in TIME]
    features = tuple(here.indices[name] for name in dims if name not in TIME)
    return meaning(times[0] if times else otherwise, features)


def _summable(log: Value, scope: Scope) -> bool:
    """Whether a log-decay is 0 at tokens behind the end of the sequence."""
    match log:
        case Use(name=name) if name in scope.lets:
            return _summable(*scope.lets[name])
    return isinstance(log, LogDecay) or not any(name in TIME for name in log.dims)


def _in_order(low: Point, high: Point, relation: Relation | None) -> bool:
    """Whether `low` is never after `high`, whatever the tokens."""
    if low.kind == "start" or high.kind == "end":
        return True
    if low.kind == "opening" and high.kind in ("at", "before") and low.dim == high.dim:
        return True
    if low.kind == "at" and high.kind == "closing" and low.dim == high.dim:
        return True
    strict = relation is not None and (relation.strict or relation.kind == "level")
    at = high.kind == "at" or (high.kind == "before" and strict)
    return relation is not None and low == Point("at", "j") and at and high.dim == "i"
