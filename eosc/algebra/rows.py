"""The columns of the table of scalar functions (`functions.py` has the rows).

`{0}`, `{1}` in a spelling stand for the arguments' text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from eosc.algebra.enclosure import Interval
from eosc.algebra.scalar import S

Build: TypeAlias = Callable[..., S]
LogOf: TypeAlias = Callable[[S], S | None]

# Binding strength of a spelling, loosest first: an operand that binds looser gets parentheses.
COMPARE, LOGIC, ADD, MUL, NEG, POW, CALL = range(7)


@dataclass(frozen=True, slots=True)
class Torch:
    """How torch computes a function: as a call on the module, and as text (None: expanded)."""

    text: str | None
    call: Callable[..., Any]
    literal: str | None = None
    """Text where argument 1 is a number and torch wants a tensor."""


@dataclass(frozen=True, slots=True)
class Function:
    """What the compiler knows about one function of real arguments.

    Attributes:
        name: as in a spec, or in `S` only.
        arity: number of arguments.
        derivative: one builder per argument, over the arguments.
        interval: image of intervals, certified.
        torch: text and call.
        sympy: builder over the imported sympy module, for the proofs and for LaTeX.
        triton: text, for the functions that Triton 3.6 to 3.9 has; the others are expanded.
        expand: the same function by primitive ones, without overflow, accurate in floating point.
        value: the function of floats, for the primitive ones.
        log: rule for a stable log of the result, given the log of sub-terms (see `stable.py`).
        side: where the derivative holds, if not everywhere.
        truth: whether the result is a condition.
        binding: binding strength of the spelling.
        latex: LaTeX, where it is not the name applied to the arguments.
    """

    name: str
    arity: int
    derivative: tuple[Build, ...]
    interval: Callable[..., Interval]
    torch: Torch
    sympy: Callable[..., Any]
    triton: str | None = None
    expand: Build | None = None
    value: Callable[..., float] | None = None
    log: Callable[..., S | None] | None = None
    side: str = ""
    truth: bool = False
    binding: int = CALL
    latex: str | None = None


def torch_call(name: str, arity: int = 1) -> Torch:
    """The function of torch of this name."""
    slots = ", ".join(f"{{{i}}}" for i in range(arity))
    return Torch(f"torch.{name}({slots})", lambda torch, *args: getattr(torch, name)(*args))


def functional(name: str, options: str = "", **settings: Any) -> Torch:
    """The function of `torch.nn.functional` of this name."""
    return Torch(
        f"torch.nn.functional.{name}({{0}}{options})",
        lambda torch, x: getattr(torch.nn.functional, name)(x, **settings),
    )


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": lambda _, a, b: a + b,
    "-": lambda _, a, b: a - b,
    "*": lambda _, a, b: a * b,
    "/": lambda _, a, b: a / b,
    "**": lambda _, a, b: a**b,
    "<": lambda _, a, b: a < b,
    "<=": lambda _, a, b: a <= b,
    ">": lambda _, a, b: a > b,
    ">=": lambda _, a, b: a >= b,
    "==": lambda _, a, b: a == b,
    "!=": lambda _, a, b: a != b,
    "&": lambda _, a, b: a & b,
    "|": lambda _, a, b: a | b,
}


def infix(sign: str) -> Torch:
    """The operator of this sign."""
    return Torch(f"{{0}} {sign} {{1}}", OPERATORS[sign])
