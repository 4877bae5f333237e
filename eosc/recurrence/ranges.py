"""Certified ranges of the coefficients that the extraction builds, of the modulus of complex ones.

The elaborator's interval analysis is run over the mixer once more, so that what is built here knows
what it knew: `1 - a[t]` what `a[t]` is, and that a running log-sum-exp never falls.
"""

from __future__ import annotations

from functools import cached_property

from eosc.algebra.interval import Interval, bound
from eosc.algebra.scalar import Arg, fn
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.scalars import Scalars
from eosc.semantics.terms import NOW, Read, Term


class Ranges:
    """Ranges of the terms of one mixer."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer

    def of(self, term: Term) -> Interval:
        """An interval that holds every value of the term (of its modulus, when complex)."""
        if isinstance(term, Read) and term.at in (None, NOW) and term.name in self._mixer.by_name:
            return self._mixer.by_name[term.name].inferred
        return self._scalars.bound(self._scalars.real(term))

    @cached_property
    def _scalars(self) -> Scalars:
        mixer = self._mixer
        scalars = Scalars(mixer.by_name)
        for each in mixer.declarations:
            if each.name not in mixer.order or each.kind is Kind.MEMORY:
                scalars.given(each.name, each.inferred)
        for name in mixer.order:
            each = mixer.by_name[name]
            if each.kind is not Kind.MEMORY and each.value is not None:
                scalars.define(name, each.value, each.inferred)
        return scalars


def absolute(interval: Interval) -> Interval:
    """The range of the absolute value."""
    argument = Arg("x")
    return bound(fn("abs", argument), {"x": interval})
