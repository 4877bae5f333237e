"""Sums over the past that are convolutions: a static kernel of the lag, and a signal.

sum[s <= t](h[t-s] * u[s] * g[t])      sum[n < 4](w[n] * u[t-n])
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eosc.recurrence.building import ONE, Builder, rebuild
from eosc.recurrence.operands import states
from eosc.semantics.model import Mixer
from eosc.semantics.terms import (
    Apply,
    Dependence,
    HistorySum,
    KernelAt,
    LagSum,
    Position,
    Read,
    Reduce,
    Term,
    Variable,
    children,
    walk,
)

LAG, SIGNAL, PRESENT = "lag", "signal", "present"


@dataclass(frozen=True, slots=True)
class Convolution:
    """`around(gate[t] * sum over lags n of kernel(n) * signal[t - n])`.

    variable: of the lag, as `kernel` and the reads of `signal` name it. kernel: static but for the
        lag. signal: every read of it is at the lag. gate: at the present; None is 1.
    around: what is done to the sum, innermost first: `neg`, `Re`, `Im`, or a reduction's axes.
    width: the number of lags; None reaches back to the start. first: the least lag (0 or 1).
    reads: the names that the signal reads. finite: the kernel that ends by itself, if one does.
    """

    variable: str
    kernel: Term
    signal: Term
    gate: Term | None
    around: tuple[str | tuple[str, ...], ...]
    width: Term | None
    first: int
    reads: tuple[str, ...]
    finite: str | None


def convolution(mixer: Mixer, term: HistorySum | LagSum) -> Convolution | None:
    """The sum as a convolution, or None where it is none.

    A signal with a value before the first position is none: its past is not made of zeros.
    """
    return _Reader(mixer, term).read()


class _Reader:
    def __init__(self, mixer: Mixer, term: HistorySum | LagSum) -> None:
        self.mixer, self.term, self.build = mixer, term, Builder(mixer)
        self.variable = term.variable

    def read(self) -> Convolution | None:
        body, around = self._unwrapped()
        groups: dict[str, list[Term]] = {LAG: [], SIGNAL: [], PRESENT: []}
        for factor in _factors(body):
            kind = self._kind(factor)
            if kind is None:
                return None
            groups[kind].append(factor)
        kernel = self._by_lag(self.build.product(groups[LAG]))
        signal = self.build.product(groups[SIGNAL])
        finite = self._finite(groups[LAG])
        if not groups[SIGNAL] or kernel is None or finite is None:
            return None
        read = (each for each in walk(signal) if isinstance(each, Read) and each.at is not None)
        reads = tuple(sorted({each.name for each in read}))
        if any(self.mixer.by_name[name].initial is not None for name in reads):
            return None
        if not self._remembered(reads):
            return None
        history = isinstance(self.term, HistorySum)
        return Convolution(
            self.variable,
            kernel,
            signal,
            self.build.product(groups[PRESENT]) if groups[PRESENT] else None,
            around,
            self.term.window if isinstance(self.term, HistorySum) else self.term.width,
            int(history and not getattr(self.term, "inclusive", True)),
            reads,
            finite or None,
        )

    def _unwrapped(self) -> tuple[Term, tuple[str | tuple[str, ...], ...]]:
        """The product inside linear maps that commute with the sum."""
        body, around = self.term.body, list[str | tuple[str, ...]]()
        while True:
            match body:
                case Apply(op="identity", args=(arg,)):
                    body = arg
                case Apply(op="neg" | "Re" | "Im" as op, args=(arg,)):
                    around.insert(0, op)
                    body = arg
                case Reduce(op="sum", axes=axes, arg=arg):
                    around.insert(0, axes)
                    body = arg
                case _:
                    return body, tuple(around)

    def _kind(self, factor: Term) -> str | None:
        """What one factor varies with; static ones go with the kernel."""
        found = self._times(factor)
        if found <= {LAG}:
            static = factor.type.dependence is Dependence.STATIC
            return LAG if static or LAG in found else None
        return found.pop() if len(found) == 1 else None

    def _times(self, term: Term) -> set[str]:
        """Which of the lag, the summed position and the present a term varies with."""
        history = isinstance(self.term, HistorySum)
        match term:
            case Apply(op="sub", args=(Position(), Variable(name=name))) if history:
                if name == self.variable:
                    return {LAG}
            case Position():
                return {PRESENT}
            case Variable(name=name) if name == self.variable:
                # A position as a value would have to be carried with the signal.
                return {SIGNAL, PRESENT} if history else {LAG}
            case Read(at=at) if at is not None:
                lagged = at.variable == self.variable or at.lag == self.variable
                if not lagged:
                    return {PRESENT}
                return {SIGNAL} if at.offset == 0 else {SIGNAL, PRESENT}
        found: set[str] = set()
        for each in children(term):
            found |= self._times(each)
        return found

    def _by_lag(self, kernel: Term) -> Term | None:
        """The kernel over the lag's variable; None where it is read at another lag."""

        def change(term: Term) -> Term:
            match term:
                case Apply(op="sub", args=(Position(), Variable(name=name))):
                    if name == self.variable:
                        return Variable(name=name, type=ONE.type)
            return rebuild(term, change)

        found = change(kernel)
        at = [each.lag for each in walk(found) if isinstance(each, KernelAt)]
        mine = all(isinstance(lag, Variable) and lag.name == self.variable for lag in at)
        return (
            replace(found, type=replace(found.type, dependence=Dependence.STATIC)) if mine else None
        )

    def _finite(self, factors: list[Term]) -> str | None:
        """The kernel that ends by itself, "" for none; None where it is not a plain factor."""
        inside = [each for factor in factors for each in walk(factor) if isinstance(each, KernelAt)]
        ending = [each.name for each in inside if self._ends(each.name)]
        direct = [each.name for each in factors if isinstance(each, KernelAt)]
        if isinstance(self.term, LagSum) or not ending:
            return ""
        return ending[0] if len(ending) == 1 and ending[0] in direct else None

    def _ends(self, name: str) -> bool:
        declared = self.mixer.by_name[name]
        inner = [] if declared.value is None else list(walk(declared.value))
        return declared.width is not None or any(
            self._ends(each.name) for each in inner if isinstance(each, KernelAt)
        )

    def _remembered(self, reads: tuple[str, ...]) -> bool:
        """Whether all that is read is of the data, and carried from call to call."""
        declared = [self.mixer.by_name[name] for name in reads]
        if any(each.type.dependence is not Dependence.DATA for each in declared):
            return False
        try:
            held = {each.name: each.kind for each in states(self.mixer)}
        except (KeyError, ValueError):
            return False
        unbounded = isinstance(self.term, HistorySum) and self.term.window is None
        kinds = {held.get(each.name) for each in declared}
        return kinds <= {"history"} if unbounded else kinds <= {"history", "delay", None}


def _factors(term: Term) -> tuple[Term, ...]:
    if isinstance(term, Apply) and term.op == "mul":
        return tuple(factor for each in term.args for factor in _factors(each))
    return (term,)
