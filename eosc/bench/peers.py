"""Other people's functions that compute the same, from a table that ships with the package."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from eosc.bench.operands import Operands, trained

if TYPE_CHECKING:
    from torch import Tensor

RECURRENCE = "recurrence"
"""The peer that is always there: the same mixer token by token in PyTorch."""

_ATOM = re.compile(r"(?:(?P<fn>\w+)\((?P<inner>.+)\)|(?P<name>\w+))")


class PeerError(Exception):
    """A peer that cannot be used here; the message says why."""


@dataclass(frozen=True, slots=True)
class Function:
    """A peer's function and how it takes our operands (see peers.toml)."""

    function: str
    arguments: dict[str, str]
    options: dict[str, Any]
    result: int = 0
    like: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer has for one mixer; a mode whose function is None is not compared."""

    name: str
    mixer: str
    sequence: Function | None
    step: Function | None
    merged: bool = False

    def has(self, mode: str) -> bool:
        """Whether it has a function for a mode."""
        return (self.step if mode == "decode" else self.sequence) is not None


@cache
def table() -> dict[str, Any]:
    """The table of peers as it is written."""
    text = (files("eosc.bench") / "peers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def names() -> tuple[str, ...]:
    """Whom one may be compared with."""
    return (*table(), RECURRENCE)


def peer(name: str, mixer: str) -> Peer | None:
    """What a peer has for a mixer; None: nothing."""
    found = table()[name]["mixers"].get(mixer)
    if found is None:
        return None
    sequence, step = (_function(found.get(part)) for part in ("sequence", "step"))
    return Peer(name, mixer, sequence, step, found.get("layout") == "merged")


def _function(row: Mapping[str, Any] | None) -> Function | None:
    if row is None:
        return None
    return Function(
        row["function"],
        row["arguments"],
        row.get("options", {}),
        row.get("result", 0),
        tuple(row.get("like", {}).items()),
    )


def needs_cuda(name: str) -> bool:
    """Whether a peer runs on a CUDA device only."""
    return bool(name in table() and table()[name]["needs_cuda"])


def installed(name: str) -> str:
    """The version of a peer's distribution.

    Raises:
        PeerError: it is not installed.
    """
    distribution = table()[name]["distribution"]
    try:
        return version(distribution)
    except PackageNotFoundError:
        raise PeerError(f"{distribution} is not installed: pip install eosc[bench]") from None


def load(name: str, function: Function) -> Callable[..., Any]:
    """The function itself, the guards of its package set as the table says.

    Raises:
        PeerError: this version of the package does not have it.
    """
    module, _, attribute = function.function.rpartition(".")
    try:
        for guard in table()[name].get("guards", ()):
            held = importlib.import_module(guard["module"])
            if hasattr(held, guard["name"]):
                setattr(held, guard["name"], guard["value"])
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PeerError(f"no {function.function}: {error}") from None
    return found


def calls(peer: Peer, given: Operands) -> Mapping[str, Callable[[], Callable[[], Any]]]:
    """By mode, what prepares the call of the peer that is timed (see `operands.calls`)."""

    def arguments(function: Function, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        made = {n: evaluate(text, values) for n, text in function.arguments.items()}
        made |= {n: made[n].to(values[other].dtype) for n, other in function.like}
        return {n: _laid(x, peer.merged).detach() for n, x in made.items()}

    def output(function: Function, found: Any) -> Any:
        return found if function.result < 0 else found[function.result]

    def sequence(train: bool) -> Callable[[], Any]:
        import torch

        assert peer.sequence is not None, "asked for what it has"
        chosen = peer.sequence
        run = load(peer.name, chosen)
        taken = arguments(chosen, given.values)
        if train:
            leaves = [x.requires_grad_() for x in taken.values()]
            return trained(lambda: output(chosen, run(**taken, **chosen.options)), leaves)

        def forward() -> Any:
            with torch.no_grad():
                return output(chosen, run(**taken, **chosen.options))

        return forward

    def decode() -> Callable[[], Any]:
        import torch

        assert peer.step is not None, "asked for what it has"
        chosen = peer.step
        run = load(peer.name, chosen)
        with torch.no_grad():
            start = arguments(chosen, given.head(2).values)
            state = run(**start, **chosen.options, output_final_state=True)[1]
            last = {n: x[:, -1:] if n in given.timed else x for n, x in given.values.items()}
            taken = {n: x.contiguous() for n, x in arguments(chosen, last).items()}

        def step() -> Any:
            with torch.no_grad():
                options = {**chosen.options, "initial_state": state, "output_final_state": True}
                return output(chosen, run(**taken, **options))

        return step

    return {"f": lambda: sequence(False), "fb": lambda: sequence(True), "decode": decode}


def _laid(x: Tensor, merged: bool) -> Tensor:
    return x.flatten(-2) if merged else x


def evaluate(text: str, values: Mapping[str, Tensor]) -> Tensor:
    """A product of operands within functions: `silu(i_raw) * sigmoid(neg(f_raw))`.

    Raises:
        PeerError: it is none, or names an operand or a function that there is not.
    """
    product: Tensor | None = None
    for part in text.split("*"):
        x = _atom(part.strip(), values)
        product = x if product is None else product * x.to(product.dtype)
    assert product is not None, "a split has a part"
    return product


def _atom(text: str, values: Mapping[str, Tensor]) -> Tensor:
    found = _ATOM.fullmatch(text)
    if found is None:
        raise PeerError(f"'{text}' is no operand within functions")
    if found["name"]:
        if found["name"] not in values:
            raise PeerError(f"there is no operand {found['name']}: {', '.join(values)}")
        return values[found["name"]]
    functions = _functions()
    if found["fn"] not in functions:
        raise PeerError(f"there is no function {found['fn']}: {', '.join(functions)}")
    return functions[found["fn"]](_atom(found["inner"], values))


@cache
def _functions() -> dict[str, Callable[[Tensor], Tensor]]:
    """The functions that an argument may be made by; all but `single` keep the dtype."""
    import torch
    from torch.nn import functional

    return {
        "elu1": lambda x: functional.elu(x) + 1,
        "exp": torch.exp,
        "l2norm": lambda x: functional.normalize(x.float(), dim=-1).to(x.dtype),
        "logsigmoid": functional.logsigmoid,
        "neg": torch.neg,
        "one_minus_exp": lambda x: -torch.expm1(x),
        "sigmoid": torch.sigmoid,
        "silu": functional.silu,
        "single": lambda x: x.float(),
        "time_last": lambda x: x.movedim(1, -1).contiguous(),
    }
