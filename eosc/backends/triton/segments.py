"""A `SegmentScan` of the IR as the text of one jitted function.

One program takes a block of a state's entries through the segments of a sequence: one by one where
they are few, else as many at once as its loads do not wait for one another.
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.backends.naming import Names
from eosc.backends.triton.kernel import LOCALS, RUNNING, Namer, Parameter, Printed
from eosc.ir.nodes import Array, SegmentScan

GROUP = 8
"""Segments that are combined at once where they are short and many."""


def block(whole: str, group: int) -> str:
    """How many entries of a state a program takes; of a group, a thread has four at most.

    whole: the text of the size of the state.
    """
    return "1024" if group == 1 else f"min(512, _padded({whole}))"


def print_scan(scan: SegmentScan, namer: Namer, name: str, group: int) -> Printed:
    """The kernel that combines segments: the state before each, in place.

    group: segments that are loaded and combined at once.
    """
    size, arrays = namer.size, namer.arrays
    names = Names((*LOCALS, *size.values(), *namer.block.values(), *namer.host.values()))
    pointer = {
        each: names.fresh(f"{namer.host[each]}_ptr")
        for each in (scan.state, *scan.decay, scan.initial)
    }
    whole = " * ".join(size[axis] for axis in scan.axes)
    initial = pointer[scan.initial]
    texts: list[tuple[int, str]] = [
        (1, f"blocks = tl.cdiv({whole}, BLOCK)"),
        (1, "entry = (tl.program_id(0) % blocks) * BLOCK + tl.arange(0, BLOCK)"),
        (1, f"inside = entry < {whole}"),
        (1, "row = tl.program_id(0) // blocks"),
        (1, "h = row % H"),
        (1, "n = row // H"),
        (1, "first, count = _segments(cu, n, T, SEGMENT, SEGMENTS, VARLEN)"),
        (1, f"if {initial} is not None:"),
        (2, f"place = {initial} + row.to(tl.int64) * ({whole}) + entry"),
        (2, "state = tl.load(place, mask=inside, other=0.0).to(tl.float32)"),
        (1, "else:"),
        (2, "state = tl.full([BLOCK], 0.0, tl.float32)"),
    ]
    decays = [(arrays[each], pointer[each]) for each in scan.decay]
    walk = _single if group == 1 else _grouped
    texts += walk(scan, pointer[scan.state], whole, decays, size)
    parameters = [Parameter(pointer[each], False, namer.host[each]) for each in pointer]
    parameters += [
        Parameter(name, False, text) for name, _, text in RUNNING if name not in ("N", "STEPS")
    ]
    parameters += [Parameter(size[axis], True, size[axis]) for axis in scan.axes]
    sizes = {"BLOCK": block(whole, group), "VARLEN": "run.varlen"}
    sizes |= {} if group == 1 else {"GROUP": str(group)}
    parameters += [Parameter(name, True, text) for name, text in sizes.items()]
    return Printed(
        name,
        tuple(parameters),
        "the state before each segment, in place of what each adds",
        tuple((indent, text, None) for indent, text in texts),
        ("_row", "_segments") if group == 1 else ("_end", "_row", "_segments", "_states"),
        ("T", "SEGMENT", "SEGMENTS"),
    )


Decays = list[tuple[Array, str]]


def _single(
    scan: SegmentScan, state: str, whole: str, decays: Decays, size: Mapping[str, str]
) -> list[tuple[int, str]]:
    """One segment after the other."""
    order = "step" if scan.direction == 1 else "count - 1 - step"
    texts = [
        (1, "for step in range(count):"),
        (2, f"at = _row(first + ({order}), h, H)"),
        (2, f"place = {state} + at * ({whole}) + entry"),
        (2, "added = tl.load(place, mask=inside, other=0.0)"),
        (2, "tl.store(place, state, mask=inside)"),
    ]
    for array, pointer in decays:
        index = _entry(array, scan, size, "entry")
        load = f"tl.load({pointer} + {index}, mask=inside, other=0.0)"
        texts.append((2, f"state = state * {load if array.axes else f'tl.load({pointer} + at)'}"))
    return [*texts, (2, "state = state + added")]


def _grouped(
    scan: SegmentScan, state: str, whole: str, decays: Decays, size: Mapping[str, str]
) -> list[tuple[int, str]]:
    """Several segments at once, as the tokens of a walk; behind the last, nothing changes."""
    order = "first + at" if scan.direction == 1 else "first + count - 1 - at"
    texts = [
        (1, "token = tl.arange(0, GROUP)"),
        (1, "for step in range(0, count, GROUP):"),
        (2, "at = step + token"),
        (2, "valid = (at < count)[:, None]"),
        (2, f"at = _row({order}, h, H)[:, None]"),
        (2, f"places = {state} + at * ({whole}) + entry[None, :]"),
        (2, "added = tl.load(places, mask=valid & inside[None, :], other=0.0)"),
        (2, "fading = tl.full([GROUP, BLOCK], 1.0, tl.float32)"),
    ]
    for array, pointer in decays:
        index = _entry(array, scan, size, "entry[None, :]")
        mask = "valid & inside[None, :]" if array.axes else "valid"
        texts.append((2, f"fading = fading * tl.load({pointer} + {index}, mask={mask}, other=1.0)"))
    return [
        *texts,
        (2, "start = (token == 0)[:, None]"),
        (2, "earlier, later = _states(fading, added, state[None, :], start, False)"),
        (2, "tl.store(places, earlier, mask=valid & inside[None, :])"),
        (2, "state = _end(later, (token == GROUP - 1)[:, None])"),
    ]


def _entry(array: Array, scan: SegmentScan, size: Mapping[str, str], entry: str) -> str:
    """The place of a segment's whole decay for each entry of the state."""
    if not array.axes:
        return "at"
    if array.axes == scan.axes:
        return f"at * ({' * '.join(size[axis] for axis in scan.axes)}) + {entry}"
    (axis,) = array.axes
    row, last = scan.axes
    operation = "//" if axis == row else "%"
    return f"at * {size[axis]} + {entry} {operation} {size[last]}"
