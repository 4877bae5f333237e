"""The generated folder of a mixer, as text by file name.

`emit` prints everything; nothing is written. The files import torch, triton (inside functions) and
the standard library only, and are the same under any hash seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eosc.backends.naming import comment, identifier
from eosc.backends.text import docstring, render
from eosc.backends.torch.filters import Filters, print_filters
from eosc.backends.torch.layers import class_name, print_layer
from eosc.backends.torch.module import TOKENS_PER_CHUNK, render_kernels, scan_functions
from eosc.backends.torch.operator import Operator, print_operators, scan_name
from eosc.backends.torch.spectral import print_spectral
from eosc.backends.torch.texts import NotPrintableError
from eosc.backends.triton.filters import print_triton_filters
from eosc.backends.triton.spectral import print_triton_spectral
from eosc.diagnostics import NOWHERE, Diagnostic, EosError
from eosc.recurrence.rows import eos_row, equation
from eosc.schedule.program import Program, ScanStep

if TYPE_CHECKING:
    from eosc.backends.proofs import Line, Proved

MANIFEST = "manifest.json"
CERTIFICATE = "certificates/algorithms.cert.json"
_PYTHON = (
    "__init__.py",
    "op.py",
    "torch_kernels.py",
    "triton_kernels.py",
    "filters.py",
    "triton_filters.py",
    "spectral.py",
    "triton_spectral.py",
    "layer.py",
    "schedule.py",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a spec comes from: the file's name without folders, and its text."""

    file: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def emit(
    program: Program,
    *,
    name: str,
    origin: Origin | None = None,
    backend: str | None = None,
    triton: str | None = None,
    layer: bool = True,
    inside: Program | None = None,
    prove: bool = False,
) -> dict[str, str]:
    """The files of a mixer's folder.

    Args:
        program: the planned mixer.
        name: of the mixer or instance; the public function's name.
        origin: the spec, for the header.
        backend: None prints what there is; `triton` insists on Triton kernels.
        triton: the text of `triton_kernels.py`; None prints it from the program's scans.
        layer: whether the layer is printed where the spec has one.
        inside: the program of the mixer with its layer's bindings inside: a second operator,
            `<name>_layer`, whose operands are the raw projections.
        prove: whether what is printed is proved, and certificates written beside it.

    Raises:
        EosError: E090, where Triton is asked for and the structure has no kernels; E091,
            where a term has no torch form.
    """
    if backend == "triton" and program.fallback:
        raise _no_triton(name, program, f"{program.fallback} has no fused lowering yet")
    source = origin or Origin("", program.mixer.name)
    called = identifier(name)
    header = _header(name, source, origin is not None)
    programs = operators_of(called, program, inside if layer else None)
    steps = [step for _, each in programs for step in each.scans]
    kernels = triton
    if kernels is None and steps and backend != "torch":
        kernels = _triton(steps, header)
    files: dict[str, str] = {}
    try:
        namespace = f"eosc_{called}_{_stamp(program, source)}"
        filters = Filters()
        text, operators = print_operators(
            programs,
            namespace,
            header,
            triton=kernels is not None,
            filters=filters,
            products=backend != "torch",
        )
        functions = [
            function
            for step in steps
            for function in scan_functions(step.scan, step.form(TOKENS_PER_CHUNK), scan_name(step))
        ]
        files["torch_kernels.py"] = render_kernels(functions, header)
    except NotPrintableError as reason:
        message = f"{name} cannot be printed: {reason}"
        raise EosError(Diagnostic("E091", message, program.mixer.span or NOWHERE)) from reason
    operator = operators[0]
    files["op.py"] = text
    if kernels is not None:
        files["triton_kernels.py"] = kernels
    without = "the spec has no layer"
    if layer and program.mixer.layer is not None:
        try:
            files["layer.py"] = print_layer(program.mixer, operators, called, header, filters)
        except NotPrintableError as reason:
            without = str(reason)
    spectral = any(each.sequence.products for each in operators)
    if backend == "triton" and kernels is None and not filters.names and not spectral:
        raise _no_triton(name, program, "it is torch's own transforms and products")
    if filters.names:
        files["filters.py"] = print_filters(filters, namespace, header, backend != "torch")
        if backend != "torch":
            files["triton_filters.py"] = print_triton_filters(filters, header)
    if spectral:
        files["spectral.py"] = print_spectral(namespace, header)
        files["triton_spectral.py"] = print_triton_spectral(header)
    files["schedule.py"] = _schedule(program, steps, header, kernels is not None)
    files["__init__.py"] = _init(called, operators, header, "layer.py" in files)
    proofs = (
        _proofs(name, source, programs, kernels is not None)
        if prove and not program.fallback
        else None
    )
    lines = () if proofs is None else proofs.lines
    files["README.md"] = _readme(program, name, operator, files, without) + _proved(
        lines, bool(steps)
    )
    files = {each: files[each] for each in (*_PYTHON, "README.md") if each in files}
    if proofs is not None:
        files[CERTIFICATE] = proofs.text
    files[MANIFEST] = _manifest(name, source, namespace, files, lines)
    return files


def _no_triton(name: str, program: Program, why: str) -> EosError:
    message = f"no Triton kernels for {name}: {why}"
    return EosError(Diagnostic("E090", message, program.mixer.span or NOWHERE))


def operators_of(
    called: str, program: Program, inside: Program | None
) -> list[tuple[str, Program]]:
    """The operators of a package by name: the mixer's, and the one with its layer inside."""
    found = [(called, program)]
    if inside is not None:
        found.append((f"{called}_layer", _renamed(inside)))
    return found


def _proofs(name: str, source: Origin, programs: list[tuple[str, Program]], triton: bool) -> Proved:
    from eosc.backends.proofs import file

    origin = {"mixer": name, "source": source.file, "source_sha256": source.digest}
    return file(programs, triton, origin)


OF_SCANS = (
    f"Proved for every length, K and V over the exact reals (`{CERTIFICATE}`; check it with",
    "`eosc check-cert`): the spec is the recurrence of its scan, and each printed algorithm",
    "computes that recurrence or is its gradient. The printed text itself is tested.",
)
OF_THE_REST = (
    f"Proved for every length and size over the exact reals (`{CERTIFICATE}`; check",
    "it with `eosc check-cert`). How a convolution is summed is tested, and so is the",
    "printed text.",
)


def _proved(lines: tuple[Line, ...], scanned: bool) -> str:
    """What the certificate says, for the README; of scans, that it holds their algorithms too."""
    if not lines:
        return ""
    listed = [str(each) for each in lines]
    if all(each.unproved for each in lines):
        said = ["Nothing here is proved yet; what is printed is tested. Why not:"]
        listed = list(dict.fromkeys(each.unproved for each in lines))
    else:
        said = list(OF_SCANS if scanned else OF_THE_REST)
    shown = ["", *said, "", *(f"- {_markdown(each)}" for each in listed)]
    return "\n".join(shown) + "\n"


def _triton(steps: list[ScanStep], header: tuple[str, ...]) -> str:
    from eosc.backends.triton.module import render_steps

    return render_steps([(scan_name(step), step) for step in steps], header)


def _renamed(program: Program) -> Program:
    """The program of a layer, its scans called `<memory>_layer`."""
    steps = tuple(
        replace(step, called=f"{scan_name(step)}_layer") if isinstance(step, ScanStep) else step
        for step in program.steps
    )
    return replace(program, steps=steps)


def _stamp(program: Program, source: Origin) -> str:
    """Eight digits that change with the spec or the program made of it."""
    text = f"{source.digest} {program.mixer.name} {program.mixer.choices} {program.steps!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _header(name: str, source: Origin, known: bool) -> tuple[str, ...]:
    lines = [f"Generated by eosc from the mixer {comment(name)}. Do not edit: change the spec."]
    if known:
        lines.append(f"Source: {comment(source.file)}, sha256 {source.digest[:16]}")
    return tuple(lines)


def _init(name: str, operators: tuple[Operator, ...], header: tuple[str, ...], layer: bool) -> str:
    public = [text for each in operators for text in (each.name, f"{each.name}_step")]
    exported = {"op": ["Output", "State", *public]}
    if layer:
        exported["layer"] = ["LayerState", class_name(name)]
    return render(
        "torch/init.py.jinja",
        header=header,
        doc=docstring(f"{name}: the operator{' and its layer' if layer else ''}."),
        modules=[(module, ", ".join(sorted(names))) for module, names in exported.items()],
        exported=sorted(each for names in exported.values() for each in names),
    )


def _schedule(
    program: Program, steps: list[ScanStep], header: tuple[str, ...], triton: bool
) -> str:
    from eosc.schedule.table import rows_of

    scans = []
    for step in steps:
        rows = [repr(row.printed) for row in rows_of(step.scan)] if triton else []
        forms = [repr((form.chunk, form.base)) for form in step.forms]
        why = [comment(step.certified(form.chunk)) for form in step.forms]
        scans.append(
            {
                "name": scan_name(step),
                "chunk": TOKENS_PER_CHUNK,
                "forms": list(zip(forms, why, strict=True)),
                "rows": rows,
            }
        )
    return render(
        "torch/schedule.py.jinja",
        header=header,
        doc=docstring(f"How {program.mixer.name} is computed, and why that is safe."),
        scans=scans,
        fallback=repr(program.fallback),
    )


def _readme(
    program: Program, name: str, operator: Operator, files: Mapping[str, str], without: str
) -> str:
    mixer = program.mixer
    lines = [f"# {comment(name)}", ""]
    lines += [*(_markdown(line) for line in mixer.doc.strip().splitlines()), ""]
    lines += ["Generated by eosc; edit the spec, not these files.", ""]
    written = [mixer.by_name[each] for each in mixer.order]
    lines += ["```", *(comment(equation(each)) for each in written if each.value), "```", ""]
    rows = [(eos_row(one, program.system), one) for one in program.system.recurrences]
    if rows:
        lines += ["| memory | input i | expand e | oscillation o | shrink s | axes | structure |"]
        lines.append("|---|---|---|---|---|---|---|")
        for row, recurrence in rows:
            cells = (row.memory, row.input, row.expand, row.oscillation, row.shrink, row.axes)
            shown = [f"`{_code(cell)}`" for cell in (*cells, str(recurrence.structure))]
            lines.append(f"| {' | '.join(shown)} |")
        lines.append("")
    lines += ["Operands:", ""]
    for text, (_, each) in zip(operator.parameters, operator.sequence.operands, strict=True):
        axes = ", ".join(each.declaration.type.axes)
        lead = "H" if each.static else "B, T, H"
        layout = f"[{lead}{', ' if axes else ''}{axes}]"
        lines.append(
            f"- `{text}` {_markdown(layout)}{': log-decay, at most 0' if each.log else ''}"
        )
    called = identifier(name)
    arguments = ", ".join(operator.parameters)
    lines += ["", "```python", f"from {called} import {called}", ""]
    lines += [f"y, state = {called}({arguments}, output_final_state=True)", "```", ""]
    if program.fallback:
        reason = _markdown(program.fallback)
        lines.append(f"There is no fused lowering yet for {reason}: a token recurrence in torch.")
    if "layer.py" in files:
        lines.append(f"`layer.py` has the module `{class_name(called)}` with its projections.")
    else:
        lines.append(f"No `layer.py`: {_markdown(without)}.")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Text inside backticks in a table."""
    return comment(text).replace("`", "'").replace("|", "/")


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in comment(text))


def _manifest(
    name: str,
    source: Origin,
    namespace: str,
    files: Mapping[str, str],
    proofs: tuple[Line, ...],
) -> str:
    from eosc import __version__

    digests = {each: hashlib.sha256(text.encode()).hexdigest() for each, text in files.items()}
    content = {
        "generator": "eosc",
        "version": __version__,
        "mixer": name,
        "source": source.file,
        "source_sha256": source.digest,
        "namespace": namespace,
        "files": digests,
        "proved": {each.subject: list(each.conditions) for each in proofs if not each.unproved},
        "unproved": {each.subject: each.unproved for each in proofs if each.unproved},
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
