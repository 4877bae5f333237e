"""Factors of tokens alone, taken out of products.

    sum_K (a_i q_i)(b_j k_j)   ->  a_i b_j sum_K q_i k_j        (on the sums, in fp32)
    sum_i (a_i k_i) n_i        ->  sum_i k_i (a_i n_i)          (on the side that is in registers)

A tile that was loaded then goes into a product as it is: it is rounded to the operands' precision
no second time, and it needs no way from the memory through registers to where products read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from eosc.algebra.scalar import Arg, Fn, S, args_of
from eosc.backends.triton.order import with_operands
from eosc.backends.triton.split import GRADIENTS
from eosc.ir.build import mapped, product
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
    Statement,
    Update,
    Use,
    Value,
    operands,
    walk,
)
from eosc.ir.nodes import Map as Pointwise


def taken_out(algorithm: Algorithm) -> Algorithm:
    """The algorithm with the factors of its products and sums taken out.

    The launch of the gradients is left as it is: no GPU has run it in any other form.
    """
    launches = tuple(
        _Factors(each).kernel()
        if isinstance(each, Kernel) and each.chunk > 1 and each.name not in GRADIENTS
        else each
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
                self.lets[changed.name] = changed.value
            elif isinstance(changed, Update):
                self._done.clear()
            body.append(changed)
        return replace(self.whole, body=tuple(_needed(body)))

    def _rewritten(self, value: Value) -> Value:
        if value not in self._done:
            self._done[value] = self._changed(value)
        return self._done[value]

    def _changed(self, value: Value) -> Value:
        below = {each: self._rewritten(each) for each in operands(value)}
        value = with_operands(value, below)
        if isinstance(value, Dot):
            return self._dot(value)
        return value

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
        sign, multiplied = _multiplied(fn)
        for each in multiplied:
            names = args_of(each)
            dims = {dim for name in names for dim in args[name].dims}
            if len(dims) <= 1 and dims <= {*TIME}:
                factors.append(_only(each, {name: args[name] for name in names}))
                continue
            if isinstance(each, Arg):
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


def _needed(body: list[Statement]) -> list[Statement]:
    """The statements without the names that nothing reads any more."""
    kept: list[Statement] = []
    wanted: set[str] = set()
    for each in reversed(body):
        if isinstance(each, Let) and each.name not in wanted:
            continue
        wanted.update(value.name for value in walk(each.value) if isinstance(value, Use))
        kept.append(each)
    return kept[::-1]


def _multiplied(fn: S) -> tuple[int, list[S]]:
    """The sign and the factors of a product."""
    match fn:
        case Fn("mul", (left, right)):
            one, other = _multiplied(left), _multiplied(right)
            return one[0] * other[0], [*one[1], *other[1]]
        case Fn("neg", (inner,)):
            sign, factors = _multiplied(inner)
            return -sign, factors
    return 1, [fn]


def _only(fn: S, args: Mapping[str, Value]) -> Value:
    """A factor as a value of its own."""
    if isinstance(fn, Arg):
        return args[fn.name]
    dims: Dims = tuple(dict.fromkeys(dim for each in args.values() for dim in each.dims))
    return Pointwise(fn, tuple(args.items()), dims=dims)


def _renamed(value: Value, names: Mapping[str, str]) -> Value:
    dims = tuple(names.get(dim, dim) for dim in value.dims)
    return value if dims == value.dims else Rename(value, dims=dims)
