"""What is asked of a process, and what comes of it: plain records that cross as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

MODES = ("f", "fb", "decode")
"""Forward; forward and backward; one decode step of every sequence."""

DTYPES = ("bf16", "fp16", "fp32")
USES = {"f": "train, forward", "fb": "train, forward and backward", "decode": "decode"}
"""How an explanation calls the least bytes of each mode."""

BAD = ("wrong", "crash", "timeout", "memory")
"""Statuses of a row that are findings; `refused` is a limit that the operator states itself."""

MARK = "@eosc "
"""Begins each line of a worker that is meant for its parent: libraries print to stdout too."""


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one process.

    kind: `check` against the reference; `time`; or first calls alone, `cold` with an empty cache
    and `first` with what it left. target: what names the mixer. folder: holds the generated
    packages. sizes: of the axes. peer: whom it is compared with, or empty. rep: milliseconds that
    one measurement may take. gates: the regime of the decays that are timed, of
    `eosc.testing.GATES`.
    """

    kind: str
    target: str
    mixer: str
    folder: str
    batch: int
    time: int
    heads: int
    sizes: dict[str, int]
    modes: list[str]
    dtype: str
    device: str
    peer: str = ""
    rep: float = 100.0
    rounds: int = 3
    gates: str = "usual"

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> Job:
        """From JSON."""
        return Job(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Row:
    """One mixer at one shape in one mode. Times in ms but for first calls, in seconds.

    ratio: the peer's time over ours. least_bytes: each operand, result and state moved once.
    gbps: those bytes over our time; copy_gbps: of a plain copy on this device. peak_mib: memory
    beyond the operands during one call. errors: relative, against the fp64 reference, of outputs
    (`y`), states and gradients (`d_…`). peer_error: its output against ours.
    """

    mixer: str
    shape: str
    mode: str
    dtype: str
    device: str
    status: str = "ok"
    detail: str = ""
    ms: float | None = None
    peer: str = ""
    peer_ms: float | None = None
    ratio: float | None = None
    least_bytes: int | None = None
    gbps: float | None = None
    copy_gbps: float | None = None
    peak_mib: float | None = None
    first_call_s: float | None = None
    warm_first_call_s: float | None = None
    peer_first_call_s: float | None = None
    peer_error: float | None = None
    peer_detail: str = ""
    checked_at: str = ""
    errors: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @property
    def bad(self) -> bool:
        """Whether the row is a finding."""
        return self.status in BAD


FIELDS = frozenset(each.name for each in fields(Row))


def say(**message: Any) -> None:
    """Tell the parent something (from a worker)."""
    print(MARK + json.dumps(message), flush=True)


def heard(text: str) -> Iterator[dict[str, Any]]:
    """What a worker said; a last line that was cut off is not among it."""
    for line in text.splitlines():
        if not line.startswith(MARK):
            continue
        try:
            message = json.loads(line.removeprefix(MARK))
        except ValueError:
            continue
        if isinstance(message, dict):
            yield message
