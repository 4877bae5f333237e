"""The program of a mixer: what runs before, in and after its fused scans.

A program is a list of steps over whole sequences. `Compute` steps are plain tensor expressions
(rotations, running sums, delays: whatever a scan's prologue cannot hold); a `ScanStep` is one call
of a generated operator, with its pointwise prologues fused. Where a memory's structure has no
fused lowering yet, the whole mixer is a token recurrence instead (`scans` is empty).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from eosc.algebra.exponent import Certificate
from eosc.ir.nodes import Algorithm
from eosc.lowering.family import family
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.recurrence.model import System
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Term

DEFAULT_CHUNK = 64
"""The chunk length that an explanation speaks of; the shipped table may choose another."""


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
    result: the name of the readout that it computes. called: what its functions are called after,
        where that is not the memory.
    forms: one certified form for each chunk length; certificates: why its base is safe (none
        where no decay varies over K or V, so that any chunk is).
    """

    scan: Scan
    arguments: tuple[tuple[str, str], ...]
    result: str
    forms: tuple[Form, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    called: str = ""

    def form(self, chunk: int) -> Form:
        """The certified form with that chunk length."""
        return next(each for each in self.forms if each.chunk == chunk)

    def certified(self, chunk: int) -> str:
        """Why the form with that chunk length is safe, in one line."""
        for each in self.certificates:
            if each.chunk == chunk:
                return str(each)
        if self.scan.log_scalar is not None:
            return "the decay of each pair is formed directly: any gate, resets included"
        return "no decay: nothing to bound"


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

    def describe(self) -> tuple[tuple[str, str, str, str], ...]:
        """Rows of use (train, prefill, decode), algorithm, certified range, launches."""
        if not self.scans:
            why = f"no fused lowering yet for {self.fallback}"
            return tuple(
                (use, "token recurrence in PyTorch", why, "one step a token")
                for use in ("train", "prefill", "decode")
            )
        rows = []
        for each in self.scans:
            form, how = each.form(DEFAULT_CHUNK), family(each.scan)
            ahead = how.forward(each.scan, form, stored=each.scan.vector)
            back = how.backward(each.scan, form, stored=True)
            said, why = _form(each, form), each.certified(form.chunk)
            rows.append(("train", f"{said}; {back.doc}", why, _launches(ahead, back)))
            rows.append(("prefill", said, why, _launches(ahead)))
            rows.append(("decode", "one token, state in place", "any gate", "1"))
        return tuple(rows)


def _launches(*algorithms: Algorithm) -> str:
    """The launches of each algorithm, for a sequence in one piece and in segments."""
    whole = [sum(not each.segmented for each in algorithm.kernels) for algorithm in algorithms]
    pieces = [len(algorithm.launches) for algorithm in algorithms]
    once, split = (" + ".join(map(str, counts)) for counts in (whole, pieces))
    return f"{once} (in segments {split})"


def _form(step: ScanStep, form: Form) -> str:
    """The algorithm of a form in a few words."""
    if not step.scan.vector:
        how = "all pairs of a chunk at once"
    elif form.base == 1:
        how = "halved to single tokens"
    elif form.base == form.chunk:
        how = "factorised about the middle"
    else:
        how = f"halved to blocks of {form.base}, those about their middle"
    walk = "states, then all chunks" if step.scan.vector else "one pass over chunks"
    return f"{walk} of {form.chunk}, {how}"
