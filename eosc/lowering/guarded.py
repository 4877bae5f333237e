"""A gate without a bound, checked as it runs: each chunk in the cheapest form that its gate allows.

Halving is exact for any gate, and costs a product a level. About the middle of the chunk all pairs
are one product, as long as the decay between the middle and each token stays in range. No spec has
to promise that: the walk over the states has the decays of both halves of each chunk, and stores
them (a launch of its own does, where chunks are prepared before the walk). Of two kernels for the
same chunks each then computes those that are its own.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from eosc.ir.nodes import (
    END,
    START,
    Algorithm,
    Array,
    Decay,
    Guard,
    Kernel,
    Let,
    LogDecay,
    Per,
    Point,
    Precision,
    SegmentScan,
    Statement,
    Store,
    Update,
    Use,
)
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan, constant_in_time

LEAST = Fraction(1, 2**86)
"""The smallest decay of half a chunk for the form about the middle.

A factor is then at most 2**86, which leaves 2**41 for operands and sums of their products; no
factor comes near the smallest normal number, 2**-126.
"""

REACH = Fraction(60)
"""More than -log(LEAST), in nats."""

SUFFIX = "_mild"

CHECKED = "gates in range"
"""What holds of the chunks in the cheaper form."""


def guardable(scan: Scan, form: Form) -> bool:
    """Whether chunks can be in a cheaper form than the certified one, if their gate allows it."""
    logs = [part for name, part in scan.logs() if name != "g0"]
    return bool(logs) and form.base < form.chunk and not any(map(constant_in_time, logs))


def guarded(scan: Scan, wide: Algorithm, mild: Algorithm) -> Algorithm:
    """One algorithm of two forms: `mild` for the chunks whose gate allows it, `wide` for the rest.

    Requires: both store the states between chunks, and `wide` is right for any gate.
    """
    stores, arrays = _halves(scan, max(each.chunk for each in wide.kernels))
    names = tuple(each.name for each in arrays)
    launches: list[Kernel | SegmentScan] = []
    ready = False
    for each, other in zip(wide.launches, mild.launches, strict=True):
        if isinstance(each, SegmentScan):
            launches.append(each)
        elif not each.parallel:
            first = each.name == "states" and not ready
            launches.append(_with_stores(each, stores) if first else each)
            ready = ready or first
        else:
            assert isinstance(other, Kernel) and other.name == each.name
            if other.body == each.body:
                launches.append(each)  # without a decay there is one form
                continue
            if not ready:
                launches.append(_alone(scan, each.chunk, stores))
                ready = True
            launches += [
                replace(other, name=f"{other.name}{SUFFIX}", guard=Guard(names, LEAST, True)),
                replace(each, guard=Guard(names, LEAST, False)),
            ]
    return replace(
        wide,
        launches=tuple(launches),
        scratch=(*wide.scratch, *arrays),
        doc=f"{wide.doc}; each chunk in the form that its gate allows",
    )


def alternatives(algorithm: Algorithm) -> tuple[tuple[str, Algorithm], ...]:
    """What an algorithm is if all chunks were of one kind: no guards, and nothing stored for them.

    Each is named by what holds of its chunks; an algorithm without guards is its only one.
    """
    guards = [each.guard for each in algorithm.kernels if each.guard is not None]
    if not guards:
        return (("", algorithm),)
    names = guards[0].arrays
    found = []
    for label, met in (("", False), (CHECKED, True)):
        launches = tuple(
            _without(each, names) if isinstance(each, Kernel) else each
            for each in algorithm.launches
            if not isinstance(each, Kernel) or each.guard is None or each.guard.met == met
        )
        scratch = tuple(each for each in algorithm.scratch if each.name not in names)
        found.append((label, replace(algorithm, launches=launches, scratch=scratch)))
    return tuple(found)


def _halves(scan: Scan, chunk: int) -> tuple[tuple[Statement, ...], tuple[Array, ...]]:
    """The decays of both halves of a chunk over K and over V: how they are stored, and where."""
    middle = Point("middle", "i", chunk)
    stores: list[Statement] = []
    arrays: list[Array] = []
    for name, log in scan.logs():
        axes = tuple(axis for axis in log.dims if axis != "i")
        for half, low, high in (("first", START, middle), ("second", middle, END)):
            if not axes:
                continue
            array = Array(f"{half}_{name[1:]}", axes, Per.CHUNK, Precision.ACCUMULATOR)
            value = Decay(Use(name, dims=log.dims), low, high, dims=axes)
            arrays.append(array)
            stores.append(Store(array.name, value, f"decay of the {half} half of the chunk"))
    return tuple(stores), tuple(arrays)


def _alone(scan: Scan, chunk: int, stores: tuple[Statement, ...]) -> Kernel:
    """The stores as a launch of their own, before the chunks are prepared."""
    lets = tuple(Let(name, LogDecay(part, dims=part.dims)) for name, part in scan.logs())
    doc = "what the gate of each chunk allows"
    return Kernel("halves", chunk, 1, (), (*lets, *stores), parallel=True, doc=doc)


def _with_stores(kernel: Kernel, stores: tuple[Statement, ...]) -> Kernel:
    """The kernel with stores before its first update."""
    first = next(n for n, each in enumerate(kernel.body) if isinstance(each, Update))
    return replace(kernel, body=(*kernel.body[:first], *stores, *kernel.body[first:]))


def _without(kernel: Kernel, arrays: tuple[str, ...]) -> Kernel:
    """The kernel without its guard and its stores to some arrays."""
    body = tuple(
        each for each in kernel.body if not (isinstance(each, Store) and each.array in arrays)
    )
    return replace(kernel, body=body, guard=None)
