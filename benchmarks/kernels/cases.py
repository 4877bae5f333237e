"""What is checked: the cases of each group, and the limits of their errors."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eosc.schedule.table import rows_of, structure_of

GROUPS = ("ops", "layers", "steps", "programs", "memcheck")
LIMITS = {"bf16": (5e-3, 1e-2), "fp16": (5e-3, 1e-2), "fp32": (1e-4, 1e-4)}
RAGGED = (0, 0, 1, 34, 34, 517, 1000)
SHORT = (0, 0, 1, 66, 66, 150)
WIDE_LAYERS = ("gla", "simple_gla")
"""One mixer of each structure, whose layer is checked in fp32 too."""


@dataclass(frozen=True)
class Case:
    """One check.

    group: ops (forward and backward of a scan), layers (the operator of a layer with its decode),
        steps (T decode steps of B sequences), programs (the operator of a mixer with several
        scans, or with one for several memories, and its decode), memcheck (one of the others in
        guarded memory).
    gates: soft, slow, mixed (resets, ones, strong), strong (-20), ones. cuts: bounds of packed
    sequences. segment: tokens a segment, 0 by length. states: with first and last states.
    guarded: every buffer lies between canaries.
    """

    mixer: str
    dtype: str = "bf16"
    B: int = 1
    T: int = 4096
    H: int = 2
    K: int = 128
    V: int = 128
    gates: str = "soft"
    cuts: tuple[int, ...] = ()
    segment: int = 0
    states: bool = True
    device: str = "cuda"
    group: str = "ops"
    kind: str = "ops"
    guarded: bool = False

    @property
    def sequences(self) -> int:
        """How many sequences there are."""
        return len(self.cuts) - 1 if self.cuts else self.B

    @property
    def oracle(self) -> str:
        """The device of the oracle: not one whose every launch is watched."""
        return "cpu" if self.group == "memcheck" else self.device

    @property
    def place(self) -> str:
        """The case in a few words."""
        text = f"{self.group} {self.dtype} B{self.B} T{self.T} K{self.K} V{self.V} {self.gates}"
        text += f" {self.kind}" if self.kind != self.group else ""
        text += f" cuts{len(self.cuts)} seg{self.segment}" if self.cuts or self.segment else ""
        return text


def cases(folder: Path, groups: tuple[str, ...], exact: bool = False) -> list[Case]:
    """The cases of some groups over all printed mixers.

    exact: no canaries, for a tool that watches the bounds of allocations itself.
    """
    printed = _printed(folder)
    layers = [path.parent.name for path in sorted((folder / "packages").glob("*/op.py"))]
    programs = [path.parent.name for path in sorted((folder / "programs").glob("*/op.py"))]
    made = {
        "programs": lambda: _programs(programs),
        "ops": lambda: (*_ops(printed), *_tensors(folder)),
        "layers": lambda: _layers(layers),
        "steps": lambda: _steps(printed),
        "memcheck": lambda: _memory(printed, layers, not exact),
    }
    found = (case for group in groups for case in made[group]())
    return [case for case in found if case.kind != "ops" or printed.offers(case)]


@dataclass(frozen=True)
class Printed:
    """The scans of some mixers, and the rows that their kernels ask for."""

    scans: dict[str, Any]
    asked: dict[str, frozenset[str]]

    def first(self, by: str) -> set[str]:
        """The first mixer of each structure (log-decays, what is read) or of each set of rows."""
        found: dict[object, str] = {}
        for name, scan in self.scans.items():
            key: tuple[object, ...] = (structure_of(scan), self.asked[name])
            if by == "structure":
                key += (tuple((n, p.dims) for n, p in scan.logs()), scan.inclusive)
            found.setdefault(key, name)
        return {*found.values()}

    def offers(self, case: Case) -> bool:
        """Whether the table has a row for the sizes of a case, of each kernel."""
        scan, width = self.scans[case.mixer], 4 if case.dtype == "fp32" else 2
        K = case.K if len(scan.axes) > 1 else 1
        fits = {
            row.kernel
            for row in rows_of(scan)
            if row.width in (0, width) and K <= row.key and case.V <= row.value
        }
        return self.asked[case.mixer] <= fits


def _printed(folder: Path) -> Printed:
    scans, asked = {}, {}
    for path in sorted(folder.glob("*.scan")):
        # Only files that `generate` wrote are read here.
        scans[path.stem] = pickle.loads(path.read_bytes())
        text = path.with_suffix(".py").read_text(encoding="utf-8")
        asked[path.stem] = frozenset(re.findall(r'_config\("(\w+)"', text))
    return Printed(scans, asked)


def _ops(printed: Printed) -> Iterator[Case]:
    """Every mixer in bf16; every dtype, segments and sizes once per structure."""
    structures, tables = printed.first("structure"), printed.first("rows")
    for name, scan in printed.scans.items():
        # The oracle holds a field at every token.
        plain = Case(name, T=1024, K=16) if structure_of(scan) == "field" else Case(name)
        yield replace(plain, gates="slow")
        yield replace(plain, T=1, B=2)
        yield replace(plain, T=1000, gates="mixed", states=False)
        yield replace(plain, T=1000, cuts=RAGGED)
        if name in structures:
            yield from _of_structure(plain)
        if name in tables:
            short = replace(plain, T=1000, gates="slow")
            yield replace(short, K=64, V=64, segment=256, cuts=RAGGED)
            yield replace(short, dtype="fp32", segment=256, cuts=RAGGED)
            yield replace(short, K=256, V=256, segment=256)
            yield replace(short, K=16, V=200, segment=256)
            yield replace(short, K=16, V=72, dtype="fp32")
            yield replace(short, K=32, V=72, segment=256)
            yield replace(short, K=100, V=24, segment=256)
            yield replace(short, K=64, V=16)
            yield replace(short, V=32)
            yield replace(short, T=300, K=200, V=136, gates="mixed")
            yield replace(short, T=300, K=24, V=24)


def _of_structure(plain: Case) -> Iterator[Case]:
    for kind in ("strong", "ones", "mixed"):
        yield replace(plain, T=1024, gates=kind)
    yield replace(plain, T=2048, segment=512, gates="slow")
    yield replace(plain, T=1000, segment=256, cuts=RAGGED, gates="mixed")
    yield replace(plain, T=700, K=96, V=80, B=2)
    yield replace(plain, T=512, K=64, V=64)
    yield replace(plain, T=1024, dtype="fp16")
    yield replace(plain, T=1024, dtype="fp32", gates="mixed")
    yield replace(plain, T=1, dtype="fp32")
    yield replace(plain, T=300, dtype="fp32", K=40, V=24, gates="slow")


def _tensors(folder: Path) -> Iterator[Case]:
    """Every filter, and every operator that is tensor code, at the sizes of its operands."""
    for path in sorted((folder / "filters").glob("*/filters.py")):
        plain = Case(path.parent.name, kind="filters", B=2, T=1000, V=200)
        yield plain
        yield replace(plain, T=1, states=False, V=64)
        yield replace(plain, T=2, dtype="fp32", V=24)
        yield replace(plain, T=333, dtype="fp32", B=3)
        yield replace(plain, T=130, dtype="fp16", states=False)
    for path in sorted((folder / "tensors").glob("*/op.py")):
        plain = Case(path.parent.name, kind="tensors", B=2, T=300)
        yield plain
        yield replace(plain, T=5, dtype="fp32")
        yield replace(plain, T=300, dtype="fp32")


def _layers(layers: list[str]) -> Iterator[Case]:
    """Each layer's operator in bf16, dense and packed; in fp32 for one of each set of rows."""
    for name in layers:
        plain = Case(name, group="layers", kind="layers", B=2, T=1000)
        yield plain
        yield replace(plain, B=1, cuts=RAGGED)
        if name in WIDE_LAYERS:
            yield replace(plain, dtype="fp32")
            yield replace(plain, dtype="fp32", K=64, V=48, T=300, states=False)


def _programs(programs: list[str]) -> Iterator[Case]:
    """Each operator of several memories: dense, packed, in every precision."""
    for name in programs:
        plain = Case(name, group="programs", kind="programs", B=2, T=1000)
        yield plain
        yield replace(plain, B=1, cuts=RAGGED)
        yield replace(plain, dtype="fp32", T=300, K=64, V=48, gates="mixed")
        yield replace(plain, dtype="fp32", T=1)


def _steps(printed: Printed) -> Iterator[Case]:
    """Decode of each mixer; other sizes, fp32 and fp16 once per structure."""
    structures = printed.first("structure")
    for name in printed.scans:
        plain = Case(name, group="steps", kind="steps", B=7, T=6)
        yield plain
        if name in structures:
            yield replace(plain, K=64, V=64, dtype="fp32", gates="mixed")
            yield replace(plain, K=96, V=80, gates="mixed")
            yield replace(plain, K=40, V=24, dtype="fp32", B=1)
            yield replace(plain, K=100, V=72, dtype="fp16", gates="slow")
            yield replace(plain, K=256, V=200, B=3)
            yield replace(plain, K=1000, V=520, B=2)
            yield replace(plain, K=16, V=520, B=2)


def _memory(printed: Printed, layers: list[str], guarded: bool) -> Iterator[Case]:
    """Every mixer once at a small ragged shape, and every row of the table once."""
    structures, tables = printed.first("structure"), printed.first("rows")
    for name in printed.scans:
        plain = Case(name, group="memcheck", guarded=guarded)
        run = replace(plain, T=SHORT[-1], cuts=SHORT, segment=64, K=100, V=72)
        step = replace(plain, kind="steps", B=3, T=2, K=100, V=72)
        yield from (run, step)
        if name in structures:
            yield replace(run, dtype="fp32")
        if name in tables:
            yield replace(run, K=61, V=53)
            yield replace(run, K=16, V=53)
            yield replace(run, K=32, V=53)
            yield replace(run, K=24, V=72)
            yield replace(run, K=100, V=24)
            yield replace(step, K=16, V=53)
            yield replace(run, K=200, V=136)
            yield replace(run, K=24, V=24)
            yield replace(run, B=2, cuts=(), states=False)
            yield replace(step, dtype="fp32", K=61, V=53)
            yield replace(step, K=600, V=520)
    for name in layers:
        plain = Case(name, group="memcheck", kind="layers", guarded=guarded)
        yield replace(plain, T=SHORT[-1], cuts=SHORT, segment=64, K=100, V=72)


def tiny(case: Case) -> Case:
    """The case at sizes that the interpreter runs in seconds, beyond those left to torch."""
    return replace(
        case,
        T=min(case.T, 70),
        K=min(case.K, 40),
        V=min(case.V, 36),
        H=2,
        cuts=tuple(min(n, 70) for n in case.cuts),
        segment=min(case.segment, 64),
        device="cpu",
    )


def judged(case: Case, errors: dict[str, float], solved: bool = False) -> list[str]:
    """The names of what is out of its limit; solved: by triangular solves, which round twice.

    So do operators of several scans.
    """
    forward, gradient = LIMITS[case.dtype]
    if (solved or case.kind == "programs") and case.dtype != "fp32":
        forward, gradient = 2 * forward, 2 * gradient
    if case.device == "cpu":
        # The interpreter rounds bf16 towards zero.
        forward, gradient = 3 * forward, 3 * gradient
    return [n for n, v in errors.items() if not v <= (gradient if n[:2] == "d_" else forward)]
