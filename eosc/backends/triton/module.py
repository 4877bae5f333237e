"""`triton_kernels.py` of a package: the kernels of each scan, their launches, the runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from eosc.backends.text import Library, docstring, render
from eosc.backends.triton.apart import apart
from eosc.backends.triton.factors import taken_out
from eosc.backends.triton.keeping import print_keeping
from eosc.backends.triton.kept import common
from eosc.backends.triton.kernel import Printed, folded
from eosc.backends.triton.launch import Kernels, Launcher, print_chunked
from eosc.backends.triton.split import split
from eosc.backends.triton.step import print_step
from eosc.ir.nodes import Algorithm
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.family import AnyScan, family
from eosc.lowering.guarded import guardable, guarded
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.schedule.program import ScanStep
from eosc.schedule.table import Row, rows_of


@cache
def _runtime() -> Library:
    here = Path(__file__)
    names = ("runtime.py", "host_runtime.py", "launch_runtime.py")
    return Library(*(here.with_name(each) for each in names))


@dataclass(frozen=True, slots=True)
class Functions:
    """The kernels of a scan and the functions that launch them."""

    kernels: tuple[Printed, ...]
    launchers: tuple[Launcher, ...]


def algorithms(
    scan: AnyScan, forms: Mapping[int, Form], rows: Iterable[Row]
) -> dict[str, dict[int, Algorithm]]:
    """The chunk algorithms of a scan that are printed in Triton, by use and chunk length."""
    listed = tuple(rows)
    # One pass pays where forming the pairs is cheap; levels are shared out over all chunks.
    ahead = partial(family(scan).forward, stored=scan.vector)
    back = partial(family(scan).backward, stored=True)
    found = {}
    for use, lower in (("forward", ahead), ("backward", back)):
        main = lower(scan, next(iter(forms.values()))).launches[-1].name
        lengths = sorted({row.chunk for row in listed if row.kernel == main and row.chunk})
        found[use] = {length: apart(lower(scan, forms[length])) for length in lengths}
        erasing = isinstance(scan, DeltaScan)
        if not isinstance(scan, Scan) or not (scan.vector or erasing):
            continue
        for length, each in found[use].items():
            if scan.vector and family(scan).checked and guardable(scan, forms[length]):
                each = guarded(scan, each, apart(lower(scan, Form(length, length))))
            if erasing:
                each = taken_out(each)
            found[use][length] = split(each, scan)
    return found


def scan_functions(
    scan: AnyScan, forms: Mapping[int, Form], name: str, rows: Iterable[Row]
) -> Functions:
    """`<name>_forward`, `<name>_backward` and `<name>_step` of a scan.

    forms: the form for each chunk length; rows: of the table, which say what lengths are used.
    """
    kernels = Kernels(name)
    printed = algorithms(scan, forms, rows)
    ahead, back = printed["forward"], printed["backward"]
    kept = common(ahead, back)
    found = [
        print_chunked(by_length, f"{name}_{use}", kernels, scan.typed, kept)
        for use, by_length in printed.items()
    ]
    if kept is not None:
        found[-1] = replace(found[-1], behind=found[0].name)
    one, other = (next(iter(each.values())) for each in (ahead, back))
    found += print_keeping(one, other, name, scan.typed, kept)
    token = family(scan).token(scan)
    found.append(print_step(token, f"{name}_step", kernels, scan.typed, family(scan).step))
    return Functions(tuple(kernels.printed.values()), tuple(found))


def render_steps(
    steps: Iterable[tuple[str, ScanStep]],
    header: tuple[str, ...] = (),
    doc: str = "Triton kernels.",
) -> str:
    """The text of `triton_kernels.py` for the named scans of a program."""
    functions: list[Functions] = []
    rows: dict[Row, None] = {}
    for name, step in steps:
        own = rows_of(step.scan)
        rows.update((row, None) for row in own)
        forms = {form.chunk: form for form in step.forms}
        functions.append(scan_functions(step.scan, forms, name, own))
    return render_kernels(functions, tuple(rows), header, doc)


def render_kernels(
    functions: Iterable[Functions], rows: tuple[Row, ...], header: tuple[str, ...], doc: str
) -> str:
    """The text of `triton_kernels.py`."""
    listed = tuple(functions)
    kernels = tuple(kernel for each in listed for kernel in each.kernels)
    launchers = tuple(launcher for each in listed for launcher in each.launchers)
    called = {text for each in launchers for _, text, _ in each.lines}
    # Sizes without a row of what is never launched are no reason to fall back on torch.
    rows = tuple(row for row in rows if any(f'_config("{row.kernel}",' in text for text in called))
    used = {name for each in kernels for name in each.used}
    used |= {name for name in _runtime().names if any(f"{name}(" in text for text in called)}
    used |= {"supports", "_Kernel", "_prepared"}
    used |= {"_prepared_with"} if any(each.behind for each in launchers) else set()
    return render(
        "triton/kernels.py.jinja",
        header=header,
        doc=docstring(doc),
        rows=tuple(repr(row.printed) for row in rows),
        runtime=_runtime().closure(used),
        kernels=tuple(_kernel(each) for each in kernels),
        launchers=tuple(
            {
                "name": each.name,
                "decorators": _decorators(each),
                "parameters": each.parameters,
                "returns": each.returns,
                "doc": docstring(each.doc),
                "lines": each.lines,
            }
            for each in launchers
        ),
    )


def _kernel(printed: Printed) -> dict[str, object]:
    """What the template lays out."""
    parameters = [
        f"{each.name}: tl.constexpr" if each.constant else each.name for each in printed.parameters
    ]
    names = ", ".join(repr(name) for name in printed.unspecialised)
    given = f"(do_not_specialize=[{names}])" if names else ""
    return {
        "name": printed.name,
        "parameters": tuple(folded(parameters, 92)),
        "decorators": ("@_Kernel", f"@triton.jit{given}"),
        "doc": docstring(printed.doc),
        "lines": printed.lines,
    }


def _decorators(launcher: Launcher) -> tuple[str, ...]:
    """What is written above a launcher."""
    if launcher.behind:
        return (f"@_prepared_with({launcher.behind})",)
    return ("@_prepared",) if launcher.prepared else ()
