"""What a kernel must be to be read as one walk over whole tiles."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.ir.nodes import (
    Algorithm,
    Array,
    Kernel,
    Let,
    Load,
    Map,
    Store,
    Sum,
    Value,
)
from eosc.ir.shares import Shares
from eosc.prove.algorithms.scalars import Unreadable


def check_kernel(kernel: Kernel, arrays: Mapping[str, Array]) -> None:
    """That a launch may be read as one walk over whole tiles.

    Raises:
        Unreadable: programs that share out an axis would have to sum over it, and what they store
            does not add up to that sum; chunks side by side would have to carry; or a launch that
            is left out for one segment does more than to start segments.
    """
    if kernel.parallel and kernel.carried:
        raise Unreadable(f"{kernel.name} carries tiles from one program to another")
    for statement in kernel.body:
        if kernel.segmented and isinstance(statement, Store):
            raise Unreadable(
                f"{kernel.name} stores {statement.array} only where there are segments"
            )
    for axis in kernel.blocked:
        _check_shares(kernel, arrays, axis)


def _check_shares(kernel: Kernel, arrays: Mapping[str, Array], axis: str) -> None:
    """That each sum over an axis that programs share out is stored as parts that add up.

    The parts of a gradient without the axis are added once the programs are done, where a sum over
    the axis stands in its value.
    """
    shares = Shares(kernel.body, axis)
    finals = {each.name: each.final for each in kernel.carried}
    for statement in kernel.body:
        if isinstance(statement, Let) or not shares.sums(statement.value):
            continue
        into = statement.array if isinstance(statement, Store) else finals[statement.state]
        added = into is not None and into.startswith("d_") and axis not in arrays[into].axes
        if not added or not shares.adds(statement.value):
            raise Unreadable(f"{kernel.name} sums over an axis that its programs share out")


def lengths(algorithm: Algorithm) -> set[int]:
    """The chunk lengths of the kernels."""
    return {each.chunk for each in algorithm.kernels}


def bare(value: Value) -> Value:
    """A prologue without its time dimension, to compare those of tokens and of chunks."""
    dims = tuple(name for name in value.dims if name != "i")
    match value:
        case Load(array=array):
            return Load(array, dims=dims)
        case Map(fn=fn, args=args):
            return Map(fn, tuple((name, bare(arg)) for name, arg in args), dims=dims)
        case Sum(arg=arg, over=over):
            return Sum(bare(arg), over, dims=dims)
    return value
