"""Measured configurations of the Triton kernels: which tile shapes, warps and stages where.

A row holds for sizes up to its buckets; the first row that fits wins, so rows go from the
particular to the general. `eosc tune` refreshes them; nothing is tuned at run time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.family import AnyScan

KERNELS = (
    "forward",
    "outputs",
    "outputs_mild",
    "segment_ends",
    "states",
    "segment_ends_adjoint",
    "states_adjoint",
    "gradients",
    "halves",
    "solve",
    "solve_mild",
    "solve_adjoint",
    "solve_adjoint_mild",
    "gradients_value",
    "gradients_whole",
    "gradients_mild",
    "gradients_mild_value",
    "gradients_mild_whole",
    "prologues_adjoint",
    "step",
)


ELEMENT_KERNELS = (
    "element_forward",
    "element_ends",
    "element_states",
    "element_ends_adjoint",
    "element_backward",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration.

    kernel: as in the IR. arch: like sm90; "" is any. structure: pairwise (the decay of each pair
    is formed directly) or levels, each behind "delta" with erasures; line or field (scans over
    memories of one axis, of two). width: bytes an element of the operands; 0 is any. key, value:
    the largest K and V. chunk: tokens a chunk (an algorithm's by its main kernel's row);
    block: of the blocked axis. warps, stages: of the launch. precision: of fp32 products.
    """

    kernel: str
    arch: str
    structure: str
    width: int
    key: int
    value: int
    chunk: int
    block: int
    warps: int
    stages: int
    precision: str = "ieee"

    @property
    def printed(self) -> tuple[str, str, int, int, int, int, int, int, int, str]:
        """The row as it stands in generated code, where the structure is known."""
        place = (self.kernel, self.arch, self.width, self.key, self.value)
        return (*place, self.chunk, self.block, self.warps, self.stages, self.precision)


def structure_of(scan: AnyScan) -> str:
    """The class of a scan that decides its shape of kernel."""
    if isinstance(scan, ElementScan):
        return "line" if len(scan.axes) == 1 else "field"
    found = "levels" if scan.vector else "pairwise"
    return f"delta {found}" if isinstance(scan, DeltaScan) else found


def rows_of(scan: AnyScan) -> tuple[Row, ...]:
    """The rows of a scan's structure, in order."""
    structure = structure_of(scan)
    return tuple(each for each in TABLE if each.structure == structure)


ANY = 1 << 20

WALKS = ("segment_ends", "states", "segment_ends_adjoint", "states_adjoint")


def _rows(structure: str) -> tuple[Row, ...]:
    """The rows of one structure. Fastest on an H200 at 16 bits and 128 x 128; else chosen to fit.

    Source: medians of triton.testing.do_bench at B4_T4096_H64_D128, Triton 3.6.
    """
    pairwise = structure == "pairwise"
    found: list[Row] = []

    def add(
        kernel: str, width: int, size: int, chunk: int, block: int, warps: int, stages: int
    ) -> None:
        # Any V: tiles are as wide as their block of it.
        value = ANY if pairwise and (width, size) == (2, 128) else size
        where = (kernel, "", structure, width, size, value)
        found.append(Row(*where, chunk, block, warps, stages, "ieee"))

    for kernel in WALKS:
        add(kernel, 2, 64, 64, 64, 4, 3)
        if pairwise:
            add(kernel, 2, 128, 64, 128, 8, 3)
        else:
            add(kernel, 2, 128, 64, 64, 4, 3)
        add(kernel, 2, 256, 64, 64 if pairwise else 32, 8 if pairwise else 4, 2)
        add(kernel, 4, 128, 32, 32, 4, 2)
    if pairwise:
        add("forward", 2, 128, 64, 64, 4, 2)
        add("forward", 2, 256, 64, 64, 8, 1)
        add("forward", 4, 128, 32, 32, 4, 1)
    else:
        for mild in ("", "_mild"):
            wide = 128 if mild else 64
            add(f"outputs{mild}", 2, 128, 64, wide, 4, 1)
            add(f"outputs{mild}", 2, 256, 32, 32, 8, 1)
            add(f"outputs{mild}", 4, 128, 32, 32, 4, 1)
            add(f"gradients{mild}_value", 2, 128, 64, wide, 4, 1)
            add(f"gradients{mild}_value", 2, 256, 32, 32, 8, 1)
            add(f"gradients{mild}_value", 4, 128, 32, 32, 8, 1)
            add(f"gradients{mild}_whole", 2, 128, 64, 128, 8, 1)
            add(f"gradients{mild}_whole", 4, 128, 32, 128, 8, 1)
        add("gradients_mild", 2, 128, 64, 64, 4, 1)
        add("gradients_mild", 2, 256, 32, 32, 8, 1)
        add("gradients_mild", 4, 128, 32, 32, 8, 1)
    add("gradients", 2, 64, 64, 64 if pairwise else 32, 4 if pairwise else 8, 1)
    add("gradients", 2, 128, 64, 128 if pairwise else 32, 8, 1)
    add("gradients", 2, 256, 32, 32 if pairwise else 16, 8, 1)
    add("gradients", 4, 128, 32, 128 if pairwise else 32, 8, 1)
    add("step", 0, 256, 1, 32, 4, 1)
    add("step", 0, 1024, 1, 16, 4, 1)
    return tuple(found)


def _element_rows(
    structure: str, shapes: Iterable[tuple[int, int, int, int, int, int]]
) -> Iterator[Row]:
    """Scans over the tokens of a chunk: tiles of chunk x K x block in registers, no products.

    shapes: the largest K (1 where the memory has one axis), block of V, chunk and warps forward,
    chunk and warps backward. A main kernel's row decides the chunk of those launched with it.
    """
    for key, block, *ahead, chunk_back, warps_back in shapes:
        for kernel in ELEMENT_KERNELS:
            chunk, warps = ahead if kernel == "element_forward" else (chunk_back, warps_back)
            yield Row(kernel, "", structure, 0, key, 1 << 20, chunk, block, warps, 1)
    for key, block in ((1, 256),) if structure == "line" else ((16, 64), (1024, 16)):
        yield Row("element_step", "", structure, 0, key, 1 << 20, 1, block, 4, 1)


def _delta_rows(structure: str) -> tuple[Row, ...]:
    """The rows of memories with erasures.

    Source: those of 128 x 128 at 16 bits are the fastest of a few on an H200 (B4_T4096_H64_D128,
    Triton 3.6), where 8 warps took up to twice the time of 4. The others are chosen to fit.
    """
    levels = structure.endswith("levels")
    found: list[Row] = []

    def add(
        kernel: str,
        width: int,
        size: int,
        chunk: int,
        block: int,
        warps: int,
        stages: int = 0,
    ) -> None:
        where = (kernel, "", structure, width, size, size)
        stages = stages or (1 if width == 4 else 2)
        found.append(Row(*where, chunk, block, warps, stages, "ieee"))

    # With levels a stage holds a chunk's log-decays beside its keys: 32 KB where they are in fp32.
    for kernel in ("states", "states_adjoint"):
        add(kernel, 2, 64, 64, 64, 4)
        add(kernel, 2, 128, 64, 64, 4, 1 if levels else 3)
        add(kernel, 2, 256, 32, 64, 8)
        add(kernel, 4, 128, 32, 32, 4)
    if levels:
        add("halves", 2, 256, 64, 64, 4)
        add("halves", 4, 128, 32, 32, 4)
    for mild in ("", "_mild") if levels else ("",):
        for kernel in ("solve", "solve_adjoint", "outputs"):
            halved = levels and not mild and kernel != "outputs"
            add(f"{kernel}{mild}", 2, 128, 64, 64, 8 if halved else 4)
            add(f"{kernel}{mild}", 2, 256, 32, 32, 8)
            add(f"{kernel}{mild}", 4, 128, 32, 32, 4)
        for part in ("", "_value"):
            add(f"gradients{mild}{part}", 2, 128, 64, 64, 8 if levels else 4)
            add(f"gradients{mild}{part}", 2, 256, 32, 32, 8)
            add(f"gradients{mild}{part}", 4, 128, 32, 32, 8)
    add("prologues_adjoint", 2, 128, 64, 64, 8, 1)
    add("prologues_adjoint", 2, 256, 32, 32, 8, 1)
    add("prologues_adjoint", 4, 128, 32, 32, 8, 1)
    add("step", 0, 256, 1, 32, 4)
    add("step", 0, 1024, 1, 16, 4)
    return tuple(found)


# A thread has all tokens of its columns. Fastest of a few on an H200 at 16 bits: T2048_D2048 with a
# batch of 8, and of 128 / K for memories of two axes.
LINES = ((1, 128, 16, 1, 2, 1),)
FIELDS = (
    (16, 16, 8, 1, 4, 1),
    (32, 16, 8, 2, 4, 2),
    (64, 16, 8, 4, 4, 4),
    (128, 16, 4, 4, 4, 8),
    (256, 16, 2, 8, 2, 8),
)

TABLE: tuple[Row, ...] = (
    *_rows("pairwise"),
    *_rows("levels"),
    *_element_rows("line", LINES),
    *_element_rows("field", FIELDS),
    *_delta_rows("delta pairwise"),
    *_delta_rows("delta levels"),
)
