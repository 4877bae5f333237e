"""Theorems: claims about mixers and expressions, resolved and checked, not yet decided.

A claim `prove L == R where b` binds operands of R by values made of the names of L. An operand of R
that is not bound is the operand of L of the same name; without one it is universally quantified
(E081, a note). `claims` makes these objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from eosc.algebra.interval import Interval
from eosc.diagnostics import Span
from eosc.semantics.model import Axis, Declaration, Mixer
from eosc.semantics.terms import Term


@dataclass(frozen=True, slots=True)
class Side:
    """A mixer in a claim, with operands, params or configs fixed: `mamba2(skip = 0)`."""

    mixer: Mixer
    fixed: tuple[tuple[str, Term], ...] = ()


@dataclass(frozen=True, slots=True)
class Equivalence:
    """`left == right where bindings`.

    bindings: operands of the right, as values over the names of the left. identified: operands of
        the right that are the left's of the same name. free: those that nothing binds.
    """

    verdict: str
    left: Side
    right: Side
    bindings: tuple[tuple[str, Term], ...]
    identified: tuple[str, ...]
    free: tuple[str, ...]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """`left == right` between expressions over the theorem's variables."""

    verdict: str
    left: Term
    right: Term
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Property:
    """`side is name(axes)` or `side is lowrank(rank)`."""

    verdict: str
    side: Side
    name: str
    axes: tuple[str, ...] = ()
    rank: int = 0
    span: Span | None = field(default=None, compare=False, repr=False)


Claim: TypeAlias = Equivalence | Identity | Property


@dataclass(frozen=True, slots=True)
class Theorem:
    """Claims under assumptions.

    variables: `forall`, with their ranges. assumed: conditions that hold, such as `R == 1`.
    ranges: `assume a in (0, 1)`. invariant: the relation between the memories, in which the
        memories are read as `left.m` and `right.m`.
    """

    name: str
    claims: tuple[Claim, ...]
    axes: tuple[Axis, ...] = ()
    variables: tuple[Declaration, ...] = ()
    assumed: tuple[Term, ...] = ()
    ranges: tuple[tuple[str, Interval], ...] = ()
    invariant: Term | None = None
    doc: str = ""
    span: Span | None = field(default=None, compare=False, repr=False)
