"""The functions that launch the kernels of an `Algorithm`, with the interface of the torch ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from eosc.backends.triton.frame import Line, NotPrintableError
from eosc.backends.triton.kept import Kept, read, written
from eosc.backends.triton.kernel import (
    KernelPrinter,
    Namer,
    Printed,
    folded,
    partial_sums,
)
from eosc.backends.triton.lines import walked
from eosc.backends.triton.segments import GROUP, block, print_scan
from eosc.backends.triton.strides import Strides
from eosc.ir.nodes import (
    Algorithm,
    Array,
    Dot,
    Kernel,
    Load,
    Per,
    Precision,
    SegmentScan,
    Store,
    walk,
)

RESIDENT, SHORTEST = (16, 8), 64
"""Warps a processor that a walk over a memory of one axis, of two wants; its shortest segment."""

MANY = 3
"""Tiles a chunk of which a walk may always load as many stages as the table says."""

STATES = ("initial_state", "dy", "d_final_state")

KEPT = "kept: torch.Tensor | None = None"


@dataclass(frozen=True, slots=True)
class Launcher:
    """A public function: parameters, docstring and lines (indent, text, line of the spec).

    prepared: it launches kernels, which are compiled before its first call, and repeats launches.
    behind: the forward that keeps something for it, with whose kernels its own are compiled.
    """

    name: str
    parameters: tuple[str, ...]
    returns: str
    doc: str
    lines: tuple[Line, ...]
    prepared: bool = False
    behind: str = ""


class Kernels:
    """The kernels of a scan by name; those with the same text are one."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.printed: dict[str, Printed] = {}

    def add(self, printed: Printed, tag: str = "") -> str:
        """The name of a kernel: with the tag, then a number, where others have the name."""
        base, n = f"_{self.prefix}_{printed.name}_kernel", 1
        name = base
        while name in self.printed and not _same(self.printed[name], printed):
            name = f"{base}_{tag.rstrip('_')}" if tag and n == 1 else f"{base}_{tag}{n}"
            n += 1
        self.printed.setdefault(name, replace(printed, name=name))
        return name


def _same(one: Printed, other: Printed) -> bool:
    return one.lines == other.lines and one.parameters == other.parameters


def print_chunked(
    forms: Mapping[int, Algorithm],
    name: str,
    kernels: Kernels,
    typed: tuple[str, ...],
    kept: Kept | None = None,
) -> Launcher:
    """The function of an algorithm that exists for several chunk lengths.

    forms: by chunk length, the same algorithm in the form of that length.
    name: the name of the function. kernels: where its kernels go. kept: between a forward and its
    backward, where that is anything; the function then takes room for it, or what it holds.
    """
    return _Launch(forms, name, kernels, typed, kept).launcher()


def leading(algorithm: Algorithm) -> Kernel | SegmentScan:
    """The launch whose configuration the others follow: the last one that shares out an axis."""
    shared = [each for each in algorithm.kernels if each.parallel and each.blocked]
    return shared[-1] if shared else algorithm.launches[-1]


class _Launch:
    """One function."""

    def __init__(
        self,
        forms: Mapping[int, Algorithm],
        name: str,
        kernels: Kernels,
        typed: tuple[str, ...],
        kept: Kept | None,
    ) -> None:
        self.forms, self.name, self.kernels, self.typed = forms, name, kernels, typed
        self.kept = kept
        self.algorithm = next(iter(forms.values()))
        self.namer = Namer(self.algorithm)
        self.host = self.namer.host
        self.lines: list[Line] = []
        self.inputs = self.algorithm.inputs
        self.main = leading(self.algorithm)
        self.partial: tuple[str, ...] = ()
        lasting = (*self.algorithm.inputs, *self.algorithm.outputs)
        self.strides = Strides(self.namer, [self.host[each.name] for each in lasting])

    def line(self, text: str, indent: int = 1) -> None:
        self.lines.append((indent, text, None))

    def launcher(self) -> Launcher:
        """The function."""
        self._open()
        sized = len(self.lines)
        self._lay_out()
        placed = self._allocate()
        for n, launch in enumerate(self.algorithm.launches):
            conditions = self._conditions(launch)
            if conditions:
                self.line(f"if {' and '.join(conditions)}:")
            indent = 2 if conditions else 1
            if isinstance(launch, SegmentScan):
                self._scan(launch, indent)
            else:
                self._launch(n, launch, indent)
        results = [self._result(each) for each in self.algorithm.outputs]
        self.line(f"return {', '.join(results)}")
        self.lines[placed:placed] = [(1, each, None) for each in self.strides.lines()]
        self.lines[sized:sized] = [(1, each, None) for each in tile_lines(self.namer)]
        return Launcher(
            self.name,
            (*parameters(self.algorithm, self.host), *([KEPT] if self.kept else [])),
            f"tuple[{', '.join(['torch.Tensor'] * len(results))}]",
            self.algorithm.doc,
            tuple(_merged(self.lines)),
            prepared=True,
        )

    def _conditions(self, launch: Kernel | SegmentScan) -> list[str]:
        """When a launch runs."""
        found = ["kept is None"] if self.kept and self._backward and self._again(launch) else []
        if isinstance(launch, SegmentScan) or launch.segmented:
            return [*found, "run.split"]
        if launch.guard is not None and launch.guard.met:
            return [*found, "least <= 1.0"]
        return found

    @property
    def _backward(self) -> bool:
        return any(each.name == "dy" for each in self.inputs)

    def _again(self, launch: Kernel | SegmentScan) -> bool:
        """Whether a forward that keeps its scratch has run a launch."""
        return self.kept is not None and launch.name in self.kept.launches

    def _open(self) -> None:
        lead = open_operands(self.line, self.algorithm, self.namer, self.typed)
        self.line(f"DT, FT, EXACT = _types(dtype, {lead}.device)")
        self.lead = lead
        self.line(f"sizes = {config_sizes(self.algorithm, self.namer, lead)}")

    def _lay_out(self) -> None:
        """The configuration that the others follow, and how sequences are cut."""
        lead, main = self.lead, self.main
        assert isinstance(main, Kernel)
        self.line(f"config = {config(main)}")
        self.line("chunk, block, warps, stages, precision = config")
        if main.blocked:
            self.partial = partial_sums(main, self.namer.arrays)
        walker = self.walker
        if self.partial and walker is not main:
            self._count_parts(main)
        if walker is not main:
            self.line(f"_, block, *_ = {config(walker)}")
        blocks = "1"
        if walker.blocked:
            size = self.namer.size[walker.blocked[0]]
            blocks = f"-(-{size} // min(block, {self.namer.tile(walker, size)}))"
        if self.partial and walker is main:
            self.line(f"blocks = {blocks}")
        light = ""
        if walked(walker):
            resident = RESIDENT[len(walker.carried[0].dims) - 1]
            light = f", max(1, {resident} // warps), {SHORTEST}"
        whole = "" if self.scans else ", divisible=False"
        self.line(f"run = _Layout({lead}, H, cu_seqlens, {blocks}{light}{whole})")
        guards = [each.guard for each in self.algorithm.kernels if each.guard is not None]
        if guards:
            self.line(f"least = _least({float(guards[0].least)!r}, dtype)")

    def _count_parts(self, main: Kernel) -> None:
        """How many parts each sum over a blocked axis is stored in, by whichever kernel."""
        size = self.namer.size[main.blocked[0]]
        others = [each for each in self._writers() if each is not main]
        least = ", ".join(
            [self.namer.tile(main, size), "block", *(f"{config(each)}[1]" for each in others)]
        )
        self.line(f"blocks = -(-{size} // min({least}))")

    def _writers(self) -> list[Kernel]:
        """The kernels that store parts of sums."""
        return [
            each
            for each in self.algorithm.kernels
            if any(isinstance(s, Store) and s.array in self.partial for s in each.body)
        ]

    @property
    def walker(self) -> Kernel:
        """The kernel that decides whether to cut into segments."""
        return walker_of(self.algorithm)

    @property
    def scans(self) -> list[SegmentScan]:
        """What combines the segments of a sequence; where nothing does, it is in one piece."""
        return [each for each in self.algorithm.launches if isinstance(each, SegmentScan)]

    def _allocate(self) -> int:
        """Room for outputs and scratch; where the lines for the outputs end."""
        device = f"device={self.lead}.device"
        for each in self.algorithm.outputs:
            host = self.host[each.name]
            operand = self._operand_of(each)
            if each.name in self.partial:
                lead = "run.chunks(chunk)" if each.per is Per.CHUNK else "run.slots"
                if each.per is Per.TOKEN:
                    lead = f"*{self.host[operand or '']}.shape[:2]"
                shape = self._shape(f"blocks, {lead}, H", each)
                # A chunk's kernel may store fewer parts than another's.
                room = "zeros" if len(self._writers()) > 1 else "empty"
                self.line(f"{host} = torch.{room}({shape}, dtype=torch.float32, {device})")
            elif each.per is Per.TOKEN and operand is not None:
                self.line(f"{host} = _gradient({self.host[operand]}, H)")
            elif each.per is Per.TOKEN:
                shape = self._shape(f"*{self.lead}.shape[:2], H", each)
                like = self.host[self.typed[0]]
                self.line(f"{host} = torch.empty({shape}, dtype={stored_in(each, like)}, {device})")
            else:
                lead = {
                    Per.SEQUENCE: "run.N, H",
                    Per.SEGMENT: "run.slots, H",
                    Per.CHUNK: "run.chunks(chunk), H",
                }[each.per]
                shape = self._shape(lead, each)
                self.line(f"{host} = torch.empty({shape}, dtype=torch.float32, {device})")
        placed = len(self.lines)
        held = {each.name for each in self.kept.arrays} if self.kept else set()
        if self.kept:
            names = ", ".join(self.host[each.name] for each in self.kept.arrays)
            comma = "," if len(held) == 1 else ""
            self.line(f"{names}{comma} = _places(kept, {self.lead}.device, (")
            for text in places(self.kept, self.namer, self.lead, "run.chunks(chunk)"):
                self.line(f"{text},", 2)
            self.line("))")
        for each in self.algorithm.scratch:
            if each.per in (Per.CHUNK, Per.TOKEN) and each.name not in held:
                tokens = f"*{self.lead}.shape[:2], H"
                first = tokens if each.per is Per.TOKEN else "run.chunks(chunk), H"
                shape = self._shape(first, each)
                text = f"torch.empty({shape}, dtype={stored_in(each)}, {device})"
                if self._backward and self._only_again(each.name):
                    text = f"{text} if kept is None else None"
                self.line(f"{self.host[each.name]} = {text}")
        for scan in self.scans:
            self.line(f"{self.host[scan.state]} = {self.host[scan.initial]}")
        segments = [each for each in self.algorithm.scratch if each.per is Per.SEGMENT]
        for each in segments:
            self.line("if run.split:")
            shape = self._shape("run.slots, H", each)
            text = f"torch.empty({shape}, dtype=torch.float32, {device})"
            self.line(f"{self.host[each.name]} = {text}", 2)
        return placed

    def _only_again(self, array: str) -> bool:
        """Whether only launches that a forward has run touch an array."""
        touching = [
            each
            for each in self.algorithm.launches
            if isinstance(each, Kernel) and array in {*read(each), *written(each)}
        ]
        return all(self._again(each) for each in touching)

    def _shape(self, lead: str, array: Array) -> str:
        return shape(lead, array, self.namer)

    def _operand_of(self, output: Array) -> str | None:
        name = output.name.removeprefix("d_")
        known = output.name.startswith("d_") and any(each.name == name for each in self.inputs)
        return name if known else None

    def _result(self, output: Array) -> str:
        host, operand = self.host[output.name], self._operand_of(output)
        if operand is None or output.per is Per.SEQUENCE:
            return host
        call = "_shared" if output.per is Per.TOKEN else "_gathered"
        summed = f"{host}.sum(0)" if output.name in self.partial else host
        return f"{call}({summed}, {self.host[operand]})"

    def _launch(self, n: int, kernel: Kernel, indent: int) -> None:
        printed, text = self._kernel(n)
        if kernel is not self.main:
            self.line(f"_, block, warps, stages, precision = {config(kernel)}", indent)
        else:
            self.line("_, block, warps, stages, precision = config", indent)
        for axis in kernel.blocked:
            width = self.namer.tile(kernel, self.namer.size[axis])
            self.line(f"block = min(block, {width})", indent)
        blocks = f" * -(-{self.namer.size[printed.blocked]} // block)" if printed.blocked else ""
        slots = "run.chunks(chunk)" if kernel.parallel else "run.slots"
        if printed.group:
            slots = f"-(-{slots} // {printed.group})"
        self.line(f"{text}[({slots} * H{blocks},)](", indent)
        self._arguments(printed, indent + 1)
        self.line("num_warps=warps,", indent + 1)
        self.line(f"num_stages={self._stages(kernel)},", indent + 1)
        self.line(")", indent)

    def _stages(self, kernel: Kernel) -> str:
        """The stages of a launch: of a walk that loads many tiles a chunk, as many as have room."""
        values = {value for each in kernel.body for value in walk(each.value)}
        if kernel.parallel or not any(isinstance(each, Dot) for each in values):
            return "stages"
        loads = [each for each in values if isinstance(each, Load)]
        widths = []
        for load in sorted(loads, key=lambda each: (each.array, each.dims)):
            if "i" in load.dims and len(load.dims) == 2:
                width = self.namer.tile(kernel, self.namer.size[load.dims[1]])
                widths.append("block" if load.dims[1] in kernel.blocked else width)
        if len(widths) <= MANY:
            return "stages"
        return f"_stages_of(stages, chunk * ({' + '.join(widths)}) * dtype.itemsize)"

    def _arguments(self, printed: Printed, indent: int) -> None:
        for line in folded(self.strides.arguments(printed.parameters), 96 - 4 * indent):
            self.line(line, indent)

    def _kernel(self, n: int) -> tuple[Printed, str]:
        """The kernel of a launch, and the text that picks it for the chunk length."""
        names: dict[int, str] = {}
        for chunk, algorithm in self.forms.items():
            kernel = algorithm.launches[n]
            assert isinstance(kernel, Kernel)
            namer = Namer(algorithm)
            printed = KernelPrinter(kernel, namer, kernel.name).print()
            self.namer.tiles |= namer.tiles
            names[chunk] = self.kernels.add(printed, f"c{chunk}_")
        if len(set(names.values())) == 1:
            return printed, names[chunk]
        entries = ", ".join(f"{chunk}: {name}" for chunk, name in names.items())
        return printed, f"{{{entries}}}[chunk]"

    def _scan(self, scan: SegmentScan, indent: int) -> None:
        group = GROUP if walked(self.walker) else 1
        printed = print_scan(scan, self.namer, scan.name, group)
        name = self.kernels.add(printed)
        whole = " * ".join(self.namer.size[axis] for axis in scan.axes)
        self.line(f"{name}[(run.N * H * -(-{whole} // {block(whole, group)}),)](", indent)
        self._arguments(printed, indent + 1)
        self.line(")", indent)


def _merged(lines: Sequence[Line]) -> list[Line]:
    """Neighbouring blocks under the same condition as one."""
    merged: list[Line] = []
    condition: str | None = None
    for indent, text, spec in lines:
        if indent == 1:
            if text.endswith(":") and text == condition:
                continue
            condition = text if text.endswith(":") else None
        merged.append((indent, text, spec))
    return merged


def walker_of(algorithm: Algorithm) -> Kernel:
    """The last kernel that walks along time."""
    return [each for each in algorithm.kernels if not each.parallel][-1]


def config(kernel: Kernel) -> str:
    """The configuration of a kernel, by `sizes`."""
    return f'_config("{kernel.name}", *sizes)'


def config_sizes(algorithm: Algorithm, namer: Namer, lead: str) -> str:
    """What configurations go by: the device, the bytes of an element, the sizes of the state."""
    sizes = (namer.size[axis] for axis in walker_of(algorithm).carried[0].dims)
    bounds = ", ".join(["1", *sizes][-2:])
    return f"{lead}.device, dtype.itemsize, {bounds}"


def tile_lines(namer: Namer) -> list[str]:
    """The widths of tiles that launches name."""
    return [f"{name} = {text}" for name, text in sorted(namer.tiles.items())]


def shape(lead: str, array: Array, namer: Namer) -> str:
    """A shape: some sizes, then those of an array's axes."""
    sizes = ", ".join(namer.size[axis] for axis in array.axes)
    return f"({lead}, {sizes})" if sizes else f"({lead})"


def places(kept: Kept, namer: Namer, lead: str, chunks: str) -> Iterator[str]:
    """The shape and dtype of each array that is kept. chunks: how many there are."""
    for each in kept.arrays:
        first = f"*{lead}.shape[:2]" if each.per is Per.TOKEN else chunks
        yield f"({shape(f'{first}, H', each, namer)}, {stored_in(each)})"


def parameters(algorithm: Algorithm, host: Mapping[str, str]) -> tuple[str, ...]:
    """The parameters: operands, the first state, `cu_seqlens`, then what the adjoint adds."""
    optional = "torch.Tensor | None"
    operands = [each for each in algorithm.inputs if each.name not in STATES]
    found = [
        f"{host[each.name]}: {'float' if each.per is Per.CALL else 'torch.Tensor'}"
        for each in operands
    ]
    found += [f"initial_state: {optional}", f"cu_seqlens: {optional}"]
    later = [each for each in algorithm.inputs if each.name in STATES[1:]]
    found += [
        f"{each.name}: {'torch.Tensor' if each.per is Per.TOKEN else optional}" for each in later
    ]
    return tuple(found)


def stored_in(array: Array, like: str = "") -> str:
    """The dtype of an output, that of an operand where it is not wide, or of a scratch array."""
    if array.precision is Precision.ACCUMULATOR:
        return "torch.float32"
    return f"{like}.dtype" if like else "dtype"


def open_operands(
    line: object, algorithm: Algorithm, namer: Namer, typed: tuple[str, ...], step: bool = False
) -> str:
    """Bring the operands into the strides that kernels take; their sizes; the lead operand.

    typed: the operands whose dtype products take.
    """
    assert callable(line)
    for each in algorithm.inputs:
        if each.per is Per.TOKEN and each.axes:
            line(f"{namer.host[each.name]} = _rows({namer.host[each.name]})")
    for each in algorithm.inputs:
        if each.per is Per.HEAD or (each.per is Per.SEQUENCE and not step):
            line(f"{namer.host[each.name]} = _dense({namer.host[each.name]})")
    return size_operands(line, algorithm, namer, typed, step)


def size_operands(
    line: object, algorithm: Algorithm, namer: Namer, typed: tuple[str, ...], step: bool = False
) -> str:
    """Name the sizes of the operands and the dtype of products; the lead operand."""
    assert callable(line)
    host = namer.host
    inputs = algorithm.inputs
    tokens = [each for each in inputs if each.per is Per.TOKEN]
    heads = [each for each in inputs if each.per is Per.HEAD]
    if not tokens:
        raise NotPrintableError("a scan without operands that vary in time")
    axis = 1 if step else 2
    counts = [f"{host[each.name]}.shape[{axis}]" for each in tokens if each.name != "dy"]
    counts += [f"{host[each.name]}.shape[0]" for each in heads]
    line(f"H = max({', '.join(counts)})" if len(counts) > 1 else f"H = {counts[0]}")
    seen: set[str] = set()
    for each in (*tokens, *heads):
        base = axis + 1 if each.per is Per.TOKEN else 1
        for n, name in enumerate(each.axes):
            if name not in seen:
                seen.add(name)
                line(f"{namer.size[name]} = {host[each.name]}.shape[{base + n}]")
    missing = [name for name in namer.size if name not in seen]
    if missing:
        raise NotPrintableError(f"no operand has the axis {missing[0]}")
    line(f"dtype = _operand_type({', '.join(host[name] for name in typed)})")
    return host[tokens[0].name]
