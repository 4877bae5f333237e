"""What a backward need not launch again: what its forward has launched with the same operands.

The scratch of those launches that others read is kept between the two (docs/adr/0014). Nothing here
knows of a family: launches are compared by what they compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from eosc.ir.nodes import (
    Algorithm,
    Array,
    Kernel,
    Load,
    Per,
    SegmentScan,
    Store,
    walk,
)

Launch = Kernel | SegmentScan


@dataclass(frozen=True, slots=True)
class Kept:
    """launches: of a backward, that its forward has run. arrays: what others read of theirs."""

    launches: tuple[str, ...]
    arrays: tuple[Array, ...]


def common(ahead: Mapping[int, Algorithm], back: Mapping[int, Algorithm]) -> Kept | None:
    """What is kept between a forward and its backward, each by chunk length; None for nothing."""
    if {*ahead} != {*back}:
        return None
    found = [_common(ahead[chunk], back[chunk]) for chunk in back]
    return found[0] if found and all(each == found[0] for each in found) else None


def _common(ahead: Algorithm, back: Algorithm) -> Kept | None:
    done = {each.name: each for each in ahead.launches}
    scratch = {each.name: each for each in back.scratch}
    results = {each.name for each in back.outputs}
    again: list[Launch] = []
    there: set[str] = set()
    for each in back.launches:
        made = {*read(each)} & {*scratch} <= there and not {*written(each)} & results
        if made and each.name in done and _computed(each) == _computed(done[each.name]):
            again.append(each)
            there |= {*written(each)}
    while True:
        others = [each for each in back.launches if each not in again]
        needed = {name for each in others for name in read(each)}
        lasting = [each for each in again if not _brief(each, needed, scratch)]
        if lasting == again:
            break
        again = lasting
    there = {name for each in again for name in written(each)}
    arrays = tuple(each for name, each in scratch.items() if name in there & needed)
    return Kept(tuple(each.name for each in again), arrays) if arrays else None


def _brief(launch: Launch, needed: set[str], scratch: Mapping[str, Array]) -> bool:
    """Whether what others need of a launch is of segments, which each call cuts for itself."""
    wanted = {*written(launch)} & needed & {*scratch}
    return any(scratch[name].per not in (Per.CHUNK, Per.TOKEN) for name in wanted)


def _computed(launch: Launch) -> Launch:
    """A launch without what is said of it and without the last states that it leaves."""
    if isinstance(launch, SegmentScan):
        return launch
    carried = tuple(replace(each, final=None, invariant="") for each in launch.carried)
    body = tuple(replace(each, note="") for each in launch.body)
    return replace(launch, carried=carried, body=body, doc="")


def read(launch: Launch) -> Iterator[str]:
    """The arrays that a launch reads."""
    if isinstance(launch, SegmentScan):
        yield from (launch.state, *launch.decay, launch.initial)
        return
    for statement in launch.body:
        yield from (each.array for each in walk(statement.value) if isinstance(each, Load))
    yield from (each.initial for each in launch.carried if each.initial is not None)
    if launch.guard is not None:
        yield from launch.guard.arrays


def written(launch: Launch) -> Iterator[str]:
    """The arrays that a launch writes."""
    if isinstance(launch, SegmentScan):
        yield launch.state
        return
    yield from (each.array for each in launch.body if isinstance(each, Store))
    yield from (each.final for each in launch.carried if each.final is not None)
