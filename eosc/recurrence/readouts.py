"""Isolate what is read of the memories: linear functionals sum[over](shrink * m[t]).

    scale * sum[K](q * m)          ->   scale * r,  r = sum[K](q * m)
    sum[K](r * (m[t-1] + u * k v)) ->   r' + sum[K](r * u * k * v),  r' exclusive

Requires an elaborated mixer. Ensures that a rewritten term reads no memory, only readouts, and
equals the original over the exact numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from eosc.recurrence.building import Builder, Fingerprints, rebuild
from eosc.recurrence.model import Readout
from eosc.recurrence.paths import (
    Contract,
    Form,
    Linear,
    Mapped,
    Mul,
    Path,
    Renamed,
    Sources,
    Step,
    apply_steps,
)
from eosc.semantics.model import Kind
from eosc.semantics.terms import (
    NOW,
    Apply,
    HistorySum,
    LagSum,
    Pairs,
    Read,
    Reduce,
    Rename,
    Rope,
    Term,
    walk,
)

_KINDS = ("linear", "ratio", "nonlinear")


class Reader:
    """Rewrites terms that read memories into terms that read readouts.

    Args:
        sources: dependences of the mixer.
        builder: its term constructors.
        ranks: of each memory, the index of its stage. Where two memories multiply, the one of the
            earlier stage is data to the other.
    """

    def __init__(self, sources: Sources, builder: Builder, ranks: Mapping[str, int]) -> None:
        self._sources = sources
        self._mixer = sources.mixer
        self._build = builder
        self._ranks = ranks
        self._prints = Fingerprints()
        self._found: dict[tuple[object, ...], Readout] = {}
        self._taken = {each.name for each in self._mixer.declarations}
        self._linear = Linear(sources, builder, ranks, settle=self._settle)
        self._done: dict[int, tuple[Term, Term]] = {}
        self._entered = False
        self._kinds: dict[int, tuple[Term, str]] = {}
        self._inlined: dict[tuple[int, tuple[str, ...]], tuple[Term, Term]] = {}
        self._summed = self._summed_states()

    def rewrite(self, term: Term) -> Term:
        """The term with every maximal linear functional of a memory replaced by its readout."""
        known = self._done.get(id(term))
        if known is None:
            known = (term, self._rewrite(term))
            self._done[id(term)] = known
        return known[1]

    def inline(self, term: Term, group: tuple[str, ...]) -> Term:
        """The term with helper states replaced by their definitions and only `group` still read."""
        key = (id(term), group)
        if key not in self._inlined:
            self._inlined[key] = (term, self._inline(term, group))
        return self._inlined[key][1]

    def _inline(self, term: Term, group: tuple[str, ...]) -> Term:
        depends = self._sources.of(term)
        if not depends & set(group):
            return self.rewrite(term)
        if isinstance(term, Read):
            each = self._mixer.by_name[term.name]
            if each.kind is Kind.MEMORY or each.value is None:
                return term
            return self.inline(each.value, group)
        return rebuild(term, lambda part: self.inline(part, group))

    def contracted(self, memory: str) -> set[str]:
        """The axes over which some readout contracts the memory."""
        found = [each.over for each in self._found.values() if each.memory == memory]
        return {axis for over in found for axis in over}

    def used(self, terms: Iterable[Term]) -> tuple[Readout, ...]:
        """The readouts that the terms need, in order of discovery, later ones' shrinks included."""
        by_name = {each.name: each for each in self._found.values()}
        wanted: set[str] = set()
        waiting = list(terms)
        while waiting:
            for each in walk(waiting.pop()):
                if isinstance(each, Read) and each.name in by_name and each.name not in wanted:
                    wanted.add(each.name)
                    shrink = by_name[each.name].shrink
                    waiting.extend([] if shrink is None else [shrink])
        return tuple(each for each in by_name.values() if each.name in wanted)

    def kind(self, term: Term) -> str:
        """How the output depends on the memories and on sums over the past."""
        if not self._entered:
            self._entered = True
            for state in self._mixer.order:  # in order: then no chain is followed deeply
                value = self._mixer.by_name[state].value
                if value is not None:
                    self.kind(value)
        if id(term) not in self._kinds:
            self._kinds[id(term)] = (term, self._kind(term))
        return self._kinds[id(term)][1]

    def _kind(self, term: Term) -> str:
        if not self._depends(term):
            return "linear"
        match term:
            case HistorySum() | LagSum():
                return "linear"
            case Read():
                each = self._mixer.by_name[term.name]
                if each.kind is Kind.MEMORY or each.value is None:
                    return "linear"
                return self.kind(each.value)
            case Apply():
                return self._kind_of(term)
            case Reduce(op="sum" | "mean") | Rename() | Pairs() | Rope():
                return self.kind(term.arg)
        return "nonlinear"

    def _kind_of(self, term: Apply) -> str:
        match term.op, term.args:
            case "add" | "sub" | "neg" | "identity" | "Re" | "Im" | "conj", args:
                return _worst(map(self.kind, args))
            case "cond", (then, test, other) if not self._depends(test):
                return _worst([self.kind(then), self.kind(other)])
            case "mul", (left, right):
                for data, other in ((left, right), (right, left)):
                    if not self._depends(data):
                        return self.kind(other)
                settled = self._settle(left, right)
                if settled is not None and self._isolated(settled[0]):
                    return self.kind(settled[1])
            case "div", (above, below):
                if not self._depends(below):
                    return self.kind(above)
                if self.kind(above) == "linear":
                    return "ratio"
        return "nonlinear"

    def _depends(self, term: Term) -> bool:
        """Whether the term depends on a memory or on a sum over the past."""
        if self._sources.of(term):
            return True
        parts = list(walk(term))
        if any(isinstance(each, HistorySum | LagSum) for each in parts):
            return True
        return any(isinstance(each, Read) and each.name in self._summed for each in parts)

    def _summed_states(self) -> set[str]:
        """States that depend on a sum over the past."""
        found: set[str] = set()
        for name in self._mixer.order:
            value = self._mixer.by_name[name].value
            for each in walk(value) if value is not None else ():
                if isinstance(each, HistorySum | LagSum):
                    found.add(name)
                elif isinstance(each, Read) and each.name in found:
                    found.add(name)
        return found

    def _isolated(self, data: Term) -> bool:
        """Whether the data reads no memory of two or more axes as a whole."""
        wide = {each.name: each for each in self.used([data]) if not each.over}
        return not any(len(each.type.axes) > 1 for each in wide.values())

    def _settle(self, left: Term, right: Term) -> tuple[Term, Term] | None:
        first, second = self._sources.of(left), self._sources.of(right)
        if not first or not second or first & second:
            return None  # sums over the past have no order in which they are read
        ordered = [(left, right), (right, left)]
        if max(map(self._rank, first)) > min(map(self._rank, second)):
            ordered.reverse()
        for data, other in ordered:
            if self._linear.form(other).bad is None:
                return self.rewrite(data), other
        return None

    def _rank(self, memory: str) -> int:
        return self._ranks[memory]

    def _rewrite(self, term: Term) -> Term:
        if not self._sources.of(term):
            return term
        form = self._linear.form(term)
        if form.bad is None:
            return self._emit(form)
        if isinstance(term, Read):
            value = self._mixer.by_name[term.name].value
            assert value is not None  # a name that depends on a memory has a definition
            return self.rewrite(value)
        return rebuild(term, self.rewrite)

    def _emit(self, form: Form) -> Term:
        parts: list[Term] = []
        for path in form.paths:
            readout, after = self._functional(path)
            read = Read(name=readout.name, at=NOW, type=readout.type)
            parts.append(apply_steps(read, after, self._build))
        if form.rest is not None:
            parts.append(self.rewrite(form.rest))
        total = self._build.total(parts)
        return total if total is not None else self._build.number(0)

    def _functional(self, path: Path) -> tuple[Readout, tuple[Step, ...]]:
        """The readout of a path's first contraction and the steps that remain after it."""
        memory = self._mixer.by_name[path.memory]
        prefix = _Prefix(self._build, memory.type.axes)
        taken = 0
        for index, step in enumerate(path.steps):
            if not prefix.take(step):
                break
            if prefix.over:
                taken = index + 1
        if not prefix.over:
            return self._register(path, None, ()), path.steps
        shrink, outside = prefix.result()
        readout = self._register(path, shrink, prefix.over)
        return readout, (*map(Mul, outside), *prefix.after, *path.steps[taken:])

    def _register(self, path: Path, shrink: Term | None, over: tuple[str, ...]) -> Readout:
        mark = self._prints.of(shrink) if shrink is not None else b""
        key = (path.memory, path.before, mark, over)
        if key not in self._found:
            memory = self._mixer.by_name[path.memory].type
            joined = memory if shrink is None else self._build.join(memory, shrink.type)
            left = tuple(axis for axis in joined.axes if axis not in over)
            kind = type(joined)(left, joined.complex, memory.dependence)
            name = self._name(path.memory)
            inclusive = not path.before
            self._found[key] = Readout(name, path.memory, shrink, over, inclusive, kind)
        return self._found[key]

    def _name(self, memory: str) -> str:
        count = 1
        while (name := f"{memory}_read{count if count > 1 else ''}") in self._taken:
            count += 1
        self._taken.add(name)
        return name


class _Prefix:
    """The steps of a path up to its first contraction, brought to sum[over](shrink * m)."""

    def __init__(self, builder: Builder, axes: tuple[str, ...]) -> None:
        self._build = builder
        self._axes = set(axes)
        self._factors: list[Term] = []
        self._names: dict[str, str] = {}  # new axis name -> the memory's
        self._maps: list[Mapped] = []
        self.over: tuple[str, ...] = ()

    def take(self, step: Step) -> bool:
        """Absorb the step if the form allows it."""
        match step:
            case Mul(factor) if not self.over:
                return self._multiply(factor)
            case Contract(axes):
                self.over = (*self.over, *(self._names.pop(axis, axis) for axis in axes))
                return True
            case Renamed(source, target) if not self.over and target not in self._axes:
                self._names[target] = self._names.pop(source, source)
                return True
            case Mapped(Apply(op="Re" | "Im" | "conj")) if not self.over:
                self._maps.append(step)
                return True
        return False

    def _multiply(self, factor: Term) -> bool:
        if self._maps and factor.type.complex:
            return False  # only real factors commute with Re
        for target, source in self._names.items():
            if source in factor.type.axes:
                return False  # the factor has both the old name and the new one
            factor = self._build.rename(factor, target, source)
        self._factors.append(factor)
        return True

    @property
    def after(self) -> tuple[Step, ...]:
        """What remains to be done right after the contraction."""
        names = tuple(Renamed(source, target) for target, source in self._names.items())
        return (*self._maps, *names)

    def result(self) -> tuple[Term | None, tuple[Term, ...]]:
        """The shrink, None for 1, and the factors without contracted axes, which stay outside."""
        flat = [part for each in self._factors for part in _factors(each)]
        inside = [each for each in flat if set(each.type.axes) & set(self.over)]
        outside = tuple(each for each in flat if not set(each.type.axes) & set(self.over))
        return (self._build.product(inside) if inside else None), outside


def _factors(term: Term) -> list[Term]:
    """The factors of a product as written, inner products included."""
    found: list[Term] = []
    stack = [term]
    while stack:
        current = stack.pop()
        if isinstance(current, Apply) and current.op == "mul" and len(found) + len(stack) < 64:
            stack.extend(reversed(current.args))
        else:
            found.append(current)
    return found


def _worst(kinds: Iterable[str]) -> str:
    return max(kinds, key=_KINDS.index)
