"""What walks over tiles of two axes make ahead of a chunk."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from eosc.algebra.scalar import Arg, args_of, fn
from eosc.backends.triton.ahead import Ahead
from eosc.backends.triton.kernel import KernelPrinter, Namer
from eosc.backends.triton.module import algorithms
from eosc.ir.nodes import Algorithm, Kernel, Let, Load, Map, Sum
from eosc.recurrence.extract import extract
from eosc.schedule.plan import plan
from eosc.schedule.table import rows_of
from eosc.testing.zoo import mixer


def launches(name: str) -> dict[str, tuple[Algorithm, Kernel]]:
    """The walks of a mixer's scan, forward and backward."""
    step = plan(extract(mixer(name))).scans[0]
    found = algorithms(step.scan, {each.chunk: each for each in step.forms}, rows_of(step.scan))
    return {
        kernel.name: (algorithm, kernel)
        for direction in found.values()
        for algorithm in direction.values()
        for kernel in algorithm.kernels
    }


def loop(algorithm: Algorithm, kernel: Kernel) -> tuple[list[str], list[str]]:
    """The lines of a printed kernel before its loop over chunks, and in it."""
    lines = [text for _, text, _ in KernelPrinter(kernel, Namer(algorithm), "k").print().lines]
    at = lines.index("for step in range(chunks):")
    return lines[:at], lines[at:]


@pytest.mark.parametrize("kernel", ["element_forward", "element_states", "element_backward"])
def test_a_chunk_reads_what_was_made_before_it(kernel: str) -> None:
    before, inside = loop(*launches("mamba")[kernel])
    first_load = next(n for n, text in enumerate(inside) if text.startswith("ahead = "))
    body = inside[:first_load]
    made = [n for n, text in enumerate(body) if re.search(r"\w_ahead(_\d+)?\b", text)]
    # What the next chunk needs is made of operands that arrived, behind everything of this chunk.
    assert made
    assert not any("tl.load" in text for text in body)
    assert all("tl.store" not in text for text in body[made[0] :])
    # Both times alike, the first time for the first chunk.
    assert [text for text in before if text in body[made[0] :]] == body[made[0] :]


def test_operands_of_two_chunks_are_under_way() -> None:
    before, inside = loop(*launches("mamba")["element_forward"])
    loads = [text for text in inside if "_ahead" in text and "tl.load" in text]
    assert len(loads) == 4
    assert [text for text in before if text in loads] == loads * 2
    assert sum(text.startswith("ahead = ") for text in (*before, *inside)) == 3


def test_memories_of_one_axis_load_what_they_read() -> None:
    before, inside = loop(*launches("hgrn")["element_forward"])
    assert not any("ahead" in text for text in (*before, *inside))


def test_a_map_is_divided_at_what_costs() -> None:
    algorithm, kernel = launches("mamba")["element_backward"]
    ahead = Ahead(kernel, algorithm.arrays)
    d, u = (Load(name, dims=("i", "V")) for name in ("d", "u"))
    total = Sum(Load("c", dims=("i", "K")), ("K",), dims=("i",))
    given = (("d", d), ("u", u), ("s", total))
    both = Map(fn("sigmoid", Arg("d")) * Arg("u") * Arg("s"), given, dims=("i", "V"))
    plain = Map(-Arg("d") * Arg("s"), given, dims=("i", "V"))
    body = (Let("both", both), Let("plain", plain))
    divided, same = (part.value for part in ahead.parted(replace(kernel, body=body)).body)
    assert same == plain
    assert isinstance(divided, Map)
    (name,) = [name for name, arg in divided.args if arg not in (d, u, total)]
    part = dict(divided.args)[name]
    assert isinstance(part, Map) and part.dims == ("i", "V")
    assert "s" not in args_of(part.fn) and "d" in args_of(part.fn)
    assert ahead.made(part) and not ahead.made(divided)
