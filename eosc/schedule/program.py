"""The program of a mixer: what runs before, in and after its fused scans.

A program is a list of steps over whole sequences. `Compute` steps are plain tensor expressions
(rotations, running sums, delays: whatever a scan's prologue cannot hold); a `ScanStep` is one call
of a generated operator, with its pointwise prologues fused. Where a memory's structure has no
fused lowering yet, the whole mixer is a token recurrence instead (`scans` is empty).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from eosc.algebra.exponent import Certificate
from eosc.ir.nodes import Algorithm
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.family import AnyScan, family
from eosc.lowering.filters import WIDEST
from eosc.lowering.guarded import guardable
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.recurrence.convolution import Convolution
from eosc.recurrence.model import Peak, Phase, System, Turn
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Number, Term

DEFAULT_CHUNK = 64
"""The chunk length that an explanation speaks of; the shipped table may choose another."""


@dataclass(frozen=True, slots=True)
class Compute:
    """A named value over the whole sequence (or static), computed by plain tensor code."""

    name: str
    term: Term


@dataclass(frozen=True, slots=True)
class Packed:
    """Values side by side: the axes of each part flattened, one part after another, as one axis.

    parts: the terms; axes: of each part, what it is flattened over (none: it takes one place).
    """

    name: str
    axis: str
    parts: tuple[Term, ...]
    axes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """An operand over the steps of a fold inside each token: R entries a token, in time.

    of: the operand as it crosses. axis: of the fold. place: of it among the operand's axes, whose
    entries go to the steps in order; None: all steps have the same, or, where `first`, the first
    has it and the others 0.
    """

    name: str
    of: str
    axis: str
    place: int | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How the state and the output of a scan over packed axes are made up.

    keys, values: of each row and of each column, the axes of the mixer behind it.
    memories: of each row and column, the memory. results: of each column, the readout.
    """

    keys: tuple[tuple[str, ...], ...]
    values: tuple[tuple[str, ...], ...]
    memories: tuple[tuple[str, ...], ...]
    results: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScanStep:
    """One fused scan. Its operands are mixer operands or values of earlier steps, by name.

    arguments: per operand array of the scan, the name it is bound to: an operand of the mixer
        (as it crosses: `log_a` for a decay), or a `Compute` or `Packed` value.
    result: the name of the readout that it computes. called: what its functions are called after,
        where that is not the memory. layout: where it computes several memories, or one whose
        axes are not one key and one value axis. steps: the axis of a fold inside each token,
        each of whose steps is a token of the scan; its operands are then spread out.
    phase: of a memory that turns along its keys, the name of the `Phase` for whose angle the scan
        has a gradient of its own.
    forms: one certified form for each chunk length; certificates: why its base is safe (none
        where no decay varies over K or V, so that any chunk is).
    """

    scan: AnyScan
    arguments: tuple[tuple[str, str], ...]
    result: str
    forms: tuple[Form, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    called: str = ""
    layout: Layout | None = None
    steps: str = ""
    phase: str = ""

    @property
    def memories(self) -> tuple[str, ...]:
        """The memories whose states the scan carries."""
        if self.layout is None:
            return (self.scan.name,)
        return tuple(memory for row in self.layout.memories for memory in row)

    def form(self, chunk: int) -> Form:
        """The certified form with that chunk length."""
        return next(each for each in self.forms if each.chunk == chunk)

    def certified(self, chunk: int) -> str:
        """Why the form with that chunk length is safe, in one line."""
        for each in self.certificates:
            if each.chunk == chunk:
                return str(each)
        if family(self.scan).safe:
            return family(self.scan).safe
        if any(True for _ in self.scan.logs()):
            return "the decay of each pair is formed directly: any gate, resets included"
        return "no decay: nothing to bound"


@dataclass(frozen=True, slots=True)
class ConvStep:
    """A sum over the past as a convolution, by taps, by dots or by spectra as its lengths say.

    result: the state (or output) whose definition holds it, as tensor code computes it anyway.
    """

    result: str
    convolution: Convolution


@dataclass(frozen=True, slots=True)
class InvariantStep:
    """A memory whose oscillation is constant in time, without a walk over tokens.

        m[t] = oscillation(m[t-1]) + expand * input[t]      y[t] = sum over key of shrink * m[t]

    key: the axis that the readout sums over, and that a dense oscillation mixes; empty where the
        memory itself is the result. factors: of an elementwise oscillation. matrix: of a dense one,
        over the key and its primed copy. expand, shrink: constant in time; 1 where None.
    result: the readout, or the memory. real: the readout's real part is all that is read.
    inclusive: reads m[t], else m[t-1].
    """

    memory: str
    key: str
    factors: tuple[Term, ...]
    matrix: Term | None
    input: Term
    expand: Term | None
    shrink: Term | None
    result: str
    real: bool
    inclusive: bool


Step: TypeAlias = Compute | Packed | Spread | Phase | Peak | ScanStep | ConvStep | InvariantStep
"""What a program does one after the other."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One thing that was done to memories: to which, what, and the theorem that it follows."""

    of: str
    what: str
    theorem: str


@dataclass(frozen=True, slots=True)
class Program:
    """A mixer as steps, then its output.

    output: the output's term over operands, computed values and readouts; when it is a bare read
        of the last readout nothing runs after the scan.
    turns: complex memories that the scans compute as pairs of real ones.
    fallback: why there is no fused scan, for warning W090; empty where there is one.
    """

    mixer: Mixer
    system: System
    steps: tuple[Step, ...]
    output: Term
    fallback: str = ""
    notes: tuple[str, ...] = field(default=())
    turns: tuple[Turn, ...] = ()

    @property
    def scans(self) -> tuple[ScanStep, ...]:
        """The fused scans, in order."""
        return tuple(each for each in self.steps if isinstance(each, ScanStep))

    def rewritten(self) -> tuple[tuple[str, str, str], ...]:
        """Rows of memories, what was done to them before the scans, and the theorem behind it."""
        from eosc.schedule.rewrites import rewrites

        return tuple((each.of, each.what, each.theorem) for each in rewrites(self))

    def describe(self) -> tuple[tuple[str, str, str, str], ...]:
        """Rows of use (train, prefill, decode), algorithm, certified range, launches."""
        if self.fallback:
            why = f"no fused lowering yet for {self.fallback}"
            return tuple(
                (use, "token recurrence in PyTorch", why, "one step a token")
                for use in ("train", "prefill", "decode")
            )
        rows = [row for each in self.steps for row in constant_rows(each)]
        for each in self.scans:
            form, how = each.form(DEFAULT_CHUNK), family(each.scan)
            ahead = how.forward(each.scan, form, stored=each.scan.vector)
            back = how.backward(each.scan, form, stored=True)
            said, why = _form(each, form), each.certified(form.chunk)
            rows.append(("train", f"{said}; {back.doc}", why, _launches(ahead, back)))
            rows.append(("prefill", said, why, _launches(ahead)))
            rows.append(("decode", "one token, state in place", "any gate", "1"))
        return tuple(rows)


FEW = 16
"""Taps or steps up to which a sum over the past is cheaper as written than by spectra."""


def constant_rows(step: Step) -> tuple[tuple[str, str, str, str], ...]:
    """The rows of a step that is constant in time; none of the others."""
    if isinstance(step, ConvStep):
        return _convolution_rows(step)
    if not isinstance(step, InvariantStep):
        return ()
    exact = "powers in double precision, by squaring: zero and one are exact"
    if step.shrink is None and step.result == step.memory:
        many = "states of all tokens by steps of 1, 2, 4, ... tokens"
        return (
            ("train", f"{many}; the same in reverse time", exact, "log2(T) passes"),
            ("prefill", many, exact, "log2(T) passes"),
            ("decode", "the recurrence", "any decay", "one step a token"),
        )
    kind = "dense" if step.matrix is not None else "diagonal"
    many = f"{kind} powers in two digits make the kernel, which spectra convolve"
    return (
        ("train", f"{many}; correlations back", exact, f"from {FEW} tokens on"),
        ("prefill", f"{many}; last memory by a tree over blocks", exact, f"from {FEW} tokens on"),
        ("decode", "the recurrence", "any decay", f"below {FEW} tokens, one step a token"),
    )


def _convolution_rows(step: ConvStep) -> tuple[tuple[str, str, str, str], ...]:
    width = step.convolution.width
    if isinstance(width, Number) and width.value <= WIDEST:
        taps = f"{width.value} taps written out, and what follows them, in one kernel"
        return (
            ("train", f"{taps}; one back", "any kernel", "1 + 1"),
            ("prefill", taps, "any kernel", "1"),
            ("decode", f"the same on one token, {width.value - 1} of them kept", "any kernel", "1"),
        )
    ends = width is not None or step.convolution.finite is not None
    many = f"spectra of the signal and of the kernel, from {FEW} tokens and taps on"
    past = "the taps' reach" if ends else "every past token"
    return (
        ("train", f"{many}; correlations back", "any kernel", "3 transforms, 4 back"),
        ("prefill", many, "any kernel", "3 transforms"),
        ("decode", f"one dot with {past}", "any kernel", f"below {FEW} tokens"),
    )


def renamed(step: ScanStep, names: Mapping[str, str], taken: set[str]) -> ScanStep:
    """The scan with its arguments bound to other names, called as none of `taken`."""
    arguments = tuple((array, names.get(bound, bound)) for array, bound in step.arguments)
    called, count = step.called or step.scan.name, 1
    while called in taken:
        count += 1
        called = f"{step.called or step.scan.name}_{count}"
    own = "" if called == step.scan.name else called
    return replace(step, arguments=arguments, called=own)


def _launches(*algorithms: Algorithm) -> str:
    """The launches of each algorithm, for a sequence in one piece and in segments."""
    whole = [sum(not each.segmented for each in algorithm.kernels) for algorithm in algorithms]
    pieces = [len(algorithm.launches) for algorithm in algorithms]
    once, split = (" + ".join(map(str, counts)) for counts in (whole, pieces))
    return f"{once} (in segments {split})"


def _form(step: ScanStep, form: Form) -> str:
    """The algorithm of a form in a few words."""
    if family(step.scan).walk:
        return family(step.scan).walk
    if not step.scan.vector:
        how = "all pairs of a chunk at once"
    elif form.base == 1:
        how = "halved to single tokens"
    elif form.base == form.chunk:
        how = "factorised about the middle"
    else:
        how = f"halved to blocks of {form.base}, those about their middle"
    if isinstance(step.scan, Scan) and guardable(step.scan, form):
        how += ", on a GPU about the middle where a chunk's own gate allows it"
    walk = "states, then all chunks" if step.scan.vector else "one pass over chunks"
    if isinstance(step.scan, DeltaScan):
        walk = "triangular solves, states, then all chunks"
    return f"{walk} of {form.chunk}, {how}"
