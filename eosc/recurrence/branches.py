"""Branches that convolve the same signal, merged into one convolution: their kernels are added.

a * sum[n < 4](w[n] * u[t-n]) + sum[n < 4](h[n] * u[t-n]) = sum[n < 4]((a * w[n] + h[n]) * u[t-n])
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eosc.recurrence.building import Builder, Fingerprints, rebuild
from eosc.recurrence.convolution import convolution
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Apply, Dependence, HistorySum, LagSum, Term


@dataclass(frozen=True, slots=True)
class _Branch:
    """`coefficient * sum`, with a coefficient that is constant in time."""

    coefficient: Term
    sum: LagSum | HistorySum


def merged(mixer: Mixer, term: Term) -> Term:
    """The term with such branches merged, the term itself where there are none.

    Merged are sums over the same lags, written with the same variable, whose bodies are a static
    kernel times one signal, and nothing else.
    """
    return _Merger(mixer).merge(term)


class _Merger:
    def __init__(self, mixer: Mixer) -> None:
        self.mixer, self.build = mixer, Builder(mixer)
        self.prints = Fingerprints()

    def merge(self, term: Term) -> Term:
        if isinstance(term, Apply) and term.op in ("add", "sub"):
            changed = self._sum(_addends(term, self.build))
            if changed is not None:
                return changed
        if isinstance(term, LagSum | HistorySum):
            return term
        return rebuild(term, self.merge)

    def _sum(self, addends: list[Term]) -> Term | None:
        """The sum of the addends with branches merged, or None where none can be."""
        groups: dict[bytes, list[_Branch]] = {}
        places: dict[bytes, int] = {}
        kept: list[Term | None] = []
        for each in addends:
            branch = self._branch(each)
            kind = None if branch is None else self._kind(branch)
            if branch is None or kind is None:
                kept.append(self.merge(each))
                continue
            if kind not in groups:
                places[kind] = len(kept)
                kept.append(None)
            groups.setdefault(kind, []).append(branch)
        if all(len(found) < 2 for found in groups.values()):
            return None
        for kind, found in groups.items():
            kept[places[kind]] = self._one(found)
        return self.build.total([each for each in kept if each is not None])

    def _branch(self, term: Term) -> _Branch | None:
        factors = _factors(term, self.build)
        sums = [each for each in factors if isinstance(each, LagSum | HistorySum)]
        others = [each for each in factors if not isinstance(each, LagSum | HistorySum)]
        if len(sums) != 1 or any(each.type.dependence is not Dependence.STATIC for each in others):
            return None
        return _Branch(self.build.product(others), sums[0])

    def _kind(self, branch: _Branch) -> bytes | None:
        """What two branches share that can be merged: lags, variable, signal."""
        found = convolution(self.mixer, branch.sum)
        if found is None or found.around or found.gate is not None or found.finite is not None:
            return None
        width = b"" if found.width is None else self.prints.of(found.width)
        kind = f"{type(branch.sum).__name__} {found.variable} {found.first} ".encode()
        return kind + width + b" " + self.prints.of(found.signal)

    def _one(self, branches: list[_Branch]) -> Term:
        """One sum; its kernel is that of all branches, each with its coefficient."""
        first = branches[0]
        if len(branches) == 1:
            return self.build.mul(first.coefficient, first.sum)
        kernels, signal = [], first.sum.body
        for branch in branches:
            lagging, moving = self._split(branch.sum.body)
            kernels.append(self.build.mul(branch.coefficient, self.build.product(lagging)))
            signal = self.build.product(moving)
        total = self.build.total(kernels)
        assert total is not None, "there are branches"
        body = self.build.mul(total, signal)
        kind = replace(body.type, dependence=first.sum.type.dependence)
        return replace(first.sum, body=body, type=kind)

    def _split(self, body: Term) -> tuple[list[Term], list[Term]]:
        """The factors of the kernel, and those of the signal."""
        factors = _factors(body, self.build)
        moving = [each for each in factors if _reads_the_past(each)]
        return [each for each in factors if not _reads_the_past(each)], moving


def _reads_the_past(term: Term) -> bool:
    """Whether a factor is of the signal: it varies with the data."""
    return term.type.dependence is Dependence.DATA


def _addends(term: Term, build: Builder) -> list[Term]:
    if isinstance(term, Apply) and term.op == "add":
        return [each for arg in term.args for each in _addends(arg, build)]
    if isinstance(term, Apply) and term.op == "sub":
        left, right = term.args
        return [*_addends(left, build), *(build.neg(each) for each in _addends(right, build))]
    return [term]


def _factors(term: Term, build: Builder) -> list[Term]:
    if isinstance(term, Apply) and term.op == "mul":
        return [each for arg in term.args for each in _factors(arg, build)]
    if isinstance(term, Apply) and term.op == "neg":
        return [build.number(-1), *_factors(term.args[0], build)]
    return [term]
