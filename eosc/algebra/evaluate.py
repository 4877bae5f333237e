"""The value of a scalar on floats or on torch tensors, by the rows of the table: no text is run."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from eosc.algebra.functions import FUNCTIONS
from eosc.algebra.scalar import Arg, Const, Fn, Inf, S, Select, postorder, rewrite

__all__ = ["evaluate", "expand"]


def expand(s: S, kept: Collection[str] = ()) -> S:
    """`s` by primitive functions only: those that have a float value and a Triton spelling.

    A function that has an expansion is replaced by it, again and again until none is left but those
    that are `kept`; an expansion uses functions nearer to the primitive ones, so this ends.
    """
    while True:
        expanded = rewrite(s, lambda node: _expand_once(node, kept))
        if expanded is s:
            return s
        s = expanded


def _expand_once(node: S, kept: Collection[str]) -> S:
    if isinstance(node, Fn) and node.name not in kept:
        build = FUNCTIONS[node.name].expand
        return node if build is None else build(*node.args)
    return node


def evaluate(s: S, env: Mapping[str, Any]) -> Any:
    """The value of `s`.

    Args:
        s: the scalar.
        env: value of each argument: floats or ints, or torch tensors of one dtype, which broadcast
            and are differentiated through.

    Returns:
        A float where no tensor is below `s`, else a tensor of that dtype (bool for a condition).

    Raises:
        KeyError: an argument has no value.
    """
    dtype = next((v.dtype for v in env.values() if not isinstance(v, float | int)), None)
    values: dict[S, Any] = {}
    for node in postorder(s):
        match node:
            case Const(value):
                values[node] = float(value)
            case Inf(positive):
                values[node] = math.inf if positive else -math.inf
            case Arg(name):
                given = env[name]
                values[node] = float(given) if isinstance(given, int) else given
            case Fn(name, args):
                values[node] = _apply(name, [values[a] for a in args], dtype)
            case Select(cond, then, other):
                values[node] = _choose(values[cond], values[then], values[other], dtype)
            case _:
                raise TypeError(f"not a scalar node: {type(node).__name__}")
    return values[s]


def _apply(name: str, args: list[Any], dtype: Any) -> Any:
    row = FUNCTIONS[name]
    if all(isinstance(a, float) for a in args):
        if row.value is not None:
            return row.value(*args)
        # A function of floats without a value of its own is its expansion.
        names = [f"%{i}" for i in range(len(args))]
        assert row.expand is not None
        body = row.expand(*(Arg(n) for n in names))
        return evaluate(body, dict(zip(names, args, strict=True)))
    import torch

    lift = _truth if name in _CONNECTIVES else _number
    return row.torch.call(torch, *(lift(torch, a, dtype) for a in args))


_CONNECTIVES = ("and", "or", "not")


def _number(torch: Any, value: Any, dtype: Any) -> Any:
    """A value as a tensor of the dtype; a condition used as a number is 1 or 0."""
    return torch.as_tensor(value, dtype=dtype)


def _truth(torch: Any, value: Any, dtype: Any) -> Any:
    """A value as a condition."""
    value = torch.as_tensor(value)
    return value if value.dtype == torch.bool else value != 0


def _choose(cond: Any, then: Any, other: Any, dtype: Any) -> Any:
    if isinstance(cond, float):
        return then if cond != 0 else other
    import torch

    return torch.where(
        _truth(torch, cond, dtype), _number(torch, then, dtype), _number(torch, other, dtype)
    )
