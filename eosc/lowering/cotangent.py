"""From the cotangents of a scan's prologues to the gradients of its raw operands.

The prologues are pointwise expressions with sums over one axis; their derivative is taken here,
in reverse mode, and fused into the stores of the backward kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from eosc.algebra.derivative import grad
from eosc.algebra.scalar import Arg, S, args_of
from eosc.ir.build import mapped, merge, summed, total
from eosc.ir.nodes import (
    Array,
    Carried,
    Load,
    Map,
    Per,
    Precision,
    Size,
    State,
    Statement,
    Store,
    Sum,
    Update,
    Value,
)


class Prologued(Protocol):
    """A scan, as far as its gradients go."""

    @property
    def operands(self) -> tuple[Array, ...]:
        """The arrays that the prologues load."""
        ...

    @property
    def trainable(self) -> tuple[str, ...]:
        """Names of those that get a gradient."""
        ...

    def prologues(self) -> Iterator[tuple[str, Value]]:
        """The named prologues."""
        ...


def pull_back(value: Value, cotangent: Value, into: dict[str, list[Value]]) -> None:
    """Add to `into`, per array, what `cotangent` of `value` gives each array that it loads."""
    match value:
        case Load(array=array):
            into.setdefault(array, []).append(_reduced(cotangent, value))
        case Map(fn=fn, args=args):
            for name, arg in args:
                if isinstance(arg, Size):
                    continue
                slope = grad(fn, name)
                # The cotangent takes a name that no argument has.
                local = mapped_named(slope * Arg("cotangent"), (("cotangent", cotangent), *args))
                pull_back(arg, _reduced(local, arg), into)
        case Sum(arg=arg):
            pull_back(arg, cotangent, into)
        case _:
            raise TypeError(f"a prologue holds loads, maps and sums, not {type(value).__name__}")


def mapped_named(fn: S, args: tuple[tuple[str, Value], ...]) -> Map:
    """A map over those of the named arguments that the function uses."""
    used = set(args_of(fn))
    kept = tuple((name, arg) for name, arg in args if name in used)
    return Map(fn, kept, dims=merge(*(arg.dims for _, arg in kept)))


def gradients(
    scan: Prologued, cotangents: dict[str, Value], parallel: bool = False
) -> tuple[tuple[Statement, ...], tuple[Carried, ...], tuple[Array, ...]]:
    """The statements that store the gradients of the trainable operands, and what they need.

    Operands without time gather their gradient in a carried tile, one a sequence and head; where
    chunks are `parallel`, in one entry a chunk.
    """
    into: dict[str, list[Value]] = {}
    for name, part in scan.prologues():
        if name in cotangents:
            pull_back(part, cotangents[name], into)
    statements: list[Statement] = []
    carried: list[Carried] = []
    outputs: list[Array] = []
    for operand in scan.operands:
        if operand.name not in scan.trainable:
            continue
        name = f"d_{operand.name}"
        gathered = total(into[operand.name]) if operand.name in into else None
        if gathered is None:
            raise ValueError(f"no gradient reaches {operand.name}")
        if operand.per is Per.TOKEN:
            outputs.append(Array(name, operand.axes, Per.TOKEN, operand.precision))
            statements.append(Store(name, gathered, f"gradient of {operand.name}"))
        elif parallel:
            outputs.append(Array(name, operand.axes, Per.CHUNK, Precision.ACCUMULATOR))
            part = summed(gathered, "i")
            statements.append(Store(name, part, f"gradient of {operand.name}, of this chunk"))
        else:
            outputs.append(Array(name, operand.axes, Per.SEGMENT, Precision.ACCUMULATOR))
            carried.append(Carried(name, operand.axes, final=name, invariant="of later tokens"))
            more = total((State(name, dims=operand.axes), summed(gathered, "i")))
            statements.append(Update(name, more, f"gradient of {operand.name}"))
    return tuple(statements), tuple(carried), tuple(outputs)


def _reduced(cotangent: Value, like: Value) -> Value:
    """The cotangent summed over the dimensions that were broadcast."""
    extra = tuple(name for name in cotangent.dims if name not in like.dims)
    reduced = summed(cotangent, *extra)
    if set(reduced.dims) == set(like.dims):
        return reduced
    # A constant slope does not show every dimension; spell them out.
    return mapped(Arg("a0") + 0 * Arg("a1"), reduced, like, dims=like.dims)
