"""What statements about one mixer and about two have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from eosc.prove import formula
from eosc.prove.formula import Equation, Formula
from eosc.prove.statements.environment import Environment, Names
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.terms import evaluate
from eosc.semantics import terms as ir
from eosc.semantics.model import Axis, Declaration, Mixer
from eosc.semantics.terms import Term

FROM_ZERO = (formula.moment(), formula.moment("t"))
"""0 <= t: goals speak of token time t + 1."""


def terms_of(mixer: Mixer) -> Iterator[Term]:
    """Every term of a mixer's declarations."""
    for each in mixer.declarations:
        for term in (each.value, each.initial, each.width):
            if term is not None:
                yield term


def restrict(sizes: Mapping[str, int]) -> tuple[Axis, ...]:
    """Chosen sizes as axes with a size."""
    kind = ir.Type()
    return tuple(
        Axis(name, ir.Number(value=Fraction(size), type=kind)) for name, size in sizes.items()
    )


def read(side: Side, declaration: Declaration, env: Environment) -> Formula:
    """A declaration at the time and place of an environment."""
    term = ir.Read(name=declaration.name, at=ir.NOW, type=declaration.type)
    return evaluate(term, env, side)


def equations(
    side: Side,
    axes: tuple[str, ...],
    left: Callable[[Environment], Formula],
    right: Callable[[Environment], Formula],
    name: str,
    timed: bool = True,
) -> Iterator[Equation]:
    """`left == right` at token time t + 1 and every place along the axes."""
    for slot in side.slots(axes):
        names = Names()
        for each in slot.parameters:
            names.fresh(each)
        env = Environment(names, formula.moment("t", 1), slot.places, earliest={"t": 0})
        lead = (("t", formula.TIME),) if timed else ()
        yield Equation(
            f"{name}{slot.digits}",
            (*lead, *zip(slot.parameters, slot.sorts, strict=True)),
            left(env),
            right(env),
            (FROM_ZERO,) if timed else (),
        )
