"""What is checked once a mixer's declarations are read: ranges, linearity, growth, roles, use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import inf

from eosc.algebra.interval import Interval
from eosc.algebra.scalar import ONE, ZERO
from eosc.diagnostics import Label
from eosc.semantics.declarations import Reader
from eosc.semantics.findings import Findings
from eosc.semantics.graph import StateGraph
from eosc.semantics.linearity import Form, Linearity, Nonlinear, names_behind
from eosc.semantics.model import Declaration, Kind, Mixer, Role
from eosc.semantics.ranges import infer_ranges
from eosc.semantics.scalars import Scalars
from eosc.semantics.terms import Apply, Read, walk

_STABLE = Interval(Fraction(-1), Fraction(1))


def check_mixer(mixer: Mixer, reader: Reader, findings: Findings) -> Mixer:
    """The mixer with its ranges; everything found about it is reported."""
    before = findings.count_errors()
    declarations, scalars = infer_ranges(mixer.declarations, reader, findings)
    mixer = replace(mixer, declarations=declarations)
    graph = StateGraph(mixer)
    behind = names_behind(mixer, findings.work)
    forms: dict[str, Form] = {}
    for group in graph.stages():
        between = graph.between(group)
        order = tuple(name for name in mixer.order if name in between)
        findings.work.spend(len(mixer.order) // 256)
        for name in group:
            try:
                forms[name] = Linearity(mixer, group, name, scalars, behind, order).run()
            except Nonlinear as error:
                _report_nonlinear(mixer, name, error, findings)
    if findings.count_errors() != before:
        return mixer
    expands = _Expands(mixer, scalars, behind)
    for name, form in forms.items():
        findings.work.spend(len(mixer.declarations) // 256)
        _check_growth(mixer, name, form, scalars, findings)
        _check_expand(form, expands, findings)
    _check_roles(mixer, graph, forms, behind, findings)
    _check_use(mixer, reader, graph, findings)
    return mixer


# ---- E060


def _report_nonlinear(mixer: Mixer, name: str, error: Nonlinear, findings: Findings) -> None:
    declaration = mixer.by_name[name]
    span = error.term.span or declaration.span
    assert span is not None
    equation = declaration.value.span if declaration.value is not None else None
    labels: tuple[Label, ...] = ()
    if equation is not None and not equation.start <= span.start < equation.end:
        labels = (Label(equation, f"the update of {name} reads it"),)
    findings.add(
        "E060",
        f"{name}[t] depends nonlinearly on the memory through {error.reason}:"
        " this is not an EOS system",
        span,
        label="nonlinear in the memory",
        labels=labels,
        hint="the update of a memory must be linear in that memory; gates may not read it",
    )


# ---- W062, W063, E063


def _check_growth(
    mixer: Mixer, name: str, form: Form, scalars: Scalars, findings: Findings
) -> None:
    """A decay that is not shown to stay within [-1, 1] lets the memory grow."""
    if form.factor is ZERO or form.factor is ONE:
        return
    range = scalars.bound(form.factor)
    if range.within(_STABLE):
        return
    declaration = mixer.by_name[name]
    assert declaration.value is not None
    culprit = _unbounded_factor(mixer, form)
    if culprit is None:
        shown, span = f"the factor of {name}[t-1]", declaration.value.span
    else:
        shown, span = f"decay '{culprit.name}'", culprit.span
        range = culprit.inferred
    assert span is not None
    findings.add(
        "W062",
        f"{shown} is not bounded by 1 (inferred {range}): the memory may grow",
        span,
        hint="add a range, such as `in (0, 1]`, or bound it",
    )


def _unbounded_factor(mixer: Mixer, form: Form) -> Declaration | None:
    """The first named oscillation that scales the memory and is not bounded by 1."""
    for declaration in mixer.declarations:
        if declaration.name not in form.coefficients or declaration.role is not Role.OSCILLATION:
            continue
        if not declaration.inferred.within(_STABLE):
            return declaration
    return None


@dataclass(frozen=True)
class _Expands:
    """The unbounded exponentials of a mixer, found when they are first asked for."""

    mixer: Mixer
    scalars: Scalars
    behind: Mapping[str, frozenset[str]]

    @cached_property
    def unbounded(self) -> tuple[tuple[Declaration, Apply], ...]:
        """The first real exp of each declaration that has no upper bound."""
        found = []
        for declaration in self.mixer.declarations:
            for term in walk(declaration.value) if declaration.value is not None else ():
                is_exp = isinstance(term, Apply) and term.op == "exp" and not term.type.complex
                if is_exp and self.scalars.bound(self.scalars.real(term)).hi == inf:
                    assert isinstance(term, Apply)
                    found.append((declaration, term))
                    break
        return tuple(found)

    @cached_property
    def cancel(self) -> bool:
        """Whether the scale of an exponential cancels in the readout."""
        return is_ratio(self.mixer, self.behind)


def _check_expand(form: Form, expands: _Expands, findings: Findings) -> None:
    """An unbounded exp in the additive term needs rescaling, which a ratio readout undoes."""
    if not form.additive:
        return
    for declaration, term in expands.unbounded:
        if declaration.name in form.additive and declaration.name not in form.coefficients:
            _report_expand(expands, declaration, term, findings)
            return


def _report_expand(
    expands: _Expands, declaration: Declaration, term: Apply, findings: Findings
) -> None:
    assert term.span is not None
    shown = findings.quote(term.span) or declaration.name
    if expands.cancel:
        findings.add(
            "W063",
            f"expand '{shown}' is unbounded: computed with running-max rescaling",
            term.span,
            notes=("the readout is a ratio, so the scale cancels",),
            hint="bound its argument to avoid the rescaling",
        )
        return
    findings.add(
        "E063",
        f"expand '{shown}' is unbounded and the readout is not a ratio:"
        " rescaling by a running maximum would not cancel",
        term.span,
        hint="bound its argument, as in exp(-softplus(x)), or divide by a memory that has the"
        " same expand",
    )


def is_ratio(mixer: Mixer, behind: Mapping[str, frozenset[str]]) -> bool:
    """Whether the output divides by something that depends on a memory."""
    memories = {each.name for each in mixer.memories}
    pending, seen = [mixer.output.name], set()
    while pending:
        name = pending.pop()
        declaration = mixer.by_name.get(name)
        if name in seen or declaration is None or declaration.value is None:
            continue
        seen.add(name)
        for term in walk(declaration.value):
            if isinstance(term, Apply) and term.op == "div":
                reads = (x.name for x in walk(term.args[1]) if isinstance(x, Read))
                if any(memories & behind.get(x, frozenset()) for x in reads):
                    return True
            if isinstance(term, Read) and term.name not in memories:
                pending.append(term.name)
    return False


# ---- W070, W071, W072


def _check_roles(
    mixer: Mixer,
    graph: StateGraph,
    forms: dict[str, Form],
    behind: Mapping[str, frozenset[str]],
    findings: Findings,
) -> None:
    """Roles are checked, not trusted."""
    if not forms:
        return
    coefficients = frozenset().union(*(each.coefficients for each in forms.values()))
    additive = frozenset().union(*(each.additive for each in forms.values()))
    readout = _readout_names(mixer, graph, behind)
    for each in mixer.declarations:
        places = [
            where
            for where, names in (
                ("scales the memory", coefficients),
                ("is added to the memory", additive),
                ("reaches the readout", readout),
            )
            if each.name in names
        ]
        wanted = _WANTED.get(each.role)
        if wanted is None or not places or wanted in places or each.span is None:
            continue
        findings.add(
            "W072",
            f"'{each.name}' is declared {each.role} but only {' and '.join(places)}",
            each.span,
            hint=f"declare it {_ROLE_OF[places[0]]}, or arg",
        )


_WANTED = {
    Role.OSCILLATION: "scales the memory",
    Role.EXPAND: "is added to the memory",
    Role.INPUT: "is added to the memory",
    Role.SHRINK: "reaches the readout",
}
_ROLE_OF = {
    "scales the memory": "oscillation",
    "is added to the memory": "expand",
    "reaches the readout": "shrink",
}


def _readout_names(
    mixer: Mixer, graph: StateGraph, behind: Mapping[str, frozenset[str]]
) -> frozenset[str]:
    """Names that the output reads, and those that a later stage reads an earlier memory with."""
    memories = {name: stage for stage, group in enumerate(graph.stages()) for name in group}
    found = set(behind[mixer.output.name])
    for each in mixer.declarations:
        if each.kind is Kind.MEMORY or each.value is None:
            continue
        if not behind[each.name].isdisjoint(memories):
            found |= behind[each.name]
    for each in mixer.memories:
        assert each.value is not None
        others = {x.name for x in walk(each.value) if isinstance(x, Read)} & memories.keys()
        if any(memories[x] < memories[each.name] for x in others):
            found |= {x.name for x in walk(each.value) if isinstance(x, Read)}
    return frozenset(found)


def _check_use(mixer: Mixer, reader: Reader, graph: StateGraph, findings: Findings) -> None:
    """Names that nothing reads, memories that the output does not depend on.

    What only a layer reads is used as well.
    """
    used = reader.scope.used | reader.mentioned
    behind = graph.upstream(mixer.output.name)
    for each in mixer.declarations:
        if each.kind is Kind.OUTPUT or each.span is None:
            continue
        if each.kind is Kind.MEMORY:
            if each.name not in behind:
                findings.add(
                    "W071",
                    f"memory '{each.name}' is written but never read by the output",
                    each.span,
                    hint="read it in the output, or remove it",
                )
            continue
        if each.name in used:
            continue
        what = "state" if each.kind in (Kind.OPERAND, Kind.STATE) else str(each.kind)
        findings.add("W070", f"unused {what} '{each.name}'", each.span, hint="use it, or remove it")
