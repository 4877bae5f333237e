"""Each guard of the reading of algorithms is needed: without it a wrong algorithm is proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from eosc.ir.nodes import (
    START,
    Algorithm,
    Decay,
    Dot,
    Kernel,
    Let,
    LogDecay,
    Map,
    Mask,
    Rename,
    Round,
    Running,
    SegmentScan,
    Store,
    Sum,
    Value,
)
from eosc.lowering import adjoint, chunk
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.prove.algorithms import reading, statement
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.checker import Rejected
from tests.prove.scans import proved, scan_of


def rewritten(value: Value, change: Callable[[Value], Value]) -> Value:
    """The value with each node changed, the innermost first."""
    match value:
        case Map(args=args):
            inner = tuple((name, rewritten(arg, change)) for name, arg in args)
            return change(replace(value, args=inner))
        case Dot(left=left, right=right):
            both = {"left": rewritten(left, change), "right": rewritten(right, change)}
            return change(replace(value, **both))
        case Decay(log=log):
            return change(replace(value, log=rewritten(log, change)))
        case Sum() | LogDecay() | Mask() | Rename() | Round() | Running():
            return change(replace(value, arg=rewritten(value.arg, change)))
    return change(value)


def with_lets(
    algorithm: Algorithm, change: Callable[[Let], Let], kernel: str = "backward"
) -> Algorithm:
    launches = []
    for each in algorithm.launches:
        if isinstance(each, Kernel) and each.name == kernel:
            body = tuple(change(x) if isinstance(x, Let) else x for x in each.body)
            each = replace(each, body=body)
        launches.append(each)
    return replace(algorithm, launches=tuple(launches))


def unguarded_log() -> tuple[Scan, Algorithm]:
    """A log-decay that is not 0 behind the end of the sequence."""
    scan = scan_of("K")

    def change(let: Let) -> Let:
        return replace(let, value=let.value.arg) if isinstance(let.value, LogDecay) else let

    return scan, with_lets(chunk.forward(scan, Form(8, 1)), change, "forward")


def blocks_of_the_chunk() -> tuple[Scan, Algorithm]:
    """In the log-decay's gradient, rows that decay from the chunk's start, not their block's."""
    scan = scan_of("K")

    def opened(value: Value) -> Value:
        if isinstance(value, Decay) and value.low.kind == "opening" and value.low.size > 1:
            return replace(value, low=START)
        return value

    algorithm = adjoint.backward(scan, Form(8, 1))
    walk = algorithm.kernels[-1]
    lets = {each.name: each for each in walk.body if isinstance(each, Let)}
    wrong = tuple(
        replace(each, name=f"wrong_{each.name}", value=rewritten(each.value, opened))
        for name, each in lets.items()
        if name.startswith("q_")
    )

    def reads_wrong(value: Value) -> Value:
        name = getattr(value, "name", "")
        return replace(value, name=f"wrong_{name}") if name.startswith("q_") else value

    body = tuple(
        replace(each, value=rewritten(each.value, reads_wrong))
        if isinstance(each, Let) and each.name == "inside_K"
        else each
        for each in walk.body
    )
    place = max(n for n, each in enumerate(walk.body) if getattr(each, "name", "") in lets
                and each.name.startswith("q_"))  # fmt: skip
    body = (*body[: place + 1], *wrong, *body[place + 1 :])
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], replace(walk, body=body)))


def from_nothing() -> tuple[Scan, Algorithm]:
    """A forward pass that does not read the initial state."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    last = algorithm.kernels[-1]
    carried = tuple(replace(each, initial=None) for each in last.carried)
    walk = replace(last, carried=carried)
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], walk))


def no_combination() -> tuple[Scan, Algorithm]:
    """Segments whose states are never combined."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    launches = tuple(each for each in algorithm.launches if not isinstance(each, SegmentScan))
    return scan, replace(algorithm, launches=launches)


def other_chunks() -> tuple[Scan, Algorithm]:
    """States that are stored before chunks of another length than those that read them."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1), stored=True)
    last = replace(algorithm.kernels[-1], chunk=16)
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], last))


def no_states() -> tuple[Scan, Algorithm]:
    """Outputs that read states which nothing has stored."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1), stored=True)
    launches = tuple(
        replace(each, body=tuple(x for x in each.body if not isinstance(x, Store)))
        if isinstance(each, Kernel) and each.name == "states"
        else each
        for each in algorithm.launches
    )
    return scan, replace(algorithm, launches=launches)


def no_output() -> tuple[Scan, Algorithm]:
    """A forward pass without an output."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    last = algorithm.kernels[-1]
    body = tuple(each for each in last.body if not isinstance(each, Store))
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], replace(last, body=body)))


def initial_for_all() -> tuple[Scan, Algorithm]:
    """Segments that each start from the sequence's first state."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    last = algorithm.kernels[-1]
    carried = tuple(replace(each, initial="initial_state") for each in last.carried)
    walk = replace(last, carried=carried)
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], walk))


def states_of_segments() -> tuple[Scan, Algorithm]:
    """States that are stored by the launch that knows nothing of earlier segments."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1), stored=True)
    keep = next(x for x in algorithm.kernels[1].body if isinstance(x, Store))
    ends, combine, states, outputs = algorithm.launches
    assert isinstance(ends, Kernel) and isinstance(states, Kernel)
    ends = replace(ends, body=(keep, *ends.body))
    states = replace(states, body=states.body[1:])
    return scan, replace(algorithm, launches=(ends, combine, states, outputs))


def shared_sum() -> tuple[Scan, Algorithm]:
    """Programs that share out K, although the output sums over it."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    walk = replace(algorithm.kernels[-1], blocked=("K",))
    return scan, replace(algorithm, launches=(*algorithm.launches[:-1], walk))


def turned_state() -> tuple[Scan, Algorithm]:
    """A final state that is laid out the other way round."""
    scan = scan_of("0")
    algorithm = chunk.forward(scan, Form(8, 1))
    outputs = tuple(
        replace(each, axes=("V", "K")) if each.name == "final_state" else each
        for each in algorithm.outputs
    )
    return scan, replace(algorithm, outputs=outputs)


def block_of_the_other() -> tuple[Scan, Algorithm]:
    """Columns that decay to the end of a larger block than that of the pair."""
    scan = scan_of("K")

    def closing(value: Value) -> Value:
        if isinstance(value, Decay) and value.high.kind == "closing":
            return replace(value, high=replace(value.high, size=2 * value.high.size))
        return value

    def change(let: Let) -> Let:
        return replace(let, value=rewritten(let.value, closing))

    return scan, with_lets(chunk.forward(scan, Form(8, 1)), change, "forward")


WRONG = (
    initial_for_all,
    states_of_segments,
    shared_sum,
    turned_state,
    block_of_the_other,
    unguarded_log,
    blocks_of_the_chunk,
    from_nothing,
    no_combination,
    other_chunks,
    no_states,
    no_output,
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda each: each.__name__)
def test_a_wrong_algorithm_is_refused(wrong: Callable[[], tuple[Scan, Algorithm]]) -> None:
    scan, algorithm = wrong()
    with pytest.raises((Unreadable, Rejected)):
        proved(scan, algorithm)


def test_without_the_guard_of_logs_padding_would_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_summable", lambda log, scope: True)
    assert proved(*unguarded_log())


def test_without_the_goals_about_blocks_they_could_be_mixed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(*arguments: Any) -> None:
        return None

    monkeypatch.setattr(statement._Statement, "independent", nothing)
    assert proved(*blocks_of_the_chunk())


def test_without_the_check_of_lengths_states_could_be_of_other_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan, algorithm = other_chunks()
    monkeypatch.setattr(statement, "lengths", lambda algorithm: {8})
    assert proved(scan, algorithm)
