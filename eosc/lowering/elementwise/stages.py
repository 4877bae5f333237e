"""Pointwise functions in stages: what lacks a dimension of the result is made without it.

    exp(a[K, V]) * softplus(d[i, V])   ->   x1[K, V] * x2[i, V]

Written as one function over (i, K, V) its parts would be computed once for each entry.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.algebra.scalar import Arg, Fn, S, Select, args_of, children, rebuild
from eosc.ir.nodes import Dims, Map, Sum, Value


def staged(value: Value, order: Dims) -> Value:
    """The value as maps over no more dimensions than their arguments have, laid out in `order`."""
    match value:
        case Map():
            return _Stages(value, order).value()
        case Sum(arg=arg):
            return replace(value, arg=staged(arg, order))
    return value


class _Stages:
    """One map, taken apart."""

    def __init__(self, value: Map, order: Dims) -> None:
        self.order = order
        self.dims = self._ordered(value.dims)
        self.args = {name: staged(arg, order) for name, arg in value.args}
        self.fn = value.fn
        self.parts: dict[S, Arg] = {}

    def value(self) -> Value:
        return self._map(self._parted(self.fn, self.dims), self.dims)

    def _ordered(self, dims: Dims) -> Dims:
        return tuple(sorted(dims, key=self.order.index))

    def _dims(self, fn: S) -> Dims:
        return self._ordered(tuple({d: None for name in args_of(fn) for d in self.args[name].dims}))

    def _map(self, fn: S, dims: Dims) -> Map:
        return Map(fn, tuple((name, self.args[name]) for name in args_of(fn)), dims=dims)

    def _parted(self, fn: S, dims: Dims) -> S:
        """The function over `dims`, its smaller sub-terms replaced by arguments."""
        parts = []
        for part in children(fn):
            own = self._dims(part)
            inner = self._parted(part, own)
            if own != dims and isinstance(part, Fn | Select) and args_of(part):
                inner = self._named(part, inner, own)
            parts.append(inner)
        return rebuild(fn, tuple(parts)) if parts else fn

    def _named(self, part: S, inner: S, dims: Dims) -> Arg:
        if part not in self.parts:
            name = f"stage_{len(self.parts) + 1}"
            self.parts[part] = Arg(name)
            self.args[name] = self._map(inner, dims)
        return self.parts[part]
