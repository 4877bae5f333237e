"""What the computation of the steps of a program that are constant in time rests on, and proofs.

These are identities of the mechanism, for any values: the spec decides only which of them a program
uses. That the text follows them is tested.
"""

from __future__ import annotations

from typing import Any

from eosc.prove.algorithms.circles import prove_circle
from eosc.prove.algorithms.doublings import prove_doubling
from eosc.prove.algorithms.powers import prove_powers
from eosc.prove.formula import Problem
from eosc.schedule.program import FEW, ConvStep, InvariantStep, Program
from eosc.semantics.terms import Number

Proved = tuple[Problem, list[dict[str, Any]]]


def prove_constant(program: Program) -> dict[str, Proved]:
    """The statements behind a program's steps without a walk, by what they are about."""
    found: dict[str, Proved] = {}
    spectra = False
    for each in program.steps:
        if isinstance(each, InvariantStep):
            dense = each.matrix is not None
            if each.result == each.memory:
                found[f"{each.memory} by doubling"] = prove_doubling(dense)
                continue
            found[f"{each.memory} by powers"] = prove_powers(dense)
            found[f"{each.memory} behind blocks"] = prove_doubling(dense)
            spectra = True
        if isinstance(each, ConvStep):
            width = each.convolution.width
            spectra |= not (isinstance(width, Number) and width.value <= FEW)
    if spectra:
        found["sums over the past by spectra"] = prove_circle()
    return found
