"""Which axis the programs of a launch share out, where the decay varies over K or V.

A walk whose decay varies over K is cut along K, so that each factor of the decay is made once.
A launch over chunks is split by what its stores sum over, so that each part can be cut:

A store that sums over V alone can have its K shared out among programs, and the other way round.
What has no feature axis goes with the first, too: where it is linear in its sums over K, each
program stores its part, and where it has nothing of K, one program stores it. Chunks are
independent here, so each part is a launch of its own that makes what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eosc.ir.nodes import (
    TIME,
    Algorithm,
    Dims,
    Dot,
    Kernel,
    Let,
    SegmentScan,
    Store,
    Sum,
    Use,
    Value,
    walk,
)
from eosc.ir.shares import Shares
from eosc.lowering.guarded import SUFFIX
from eosc.lowering.scan import Scan

GRADIENTS = ("gradients", f"gradients{SUFFIX}")
"""The launches that are split: they have many stores."""


def split(algorithm: Algorithm, scan: Scan) -> Algorithm:
    """The algorithm with its walks cut along K where that pays, and its gradients in parts.

    Ensures: launches over chunks that have no blocks yet become up to three.
    """
    key, value = scan.key, scan.value
    on_key = scan.log_key is not None and scan.log_value is None
    launches: list[Kernel | SegmentScan] = []
    for each in algorithm.launches:
        if isinstance(each, SegmentScan):
            launches.append(each)
        elif each.parallel and not each.blocked and each.name in GRADIENTS:
            launches += _parts(each, key, value)
        elif not each.parallel and on_key and not _sums_over(each, key):
            launches.append(replace(each, blocked=(key,)))
        else:
            launches.append(each)
    return replace(algorithm, launches=tuple(launches))


def _sums_over(kernel: Kernel, axis: str) -> bool:
    lets = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
    return any(axis in _contracted(each.value, lets) for each in kernel.body)


def _parts(kernel: Kernel, key: str, value: str) -> list[Kernel]:
    lets = {each.name: each.value for each in kernel.body if isinstance(each, Let)}
    shares = Shares(kernel.body, key)
    groups: dict[str, list[Store]] = {"whole": [], value: [], key: []}
    for each in kernel.body:
        if isinstance(each, Store):
            over, shown = _contracted(each.value, lets), _shown(each.value, lets)
            free = [axis for axis in (key, value) if axis in shown and axis not in over]
            plain = not {key, value} & {*each.value.dims}
            apart = key not in over | shown
            if not free and plain and (apart or shares.adds(each.value)):
                free = [key]
            groups[free[0] if free else "whole"].append(each)
    if groups[key]:
        # What sums over nothing needs no launch of its own: the first block stores it.
        alone = [each for each in groups[value] if not _contracted(each.value, lets)]
        groups[value] = [each for each in groups[value] if each not in alone]
        groups[key] = [*alone, *groups[key]]
    lines = tuple(each for each in kernel.body if isinstance(each, Let))
    parts = []
    for place, stores in groups.items():
        if not stores:
            continue
        blocked: Dims = () if place == "whole" else (place,)
        suffix = {"whole": "_whole", value: "_value", key: ""}[place]
        doc = f"{kernel.doc}: {', '.join(store.array for store in stores)}"
        parts.append(
            replace(
                kernel,
                name=f"{kernel.name}{suffix}",
                body=(*lines, *stores),
                blocked=blocked,
                doc=doc,
            )
        )
    return parts


def _contracted(value: Value, lets: dict[str, Value]) -> set[str]:
    """The feature axes that anything behind the value sums over."""
    found: set[str] = set()
    for each in _behind(value, lets):
        if isinstance(each, Dot) and each.over not in TIME:
            found.add(each.over)
        elif isinstance(each, Sum):
            found.update(dim for dim in each.over if dim not in TIME)
    return found


def _shown(value: Value, lets: dict[str, Value]) -> set[str]:
    """The feature axes of anything behind the value."""
    return {dim for each in _behind(value, lets) for dim in each.dims if dim not in TIME}


def _behind(value: Value, lets: dict[str, Value]) -> Iterator[Value]:
    """The value and what it is made of, through the names that it uses."""
    seen: set[str] = set()
    stack = [value]
    while stack:
        for each in walk(stack.pop()):
            yield each
            if isinstance(each, Use) and each.name in lets and each.name not in seen:
                seen.add(each.name)
                stack.append(lets[each.name])
