"""`torch_kernels.py` of a package: the functions of each scan, and the runtime that they call."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.kernels import Function, print_algorithm
from eosc.backends.torch.pairs import print_pair
from eosc.ir.nodes import Algorithm, Array, Per
from eosc.lowering.family import AnyScan, family
from eosc.lowering.parts import Form

TOKENS_PER_CHUNK = 32  # long chunks spare states, short ones pairs: the best on a CPU at K = V = 64


@cache
def _runtime() -> Library:
    return Library(Path(__file__).with_name("runtime.py"))


def algorithms(scan: AnyScan, form: Form) -> dict[str, Algorithm]:
    """The algorithms of a scan that are printed in torch, by use."""
    how = family(scan)
    return {
        "forward": how.forward(scan, form),
        "backward": how.backward(scan, form),
        "step": how.token(scan),
    }


def scan_functions(scan: AnyScan, form: Form, name: str) -> tuple[Function, ...]:
    """The functions of `print_pair` and `<name>_step` of a scan, in one form."""
    printed = algorithms(scan, form)
    whole, _ = print_algorithm(printed["step"], f"{name}_token", scan.typed)
    pair = print_pair(printed["forward"], printed["backward"], name, scan.typed, whole)
    return (*pair, whole, _step(scan, whole, name))


def _step(scan: AnyScan, whole: Function, name: str) -> Function:
    """One token of the recurrence, on a state that is updated in place."""
    named = [each.split(":")[0] for each in whole.parameters if each.startswith("initial") is False]
    per = {text: each for text, each in zip(named, _by_kind(scan), strict=True)}
    order = [next(t for t in named if per[t] is each) for each in scan.operands]
    parameters = [f"{text}: {'float' if per[text].per is Per.CALL else 'Tensor'}" for text in order]
    called = [f"{t}.unsqueeze(1)" if per[t].per is Per.TOKEN else t for t in named]
    lines = (
        (1, "held = state if state_indices is None else state[state_indices]", None),
        (1, f"y, final = {whole.name}({', '.join([*called, 'held'])})", None),
        (1, "if state_indices is None:", None),
        (2, "state.copy_(final)", None),
        (1, "else:", None),
        (2, "state.index_copy_(0, state_indices, final.to(state.dtype))", None),
        (1, "return y[:, 0, 0]", None),
    )
    return Function(
        f"{name}_step",
        (*parameters, "state: Tensor", "state_indices: Tensor | None"),
        "Tensor",
        "One token: y [N, H, ...]; the state [N, H, ...] is updated in place.",
        lines,
        (),
    )


def _by_kind(scan: AnyScan) -> list[Array]:
    """The operands as the printed functions take them: tokens first, then what is shared."""
    return sorted(scan.operands, key=lambda each: each.per is not Per.TOKEN)


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
    imports += ["from typing import Any"] if re.search(r"\bAny\b", used) else []
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
    here = Path(__file__)
    return Library(here.with_name("sequence_runtime.py"), here.with_name("convolution_runtime.py"))


def render_sequences(
    functions: Iterable[Function], header: tuple[str, ...], doc: str = "Token recurrence."
) -> str:
    """The text of a module of functions over whole sequences."""
    listed = tuple(functions)
    runtime = _sequence_runtime().closure(name for each in listed for name in each.used)
    return _rendered(listed, runtime, header, doc)
