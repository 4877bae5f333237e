"""That a program of convolutions, its branches merged, is its spec.

How a convolution is summed, by taps or by spectra, is not part of the statement.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.prove.engine import Outcome, settle
from eosc.schedule.program import Program
from eosc.semantics.model import Mixer
from eosc.semantics.theorems import Equivalence, Side, Theorem


def prove_convolutions(program: Program) -> Outcome:
    """The outcome of the claim that the mixer with the program's output is the mixer.

    Requires: a program without scans and memories.
    """
    mixer, planned = program.mixer, _planned(program)
    names = tuple(each.name for each in mixer.operands)
    claim = Equivalence("prove", Side(mixer), Side(planned), (), names, ())
    return settle(Theorem(f"{mixer.name} is its convolutions", claims=(claim,)), claim)


def _planned(program: Program) -> Mixer:
    """The mixer with the output that the program computes."""
    mixer = program.mixer
    output = replace(mixer.output, value=program.output)
    declarations = tuple(
        output if each.name == output.name else each for each in mixer.declarations
    )
    return replace(mixer, name=f"{mixer.name}_planned", declarations=declarations)
