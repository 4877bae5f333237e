"""One mixer, or one instance of a family, from its statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eosc.diagnostics import Span
from eosc.semantics.calls import call
from eosc.semantics.checks import check_mixer
from eosc.semantics.declarations import Draft, Reader
from eosc.semantics.expressions import Expressions
from eosc.semantics.findings import Findings
from eosc.semantics.layers import layer_of_mixer
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.resolution import Names
from eosc.semantics.scope import Scope
from eosc.syntax import ast


@dataclass(frozen=True, slots=True)
class Text:
    """What a mixer is elaborated from: a family's text with its choices settled is one, too.

    elsewhere: names that only other options define, with the choice that decides.
    operands_elsewhere: of those, the operands: a family's layer may bind them in vain.
    """

    name: ast.Name
    doc: str
    statements: tuple[ast.Statement, ...]
    options: tuple[tuple[str, str], ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    span: Span | None = None


def elaborate_mixer(text: Text, names: Names, findings: Findings) -> Mixer | None:
    """The mixer, or None when it has errors (all of them reported)."""
    before = findings.count_errors()
    scope = Scope(
        text.name.id,
        findings,
        macros=dict(names.macros),
        options=dict(text.options),
        elsewhere=dict(text.elsewhere),
    )
    work = Expressions(scope, call)
    reader = Reader(scope, work)
    layers = [each for each in text.statements if isinstance(each, ast.Layer)]
    reader.read([each for each in text.statements if not isinstance(each, ast.Layer)])
    _complete(text, reader, findings)
    for layer in layers:
        reader.mentioned |= {each.id for each in ast.walk(layer) if isinstance(each, ast.Name)}
    mixer = _assemble(text, reader) if findings.count_errors() == before else None
    if mixer is not None:
        mixer = check_mixer(mixer, reader, findings)
    if findings.count_errors() != before:
        return None
    assert mixer is not None
    for position, layer in enumerate(layers):
        if position:
            findings.add("E016", f"{mixer.name} has a second layer", layer.span)
            continue
        mixer = layer_of_mixer(layer, mixer, names, findings, text.elsewhere)
    return mixer if findings.count_errors() == before else None


def _complete(text: Text, reader: Reader, findings: Findings) -> None:
    """An output, and an equation for every memory (E002, E003)."""
    outputs = [each for each in text.statements if isinstance(each, ast.Output)]
    if not outputs:
        findings.add(
            "E002",
            f"mixer '{text.name.id}' has no output",
            text.name.span,
            hint="add `output y[t]: V = ...`",
        )
    for draft in reader.drafts.values():
        if draft.kind is Kind.MEMORY and draft.value is None and not draft.broken:
            findings.add(
                "E003",
                f"memory '{draft.name}' has no update equation {draft.name}[t] = ...",
                draft.span,
                hint=f"add {draft.name}[t] = {draft.name}[t-1] + ...",
            )


def _assemble(text: Text, reader: Reader) -> Mixer:
    drafts: Sequence[Draft] = list(reader.drafts.values())
    for draft in drafts:
        draft.initial = reader.initials.get(draft.name)
    return Mixer(
        name=text.name.id,
        axes=tuple(reader.scope.axes.axes.values()),
        declarations=tuple(each.finish() for each in drafts),
        order=tuple(reader.order),
        doc=text.doc,
        choices=text.options,
        span=text.span,
    )
