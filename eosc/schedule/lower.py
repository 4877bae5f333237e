"""Lower a program: the algorithms of its scans, for one chunk length."""

from __future__ import annotations

from eosc.ir.nodes import Algorithm
from eosc.lowering.family import family
from eosc.schedule.program import DEFAULT_CHUNK, Program, ScanStep


def lower(program: Program, length: int = DEFAULT_CHUNK) -> tuple[Algorithm, ...]:
    """Every algorithm of a program: of each scan in chunks and token by token, with adjoints."""
    return tuple(each for step in program.scans for each in lower_scan(step, length))


def lower_scan(step: ScanStep, length: int = DEFAULT_CHUNK) -> tuple[Algorithm, ...]:
    """Forward and backward of one scan, in chunks of `length` tokens and token by token."""
    form, how = step.form(length), family(step.scan)
    return (
        how.forward(step.scan, form),
        how.backward(step.scan, form),
        how.token(step.scan),
        how.token_backward(step.scan),
    )
