"""The program of a mixer: what runs before, in and after its fused scans.

A program is a list of steps over whole sequences. `Compute` steps are plain tensor expressions
(rotations, running sums, delays: whatever a scan's prologue cannot hold); a `ScanStep` is one call
of a generated operator, with its pointwise prologues fused. Where a memory's structure has no
fused lowering yet, the whole mixer is a token recurrence instead (`scans` is empty).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eosc.algebra.exponent import Certificate
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.recurrence.model import System
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Term


@dataclass(frozen=True, slots=True)
class Compute:
    """A named value over the whole sequence (or static), computed by plain tensor code."""

    name: str
    term: Term


@dataclass(frozen=True, slots=True)
class ScanStep:
    """One fused scan. Its operands are mixer operands or earlier `Compute` values, by name.

    arguments: per operand array of the scan, the name it is bound to: an operand of the mixer
        (as it crosses: `log_a` for a decay), or a `Compute`.
    result: the name of the readout that it computes.
    forms: one certified form for each chunk length; certificates: why its base is safe (none
        where no decay varies over K or V, so that any chunk is).
    """

    scan: Scan
    arguments: tuple[tuple[str, str], ...]
    result: str
    forms: tuple[Form, ...] = ()
    certificates: tuple[Certificate, ...] = ()

    def form(self, chunk: int) -> Form:
        """The certified form with that chunk length."""
        return next(each for each in self.forms if each.chunk == chunk)


@dataclass(frozen=True, slots=True)
class Program:
    """A mixer as steps, then its output.

    output: the output's term over operands, computed values and readouts; when it is a bare read
        of the last readout nothing runs after the scan.
    fallback: why there is no fused scan, for warning W090; empty where there is one.
    """

    mixer: Mixer
    system: System
    steps: tuple[Compute | ScanStep, ...]
    output: Term
    fallback: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def scans(self) -> tuple[ScanStep, ...]:
        """The fused scans, in order."""
        return tuple(each for each in self.steps if isinstance(each, ScanStep))
