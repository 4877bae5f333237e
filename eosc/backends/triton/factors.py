"""Factors of tokens alone, taken out of products and sums over features.

    sum_K (a_i q_i)(b_j k_j)   ->  a_i b_j sum_K q_i k_j        (on the sums, in fp32)
    sum_i (a_i k_i) n_i        ->  sum_i k_i (a_i n_i)          (on the side that is in registers)

A tile that was loaded then goes into a product as it is: it is rounded to the operands' precision
no second time, and it needs no way from the memory through registers to where products read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from eosc.algebra.scalar import Arg, S, args_of
from eosc.ir.build import mapped, product, with_operands
from eosc.ir.factors import multiplied, of_tokens
from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Dims,
    Dot,
    Inverse,
    Kernel,
    Let,
    Load,
    Rename,
    State,
    Statement,
    Sum,
    Update,
    Use,
    Value,
    needed,
    operands,
    walk,
)
from eosc.ir.nodes import Map as Pointwise


def taken_out(algorithm: Algorithm) -> Algorithm:
    """The algorithm with the factors of its products and sums taken out."""
    launches = tuple(
        _Factors(each).kernel() if isinstance(each, Kernel) and each.chunk > 1 else each
        for each in algorithm.launches
    )
    return replace(algorithm, launches=launches)


@dataclass(frozen=True, slots=True)
class _Parts:
    """A value as a product: factors over one time dimension or none, and the rest."""

    factors: tuple[Value, ...]
    rest: Value

    def over(self, dim: str) -> list[Value]:
        return [each for each in self.factors if dim in each.dims]

    def others(self, dim: str) -> list[Value]:
        return [each for each in self.factors if dim not in each.dims]


class _Factors:
    """One kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.whole = kernel
        self.lets: dict[str, Value] = {}
        self._done: dict[Value, Value] = {}

    def kernel(self) -> Kernel:
        """The kernel with its statements rewritten, each name for what it was for."""
        body: list[Statement] = []
        for each in self.whole.body:
            changed = replace(each, value=self._rewritten(each.value))
            if isinstance(changed, Let):
                named = list(self._named(changed))
                self.lets.update((let.name, let.value) for let in named)
                body += named
                continue
            if isinstance(changed, Update):
                self._done.clear()
                self._forget(changed.state)
            body.append(changed)
        names = needed(body)
        kept = (each for each in body if not isinstance(each, Let) or each.name in names)
        return replace(self.whole, body=tuple(kept))

    def _forget(self, state: str) -> None:
        """Take no more factors out of lets that read a tile, which now has another value."""
        stale: set[str] = set()
        for name, value in self.lets.items():
            for each in walk(value):
                again = isinstance(each, State) and each.name == state
                if again or (isinstance(each, Use) and each.name in stale):
                    stale.add(name)
        self.lets = {name: value for name, value in self.lets.items() if name not in stale}

    def _named(self, let: Let) -> Iterator[Let]:
        """The let of a product with factors as two, so that the bare product has a name."""
        parts = self._parts(let.value)
        if parts.factors and isinstance(parts.rest, Dot):
            bare = Let(f"{let.name}_bare", parts.rest)
            yield bare
            use = Use(bare.name, dims=parts.rest.dims)
            let = replace(let, value=product(*parts.factors, use, dims=let.value.dims))
        yield let

    def _rewritten(self, value: Value) -> Value:
        if value not in self._done:
            self._done[value] = self._changed(value)
        return self._done[value]

    def _changed(self, value: Value) -> Value:
        below = {each: self._rewritten(each) for each in operands(value)}
        value = with_operands(value, below)
        if isinstance(value, Dot):
            return self._dot(value)
        if isinstance(value, Sum) and all(dim not in TIME for dim in value.over):
            parts = self._parts(value.arg)
            if parts.factors:
                rest = self._whole(parts.rest, value.arg.dims)
                return product(*parts.factors, replace(value, arg=rest), dims=value.dims)
        return value

    def _whole(self, value: Value, dims: Dims) -> Value:
        return value if value.dims == dims else mapped(Arg("a0"), value, dims=dims)

    def _dot(self, value: Dot) -> Value:
        """A product without the factors of its sides."""
        if self._inverse(value.left) or self._inverse(value.right):
            return value  # it solves a system, and is read as one
        left, right = self._parts(value.left), self._parts(value.right)
        if not left.factors and not right.factors:
            return value
        inner = [*left.over(value.over), *right.over(value.over)]
        outer = [*left.others(value.over), *right.others(value.over)]
        sides = [left.rest, right.rest]
        if inner:
            place = self._heavier(value, sides)
            sides[place] = product(*inner, sides[place], dims=sides[place].dims)
        bare = replace(value, left=sides[0], right=sides[1])
        return product(*outer, bare, dims=value.dims) if outer else bare

    def _inverse(self, value: Value) -> bool:
        return isinstance(value, Use) and isinstance(self.lets.get(value.name), Inverse)

    def _heavier(self, value: Dot, sides: list[Value]) -> int:
        """The side that takes the factors of what is summed over: one that is no bare load."""
        made = [not self._loaded(each) for each in sides]
        if made[0] != made[1]:
            return made.index(True)
        blocked = [any(dim in each.dims for dim in self.whole.blocked) for each in sides]
        return blocked.index(True) if blocked[0] != blocked[1] else 0

    def _loaded(self, value: Value) -> bool:
        match value:
            case Load():
                return True
            case Use(name=name):
                return name in self.lets and self._loaded(self.lets[name])
            case Rename(arg=arg):
                return self._loaded(arg)
        return False

    def _parts(self, value: Value) -> _Parts:
        """Split a tile with features into factors without them and the rest."""
        plain = _Parts((), value)
        if all(dim in TIME for dim in value.dims):
            return plain
        match value:
            case Use(name=name) if name in self.lets:
                inner = self._parts(self.lets[name])
                return inner if inner.factors else plain
            case Rename(arg=arg):
                inner = self._parts(arg)
                if not inner.factors:
                    return plain
                names = dict(zip(arg.dims, value.dims, strict=True))
                return _Parts(
                    tuple(_renamed(each, names) for each in inner.factors),
                    _renamed(inner.rest, names),
                )
            case Pointwise(fn=fn):
                return self._product(value, fn)
        return plain

    def _product(self, value: Pointwise, fn: S) -> _Parts:
        args = dict(value.args)
        factors: list[Value] = []
        rest: list[S] = []
        kept: dict[str, Value] = {}
        sign, found = multiplied(fn)
        inside = {name for each in found if not isinstance(each, Arg) for name in args_of(each)}
        for each in found:
            names = args_of(each)
            if of_tokens(each, args):
                factors.append(_only(each, {name: args[name] for name in names}))
                continue
            if isinstance(each, Arg) and each.name not in inside:
                inner = self._parts(args[each.name])
                factors += inner.factors
                kept[each.name] = inner.rest
            else:
                kept.update((name, args[name]) for name in names)
            rest.append(each)
        if not factors or not rest:
            return _Parts((), value)
        if sign < 0:
            factors[0] = mapped(-Arg("a0"), factors[0])
        text = rest[0]
        for each in rest[1:]:
            text = text * each
        if isinstance(text, Arg) and kept[text.name].dims == value.dims:
            return _Parts(tuple(factors), kept[text.name])
        held = tuple((name, arg) for name, arg in kept.items())
        return _Parts(tuple(factors), Pointwise(text, held, dims=value.dims))


def _only(fn: S, args: Mapping[str, Value]) -> Value:
    """A factor as a value of its own."""
    if isinstance(fn, Arg):
        return args[fn.name]
    dims: Dims = tuple(dict.fromkeys(dim for each in args.values() for dim in each.dims))
    return Pointwise(fn, tuple(args.items()), dims=dims)


def _renamed(value: Value, names: Mapping[str, str]) -> Value:
    dims = tuple(names.get(dim, dim) for dim in value.dims)
    return value if dims == value.dims else Rename(value, dims=dims)
