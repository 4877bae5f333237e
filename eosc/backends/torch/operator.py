"""`op.py` of a package: the registered operators of each scan, and the public functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eosc.backends.naming import Names, identifier
from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.filters import Filters
from eosc.backends.torch.kernels import Function
from eosc.backends.torch.programs import Operand, Sequence, print_program
from eosc.ir.nodes import Load, Per
from eosc.lowering.family import AnyScan
from eosc.lowering.scan import Scan
from eosc.recurrence.operands import State
from eosc.schedule.program import Compute, Program, ScanStep
from eosc.semantics.terms import Read

_RESERVED = (
    "torch Tensor os NamedTuple ModuleType Callable Any Sequence State Output NAMESPACE B T N K V "
    "heads dtype kinds op info in_dims args kernels trained d_state held states final y dy "
    "d_final_state initial_state cu_seqlens state state_indices operands output_final_state ctx "
    "inputs output grads tangents numbers d_initial_state torch_kernels triton_kernels filters "
    "spectral keep kept found given angle turned d_angle"
).split()

_KINDS = {Per.TOKEN: "t", Per.HEAD: "h", Per.CALL: "f"}


@cache
def _libraries() -> tuple[Library, Library]:
    here = Path(__file__)
    return (
        Library(here.with_name("call_runtime.py"), here.with_name("op_runtime.py")),
        Library(here.with_name("sequence_runtime.py"), here.with_name("convolution_runtime.py")),
    )


def scan_name(step: ScanStep) -> str:
    """What the functions of a scan are called after."""
    return identifier(step.called or step.scan.name)


@dataclass(frozen=True, slots=True)
class Operator:
    """A public function of `op.py`, as other files of the package need to know it.

    parameters: names of its operands, in order; numbers: of its keyword arguments that are numbers.
    """

    name: str
    sequence: Sequence
    parameters: tuple[str, ...]
    numbers: tuple[str, ...]


def print_operators(
    programs: list[tuple[str, Program]],
    namespace: str,
    header: tuple[str, ...],
    *,
    triton: bool,
    filters: Filters | None = None,
    products: bool = False,
) -> tuple[str, tuple[Operator, ...]]:
    """The text of `op.py`, with a public function for each named program, and those functions.

    products: whether long convolutions may call operators of their own.

    Requires: the programs carry the same states.

    Raises:
        NotPrintableError: a term has no torch form.
    """
    printers = [_Printer(name, program, filters, products) for name, program in programs]
    scans = [_scan_context(step) for _, program in programs for step in program.scans]
    ops, sequences = _libraries()
    used = {name for each in printers for name in each.used()}
    written = {name for each in printers for name in each.sequence.function.used}
    runtime = (*ops.closure(used), *sequences.closure(written))
    first = printers[0]
    text = render(
        "torch/op.py.jinja",
        header=header,
        doc=docstring(f"The operator {first.name}."),
        imports=_imports(runtime, bool(scans), triton),
        runtime=runtime,
        state_fields=[(identifier(s.name), _state_layout(s)) for s in first.sequence.states],
        namespace=repr(namespace),
        kernels=triton,
        scans=scans,
        no_double=repr(f"{first.name}: second derivatives are not implemented"),
        operators=[each.context() for each in printers],
        filters=bool(filters and filters.names),
        spectral=any(each.sequence.products for each in printers),
    )
    return text, tuple(each.operator for each in printers)


def _imports(runtime: tuple[str, ...], scans: bool, triton: bool) -> list[str]:
    text = " ".join(runtime)
    found = ["import contextlib", "import functools"] if scans else []
    found += ["import math"] if "math." in text else []
    found += ["import os"] if scans and triton else []
    abstract = [each for each in ("Callable", "Sequence") if f"{each}[" in text]
    abstract = sorted({*abstract, "Sequence"}) if scans else abstract
    if abstract:
        found.append(f"from collections.abc import {', '.join(abstract)}")
    found += ["from types import ModuleType"] if scans else []
    named = scans or ": Any" in text
    found.append("from typing import Any, NamedTuple" if named else "from typing import NamedTuple")
    return found


class _Printer:
    """One public function: its operands, its sequence function, its decode step."""

    def __init__(
        self, name: str, program: Program, filters: Filters | None, products: bool
    ) -> None:
        calls = {n: f"_scan_{scan_name(step)}" for n, step in enumerate(program.scans)}
        self.program, self.name = program, name
        self.sequence = sequence = print_program(
            program, f"_{name}_sequence", calls, filters, products
        )
        self.names = Names((*_RESERVED, name, f"{name}_step"))
        self.parameters = tuple(self.names(each.name) for _, each in sequence.operands)
        self.numbers = tuple(self.names(each) for each in sequence.numbers)
        self.direct = self._direct()

    @property
    def operator(self) -> Operator:
        return Operator(self.name, self.sequence, self.parameters, self.numbers)

    def used(self) -> set[str]:
        """The runtime functions that the public function calls."""
        used = {"_checked", "_autocast", "_listed", "_packed", "_stored"}
        used -= set() if self.sequence.loops else {"_packed"}
        if self.program.scans:
            used |= {"_heads", "_accumulator", "_vmapped", "_sequences", "_trained"}
            used |= {"_applied", "_uncast"}
        used |= {"_quarter"} if any(each.phase for each in self.program.scans) else set()
        return used - {"_stored"} | {"_written"} if self.direct else used

    def context(self) -> dict[str, Any]:
        """What the template lays out."""
        sequence = _function_context(self.sequence.function)
        return {"sequence": sequence, "mixer": self._mixer(self.direct)}

    def _mixer(self, direct: ScanStep | None) -> dict[str, Any]:
        kinds = "".join(_kind(each) for _, each in self.sequence.operands)
        tensors = [f"{name}: Tensor" for name in self.parameters]
        numbers = [f"{each}: float | None = None" for each in self.numbers]
        options = [
            "initial_state: State | Tensor | None = None",
            "output_final_state: bool = False",
            "cu_seqlens: Tensor | None = None",
        ]
        step_options = ["state_indices: Tensor | None = None"]
        moved = [
            f"{name}.unsqueeze(1)" if _kind(each) == "t" else name
            for name, (_, each) in zip(self.parameters, self.sequence.operands, strict=True)
        ]
        return {
            "name": self.name,
            "title": repr(self.name),
            "parameters": [*tensors, "*", *numbers, *options],
            "step_parameters": [*tensors, "state: State | Tensor", "*", *numbers, *step_options],
            "doc": docstring(self._doc(), 4),
            "step_doc": docstring(self._step_doc(), 4),
            "specs": [repr((n, _kind(o), o.declaration.type.axes)) for n, o in self._listed()],
            "logs": repr(tuple(o.log for _, o in self.sequence.operands)),
            "operands": ", ".join(self.parameters),
            "count": len(self.sequence.states),
            "loops": self.sequence.loops,
            "kinds": repr(kinds),
            "numbers": "".join(f"{each}, " for each in self._settings("output_final_state")),
            "run": self.sequence.function.name,
            "unbounded": self._unbounded(),
            "direct": scan_name(direct) if direct else "",
            "direct_arguments": ", ".join(self._direct_arguments(direct)) if direct else "",
            "direct_defaults": self._direct_defaults() if direct else [],
            "given": self._given("*operands", "output_final_state", "*states", "cu_seqlens"),
            "step_given": self._given(", ".join(moved), "True", "*held", "None"),
        }

    def _unbounded(self) -> str:
        """Why there is no decode step in place, as a literal; empty where there is one."""
        if all(each.kind != "history" for each in self.sequence.states):
            return ""
        call = f"{self.name}(..., initial_state=state, output_final_state=True)"
        return repr(f"{self.name} keeps every past token: call {call} for each token")

    def _settings(self, wanted: str) -> list[str]:
        """What the function takes between operands and states."""
        return [*self.numbers, *([wanted] if self.sequence.lazy else [])]

    def _given(self, operands: str, wanted: str, states: str, packed: str) -> str:
        """The arguments of the function over whole sequences."""
        given = [operands, *self._settings(wanted), states]
        return ", ".join(given if self.sequence.loops else [*given, packed])

    def _listed(self) -> list[tuple[str, Operand]]:
        return [
            (name, each)
            for name, (_, each) in zip(self.parameters, self.sequence.operands, strict=True)
        ]

    def _doc(self) -> str:
        mixer = self.program.mixer
        lines = [mixer.doc.strip() or mixer.name, ""]
        lines += [f"{name}: {_layout(each)}{_note(each)}" for name, each in self._listed()]
        states = self.sequence.states
        if states:
            lines += ["", "States, float32 (float64 for float64 operands):"]
            lines += [f"{identifier(each.name)}: {_state_layout(each)}" for each in states]
        lines += ["", "cu_seqlens [N + 1]: bounds of sequences packed along T; then B is 1."]
        return "\n".join(lines)

    def _step_doc(self) -> str:
        text = "One token: operands without T; the state is updated in place"
        return f"{text}, in the rows `state_indices` where they are given."

    def _direct(self) -> ScanStep | None:
        """The scan when the program is nothing but it, over raw operands."""
        scans = self.program.scans
        if len(scans) != 1 or len(self.sequence.states) != 1:
            return None
        if scans[0].layout is not None or self.program.turns:
            return None
        step, crossed = scans[0], {each.name for _, each in self.sequence.operands}
        computed = [each.name for each in self.program.steps if isinstance(each, Compute)]
        if any(name not in self.sequence.numbers for name in computed):
            return None
        if not all(bound in crossed or bound in computed for _, bound in step.arguments):
            return None
        state = self.sequence.states[0].declaration
        straight = state is not None and state.type.axes == step.scan.axes
        output = self.program.output
        bare = isinstance(output, Read) and output.name == step.result
        declared = self.program.mixer.output.type.axes == step.scan.reads
        return step if bare and straight and declared else None

    def _direct_arguments(self, step: ScanStep) -> list[str]:
        arguments = dict(step.arguments)
        by_name = {each.name: name for name, each in self._listed()}
        by_name |= dict(zip(self.sequence.numbers, self.numbers, strict=True))
        return [by_name[arguments[each.name]] for each in step.scan.operands]

    def _direct_defaults(self) -> list[str]:
        """Lines that give numbers their default, from the sizes of a token's operands."""
        found: list[str] = []
        for number, text in self.sequence.defaults:
            for axis, size in self.sequence.sizes:
                place = next(
                    (name, 2 - (each.static and 1) + each.declaration.type.axes.index(axis))
                    for name, each in self._listed()
                    if axis in each.declaration.type.axes
                )
                found.append(f"{size} = {place[0]}.shape[{place[1]}]")
            name = self.names(number)
            found.append(f"{name} = {text} if {name} is None else {name}")
        return found


def _kind(operand: Operand) -> str:
    if operand.taps:
        return "k"
    return "h" if operand.static else "t"


def _layout(operand: Operand) -> str:
    lead = {"t": ["B", "T", "H"], "h": ["H"], "k": ["H", "taps"]}[_kind(operand)]
    return f"[{', '.join([*lead, *operand.declaration.type.axes])}]"


def _note(operand: Operand) -> str:
    if operand.log:
        return ", natural log of a decay, at most 0; -inf is a reset"
    return ""


def _state_layout(state: State) -> str:
    if state.kind == "position" or state.declaration is None:
        return "[N], int64: tokens seen"
    axes = state.declaration.type.axes
    if state.kind == "running" and state.scan is not None:
        axes = state.scan.type.axes
    middle = {"delay": [str(state.depth)], "history": ["past"]}.get(state.kind, [])
    return f"[{', '.join(['N', 'H', *middle, *axes])}]"


def _function_context(function: Function) -> dict[str, Any]:
    return {
        "name": function.name,
        "parameters": function.parameters,
        "returns": function.returns,
        "doc": docstring(function.doc, 4),
        "lines": function.lines,
    }


def _scan_context(step: ScanStep) -> dict[str, Any]:
    """What the template needs of one scan."""
    scan, name = step.scan, scan_name(step)
    names = Names(_RESERVED)
    given = [(names(each.name), each) for each in scan.operands]
    texts = [text for text, _ in given]
    tensors = [(text, each) for text, each in given if each.per is not Per.CALL]
    tokens = [text for text, each in tensors if each.per is Per.TOKEN]
    trained = [text for text, each in given if each.name in scan.trainable]
    products = [text for text, each in given if each.name in scan.typed]
    typed = [f"{'float' if each.per is Per.CALL else 'Tensor'} {text}" for text, each in given]
    kinds = "".join(_KINDS[each.per] for _, each in given)
    trained_kinds = "".join(_KINDS[e.per] for _, e in given if e.name in scan.trainable)
    saved = [*(text for text, _ in tensors), "initial_state", "cu_seqlens"]
    numbers = [text for text, each in given if each.per is Per.CALL]
    restored = [f"ctx.{text}" if text in numbers else text for text in texts]
    gradients = [f"d_{text}" for text in trained]
    returned = [f"d_{text}" if text in trained else "None" for text in texts]
    arguments = ", ".join([*texts, "initial_state", "cu_seqlens"])
    head = f"{', '.join(typed)}, Tensor? initial_state, Tensor? cu_seqlens"
    shown = [_size(scan, axis, tensors) for axis in scan.axes]
    held = [f"state.shape[{n + 2}]" for n in range(len(scan.axes))]
    results = ", ".join(["Tensor"] * (len(trained) + 1))
    return {
        "name": name,
        "class_name": f"_Scan_{name}",
        "arguments": arguments,
        "passed": arguments,
        "operands": ", ".join(texts),
        "first": tokens[0],
        "like": products[0],
        "typed": f"({', '.join(products)},)",
        "kinds": repr("".join(_KINDS[each.per] for _, each in tensors)),
        "tensors": ", ".join(text for text, _ in tensors),
        "tokens": ", ".join(tokens),
        "trained": ", ".join(trained),
        "sizes": _config_sizes(shown),
        "state_sizes": _config_sizes(held),
        "state_shape": ", ".join(shown),
        "y_shape": ", ".join(_size(scan, axis, tensors) for axis in scan.reads),
        "y_dtype": ", dtype=dtype" if scan.wide else "",
        "step_shape": ", ".join(held[scan.axes.index(axis)] for axis in scan.reads),
        "forward_kinds": repr(f"{kinds}sco"),
        "backward_kinds": repr(f"{kinds}sctso"),
        "result_kinds": repr(f"{trained_kinds}s"),
        "forward_schema": repr(f"{name}_forward({head}, bool keep) -> (Tensor, Tensor, Tensor)"),
        "backward_schema": repr(
            f"{name}_backward({head}, Tensor dy, Tensor? d_final_state, Tensor? kept)"
            f" -> ({results})"
        ),
        "step_schema": repr(
            f"{name}_step({', '.join(typed)}, Tensor(a!) state, Tensor? state_indices) -> Tensor"
        ),
        "step_arguments": ", ".join([*texts, "state", "state_indices"]),
        "step_passed": ", ".join([*texts, "state", "state_indices"]),
        "saved": ", ".join(saved),
        "numbers": numbers,
        "restored": ", ".join([*restored, "initial_state", "cu_seqlens"]),
        "gradients": ", ".join([*gradients, "d_initial_state"]),
        "returned": ", ".join([*returned, "d_initial_state", "None", "None"]),
        "turned": _turned(step, {each.name: text for text, each in given}, trained),
    }


def _turned(step: ScanStep, texts: dict[str, str], trained: list[str]) -> dict[str, Any] | None:
    """What the gradient of an angle needs of a scan; None where the scan has none.

    texts: of each operand, its name; trained: those with a gradient, in order.
    """
    scan = step.scan
    if not step.phase:
        return None
    assert isinstance(scan, Scan), "packed memories are a scan of the decay family"
    assert isinstance(scan.shrink, Load) and isinstance(scan.log_key, Load), "keys are packed"
    log = texts[scan.log_key.array]
    return {"shrink": texts[scan.shrink.array], "log": log, "place": trained.index(log)}


def _config_sizes(sizes: list[str]) -> str:
    """The sizes of a memory's axes as K and V of a configuration: K is 1 where it has one axis."""
    return ", ".join(["1", *sizes][-2:])


def _size(scan: AnyScan, axis: str, tensors: list[tuple[str, Any]]) -> str:
    """The size of an axis, read off an operand."""
    for text, each in tensors:
        if axis in each.axes:
            place = (3 if each.per is Per.TOKEN else 1) + each.axes.index(axis)
            return f"{text}.shape[{place}]"
    raise ValueError(f"no operand of {scan.name} shows the size of {axis}")
