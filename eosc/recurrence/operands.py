"""How a mixer's values cross its boundary: which operands as logs, and which states are carried.

Both rules are written once here; the reference evaluator, the lowerings and the backends import
them. Source: CONTRACTS, "Operators".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from eosc.semantics.model import Declaration, Kind, Mixer, Role
from eosc.semantics.terms import (
    Accumulator,
    Apply,
    At,
    AxisSize,
    Dependence,
    Fold,
    HistorySum,
    LagSum,
    Number,
    Pairs,
    Position,
    Read,
    Rename,
    Rope,
    Running,
    Term,
    Variable,
    children,
    walk,
)

__all__ = ["Crossing", "State", "crossing", "learned_kernels", "states", "static_number"]


@dataclass(frozen=True, slots=True)
class Crossing:
    """An operand as the compiled operator takes it.

    names: what is passed: `(q,)` as written, `(log_a,)` for a real decay (natural log, <= 0, -inf
        is a reset), `(log_a, arg_a)` for a complex one (log of the modulus, argument in radians).
    """

    operand: Declaration
    names: tuple[str, ...]

    @property
    def as_log(self) -> bool:
        """Whether the operand crosses as a log."""
        return self.names != (self.operand.name,)


def crossing(mixer: Mixer) -> tuple[Crossing, ...]:
    """The operands of the operator in order of declaration, and how each crosses.

    A decay crosses as a log: an `oscillation` operand whose declared range (of the modulus, when
    complex) lies within [0, 1] and that multiplies a memory on a path free of contractions, from
    the memory's previous value to its update. So `a` of `a[t] * m[t-1]` does, in a product, a
    constant power or a derived factor alike, and `beta` of `beta[t] * k[t] * sum[K](k[t] * m)`
    does not.
    """
    scaling = _Scaling(mixer)
    for name in mixer.order:  # states first, in order: then no chain of them is followed deeply
        scaling.enter(name)
    names = frozenset().union(*(scaling.update(each) for each in mixer.memories))
    found = []
    for operand in mixer.operands:
        crossed: tuple[str, ...] = (operand.name,)
        if operand.role is Role.OSCILLATION and operand.name in names and _is_decay(operand):
            crossed = (f"log_{operand.name}",)
            if operand.type.complex:
                crossed = (*crossed, f"arg_{operand.name}")
        found.append(Crossing(operand, crossed))
    return tuple(found)


def _is_decay(operand: Declaration) -> bool:
    bounds = operand.declared
    if bounds is None:
        return False
    return bounds.hi <= 1 and (operand.type.complex or bounds.lo >= 0)


class _Scaling:
    """Names that multiply a memory elementwise.

    For a term: None when no memory reaches it by elementwise steps alone, else the names of the
    factors met on such paths.
    """

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._states: dict[str, frozenset[str] | None] = {}
        self._accumulators: dict[str, frozenset[str] | None] = {}
        # Of each term that was asked for; kept, or states that double would cost 2 ** n.
        self._products: dict[int, tuple[Term, frozenset[str]]] = {}
        self._reached: dict[int, tuple[Term, frozenset[str] | None]] = {}

    def enter(self, name: str) -> None:
        """Follow a state, when those it is made of are known."""
        declaration = self._mixer.by_name[name]
        if declaration.kind is not Kind.MEMORY and declaration.value is not None:
            self._read(name)
            self._factors(declaration.value)

    def update(self, memory: Declaration) -> frozenset[str]:
        """The names that scale a memory on the way to this memory's update."""
        found = None if memory.value is None else self._term(memory.value)
        return found or frozenset()

    def _term(self, term: Term) -> frozenset[str] | None:
        if id(term) not in self._reached:
            self._reached[id(term)] = (term, self._reach(term))
        return self._reached[id(term)][1]

    def _reach(self, term: Term) -> frozenset[str] | None:
        match term:
            case Read(name=name):
                return self._read(name)
            case Accumulator(name=name):
                return self._accumulators.get(name)
            case Apply(op="mul", args=(left, right)):
                return _either(
                    self._scaled(left, right),
                    self._scaled(right, left),
                )
            case Apply(op="div", args=(left, _)):
                return self._term(left)
            case Apply(op="lerp", args=(start, end, weight)):
                return _either(self._term(start), self._scaled(end, weight))
            case Apply(op="cond", args=(then, _, other)):
                return _either(self._term(then), self._term(other))
            case Apply(op="add" | "sub" | "neg" | "identity" | "Re" | "Im" | "conj", args=args):
                return _either(*(self._term(arg) for arg in args))
            case Rename(arg=arg) | Pairs(arg=arg) | Rope(arg=arg):
                return self._term(arg)
            case Fold(accumulator=accumulator, init=init, body=body):
                before = self._term(init)
                # Two folds may share a body, and what reaches it depends on the fold.
                outer = self._accumulators, self._reached
                self._accumulators, self._reached = {**outer[0], accumulator: before}, {}
                found = self._term(body)
                self._accumulators, self._reached = outer
                return found
        return None

    def _read(self, name: str) -> frozenset[str] | None:
        declaration = self._mixer.by_name[name]
        if declaration.kind is Kind.MEMORY:
            return frozenset()
        if name not in self._states:
            value = declaration.value
            self._states[name] = None if value is None else self._term(value)
        return self._states[name]

    def _scaled(self, term: Term, factor: Term) -> frozenset[str] | None:
        reached = self._term(term)
        return None if reached is None else reached | self._factors(factor)

    def _factors(self, term: Term) -> frozenset[str]:
        """The names whose product (of constant powers) the term is."""
        if id(term) not in self._products:
            self._products[id(term)] = (term, self._multiplied(term))
        return self._products[id(term)][1]

    def _multiplied(self, term: Term) -> frozenset[str]:
        match term:
            case Read(name=name):
                declaration = self._mixer.by_name[name]
                value = declaration.value
                if value is None or declaration.kind is Kind.MEMORY:  # a memory reads itself
                    return frozenset({name})
                return self._factors(value) | {name}
            case Apply(op="mul", args=args):
                return frozenset().union(*(self._factors(arg) for arg in args))
            case Apply(op="pow" | "identity" | "div", args=(base, *_)):
                return self._factors(base)
            case Rename(arg=arg):
                return self._factors(arg)
        return frozenset()


def _either(*found: frozenset[str] | None) -> frozenset[str] | None:
    reached = [each for each in found if each is not None]
    return frozenset().union(*reached) if reached else None


@dataclass(frozen=True, slots=True)
class State:
    """A value carried from one call to the next.

    kind and shape (N sequences, H heads; axes as `declaration.type` orders them):
        memory   [N, H, axes]: m[t-1].
        running  [N, H, axes]: the last value of a cumsum or logcumsumexp.
        delay    [N, H, depth, axes]: the last `depth` values, oldest first; for delays and
                 convolutions (finite lag sums, windowed history sums).
        history  [N, H, past, axes]: every past value; a history sum without a finite window.
        position [N], int64: the number of steps taken; only where the mixer uses `t` as a value.
    depth: of a delay, else 0. scan: of a running state, its term.
    """

    name: str
    kind: str
    declaration: Declaration | None
    depth: int = 0
    scan: Running | None = None


_UNBOUNDED = -1


def states(
    mixer: Mixer,
    sizes: Mapping[str, int] | None = None,
    configs: Mapping[str, float] | None = None,
) -> tuple[State, ...]:
    """The states of a mixer: one per memory, delayed name and running value, as declared.

    A declaration that is itself a running value (`z[t] = logcumsumexp(x[t])`) and is read one
    step back has one state for both. The position comes last.

    Args:
        mixer: the elaborated mixer.
        sizes: axis sizes, needed where a width or a window is written with them.
        configs: config values that differ from their defaults.
    """

    def number(term: Term) -> int:
        return int(static_number(term, mixer, sizes or {}, configs or {}))

    past = _Past(number)
    running: dict[int, list[Running]] = {}
    for owner, value in _definitions(mixer):
        past.collect(value, {}, {})
        inside = [term for term in walk(value) if isinstance(term, Running)]
        running.setdefault(id(owner), []).extend(inside)
    found: list[State] = []
    for declaration in mixer.declarations:
        if declaration.kind is Kind.MEMORY:
            found.append(State(declaration.name, "memory", declaration))
            continue
        scans = running.get(id(declaration), [])
        depth = past.reach.get(declaration.name, 0)
        if declaration.type.dependence is Dependence.STATIC:
            depth = 0
        itself = next((scan for scan in scans if scan is declaration.value), None)
        if depth == _UNBOUNDED:
            found.append(State(declaration.name, "history", declaration, scan=itself))
        elif depth > 1 or (depth == 1 and itself is None):
            found.append(State(declaration.name, "delay", declaration, depth, scan=itself))
        elif itself is not None:
            found.append(State(declaration.name, "running", declaration, scan=itself))
        inner = [scan for scan in scans if scan is not itself]
        for index, scan in enumerate(inner):
            name = f"{declaration.name}_{scan.op}" + (str(index) if len(inner) > 1 else "")
            found.append(State(name, "running", declaration, scan=scan))
    if any(past.uses_position(value) for _, value in _definitions(mixer)):
        found.append(State("position", "position", None))
    return tuple(found)


def learned_kernels(mixer: Mixer) -> tuple[Declaration, ...]:
    """The kernels without a definition: operands [H, taps, axes], after the mixer's operands."""
    return tuple(each for each in mixer.of_kind(Kind.KERNEL) if each.value is None)


def _definitions(mixer: Mixer) -> Iterator[tuple[Declaration, Term]]:
    for declaration in mixer.declarations:
        if declaration.value is not None:
            yield declaration, declaration.value


class _Past:
    """What a mixer's terms read of the past; shared terms are looked at once.

    reach: how far back each name is read, in steps, or `_UNBOUNDED`.
    """

    def __init__(self, number: Callable[[Term], int]) -> None:
        self._number = number
        self.reach: dict[str, int] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._positions: dict[tuple[int, frozenset[str]], bool] = {}
        self._sums: dict[int, dict[str, int] | None] = {}

    def collect(self, term: Term, widths: Mapping[str, int], windows: Mapping[str, int]) -> None:
        """Enter a term's reads; the largest lag of each lag sum and history sum around it."""
        key = (id(term), *widths.items(), *windows.items())
        if key in self._seen:
            return
        self._seen.add(key)
        match term:
            case Read(name=name, at=At() as at):
                back = windows.get(at.variable, 0)
                if back != _UNBOUNDED:
                    back += at.offset + (widths[at.lag] if at.lag is not None else 0)
                if back == _UNBOUNDED or self.reach.get(name) == _UNBOUNDED:
                    self.reach[name] = _UNBOUNDED
                else:
                    self.reach[name] = max(back, self.reach.get(name, 0))
            case HistorySum(variable=variable, window=window):
                last = _UNBOUNDED if window is None else max(self._number(window) - 1, 0)
                windows = {**windows, variable: last}
            case LagSum(variable=variable, width=width):
                widths = {**widths, variable: max(self._number(width) - 1, 0)}
        for child in children(term):
            self.collect(child, widths, windows)

    def uses_position(self, term: Term, variables: frozenset[str] = frozenset()) -> bool:
        """Whether the value of `t` itself matters, and not a difference `t - s` alone.

        variables: those of the enclosing history sums, which are positions too.
        """
        key = (id(term), variables)
        if key not in self._positions:
            self._positions[key] = self._position(term, variables)
        return self._positions[key]

    def _position(self, term: Term, variables: frozenset[str]) -> bool:
        match term:
            case Position():
                return True
            case Variable(name=name):
                return name in variables
            case HistorySum(variable=variable):
                # A sum that reads no past value has as many terms as steps were taken.
                if not _reads_past(term):
                    return True
                variables = variables | {variable}
            case Apply():
                coefficients = self._linear(term)
                if coefficients is not None:
                    moving = variables | {"t"}
                    return sum(n for name, n in coefficients.items() if name in moving) != 0
        return any(self.uses_position(child, variables) for child in children(term))

    def _linear(self, term: Term) -> dict[str, int] | None:
        """How often `t` and the bound variables occur in a sum of them, or None."""
        if id(term) not in self._sums:
            self._sums[id(term)] = self._summed(term)
        return self._sums[id(term)]

    def _summed(self, term: Term) -> dict[str, int] | None:
        match term:
            case Position():
                return {"t": 1}
            case Variable(name=name):
                return {name: 1}
            case Number():
                return {}
            case Apply(op="add" | "sub" as op, args=(left, right)):
                first, second = self._linear(left), self._linear(right)
                if first is None or second is None:
                    return None
                sign = 1 if op == "add" else -1
                return {
                    name: first.get(name, 0) + sign * second.get(name, 0)
                    for name in {**first, **second}
                }
            case Apply(op="neg", args=(arg,)):
                inner = self._linear(arg)
                return None if inner is None else {name: -n for name, n in inner.items()}
        return None


def _reads_past(term: HistorySum) -> bool:
    return any(
        isinstance(each, Read) and each.at is not None and each.at.variable == term.variable
        for each in walk(term.body)
    )


_ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "floordiv": lambda a, b: Fraction(a // b),
    "mod": lambda a, b: a % b,
    "maximum": max,
    "minimum": min,
}


def static_number(
    term: Term, mixer: Mixer, sizes: Mapping[str, int], configs: Mapping[str, float]
) -> Fraction:
    """The exact value of a static arithmetic term: a width, a window, the size of an axis.

    Raises:
        KeyError: a size that is not given.
        ValueError: the term is more than sums, products and quotients of sizes and configs.
    """
    known: dict[int, Fraction] = {}

    def value(term: Term) -> Fraction:
        if id(term) not in known:
            known[id(term)] = compute(term)
        return known[id(term)]

    def compute(term: Term) -> Fraction:
        match term:
            case Number(value=number):
                return number
            case AxisSize(axis=axis):
                return Fraction(sizes[axis.rstrip("'")])
            case Read(name=name):
                if name in configs:
                    return Fraction(configs[name])
                definition = mixer.by_name[name].value
                if definition is not None:
                    return value(definition)
            case Apply(op="neg", args=(arg,)):
                return -value(arg)
            case Apply(op="pow", args=(base, exponent)):
                power = value(exponent)
                if power.denominator == 1 and abs(power) <= 64:
                    return Fraction(value(base) ** int(power))
            case Apply(op=op, args=(left, right)) if op in _ARITHMETIC:
                return _ARITHMETIC[op](value(left), value(right))
        raise ValueError("not a static number: sums, products and quotients of sizes and configs")

    return value(term)
