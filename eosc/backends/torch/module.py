"""`torch_kernels.py` of a package: the functions of each scan, and the runtime that they call."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.kernels import Function, print_algorithm
from eosc.lowering import adjoint, chunk
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan


@cache
def _runtime() -> Library:
    return Library(Path(__file__).with_name("runtime.py"))


def scan_functions(scan: Scan, form: Form, name: str) -> tuple[Function, ...]:
    """`<name>_forward` and `<name>_backward` of a scan, in one form."""
    forward = print_algorithm(chunk.forward(scan, form), f"{name}_forward")
    backward = print_algorithm(adjoint.backward(scan, form), f"{name}_backward")
    return (*forward, *backward)


def render_kernels(
    functions: Iterable[Function], header: tuple[str, ...], doc: str = "Torch kernels."
) -> str:
    """The text of `torch_kernels.py`."""
    listed = tuple(functions)
    runtime = _runtime().closure(name for each in listed for name in each.used)
    return _rendered(listed, runtime, header, doc)


def _rendered(
    listed: tuple[Function, ...], runtime: tuple[str, ...], header: tuple[str, ...], doc: str
) -> str:
    used = " ".join(runtime)
    names = [name for name in ("Callable", "Sequence") if f"{name}[" in used]
    imports = ["import math"] if "math." in used else []
    imports += [f"from collections.abc import {', '.join(names)}"] if names else []
    context = [
        {
            "name": each.name,
            "parameters": each.parameters,
            "returns": each.returns,
            "doc": docstring(each.doc),
            "lines": each.lines,
        }
        for each in listed
    ]
    return render(
        "torch/kernels.py.jinja",
        header=header,
        doc=docstring(doc),
        imports=imports,
        runtime=runtime,
        functions=context,
    )


@cache
def _sequence_runtime() -> Library:
    return Library(Path(__file__).with_name("sequence_runtime.py"))


def render_sequences(
    functions: Iterable[Function], header: tuple[str, ...], doc: str = "Token recurrence."
) -> str:
    """The text of a module of functions over whole sequences."""
    listed = tuple(functions)
    runtime = _sequence_runtime().closure(name for each in listed for name in each.used)
    return _rendered(listed, runtime, header, doc)
