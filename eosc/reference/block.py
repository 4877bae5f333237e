"""A stretch of steps, from the states before it to the states after it.

What does not depend on a memory is evaluated for all steps at once; a group of memories that read
each other runs step by step; readouts are again evaluated for all steps at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eosc.recurrence.operands import State
from eosc.reference.dependence import FreeSymbols, groups
from eosc.reference.frames import Frame
from eosc.reference.terms import Terms
from eosc.reference.values import Space, Value, grow, join
from eosc.semantics.model import Kind, Mixer


@dataclass(frozen=True)
class Plan:
    """What is the same for every stretch of a mixer: its groups, its states, its free symbols."""

    mixer: Mixer
    space: Space
    states: tuple[State, ...]
    groups: tuple[tuple[tuple[str, ...], bool], ...]
    free: FreeSymbols

    @classmethod
    def of(cls, mixer: Mixer, space: Space, states: tuple[State, ...]) -> Plan:
        """The plan of a mixer."""
        return cls(mixer, space, states, groups(mixer), FreeSymbols(mixer))


@dataclass(frozen=True)
class Stretch:
    """The values of every declaration over some steps, and the states after them.

    states: memory and running [batch, 1, head, axes]; delay and history [batch, past, head, axes];
        the position is in `position`, [batch].
    """

    values: dict[str, Value]
    states: dict[str, Value]
    position: Tensor


def run(
    plan: Plan,
    inputs: Mapping[str, Value],
    carried: Mapping[str, Value],
    position: Tensor,
    batch: int,
    steps: int,
    dtype: torch.dtype,
) -> Stretch:
    """Evaluate a mixer over `steps` steps.

    Args:
        plan: of the mixer.
        inputs: operands, learned kernels (taps in place of time) and configs that are set.
        carried: the states before the first step; those left out take their initial values.
        position: of the first step, [batch].
        batch: sequences.
        steps: steps.
        dtype: the real dtype.
    """
    mixer = plan.mixer
    scans = {state.name: state.scan for state in plan.states if state.scan is not None}
    past = {name: value for name, value in carried.items() if name in mixer.by_name}
    before = {
        id(scan): Value(carried[name].data[:, -1:], carried[name].axes)
        for name, scan in scans.items()
        if name in carried and carried[name].steps
    }
    terms = Terms(mixer, plan.space, batch, steps, dtype, {}, past, before, position, plan.free)
    for name, value in inputs.items():
        kernel = mixer.by_name[name].kind is Kind.KERNEL
        terms.named[name] = value if kernel else terms.conform(value, name, steps)
    for names, cyclic in plan.groups:
        fresh = tuple(name for name in names if name not in inputs)
        for name in fresh:
            _start(terms, plan, name, past, before)
        if cyclic:
            _step_by_step(terms, fresh)
        else:
            for name in fresh:
                declaration = mixer.by_name[name]
                assert declaration.value is not None, "a group holds defined names"
                found = terms(declaration.value, terms.whole)
                terms.named[name] = terms.conform(found, name, steps)
    return Stretch(terms.named, _ends(terms, plan, carried), position + steps)


def _start(
    terms: Terms,
    plan: Plan,
    name: str,
    past: dict[str, Value],
    before: dict[int, Value],
) -> None:
    """Give a memory or a scan that nothing was carried for its value before the first step."""
    declaration = terms.mixer.by_name[name]
    if declaration.kind is Kind.MEMORY and name not in past:
        past[name] = grow(terms.fill(name), terms.batch, 1, terms.heads)
    for state in plan.states:
        if state.name != name or state.scan is None or id(state.scan) in before:
            continue
        if declaration.initial is not None:
            value = terms.fill(name)
            # An empty sum of exponentials is what a scan starts from anyway.
            if state.scan.op == "cumsum" or not bool(torch.isneginf(value.data).all()):
                before[id(state.scan)] = grow(value, terms.batch, 1, terms.heads)


def _step_by_step(terms: Terms, names: Sequence[str]) -> None:
    memories = [name for name in names if terms.mixer.by_name[name].kind is Kind.MEMORY]
    previous = {name: terms.past[name] for name in memories}
    found: dict[str, list[Value]] = {name: [] for name in names}
    bound = frozenset(("name", name) for name in names)
    for step in range(terms.steps):
        current: dict[str, Value] = {}
        frame = Frame(step, step + 1, current=current, previous=previous, bound=bound)
        for name in names:
            value = terms.mixer.by_name[name].value
            assert value is not None, "a group holds defined names"
            current[name] = terms.conform(terms(value, frame), name, 1)
            found[name].append(current[name])
        previous = {name: current[name] for name in memories}
    for name in names:
        empty = terms.conform(terms.fill(name), name, 0)
        terms.named[name] = join(found[name] or [empty])


def _ends(terms: Terms, plan: Plan, carried: Mapping[str, Value]) -> dict[str, Value]:
    """The states after the last step."""
    ends: dict[str, Value] = {}
    for state in plan.states:
        name = state.name
        match state.kind:
            case "memory":
                whole = join([terms.past[name], terms.named[name]])
                ends[name] = Value(whole.data[:, -1:], whole.axes)
            case "running":
                ends[name] = _scan_end(terms, state, carried)
            case "delay":
                ends[name] = terms.fetch(name, terms.steps - state.depth, terms.steps)
            case "history":
                here = terms.named[name]
                ends[name] = join([carried[name], here]) if name in carried else here
    return ends


def _scan_end(terms: Terms, state: State, carried: Mapping[str, Value]) -> Value:
    """The last value of a scan; of no steps, the value carried or that of an empty sum."""
    assert state.scan is not None, "a running state has a scan"
    end = terms.ends.get(id(state.scan)) or carried.get(state.name)
    if end is None:
        identity = 0.0 if state.scan.op == "cumsum" else -torch.inf
        axes = terms.space.sort(state.scan.type.axes)
        sizes = [terms.space.size(axis) for axis in axes]
        shape = (terms.batch, 1, terms.heads, *sizes)
        device = terms.position.device
        end = Value(torch.full(shape, identity, dtype=terms.dtype, device=device), axes)
    return end
