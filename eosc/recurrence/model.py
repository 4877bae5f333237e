"""The linear recurrence of a mixer: per memory its oscillation, its writes and its reads.

    m[t] = O_t(m[t-1]) + sum_r e_r[t] * i_r[t]        y[t] = readout(reads of m, operands)

`extract` makes a `System` from an elaborated mixer; the schedule and the lowerings read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from eosc.algebra.interval import Interval
from eosc.recurrence.operators import Piece
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Dependence, HistorySum, LagSum, Term, Type


class Field(StrEnum):
    """The field of an oscillation."""

    REAL = "real"
    COMPLEX = "complex"


@dataclass(frozen=True, slots=True)
class Structure:
    """The class of an oscillation, from its paths alone (LANGUAGE section 5).

    kind: identity, scalar, diag, separable, dense, lowrank, product, coupled, shift, history.
    axes: of diag, the axes of the factor; of separable, all axes; of lowrank, the contracted ones;
        of dense, those that mix (none where no axis can be named); of product, the fold's axis.
    groups: of separable, the axes of each factor. base, rank: of lowrank, what it perturbs and
        the rank (after paths with equal contraction are merged); of product, base is one factor.
    members: of coupled, the memories. detail: of history, `lti`, `exponential` or `quadratic`.
    """

    kind: str
    axes: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    base: Structure | None = None
    rank: int = 0
    members: tuple[str, ...] = ()
    detail: str = ""

    def __str__(self) -> str:
        """As the tables write it: `diag{K}`, `separable{K, V}`, `scalar + lowrank(1)`."""
        named = "{" + ", ".join(self.axes) + "}"
        match self.kind:
            case "diag" | "dense" | "separable":
                return self.kind + named if self.axes else self.kind
            case "lowrank":
                return f"{self.base} + lowrank({self.rank})"
            case "product":
                return f"product[{self.axes[0]}]({self.base})"
            case "coupled":
                return "coupled{" + ", ".join(self.members) + "}"
            case "history":
                return f"history({self.detail})" if self.detail else "history"
        return self.kind


@dataclass(frozen=True, slots=True)
class Factor:
    """One elementwise factor of a decay: `value` over `axes` (a subset of the memory's).

    log: when the factor is an operand that crosses as a log, the operand's name; the lowering
        then never takes a logarithm. interval: certified range of the factor (of its modulus).
    """

    value: Term
    axes: tuple[str, ...]
    interval: Interval
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One rank-one term `expand * input` of the additive part.

    expand carries the axes that the readout contracts (K), input the others (V); where the roles
    do not say, the split is by axes. Values with the same axis (`e: K, V` of LCSM's per-channel
    form) leave `outer` False: an elementwise product, not an outer one.
    """

    expand: Term
    input: Term
    outer: bool = True


@dataclass(frozen=True, slots=True)
class Readout:
    """One linear functional of a memory: sum over `over` of `shrink * m[t]` (or m[t-1]).

    shrink is None where the memory is read as it is. name: how `System.output` refers to it,
    as a `Read(name, NOW)`.
    """

    name: str
    memory: str
    shrink: Term | None
    over: tuple[str, ...]
    inclusive: bool
    type: Type


@dataclass(frozen=True, slots=True)
class History:
    """A sum over the past that is not a memory: a convolution, or attention.

    name: the state (or output) whose definition holds the sum. structure: `shift` for a finite
    kernel, else `history`. kernel: the kernel's name where the sum is a convolution with one.
    width: the number of lags, None where the sum reaches back to the start.
    """

    name: str
    structure: Structure
    field: Field
    dependence: Dependence
    term: HistorySum | LagSum
    kernel: str | None = None
    width: Term | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One memory's linear recurrence.

    decay: the elementwise factors of the oscillation, each over its own axes, scalars first; their
        product is the whole oscillation when `structure.kind` is identity (no factor), scalar, diag
        or separable; of lowrank it is the base, of product what comes before the fold. Structures
        that are not elementwise keep the whole right-hand side, helpers inlined, in `update`.
    dependence: of the oscillation: STATIC is time-invariant.
    modulus: certified range of the oscillation's modulus (the product of the factors').
    writes: the additive part as rank-one terms; empty when it could not be split (`additive`
        is then the whole of it).
    pieces: the oscillation as a sum of elementwise, rank-one, dense and folded parts, in which the
        order of decay and erasure can be read; of coupled memories, the part from itself.
    """

    memory: str
    type: Type
    structure: Structure
    field: Field
    dependence: Dependence
    modulus: Interval
    decay: tuple[Factor, ...] = ()
    writes: tuple[Write, ...] = ()
    additive: Term | None = None
    update: Term | None = None
    initial: Term | None = None
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """Memories that read each other: one strongly connected component, run after earlier stages."""

    recurrences: tuple[Recurrence, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """The sum of an angle (radians) over the steps of a call, the present one included.

    name, cosine, sine: how terms refer to it, to its cosine and its sine, as `Read(name, NOW)`.
    before: to it less the present angle; empty where no term does.
    """

    name: str
    angle: Term
    cosine: str
    sine: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A memory by others: exp(1j phase) (parts[0] + 1j parts[1]), or exp(peak) parts[0].

    phase: the name of a `Phase`; empty where the memory is not turned. peak: of a `Peak`, where a
    real memory is kept low.
    """

    memory: str
    parts: tuple[str, ...]
    phase: str = ""
    peak: str = ""


@dataclass(frozen=True, slots=True)
class Peak:
    """A running height: h[t] = max(log_decay[t] + h[t-1], level[t]), from 0 at the start of a call.

    name: of h, in terms. decay, rise: of log_decay[t] + h[t-1] - h[t], and of level[t] - h[t].
    """

    name: str
    log_decay: Term
    level: Term
    decay: str
    rise: str


@dataclass(frozen=True, slots=True)
class System:
    """A mixer as stages of linear recurrences and a readout.

    readouts: the maximal linear functionals of memories in the output and in later stages.
    output: the output's term, with every readout replaced by a `Read` of its name; readouts that
        could not be isolated stay as reads of the memory, and `readout_kind` says "nonlinear".
    readout_kind: linear, ratio or nonlinear. histories: names of states that are history sums;
        sums: what each of these is, and finite convolutions.
    notes: sentences for `eosc explain`: why the structure is what it is.
    phases, peaks, turns: of a system whose memories were replaced by others, how these make them
        up.
    """

    mixer: Mixer
    stages: tuple[Stage, ...]
    readouts: tuple[Readout, ...]
    output: Term
    readout_kind: str
    histories: tuple[str, ...] = ()
    sums: tuple[History, ...] = ()
    notes: tuple[str, ...] = field(default=())
    phases: tuple[Phase, ...] = ()
    peaks: tuple[Peak, ...] = ()
    turns: tuple[Turn, ...] = ()

    @property
    def recurrences(self) -> tuple[Recurrence, ...]:
        """Every recurrence, stage by stage."""
        return tuple(each for stage in self.stages for each in stage.recurrences)
