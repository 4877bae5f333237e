"""Equivalence of mixers as an assertion of a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eosc.prove.engine import Outcome
    from eosc.prove.refute import Witness
    from eosc.report.proof import Settled

__all__ = ["NotAsClaimed", "assert_equivalent", "assert_refuted"]


class NotAsClaimed(AssertionError):
    """A claim that came out otherwise: its text says the statement and the witness or residual."""

    def __init__(self, settled: Settled) -> None:
        from eosc.diagnostics import sanitise
        from eosc.report.proof import plain

        lines = plain(settled).split("\n")
        super().__init__("\n".join(map(sanitise, lines)))
        self.outcome = settled.outcome


def assert_equivalent(
    left: str | Path,
    right: str | Path,
    where: str | Mapping[str, str] = "",
    assume: str | Sequence[str] = (),
    *,
    strict: bool = False,
    seconds: float = 3.0,
) -> Outcome:
    """Assert that two mixers are proved equal, for every length and all sizes.

    Args:
        left: a target, `FILE[:mixer][(name=value, …)]`, or the name of a mixer of the zoo.
        right: the same.
        where: operands of the right in terms of the left: `"k[t] := 1 - a[t]"`, or
            `{"k[t]": "1 - a[t]"}`.
        assume: assumptions: `"R == 1"`, `"a in (0, 1)"`.
        strict: whether a proof under a condition that nothing declares counts as none.
        seconds: for the search.

    Raises:
        NotAsClaimed: they are not equal, or no proof was found.
        TargetError: an argument names no mixer.
        EosError: a file or the claim has errors.
    """
    settled = _settled(left, right, where, assume, seconds)
    outcome = settled.outcome
    if not outcome.as_claimed or (strict and outcome.conditional):
        raise NotAsClaimed(settled)
    return outcome


def assert_refuted(
    left: str | Path,
    right: str | Path,
    where: str | Mapping[str, str] = "",
    assume: str | Sequence[str] = (),
    *,
    seconds: float = 3.0,
) -> Witness:
    """Assert that two mixers differ, and return where; the arguments are those of the equal case.

    Raises:
        NotAsClaimed: they are proved equal, or no counterexample was found.
        TargetError: an argument names no mixer.
        EosError: a file or the claim has errors.
    """
    settled = _settled(left, right, where, assume, seconds)
    if settled.outcome.witness is None:
        raise NotAsClaimed(settled)
    return settled.outcome.witness


def _settled(
    left: str | Path,
    right: str | Path,
    where: str | Mapping[str, str],
    assume: str | Sequence[str],
    seconds: float,
) -> Settled:
    from eosc.cli.pairs import compared
    from eosc.prove.engine import Budget, settle
    from eosc.report.proof import Settled
    from eosc.semantics.imports import Loader

    if not isinstance(where, str):
        where = ", ".join(f"{name} := {value}" for name, value in where.items())
    assumed = (assume,) if isinstance(assume, str) else tuple(assume)
    stated = compared(str(left), str(right), where, tuple(x for x in assumed if x), Loader())
    outcome = settle(stated.theorem, stated.claim, Budget(search=seconds, deep=seconds))
    return Settled(stated, outcome)
