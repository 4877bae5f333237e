"""A statement and a proof in, what was proved out, or why it was not, in formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eosc.prove.checker.conditions import left_over
from eosc.prove.checker.founded import check_definitions
from eosc.prove.checker.sugar import core
from eosc.prove.checker.written import as_formula, text
from eosc.prove.kernel import rules
from eosc.prove.kernel.atoms import Poly, Rejected
from eosc.prove.kernel.reading import Reader, Scope
from eosc.prove.kernel.times import split


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for the proof to: `formula` is positive or nonzero wherever it is read."""

    kind: str
    formula: Any
    text: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """One equation that a step came down to."""

    step: str
    name: str
    reader: Reader
    proved: rules.Obligation

    @property
    def form(self) -> Any:
        """The normal form that both sides have as a formula, which is made when it is read."""
        return as_formula(self.reader, self.proved.value, names(self.reader, self.proved.scope))


@dataclass(frozen=True, slots=True)
class Checked:
    """What was proved: the goals, how many equations were checked, and under which conditions."""

    goals: tuple[str, ...]
    obligations: int
    conditions: tuple[Condition, ...]
    steps: tuple[Obligation, ...]


def check(problem: Mapping[str, Any], proof: Any) -> Checked:
    """Check a proof of every goal of a problem.

    Raises:
        Rejected: the problem is malformed, a step fails, or a goal is left without proof.
    """
    try:
        return _check(problem, proof)
    except Rejected as error:
        if error.residual is None:
            raise
        reader, left = error.residual
        form = as_formula(reader, left.value, names(reader, left.scope))
        raise Rejected(error.message, text(form)) from None
    except RecursionError:
        raise Rejected("too large: nested too deeply") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Rejected(f"malformed: {type(error).__name__} {str(error)[:200]}") from error


def _check(problem: Mapping[str, Any], proof: Any) -> Checked:
    plain, steps = core(problem, proof)
    check_definitions(plain, steps)
    proved = rules.check(plain, steps)
    reader = proved.reader
    obligations = tuple(Obligation(each.step, each.name, reader, each) for each in proved.steps)
    conditions = tuple(
        _condition(reader, kind, poly, variables) for kind, poly, variables in left_over(reader)
    )
    return Checked(tuple(proved.goals), len(obligations), conditions, obligations)


def _condition(reader: Reader, kind: str, poly: Poly, variables: dict[int, str]) -> Condition:
    form = as_formula(reader, poly, {**names(reader, {}), **variables})
    return Condition(kind, form, f"{text(form)} {'> 0' if kind == 'positive' else '≠ 0'}")


def names(reader: Reader, scope: Scope) -> dict[int, str]:
    """What free variables are called: the times of the statement, and those of a scope."""
    found: dict[int, str] = {}
    for name, value in {**reader.times, **scope}.items():
        parts = split(value)[0] if isinstance(value, tuple) else ()
        if isinstance(value, int):
            found[value] = name
        elif len(parts) == 1:
            found[parts[0][0]] = name
    return found
