"""Print an `Algorithm` for people: its arrays, its launches, one line a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eosc.algebra.scalar import Arg, substitute
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Decay,
    Dot,
    Inverse,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Recur,
    Rename,
    Round,
    Running,
    SegmentScan,
    Size,
    State,
    Store,
    Sum,
    Update,
    Use,
    Value,
)


def show(algorithm: Algorithm) -> str:
    """The algorithm as text, one statement a line."""
    return "\n".join(_algorithm(algorithm))


def show_value(value: Value) -> str:
    """A value in the notation of the designs: `sum_K s * e`, `D(start, i]`, `masked(…, j <= i)`."""
    match value:
        case Load(array=array):
            return f"{array}[{', '.join(value.dims)}]"
        case Use(name=name) | State(name=name):
            return name
        case Size(axis=axis):
            return f"|{axis}|"
        case Map(fn=fn, args=args):
            return str(substitute(fn, {name: Arg(show_value(arg)) for name, arg in args}))
        case Dot(left=left, right=right, over=over):
            return f"sum_{over}({show_value(left)} . {show_value(right)})"
        case Sum(arg=arg, over=over):
            return f"sum_{''.join(over)}({show_value(arg)})"
        case LogDecay(arg=arg):
            return f"log-decay({show_value(arg)})"
        case Decay(log=log, low=low, high=high):
            return f"D[{show_value(log)}]({low}, {high}]"
        case Mask(arg=arg, relation=relation):
            return f"where({relation}, {show_value(arg)})"
        case Inverse(arg=arg):
            return f"inverse(1 + {show_value(arg)})"
        case Rename(arg=arg):
            return f"{show_value(arg)} as [{', '.join(value.dims)}]"
        case Round(arg=arg):
            return f"round({show_value(arg)})"
        case Running(arg=arg, suffix=suffix, strict=strict):
            order = (">" if suffix else "<") + ("" if strict else "=")
            return f"sum_(. {order} i)({show_value(arg)})"
        case Recur(decay=decay, write=write, start=start, direction=direction, read=read):
            step = f"{show_value(decay)} * . + {show_value(write)}"
            way = "forward" if direction == 1 else "reverse"
            return f"recur({step}, {way} from {show_value(start)}).{read}"
    raise TypeError(f"no notation for {type(value).__name__}")


def _algorithm(algorithm: Algorithm) -> Iterator[str]:
    yield f"algorithm {algorithm.name}: {algorithm.doc}"
    for role, arrays in (
        ("in", algorithm.inputs),
        ("out", algorithm.outputs),
        ("scratch", algorithm.scratch),
    ):
        if arrays:
            yield f"    {role:8}{', '.join(_array(each) for each in arrays)}"
    for launch in algorithm.launches:
        yield from (_kernel(launch) if isinstance(launch, Kernel) else _scan(launch))


def _array(array: Array) -> str:
    return f"{array.name}[{', '.join((array.per.value, *array.axes))}]"


def _scan(scan: SegmentScan) -> Iterator[str]:
    order = "forward" if scan.direction == 1 else "reverse"
    yield f"  scan {scan.name}: {scan.state} over segments, {order}, from {scan.initial}"


def _kernel(kernel: Kernel) -> Iterator[str]:
    only = ", only where there are several segments" if kernel.segmented else ""
    blocks = f", blocks of {'/'.join(kernel.blocked)}" if kernel.blocked else ""
    yield f"  kernel {kernel.name}: {kernel.doc}{only}{blocks}"
    if kernel.guard is not None:
        order = ">=" if kernel.guard.met else "not >="
        yield f"    of chunks where {', '.join(kernel.guard.arrays)} {order} {kernel.guard.least}"
    for each in kernel.carried:
        start = each.initial if each.initial is not None else each.start
        end = f" -> {each.final}" if each.final is not None else ""
        means = f"    # {each.invariant}" if each.invariant else ""
        yield f"    state {each.name}[{', '.join(each.dims)}] = {start}{end}{means}"
    unit = "tokens" if kernel.chunk == 1 else f"chunks of {kernel.chunk}"
    yield f"    loop over {unit}, {'forward' if kernel.direction == 1 else 'reverse'}"
    yield from _aligned(_statement(each) for each in kernel.body)


def _statement(statement: Let | Update | Store) -> tuple[str, str]:
    match statement:
        case Let(name=name, value=value, note=note):
            return f"let {name} = {show_value(value)}", note
        case Update(state=name, value=value, note=note):
            return f"update {name} = {show_value(value)}", note
        case Store(array=name, value=value, note=note):
            return f"store {name} = {show_value(value)}", note


def _aligned(lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    for text, note in lines:
        yield f"      {text}" + (f"    # {note}" if note else "")
