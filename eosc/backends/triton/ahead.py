"""What a walk over tiles of two axes makes ahead: loads, and functions of one token's operands.

    load x of the first chunk; f = f(x)
    for each chunk:
        load x of the next
        what needs f
        f = f(x)

A chunk's steps wait for one another, and few programs run side by side, so that nothing else hides
how long a load takes. And what is carried from a chunk to the next is spread over the threads,
where a value made in place is made again by every thread that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import Arg, Fn, S, args_of, children, rebuild
from eosc.backends.triton.fixed import Fixed
from eosc.ir.build import with_operands
from eosc.ir.nodes import (
    Array,
    Dims,
    Kernel,
    Let,
    Load,
    Map,
    Per,
    Use,
    Value,
    walk,
)

_FEW = ("neg", "add", "sub", "mul")
"""Functions that cost no more than reading what was made ahead."""


class Ahead:
    """Which values of one kernel are made a chunk ahead.

    Args:
        kernel: the kernel.
        arrays: the arrays of its algorithm.
    """

    def __init__(self, kernel: Kernel, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.values = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
        self._made: dict[Value, bool] = {}
        self.fixed = Fixed(arrays, self.values)

    def loaded(self, value: Value) -> bool:
        """Whether the value is an operand that is loaded for each chunk."""
        return isinstance(value, Load) and self.arrays[value.array].per in (Per.TOKEN, Per.CHUNK)

    def made(self, value: Value) -> bool:
        """Whether the value is a small function of one token's operands."""
        if value not in self._made:
            self._made[value] = self._is_made(value)
        return self._made[value]

    def _is_made(self, value: Value) -> bool:
        match value:
            case Load(array=array, dims=dims):
                return self.arrays[array].per is Per.TOKEN and _small(dims)
            case Use(name=name):
                return self.made(self.values[name])
            case Map(args=args, dims=dims):
                parts = [arg for _, arg in args]
                known = all(self.made(arg) or self.fixed(arg) for arg in parts)
                return _small(dims) and known and any(self.made(arg) for arg in parts)
        return False

    def parted(self, kernel: Kernel) -> Kernel:
        """The kernel, its maps divided into what is made ahead and the rest."""
        change: dict[Value, Value] = {}
        for statement in kernel.body:
            for each in reversed(list(walk(statement.value))):
                if isinstance(each, Map) and each not in change and not self.made(each):
                    inner = {k: v for k, v in change.items() if k != each}
                    divided = self._divided(each)
                    if divided != each:
                        change[each] = with_operands(divided, inner)
        body = tuple(replace(part, value=with_operands(part.value, change)) for part in kernel.body)
        return replace(kernel, body=body)

    def _divided(self, value: Map) -> Map:
        given = dict(value.args)
        apart: dict[S, Map] = {}

        def go(node: S) -> S:
            names = args_of(node)
            known = all(self.made(given[name]) or self.fixed(given[name]) for name in names)
            if known and any(self.made(given[name]) for name in names) and _costs(node):
                args = tuple((name, given[name]) for name in names)
                have = {dim for _, arg in args for dim in arg.dims}
                dims = tuple(dim for dim in value.dims if dim in have)
                if _small(dims):
                    apart[node] = Map(node, args, dims=dims)
                    return Arg(f"ahead_{list(apart).index(node)}")
            parts = children(node)
            return rebuild(node, tuple(go(part) for part in parts)) if parts else node

        fn = go(value.fn)
        if not apart:
            return value
        new = {f"ahead_{n}": part for n, part in enumerate(apart.values())}
        args = tuple((name, {**given, **new}[name]) for name in args_of(fn))
        return replace(value, fn=fn, args=args)


def _small(dims: Dims) -> bool:
    return len([dim for dim in dims if dim != "i"]) <= 1


def _costs(node: S) -> bool:
    """Whether a function is worth making apart: not a truth value, nor mere arithmetic."""
    if not isinstance(node, Fn) or FUNCTIONS[node.name].truth:
        return False
    return node.name not in _FEW or any(_costs(part) for part in children(node))
