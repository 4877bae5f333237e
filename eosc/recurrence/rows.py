"""A mixer's recurrence as people write it: its equations, and its row of the EOS table.

Source: LCSM (arXiv 2405.17383), table 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eosc.recurrence.building import is_number
from eosc.recurrence.model import Recurrence, System
from eosc.recurrence.operators import Dense, Elementwise, Piece, Product, RankOne
from eosc.semantics.formulas import formula
from eosc.semantics.model import Declaration, Kind, Mixer, Role
from eosc.semantics.terms import Dependence, Read, Term, walk

ELEMENTWISE = ("identity", "scalar", "diag", "separable")
"""Structures that multiply the memory elementwise; the others are matrix products."""


@dataclass(frozen=True, slots=True)
class EosRow:
    """One memory as the table of the paper has it; `dependence` says y or n for e, o and s."""

    memory: str
    input: str
    expand: str
    oscillation: str
    shrink: str
    axes: str
    product: str
    dependence: str


def equation(declaration: Declaration) -> str:
    """A definition as text: `m[t] = a[t] * m[t-1] + k[t] * v[t]`."""
    assert declaration.value is not None  # the order holds names with a definition
    timed = declaration.type.dependence is not Dependence.STATIC
    index = f"[{declaration.lag}]" if declaration.lag else "[t]" if timed else ""
    if declaration.kind is Kind.MEMORY:
        index = "[t]"
    return f"{declaration.name}{index} = {formula(declaration.value)}"


def eos_row(each: Recurrence, system: System) -> EosRow:
    """The row of one memory."""
    reads = [readout for readout in system.readouts if readout.memory == each.memory]
    expands = [write.expand for write in each.writes]
    inputs = [write.input for write in each.writes]
    shrinks = [readout.shrink for readout in reads if readout.shrink is not None]
    dependent = (
        _expands(expands, system.mixer),
        each.dependence is Dependence.DATA,
        _dependent(shrinks),
    )
    return EosRow(
        memory=each.memory,
        input=_joined(inputs) if inputs else _whole(each),
        expand=_joined(expands) or "0",
        oscillation=_oscillation(each),
        shrink=_joined(shrinks) or "1",
        axes="×".join(each.type.axes) or "1",
        product="⊙" if each.structure.kind in ELEMENTWISE else "matrix",
        dependence="/".join("y" if yes else "n" for yes in dependent),
    )


def _whole(each: Recurrence) -> str:
    return formula(each.additive) if each.additive is not None else "0"


def _joined(terms: Iterable[Term]) -> str:
    return "; ".join(dict.fromkeys(map(formula, terms)))


def _expands(terms: Sequence[Term], mixer: Mixer) -> bool:
    """Whether what expands depends on data: by its role, where a term mixes it with the input."""
    reads = [x for term in terms for x in walk(term) if isinstance(x, Read)]
    named = [x for x in reads if x.name in mixer.by_name]
    roles = [x for x in named if mixer.by_name[x.name].role is Role.EXPAND]
    return _dependent(roles or terms)


def _dependent(terms: Iterable[Term]) -> bool:
    return any(each.type.dependence is Dependence.DATA for each in terms)


def _oscillation(each: Recurrence) -> str:
    if each.structure.kind == "coupled":
        return formula(each.update) if each.update is not None else ""
    return _sum(each.pieces)


def _sum(pieces: Iterable[Piece]) -> str:
    return " + ".join(map(_piece, pieces)).replace("+ -", "- ") or "0"


def _piece(piece: Piece) -> str:
    match piece:
        case Elementwise(factors):
            return _product(factors)
        case RankOne(functional, _, back):
            negative = sum(is_number(factor, -1) for factor in back) % 2
            kept = [factor for factor in back if not is_number(factor, -1)]
            return f"{'-' * negative}{_bracketed(kept)} ⊗ {_bracketed(functional)}"
        case Dense(_, matrix):
            return formula(matrix)
        case Product(fold, before, body):
            start = f" * {_bracketed(before)}" if before else ""
            return f"product[{fold.axis}]({_sum(body)}){start}"
    return "a linear map"


def _product(factors: Iterable[Term]) -> str:
    return " * ".join(formula(each, 6) for each in factors) or "1"


def _bracketed(factors: Sequence[Term]) -> str:
    text = _product(factors)
    return f"({text})" if len(factors) > 1 else text
