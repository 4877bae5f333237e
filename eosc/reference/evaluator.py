"""`evaluate`: run a mixer on operands, token by token, in fp64."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eosc.recurrence.operands import State, crossing, learned_kernels, states, static_number
from eosc.reference.block import Plan, Stretch, run
from eosc.reference.values import Space, Value, join
from eosc.semantics.model import Declaration, Kind, Mixer
from eosc.semantics.terms import Dependence

# Elements of all memories over one stretch: more, and the steps are done in several stretches.
_STRETCH = 1 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """What a mixer gives.

    output: [B, T, H, axes]. states: the final states, shapes as in `State`. values: every
    declaration but the kernels, [B, T, H, axes], or [H, axes] where it is static.
    """

    output: Tensor
    states: dict[str, Tensor]
    values: Mapping[str, Tensor]


def evaluate(
    mixer: Mixer,
    operands: Mapping[str, Tensor],
    *,
    configs: Mapping[str, float] | None = None,
    sizes: Mapping[str, int] | None = None,
    initial_state: Mapping[str, Tensor] | Sequence[Tensor] | None = None,
    cu_seqlens: Tensor | Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    logs: bool = False,
) -> Result:
    """Run the recurrence of a mixer as its spec says it; gradients flow through everything.

    A value before the first step is what the spec declares (`z[-1] = …`), else 0; a running sum
    starts from what is declared, else from the empty sum (0, or -inf for logcumsumexp).

    Args:
        mixer: the elaborated mixer.
        operands: time-varying [B, T, h, axes], static [h, axes], where h divides the number of
            heads and each is shared by H / h neighbouring heads; learned kernels [h, taps, axes].
        configs: config values that differ from their defaults.
        sizes: sizes of axes (and `H`) that no operand shows.
        initial_state: states as `State` gives them, by name or in order.
        cu_seqlens: boundaries of sequences packed along time, from 0 to T; then B is 1 and the
            states have one entry a sequence. A sequence may be empty. Unbounded histories are
            returned only when all sequences have one length.
        dtype: the real dtype in which everything is computed.
        logs: decays are given as `log_<name>` (natural log; -inf is a reset), complex ones as
            `log_<name>` and `arg_<name>`; gradients are then with respect to these.

    Raises:
        ValueError: operands that are missing, unknown, or disagree in shape.
    """
    given = _restore(mixer, operands, dtype, logs)
    resolved = _sizes(mixer, given, dict(sizes or {}), dict(configs or {}))
    space = Space(tuple(axis.name for axis in mixer.axes), resolved)
    plan = Plan.of(mixer, space, states(mixer, resolved, configs))
    inputs = {name: _share(each, resolved["H"]) for name, each in given.items()}
    device = next((values.device for _, values, _ in given.values()), None)
    for name, number in (configs or {}).items():
        if name not in mixer.by_name or mixer.by_name[name].kind is not Kind.CONFIG:
            raise ValueError(f"{mixer.name} has no config {name}")
        inputs[name] = Value(torch.full((1, 1, 1), float(number), dtype=dtype, device=device))
    batch, steps = _extent(mixer, given, sizes or {})
    carried, position = _carried(plan, initial_state, dtype)
    ranges = [(0, steps)]
    if cu_seqlens is not None:
        ranges = _ranges(cu_seqlens, batch, steps)
    stretches = []
    for index, (start, stop) in enumerate(ranges):
        mine = (carried, position)
        if cu_seqlens is not None:
            mine = _pick(carried, position, index)
        windowed = {
            name: value.window(start, stop) if _moves(mixer, name) else value
            for name, value in inputs.items()
        }
        stretches.append(_sequence(plan, windowed, *mine, batch, stop - start, dtype))
    return _result(plan, stretches)


def _restore(
    mixer: Mixer, operands: Mapping[str, Tensor], dtype: torch.dtype, logs: bool
) -> dict[str, tuple[Declaration, Tensor, Tensor | None]]:
    """Each operand with its declaration and, if it came as one, its log."""
    left = dict(operands)
    found: dict[str, tuple[Declaration, Tensor, Tensor | None]] = {}

    def take(name: str, complex_: bool = False) -> Tensor:
        if name not in left:
            raise ValueError(f"{mixer.name} needs the operand {name}")
        values = left.pop(name)
        return values.to(dtype.to_complex() if complex_ or values.is_complex() else dtype)

    for crossed in crossing(mixer):
        declaration, name = crossed.operand, crossed.operand.name
        if not (logs and crossed.as_log):
            found[name] = (declaration, take(name, declaration.type.complex), None)
            continue
        log, *argument = [take(each) for each in crossed.names]
        values = log.exp()
        if argument:
            angle = argument[0]
            values = torch.complex(values * angle.cos(), values * angle.sin())
            found[name] = (declaration, values, torch.complex(log, angle))
        else:
            found[name] = (declaration, values, log)
    for kernel in learned_kernels(mixer):
        found[kernel.name] = (kernel, take(kernel.name, kernel.type.complex), None)
    if left:
        raise ValueError(f"{mixer.name} has no operand {', '.join(sorted(left))}")
    return found


Given = Mapping[str, tuple[Declaration, Tensor, Tensor | None]]


def _moves(mixer: Mixer, name: str) -> bool:
    """Whether a declaration has a time dimension."""
    return mixer.by_name[name].type.dependence is not Dependence.STATIC


def _leading(declaration: Declaration) -> int:
    """How many dimensions stand before the named axes: B, T, H, or H, or H and the taps."""
    if declaration.kind is Kind.KERNEL:
        return 2
    return 1 if declaration.type.dependence is Dependence.STATIC else 3


def _sizes(
    mixer: Mixer, given: Given, sizes: dict[str, int], configs: Mapping[str, float]
) -> dict[str, int]:
    """The size of every axis and of H, from the operands and what the caller adds."""
    heads = 1
    for declaration, values, _ in given.values():
        leading = _leading(declaration)
        if values.ndim != leading + len(declaration.type.axes):
            raise ValueError(
                f"{declaration.name} has {values.ndim} dimensions; "
                f"its layout has {leading + len(declaration.type.axes)}"
            )
        heads = max(heads, values.shape[2 if leading == 3 else 0])
        for name, size in zip(declaration.type.axes, values.shape[leading:], strict=True):
            base = name.rstrip("'")
            if sizes.setdefault(base, size) != size:
                raise ValueError(f"axis {base} has size {sizes[base]} and {size}")
    sizes.setdefault("H", heads)
    derived = [axis for axis in mixer.axes if axis.size is not None]
    for axis in mixer.axes:
        if axis.size is None and axis.name not in sizes:
            found = _invert(mixer, axis.name, sizes, configs)
            if found is not None:
                sizes[axis.name] = found
    for axis in derived:
        assert axis.size is not None, "filtered above"
        try:
            expected = int(static_number(axis.size, mixer, sizes, configs))
        except KeyError:
            # Made of an axis that nothing shows: an error only if something asks for it.
            continue
        if sizes.setdefault(axis.name, expected) != expected:
            raise ValueError(f"axis {axis.name} has size {sizes[axis.name]}, not {expected}")
    return sizes


def _invert(
    mixer: Mixer, name: str, sizes: Mapping[str, int], configs: Mapping[str, float]
) -> int | None:
    """The size of an axis that only a derived axis shows: C of `K = 2 * C`."""
    for axis in mixer.axes:
        if axis.size is None or axis.name not in sizes:
            continue
        for candidate in range(1, sizes[axis.name] + 1):
            try:
                found = static_number(axis.size, mixer, {**sizes, name: candidate}, configs)
            except KeyError:
                break
            if found == sizes[axis.name]:
                return candidate
    return None


def _extent(mixer: Mixer, given: Given, sizes: Mapping[str, int]) -> tuple[int, int]:
    """The number of sequences and of steps."""
    batch, steps = 1, sizes.get("T")
    for declaration, values, _ in given.values():
        if _leading(declaration) == 3:
            batch = max(batch, values.shape[0])
            if steps is not None and steps != values.shape[1]:
                raise ValueError(
                    f"{declaration.name} has {values.shape[1]} steps where others have {steps}"
                )
            steps = values.shape[1]
    if steps is None:
        raise ValueError(f"{mixer.name} has no operand that varies in time: give T in sizes")
    return batch, steps


def _share(each: tuple[Declaration, Tensor, Tensor | None], heads: int) -> Value:
    """An operand as a value; shared heads are repeated."""
    declaration, values, log = each
    leading = _leading(declaration)

    def lay(data: Tensor) -> Tensor:
        if declaration.kind is Kind.KERNEL:
            data = data.transpose(0, 1)[None]
        elif leading == 1:
            data = data[None, None]
        count = data.shape[2]
        if count == 0 or heads % count:
            raise ValueError(f"{declaration.name} has {count} heads, which do not divide {heads}")
        return data if count in (1, heads) else data.repeat_interleave(heads // count, dim=2)

    return Value(lay(values), tuple(declaration.type.axes), None if log is None else lay(log))


def _ranges(cu_seqlens: Tensor | Sequence[int], batch: int, steps: int) -> list[tuple[int, int]]:
    bounds = [int(bound) for bound in cu_seqlens]
    rising = all(first <= second for first, second in zip(bounds, bounds[1:], strict=False))
    if batch != 1 or not rising or bounds[:1] != [0] or bounds[-1] != steps:
        raise ValueError("cu_seqlens rises from 0 to T, and packed sequences have B = 1")
    return list(zip(bounds, bounds[1:], strict=False))


def _carried(
    plan: Plan,
    initial: Mapping[str, Tensor] | Sequence[Tensor] | None,
    dtype: torch.dtype,
) -> tuple[dict[str, Value], Tensor | None]:
    """The initial states as values; the position apart."""
    if initial is None:
        return {}, None
    if not isinstance(initial, Mapping):
        names = [state.name for state in plan.states]
        initial = dict(zip(names, initial, strict=True))
    known = {state.name: state for state in plan.states}
    carried: dict[str, Value] = {}
    position: Tensor | None = None
    for name, values in initial.items():
        if name not in known:
            raise ValueError(f"{plan.mixer.name} has no state {name}")
        if known[name].kind == "position":
            position = values
            continue
        values = values.to(dtype.to_complex() if values.is_complex() else dtype)
        if known[name].kind in ("memory", "running"):
            values = values.unsqueeze(1)
        else:
            values = values.transpose(1, 2)
        carried[name] = plan.space.arrange(values, _axes(known[name]))
    return carried, position


def _axes(state: State) -> tuple[str, ...]:
    assert state.declaration is not None, "the position has no axes"
    if state.kind == "running" and state.scan is not None:
        return state.scan.type.axes
    return state.declaration.type.axes


def _pick(
    carried: Mapping[str, Value], position: Tensor | None, index: int
) -> tuple[dict[str, Value], Tensor | None]:
    """The states of one sequence."""
    chosen = {
        name: Value(value.data[index : index + 1], value.axes) for name, value in carried.items()
    }
    return chosen, None if position is None else position[index : index + 1]


def _sequence(
    plan: Plan,
    inputs: Mapping[str, Value],
    carried: dict[str, Value],
    position: Tensor | None,
    batch: int,
    steps: int,
    dtype: torch.dtype,
) -> list[Stretch]:
    """One run, in as many stretches as its memories' size asks for."""
    device = next(iter(inputs.values())).data.device
    if position is None:
        position = torch.zeros(1, dtype=torch.int64, device=device)
    position = position.to(device).expand(batch)
    found: list[Stretch] = []
    for start, stop in _stretches(plan, batch, steps):
        windowed = {
            name: value.window(start, stop) if _moves(plan.mixer, name) else value
            for name, value in inputs.items()
        }
        stretch = run(plan, windowed, carried, position, batch, stop - start, dtype)
        carried, position = stretch.states, stretch.position
        found.append(stretch)
    return found


def _stretches(plan: Plan, batch: int, steps: int) -> Iterator[tuple[int, int]]:
    each = batch * plan.space.sizes["H"]
    each *= sum(
        math.prod(plan.space.size(axis) for axis in memory.type.axes)
        for memory in plan.mixer.memories
    )
    length = max(16, _STRETCH // max(each, 1))
    for start in range(0, max(steps, 1), length):
        yield start, min(start + length, steps)


class _Values(Mapping[str, Tensor]):
    """The values of the declarations; stretches are put together when one is asked for."""

    def __init__(self, plan: Plan, stretches: Sequence[Stretch]) -> None:
        self._plan = plan
        self._stretches = stretches

    def __getitem__(self, name: str) -> Tensor:
        plan, pieces = self._plan, [each.values[name] for each in self._stretches]
        declaration = plan.mixer.by_name[name]
        if declaration.kind is Kind.KERNEL:
            raise KeyError(name)
        if _moves(plan.mixer, name):
            return plan.space.layout(join(pieces), declaration.type.axes)
        data = plan.space.layout(pieces[0], declaration.type.axes)
        return data.expand(*data.shape[:2], plan.space.sizes["H"], *data.shape[3:])[0, 0]

    def __iter__(self) -> Iterator[str]:
        named = self._plan.mixer.by_name
        return (name for name in self._stretches[0].values if named[name].kind is not Kind.KERNEL)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _result(plan: Plan, sequences: Sequence[Sequence[Stretch]]) -> Result:
    values = _Values(plan, [each for stretches in sequences for each in stretches])
    last = [stretches[-1] for stretches in sequences]
    finals: dict[str, Tensor] = {}
    for state in plan.states:
        if state.kind == "position":
            finals[state.name] = torch.cat([each.position for each in last])
            continue
        ends = [each.states[state.name] for each in last]
        if len({end.steps for end in ends}) > 1:
            continue
        data = torch.cat([end.data for end in ends], dim=0)
        data = plan.space.layout(Value(data, ends[0].axes), _axes(state))
        if state.kind in ("memory", "running"):
            finals[state.name] = data.squeeze(1)
        else:
            finals[state.name] = data.transpose(1, 2)
    return Result(values[plan.mixer.output.name], finals, values)
