"""Complex terms in polar form and as pairs, by their structure: no arc tangent, no logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from eosc.algebra.interval import Interval
from eosc.recurrence.building import Builder
from eosc.recurrence.operands import crossing
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Apply, Imaginary, Number, Read, Term, Type

POSITIVE = Interval(Fraction(0), math.inf, False, True)
UNIT = Interval(Fraction(0), Fraction(1), False, False)


class Unpolar(Exception):  # noqa: N818
    """A complex term that is not written in polar form."""


@dataclass(frozen=True, slots=True)
class Form:
    """The product of the moduli times exp(1j * sum of the angles).

    intervals: of each modulus, a certified range.
    """

    moduli: tuple[Term, ...] = ()
    angles: tuple[Term, ...] = ()
    intervals: tuple[Interval, ...] = ()

    def __mul__(self, other: Form) -> Form:
        """The product."""
        return Form(
            self.moduli + other.moduli,
            self.angles + other.angles,
            self.intervals + other.intervals,
        )


class Polar:
    """Polar forms and pairs of the terms of one mixer."""

    def __init__(self, mixer: Mixer, build: Builder) -> None:
        self._mixer, self._build = mixer, build
        self._polar = {e.operand.name for e in crossing(mixer) if len(e.names) == 2}

    def __call__(self, term: Term) -> Form:
        """The polar form of a term; a real factor is a modulus.

        Raises:
            Unpolar: it is not a product of real factors and exponentials.
        """
        build = self._build
        if not term.type.complex:
            return Form((term,), (), (POSITIVE,))
        match term:
            case Apply(op="mul", args=(left, right)):
                return self(left) * self(right)
            case Apply(op="div", args=(left, right)) if not right.type.complex:
                return self(left) * Form((build.inverse(right),), (), (POSITIVE,))
            case Apply(op="identity", args=(arg,)):
                return self(arg)
            case Apply(op="conj", args=(arg,)):
                found = self(arg)
                return Form(found.moduli, tuple(map(build.neg, found.angles)), found.intervals)
            case Apply(op="exp", args=(arg,)):
                real, imaginary = self.split(arg)
                growth = () if real is None else (build.apply("exp", real),)
                angles = () if imaginary is None else (imaginary,)
                return Form(growth, angles, (POSITIVE,) * len(growth))
            case Read(name=name) if name in self._polar:
                # Both cross the boundary as such: the log of the modulus, and the argument.
                log = build.apply("log", term)
                angle = Apply("Im", (log,), type=_real(term))
                return Form((Apply("abs", (term,), type=_real(term)),), (angle,), (UNIT,))
            case Read(name=name) if name in self._mixer.by_name:
                value = self._mixer.by_name[name].value
                if value is not None:
                    return self(value)
        raise Unpolar

    def split(self, term: Term) -> tuple[Term | None, Term | None]:
        """The real and the imaginary part; None for 0."""
        build = self._build
        if not term.type.complex:
            return term, None
        match term:
            case Imaginary(value=value):
                return None, Number(value=value, type=_real(term))
            case Apply(op="mul", args=(left, right)) if not left.type.complex:
                return self._scaled(right, left)
            case Apply(op="mul", args=(left, right)) if not right.type.complex:
                return self._scaled(left, right)
            case Apply(op="div", args=(left, right)) if not right.type.complex:
                real, imaginary = self.split(left)
                return (
                    None if real is None else build.apply("div", real, right),
                    None if imaginary is None else build.apply("div", imaginary, right),
                )
            case Apply(op="neg", args=(arg,)):
                real, imaginary = self.split(arg)
                return (
                    None if real is None else build.neg(real),
                    None if imaginary is None else build.neg(imaginary),
                )
            case Apply(op="add" | "sub" as op, args=(left, right)):
                (a, b), (c, d) = self.split(left), self.split(right)
                return self._added(op, a, c), self._added(op, b, d)
            case Read(name=name) if name in self._mixer.by_name and name not in self._polar:
                written = self._mixer.by_name[name].value
                if isinstance(written, Apply) and written.op in _LINEAR:
                    return self.split(written)
        return Apply("Re", (term,), type=_real(term)), Apply("Im", (term,), type=_real(term))

    def _scaled(self, term: Term, by: Term) -> tuple[Term | None, Term | None]:
        real, imaginary = self.split(term)
        return (
            None if real is None else self._build.mul(by, real),
            None if imaginary is None else self._build.mul(by, imaginary),
        )

    def _added(self, op: str, left: Term | None, right: Term | None) -> Term | None:
        if right is None:
            return left
        if left is None:
            return right if op == "add" else self._build.neg(right)
        return self._build.apply(op, left, right)


_LINEAR = ("mul", "div", "neg", "add", "sub")


def _real(term: Term) -> Type:
    return replace(term.type, complex=False)
