"""Valid random operands for any mixer, from its declared ranges alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eosc.algebra.interval import Interval
from eosc.recurrence.operands import crossing, learned_kernels, static_number
from eosc.semantics.model import Declaration, Kind, Mixer, Role
from eosc.semantics.terms import Dependence, KernelAt, Read, Term, walk

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["GATES", "sample"]

GATES = ("default", "usual", "strong", "weak", "mixed", "zero", "one")
"""Regimes of the decays.

default: around 0.9; decays that are derived are what normal raw operands make them. usual: derived
ones, too, have about that mean. strong: logs from about -12 to -2. weak: 1 minus at most 1e-3.
mixed: each element one of these. zero: one element in four is exactly 0 (a reset; also where the
range is open at 0, since a log of -inf is always a legal operand). one: 1, or as near as the range
allows.
Decays that are derived come near these by shifting the raw operands that make them; zero and one
saturate the gate.
"""

# Shift of the raw operands behind a derived decay; far enough to saturate for zero and one.
_SHIFTS = {"strong": 4.0, "weak": 4.0, "zero": 30.0, "one": 30.0}

_USUAL = 0.9
"""The mean of decays as they usually are."""


def sample(
    mixer: Mixer,
    B: int,
    T: int,
    H: int,
    sizes: Mapping[str, int],
    generator: Generator | None = None,
    *,
    gates: str = "default",
    heads: Mapping[str, int] | None = None,
    configs: Mapping[str, float] | None = None,
    logs: bool = False,
) -> dict[str, Tensor]:
    """Operands of a mixer in fp64 (complex128), each within its declared range.

    Expand operands have unit norm on average, so that delta rules contract; free oscillation
    operands are small for the same reason. Where the decay is derived, the raw operands that
    drive it are shifted so that it comes out in the regime asked for.

    Args:
        mixer: the elaborated mixer.
        B: sequences.
        T: steps.
        H: heads.
        sizes: sizes of the axes; derived ones may be left out.
        generator: of torch; None takes a fresh one seeded with 0.
        gates: one of `GATES`.
        heads: head counts of the operands that heads share; each divides H.
        configs: config values that differ from their defaults.
        logs: whether decays come as `log_<name>` (and `arg_<name>`), as the operators take them.

    Returns:
        Time-varying operands [B, T, heads, axes], static ones [heads, axes], learned kernels
        [heads, taps, axes] with T taps where the kernel is not finite.

    Raises:
        ValueError: gates is not one of `GATES`.
    """
    import torch

    if gates not in GATES:
        raise ValueError(f"gates is {gates!r}; it is one of {', '.join(GATES)}")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    settled = _settle(mixer, sizes, configs or {}, H)
    found: dict[str, Tensor] = {}
    names = {each.operand.name: each.names for each in crossing(mixer)}
    for operand in (*mixer.operands, *learned_kernels(mixer)):
        count = (heads or {}).get(operand.name, H)
        shape = [settled[axis.rstrip("'")] for axis in operand.type.axes]
        if operand.kind is Kind.KERNEL:
            taps = T
            if operand.width is not None:
                taps = int(static_number(operand.width, mixer, settled, configs or {}))
            shape = [taps, *shape]
        shape = [count, *shape]
        if operand.kind is Kind.OPERAND and operand.type.dependence is not Dependence.STATIC:
            shape = [B, T, *shape]
        decays = names.get(operand.name, (operand.name,)) != (operand.name,)
        found[operand.name] = _draw(operand, shape, generator, gates if decays else None)
    _drive(mixer, found, settled, configs or {}, gates, generator)
    return _as_logs(found, names) if logs else found


def _settle(
    mixer: Mixer, sizes: Mapping[str, int], configs: Mapping[str, float], H: int
) -> dict[str, int]:
    settled = {"H": H, **sizes}
    for axis in mixer.axes:
        if axis.size is not None:
            settled[axis.name] = int(static_number(axis.size, mixer, settled, configs))
    return settled


def _draw(
    operand: Declaration, shape: list[int], generator: Generator, gates: str | None
) -> Tensor:
    """One operand; gates is None for operands that are not decays."""
    import torch

    def normal() -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    bounds = operand.declared
    if gates is not None:
        values = _decays(shape, generator, gates, bounds)
    elif bounds is not None and (bounds.lo > -math.inf or bounds.hi < math.inf):
        values = _bounded(normal(), bounds)
    else:
        values = normal() * _spread(operand, shape)
        if operand.type.complex:
            values = torch.complex(values, normal() * _spread(operand, shape)) / math.sqrt(2)
        return values
    if operand.type.complex:
        values = torch.polar(values, math.pi * normal())
    return values


def _spread(operand: Declaration, shape: list[int]) -> float:
    """Standard deviation of an unbounded operand."""
    size = math.prod(shape[len(shape) - len(operand.type.axes) :])
    if operand.role is Role.EXPAND:
        return float(size**-0.5)
    if operand.role is Role.OSCILLATION:
        return 0.3 * float(size**-0.5)
    return 0.5 if operand.kind is Kind.PARAM else 1.0


def _bounded(normal: Tensor, bounds: Interval) -> Tensor:
    low, high = float(bounds.lo), float(bounds.hi)
    if math.isinf(high):
        return low + (0.5 * normal - 1.5).exp()
    if math.isinf(low):
        return high - (0.5 * normal - 1.5).exp()
    return low + (high - low) * normal.sigmoid()


def _decays(shape: list[int], generator: Generator, gates: str, bounds: Interval | None) -> Tensor:
    import torch

    def normal() -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def uniform() -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    default = (normal() + 2.5).sigmoid()
    strong = (-(2.0 + 10.0 * uniform())).exp()
    weak = 1.0 - 1e-3 * uniform() - 1e-9
    match gates:
        case "strong":
            return strong
        case "weak":
            return weak
        case "mixed":
            pick = torch.randint(0, 3, shape, generator=generator)
            return torch.where(pick == 0, strong, torch.where(pick == 1, weak, default))
        case "zero":
            return torch.where(uniform() < 0.25, torch.zeros_like(default), default)
        case "one":
            closed = bounds is None or not bounds.hi_open
            return torch.full_like(default, 1.0 if closed else 1.0 - 1e-12)
    return default


def _drive(
    mixer: Mixer,
    found: dict[str, Tensor],
    sizes: Mapping[str, int],
    configs: Mapping[str, float],
    gates: str,
    generator: Generator,
) -> None:
    """Shift the raw operands behind derived decays; `found` is updated."""
    for decay in mixer.declarations:
        if decay.role is not Role.OSCILLATION or decay.value is None or gates == "default":
            continue
        for name in _drivers(mixer, decay):
            driver = _Driver(mixer, found, name, decay.name, sizes, configs)
            found[name] = found[name] + driver.shift(gates, generator)


def _drivers(mixer: Mixer, decay: Declaration) -> tuple[str, ...]:
    """The unbounded real operands that make a decay; the time-varying ones if there are any."""
    seen: dict[str, Declaration] = {}
    pending: list[Term] = [] if decay.value is None else [decay.value]
    while pending:
        for term in walk(pending.pop()):
            if isinstance(term, Read | KernelAt) and term.name not in seen:
                declaration = mixer.by_name[term.name]
                seen[term.name] = declaration
                if declaration.value is not None:
                    pending.append(declaration.value)
    raw = [
        each
        for each in mixer.operands
        if each.name in seen and each.declared is None and not each.type.complex
    ]
    moving = [each for each in raw if each.type.dependence is not Dependence.STATIC]
    return tuple(each.name for each in moving or raw)


@dataclass(frozen=True)
class _Driver:
    """A raw operand that moves a derived decay."""

    mixer: Mixer
    found: Mapping[str, Tensor]
    name: str
    decay: str
    sizes: Mapping[str, int]
    configs: Mapping[str, float]

    def shift(self, gates: str, generator: Generator) -> Tensor:
        """What to add to the operand so that the decay is in a regime."""
        import torch

        shape = self.found[self.name].shape
        if gates == "mixed":
            return 4.0 * torch.randint(-1, 2, shape, generator=generator)
        if gates == "usual":
            return torch.full(shape, self._usual(), dtype=torch.float64)
        sign = self._direction() if gates in ("weak", "one") else -self._direction()
        shift = torch.full(shape, sign * _SHIFTS[gates], dtype=torch.float64)
        if gates == "zero":
            hit = torch.rand(shape, generator=generator, dtype=torch.float64) < 0.25
            shift = torch.where(hit, shift, torch.zeros_like(shift))
        return shift

    def _direction(self) -> int:
        """The sign of the shift that brings the decay's modulus nearer to 1."""
        up, down = self._modulus(4.0), self._modulus(-4.0)
        return (up > down) - (up < down)

    def _usual(self) -> float:
        """The shift, at most 8, that brings the decay's mean modulus to the usual one."""
        towards, low, high = self._direction(), -8.0, 8.0
        for _ in range(10):
            middle = (low + high) / 2
            if self._modulus(towards * middle) < _USUAL:
                low = middle
            else:
                high = middle
        return towards * high

    def _modulus(self, shift: float) -> float:
        """The mean modulus of the decay over a few tokens, with the operand shifted."""
        from eosc.reference import evaluate

        given = {**self.found, self.name: self.found[self.name] + shift}
        operands = (*self.mixer.operands, *learned_kernels(self.mixer))
        shifted = {each.name: _short(each, given[each.name]) for each in operands}
        result = evaluate(self.mixer, shifted, sizes=self.sizes, configs=self.configs)
        return float(result.values[self.decay].abs().mean())


def _short(operand: Declaration, values: Tensor) -> Tensor:
    if operand.kind is Kind.OPERAND and operand.type.dependence is not Dependence.STATIC:
        return values[:1, :2]
    return values


def _as_logs(found: Mapping[str, Tensor], names: Mapping[str, Iterable[str]]) -> dict[str, Tensor]:
    crossed: dict[str, Tensor] = {}
    for name, values in found.items():
        log_name, *argument_name = names.get(name, (name,))
        if log_name == name:
            crossed[name] = values
        else:
            crossed[log_name] = values.abs().log() if values.is_complex() else values.log()
            for each in argument_name:
                crossed[each] = values.angle()
    return crossed
