"""A `Kernel` or a `SegmentScan` of the IR as the text of one jitted function.

One program walks one segment of one sequence and head (and one block of the blocked axis), with
the carried tiles in registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from eosc.backends.naming import Names, comment, identifier
from eosc.backends.triton.ahead import Ahead
from eosc.backends.triton.frame import Frame, Line, NotPrintableError
from eosc.backends.triton.lines import pipelined, walked
from eosc.backends.triton.order import arranged
from eosc.backends.triton.split import GRADIENTS
from eosc.backends.triton.tiles import Tiles
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Carried,
    Dims,
    Kernel,
    Let,
    Load,
    Per,
    Size,
    Store,
    Update,
    walk,
)
from eosc.ir.shares import Shares

LOCALS = (
    "tl triton torch cu T H N C DT FT PRECISION EXACT VARLEN SPLIT SEGMENT SEGMENTS STEPS BLOCK "
    "program block h n segment slot batch first left last token valid rest start c step chunks "
    "first_chunk least lowest group head one SLOTS index indices entry inside row count state "
    "added run ahead start_ahead valid_ahead COLUMNS QUICK GROUP places fading earlier later sizes"
).split()

RUNNING = (
    ("cu", "", "run.cu"),
    ("T", "", "run.T"),
    ("H", "", "H"),
    ("SEGMENT", "", "run.segment"),
    ("SEGMENTS", "", "run.segments"),
    ("N", "", "run.N"),
    ("STEPS", "", "run.steps"),
)

# Launches over chunks whose blocks are programs all the same: what they share is made quickly.
SHARED_OUT = GRADIENTS

UNSPECIALISED = ("T", "SEGMENT", "SEGMENTS", "N", "STEPS", "SLOTS")

LOWEST = "decay of half a chunk"

GROUP = 8
"""Chunks that a program looks after whose kernel computes few of them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a kernel: its name, whether it is compiled in, and what the launch passes.

    array: of a stride, and of how many heads read the same, the array that has them.
    """

    name: str
    constant: bool
    argument: str
    array: str = ""


@dataclass(frozen=True, slots=True)
class Printed:
    """The text of a kernel. lines: (indent, text, line of the spec); used: runtime functions.

    blocked: the axis that programs share out, if any. group: chunks that a program goes through,
    where it has not one of its own.
    """

    name: str
    parameters: tuple[Parameter, ...]
    doc: str
    lines: tuple[Line, ...]
    used: tuple[str, ...]
    unspecialised: tuple[str, ...]
    blocked: str = ""
    group: int = 0


def folded(items: Iterable[str], width: int) -> list[str]:
    """Items with commas behind them, as lines of at most that width."""
    lines = [""]
    for item in items:
        if lines[-1] and len(lines[-1]) + len(item) + 2 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {item},".lstrip()
    return lines


class Namer:
    """The names that the kernels of an algorithm and their launch share."""

    def __init__(self, algorithm: Algorithm) -> None:
        self.names = Names(LOCALS)
        self.arrays = algorithm.arrays
        axes = dict.fromkeys(axis for each in self.arrays.values() for axis in each.axes)
        self.size = {axis: self.names.fresh(identifier(axis)) for axis in axes}
        self.block = {axis: self.names.fresh(f"BLOCK_{name}") for axis, name in self.size.items()}
        self.host = {name: self.names.of(f"array {name}", name) for name in self.arrays}
        self.tiles: dict[str, str] = {}

    def tile(self, kernel: Kernel, size: str) -> str:
        """The name of the width of a kernel's tiles along an axis of a size. tiles: its text."""
        small = walked(kernel) or kernel.chunk == 1
        text = f"_padded({size})" if small else f"_tile({size}, dtype)"
        name = self.names.of(text, f"{'padded' if small else 'tile'}_{size}")
        self.tiles[name] = text
        return name


def partial_sums(kernel: Kernel, arrays: Mapping[str, Array]) -> tuple[str, ...]:
    """Arrays of which each program that has a block of an axis holds its part of a sum over it."""
    (axis,) = kernel.blocked
    shares = Shares(kernel.body, axis)
    finals = {each.name: each.final for each in kernel.carried}
    written = {
        each.array if isinstance(each, Store) else finals.get(each.state): each.value
        for each in kernel.body
        if isinstance(each, Store | Update)
    }
    return tuple(
        name
        for name, value in written.items()
        if name is not None and axis not in arrays[name].axes and shares.sums(value)
    )


class KernelPrinter:
    """One kernel.

    Args:
        kernel: the kernel.
        namer: names of arrays and axes.
        name: the name of the function.
    """

    def __init__(self, kernel: Kernel, namer: Namer, name: str) -> None:
        # A program that has a chunk of its own takes the blocks in turn: what does not depend on
        # the block is then made once.
        looped = kernel.parallel and kernel.name not in SHARED_OUT
        self.looped = kernel.blocked[0] if kernel.blocked and looped else ""
        kernel = arranged(kernel, self.looped)
        if pipelined(kernel):
            kernel = Ahead(kernel, namer.arrays).parted(kernel)
        self.kernel, self.namer, self.name = kernel, namer, name
        self.step = kernel.chunk == 1
        self.names = Names(
            (*LOCALS, *namer.size.values(), *namer.block.values(), *namer.host.values())
        )
        self.axes = self._axes()
        if len(kernel.blocked) > 1:
            raise NotPrintableError(f"blocks over {kernel.blocked}")
        self.blocked = kernel.blocked[0] if kernel.blocked and not looped else ""
        self.frame = Frame(
            namer.size,
            namer.block,
            {axis: self.names.fresh(f"at_{namer.size[axis]}") for axis in self.axes},
            {axis: self.names.fresh(f"in_{namer.size[axis]}") for axis in self.axes},
        )
        self.used_arrays = self._arrays()
        self.partial = partial_sums(kernel, namer.arrays) if self.blocked else ()
        self.pointers = {
            each.name: (
                namer.host[each.name]
                if each.per is Per.CALL
                else self.names.fresh(f"{namer.host[each.name]}_ptr")
            )
            for each in self.used_arrays
        }
        self.tiles = Tiles(
            kernel,
            namer.arrays,
            self.names,
            self.frame,
            self.pointers,
            apart=not kernel.blocked or kernel.name in SHARED_OUT,
            looped=self.looped,
        )
        # A program that has nothing to do costs as much to start as any other.
        self.grouped = kernel.guard is not None and not kernel.guard.met
        self.opening: list[Line] = []
        self.head: list[Line] = []
        self.tail: list[Line] = []

    def _arrays(self) -> tuple[Array, ...]:
        """The arrays that the kernel is passed: read first, then written."""
        found: dict[str, None] = {}
        body, guard = self.kernel.body, self.kernel.guard
        if guard is not None:
            found.update((name, None) for name in guard.arrays)
        for each in body:
            found.update((v.array, None) for v in walk(each.value) if isinstance(v, Load))
        for carried in self.kernel.carried:
            if carried.initial is not None:
                found[carried.initial] = None
        found.update((each.array, None) for each in body if isinstance(each, Store))
        for carried in self.kernel.carried:
            if carried.final is not None:
                found[carried.final] = None
        return tuple(self.namer.arrays[name] for name in found)

    def _axes(self) -> Dims:
        found: dict[str, None] = {}
        for each in self.kernel.body:
            for value in walk(each.value):
                found.update((dim, None) for dim in value.dims if dim not in ("i", "j"))
                if isinstance(value, Size):
                    found[value.axis] = None
        for carried in self.kernel.carried:
            found.update((dim, None) for dim in carried.dims)
        return tuple(found)

    # Lines

    def _line(
        self, text: str, note: str = "", indent: int = 1, where: list[Line] | None = None
    ) -> None:
        note = comment(note)
        line: Line = (indent, f"{text}  # {note}" if note else text, None)
        (self.head if where is None else where).append(line)

    def print(self) -> Printed:
        """The kernel's text."""
        self._open()
        self._locate()
        if not self.grouped:
            self._guard()
        self._pointers()
        for carried in self.kernel.carried:
            self._begin(carried)
        for statement in self.kernel.body:
            self._statement(statement)
        for carried in self.kernel.carried:
            self._end(carried)
        setup = [(indent + 1, text, spec) for indent, text, spec in self.tiles.setup]
        body = [*setup, *self._loop(), *self.tail]
        if self.grouped:
            body = [*self._group(), *_indented(self.head, 1), *self._own(), *_indented(body, 2)]
        else:
            body = [*self.head, *body]
        lines = [*self.opening, *body]
        return Printed(
            self.name,
            self._parameters(),
            self.kernel.doc,
            tuple(lines),
            tuple(sorted(self.tiles.used)),
            tuple(each.name for each in self._parameters() if each.name in UNSPECIALISED),
            self.blocked,
            GROUP if self.grouped else 0,
        )

    def _open(self) -> None:
        """Which block of the blocked axis the program has."""
        self._line("program = tl.program_id(0)", where=self.opening)
        if self.blocked:
            size, block = self.frame.size[self.blocked], self.frame.block[self.blocked]
            count = f"tl.cdiv({size}, {block})"
            self._line(f"block = program % {count}", f"of {self.blocked}", where=self.opening)
            self._line(f"program = program // {count}", where=self.opening)
        if self.kernel.parallel and not self.step:
            note = "each chunk is a segment of its own"
            self._line("SEGMENT: tl.constexpr = C", note, where=self.opening)
            self._line("SEGMENTS = tl.cdiv(T, C)", where=self.opening)

    def _locate(self) -> None:
        if self.step:
            self._line("h = program % H")
            self._line("n = program // H")
            self._line("index = n.to(tl.int64)", "where the state lies")
            self._line("if indices is not None:")
            self._line("index = tl.load(indices + n).to(tl.int64)", indent=2)
        else:
            place = "h, n, segment, slot, batch, first, left, last"
            args = ("program", *(name for name, _, _ in RUNNING), "VARLEN", "SPLIT")
            if self.kernel.parallel:
                args = (*args[:-1], "True")
            self._line(f"{place} = {self.tiles.call('_locate', *args)}")
            self._line("token = tl.arange(0, C)")
        for axis in self.axes:
            if axis == self.looped:
                continue
            index, block = self.frame.index[axis], self.frame.block[axis]
            text = f"tl.arange(0, {block})"
            if axis == self.blocked:
                text = f"block * {block} + {text}"
                if self._narrow:
                    # Wider loads would spread the tokens of a column over the lanes.
                    text = f"tl.max_contiguous({text}, COLUMNS)"
            self._line(f"{index} = {text}")
            self._line(f"{self.frame.inside[axis]} = {index} < {self.frame.size[axis]}")
        chunked = any(each.per is Per.CHUNK for each in self.used_arrays)
        if chunked and not self.kernel.parallel:
            call = self.tiles.call("_first_chunk", "cu", "n", "T", "C", "VARLEN")
            self._line(f"first_chunk = {call} + segment * (SEGMENT // C)")

    def _guard(self) -> None:
        """Leave the chunk to another kernel where it is not of the kind that this one computes."""
        if self.kernel.guard is not None:
            self._line(f"lowest = {self._lowest('_lowest', 'slot', 'h', 'H')}", LOWEST)
            self._line("if lowest < least:")
            self._line("return", "another kernel computes this chunk", indent=2)

    def _guarded(self) -> Dims:
        """The axes of the guard's arrays."""
        names = () if self.kernel.guard is None else self.kernel.guard.arrays
        return tuple(dict.fromkeys(a for name in names for a in self.namer.arrays[name].axes))

    def _lowest(self, function: str, *where: str) -> str:
        """The least entry of the guard's arrays, of one chunk or of a group."""
        assert self.kernel.guard is not None
        text = ""
        for name in self.kernel.guard.arrays:
            (axis,) = self.namer.arrays[name].axes
            call = self.tiles.call(function, self.pointers[name], *where, self.frame.size[axis])
            text = f"tl.minimum({text}, {call})" if text else call
        return text

    def _group(self) -> list[Line]:
        """Find a program's group of chunks, leave if none is its own, else go through them."""
        lines: list[Line] = []
        size = str(GROUP)
        lowest = self._lowest("_lowest_of", "group", "head", "H", "SLOTS", size)
        moved = [
            self.pointers[each.name]
            for each in self.used_arrays
            if each.per in (Per.TOKEN, Per.HEAD) or each.name in self.partial
        ]
        kept = {name: self.names.fresh(f"{name}_all") for name in moved}
        self._line("head = program % H", where=lines)
        self._line("group = program // H", f"of {size} chunks", where=lines)
        self._line(f"lowest = {lowest}", LOWEST, where=lines)
        self._line("if lowest >= least:", where=lines)
        self._line("return", "another kernel computes all of them", 2, where=lines)
        for name, whole in kept.items():
            self._line(f"{whole} = {name}", where=lines)
        last = f"tl.minimum(group * {size} + {size}, SLOTS)"
        self._line(f"for one in range(group * {size}, {last}):", where=lines)
        self._line("program = one * H + head", indent=2, where=lines)
        for name, whole in kept.items():
            self._line(f"{name} = {whole}", indent=2, where=lines)
        return lines

    def _own(self) -> list[Line]:
        """Whether a chunk of the group is this kernel's."""
        lines: list[Line] = []
        lowest = self._lowest("_lowest", "slot", "h", "H")
        self._line(f"lowest = {lowest}", LOWEST, 2, where=lines)
        self._line("if lowest < least:", indent=2, where=lines)
        return lines

    def _pointers(self) -> None:
        """Move each pointer to the program's sequence and head."""
        call = self.tiles.call
        for each in self.used_arrays:
            p = self.pointers[each.name]
            batch = "n" if self.step else "batch"
            if each.name in self.partial:
                self._line(f"{p} = {p} + block.to(tl.int64) * {p}_o", "its part of the sum")
            if each.per is Per.TOKEN:
                group = f"{p}_g" if self._is_input(each) else "1"
                self._line(f"{p} = {call('_head', p, batch, 'h', f'{p}_b', f'{p}_h', group)}")
            elif each.per is Per.HEAD:
                self._line(f"{p} = {p} + (h // {p}_g) * {p}_h")

    @property
    def _narrow(self) -> bool:
        """Whether loads may be no wider than a thread's columns: tiles have no other axis."""
        return bool(self.blocked) and self.tiles.walks and len(self.kernel.carried[0].dims) == 1

    def _is_input(self, array: Array) -> bool:
        return not any(
            isinstance(each, Store) and each.array == array.name for each in self.kernel.body
        )

    def _place(self, array: Array) -> str:
        """The pointer to a carried tile's entry."""
        p = self.pointers[array.name]
        index = {Per.SEGMENT: "slot", Per.SEQUENCE: "index" if self.step else "n"}.get(array.per)
        if index is None:
            raise NotPrintableError(f"a state in {array.name}, {array.per}")
        size = " * ".join(self.frame.size[axis] for axis in array.axes) or "1"
        row = self.tiles.call("_row", index, "h", "H")
        offset = self.tiles.offset(array.axes, array.axes)
        return f"{p} + {row} * ({size})" + (f" + {offset}" if offset != "0" else "")

    def _begin(self, carried: Carried) -> None:
        name = self.names.fresh(identifier(carried.name))
        self.tiles.states[carried.name] = name
        dims, shape = carried.dims, self.frame.shape(carried.dims)
        note = f"{carried.invariant} {shape if dims else ''}"
        fresh = f"tl.full({shape}, {carried.start}.0, tl.float32)" if dims else f"{carried.start}.0"
        if carried.initial is None:
            self._line(f"{name} = {fresh}", note)
            return
        array = self.namer.arrays[carried.initial]
        mask = f", mask={self.tiles.within(dims)}, other=0.0" if dims else ""
        self._line(f"if {self.pointers[array.name]} is not None:")
        place = self._place(array)
        self._line(f"{name} = tl.load({place}{mask}).to(tl.float32)", note, 2)
        self._line("else:")
        self._line(f"{name} = {fresh}", indent=2)

    def _end(self, carried: Carried) -> None:
        if carried.final is None:
            return
        array = self.namer.arrays[carried.final]
        p, name, dims = self.pointers[array.name], self.tiles.states[carried.name], carried.dims
        conditions = []
        if array.per is Per.SEQUENCE and not self.step:
            conditions.append("last" if self.kernel.direction == 1 else "(segment == 0)")
        if self.blocked and self.blocked not in array.axes and array.name not in self.partial:
            conditions.append("(block == 0)")
        mask = f", mask={self.tiles.within(dims)}" if dims else ""
        text = f"tl.store({self._place(array)}, {name}.to({p}.dtype.element_ty){mask})"
        if not dims:
            text = f"tl.store({self._place(array)}, {name})"
        indent = 1
        if array.per is Per.SEQUENCE:
            self.tail.append((1, f"if {p} is not None:", None))
            indent = 2
        if conditions:
            self.tail.append((indent, f"if {' & '.join(conditions)}:", None))
            indent += 1
        self.tail.append((indent, text, None))

    def _statement(self, statement: Let | Update | Store) -> None:
        tiles = self.tiles
        match statement:
            case Let(name=name):
                tiles.let(name)
            case Update(state=name, value=value, note=note):
                dims = next(each.dims for each in self.kernel.carried if each.name == name)
                text = tiles.full(tiles.value(value, Let(f"{name}_next", value, note)), dims)
                tiles.line(f"{tiles.states[name]} = {text}")
                tiles.forget(name)
            case Store(array=name, value=value, note=note):
                array = self.namer.arrays[name]
                tiles.value(value, Let(f"{name}_new", value, note))
                shared = self.blocked and self.blocked not in array.axes
                first_only = shared and array.name not in self.partial
                tiles.store(array, value, "block == 0" if first_only else "")

    def _loop(self) -> list[Line]:
        tiles = self.tiles
        if self.step:
            return _indented(tiles.body, 1)
        if self.kernel.parallel:
            return self._chunk()
        forward = self.kernel.direction == 1
        lines: list[Line] = [(1, "chunks = tl.cdiv(left, C)", None)]
        if tiles.ahead is not None:
            lines += self._ahead("0" if forward else "chunks - 1", 1)
            lines += _indented(tiles.early, 1)
        lines += [
            (1, "for step in range(chunks):", None),
            (2, f"c = {'step' if forward else 'chunks - 1 - step'}", None),
        ]
        if tiles.ahead is not None:
            lines += self._ahead("c + 1" if forward else "c - 1", 2)
        lines += [
            (2, "rest = left - c * C", None),
            (2, "valid = token < rest", None),
            (2, "start = first + c * C", None),
        ]
        return [*lines, *_indented(tiles.body, 2), *_indented(tiles.early, 2)]

    def _ahead(self, chunk: str, indent: int) -> list[Line]:
        """Load the operands of a chunk."""
        valid = "token < left - ahead * C"
        if self.kernel.direction == -1:
            valid = f"({valid}) & (token >= -ahead * C)"
        return [
            (indent, f"ahead = {chunk}  # the chunk whose operands are loaded", None),
            (indent, "start_ahead = first + ahead * C", None),
            (indent, f"valid_ahead = {valid}", None),
            *_indented(self.tiles.loads, indent),
        ]

    def _chunk(self) -> list[Line]:
        """The body of a program that has one chunk, with a loop over blocks of an axis."""
        lines: list[Line] = [
            (1, "rest = left", None),
            (1, "valid = token < rest", None),
            (1, "start = first", None),
        ]
        lines += [(indent + 1, text, spec) for indent, text, spec in self.tiles.body]
        if self.looped:
            size, block = self.frame.size[self.looped], self.frame.block[self.looped]
            index, inside = self.frame.index[self.looped], self.frame.inside[self.looped]
            lines += [
                (1, f"for block in range(0, {size}, {block}):", None),
                (2, f"{index} = block + tl.arange(0, {block})", None),
                (2, f"{inside} = {index} < {size}", None),
            ]
            lines += [(indent + 2, text, spec) for indent, text, spec in self.tiles.inner]
        return lines

    # Parameters

    def _parameters(self) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        strides: list[Parameter] = []
        for each in self.used_arrays:
            p, host = self.pointers[each.name], self.namer.host[each.name]
            found.append(Parameter(p, False, host))
            behind = int(each.name in self.partial)
            texts = [(name, f"{host}.stride({n})") for n, name in enumerate("o" * behind)]
            if each.per is Per.TOKEN:
                head = 1 if self.step else 2
                letters = "bh" if self.step else "bth"
                texts += [(x, f"{host}.stride({n + behind})") for n, x in enumerate(letters)]
                if self._is_input(each):
                    texts.append(("g", f"H // {host}.shape[{head + behind}]"))
            elif each.per is Per.HEAD:
                texts += [("h", f"{host}.stride(0)"), ("g", f"H // {host}.shape[0]")]
            strides += [Parameter(f"{p}_{x}", x == "t", text, host) for x, text in texts]
        if self.step:
            running = [Parameter("indices", False, "indices"), Parameter("H", False, "H")]
        else:
            unused = ("SEGMENT", "SEGMENTS") if self.kernel.parallel else ()
            running = [
                Parameter(name, False, text) for name, _, text in RUNNING if name not in unused
            ]
            if self.kernel.guard is not None:
                running.append(Parameter("least", False, "least"))
            if self.grouped:
                running.append(Parameter("SLOTS", False, "run.chunks(chunk)"))
        constants: list[Parameter] = []
        for axis in self.axes:
            size, block = self.frame.size[axis], self.frame.block[axis]
            constants.append(Parameter(size, True, size))
            width = self.namer.tile(self.kernel, size)
            text = "block" if axis in self.kernel.blocked else width
            constants.append(Parameter(block, True, text))
        constants += [
            Parameter(self.frame.size[axis], True, self.frame.size[axis])
            for axis in self._guarded()
            if axis not in self.axes
        ]
        if not self.step:
            constants += [
                Parameter("C", True, "chunk"),
                Parameter("DT", True, "DT"),
                Parameter("FT", True, "FT"),
                Parameter("PRECISION", True, "precision"),
                Parameter("EXACT", True, "EXACT"),
                Parameter("VARLEN", True, "run.varlen"),
            ]
            if not self.kernel.parallel:
                constants.append(Parameter("SPLIT", True, "run.split"))
            if self._narrow:
                constants.append(Parameter("COLUMNS", True, "max(2, block // (32 * warps))"))
        return (*found, *running, *strides, *constants)


def _indented(lines: Iterable[Line], more: int) -> list[Line]:
    return [(indent + more, text, spec) for indent, text, spec in lines]
