"""Mutated specifications: no exception, no hang, nothing written, nothing run.

Each case is a file of the zoo after a few mutations (of bytes, tokens, lines, nesting, numbers, or
with another file's lines), drawn from a fixed seed; a failure names the case's number and text.
"""

import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eosc.pipeline import PIPELINE
from eosc.recurrence.extract import extract
from eosc.report.explain import explain
from eosc.report.graph import FORMATS
from eosc.report.shape import Shape, ShapeError
from eosc.semantics.graph import StateGraph
from eosc.syntax import decode

SEED = 20240517
SECONDS = 2.0
ZOO = sorted((Path(__file__).resolve().parents[2] / "examples").rglob("*.eos"))
TEXTS = [path.read_text(encoding="utf-8") for path in ZOO]
TOKENS = re.compile(r"\w+'*|\*\*|[<>=!]=|->|\s+|.", re.DOTALL)
POOL = sorted({token for text in TEXTS for token in TOKENS.findall(text) if not token.isspace()})
HUGE = [
    "999999999",
    "1e999999",
    "0.000000000000000000001",
    "K ** 999999999 ** 999999999",
    "1j",
    "1e-9",
]
ODD = ["\x00", "\x1b[31m", "\u202e", "\t", "\r", "\r\n", "\ufeff", "К", "é", "𝔘", "\u2028", "\xff"]

# Modules that are imported late, and networkx's decorators, which compile on their first call.
_OWN_CODE = re.compile(r".*\.py$|<class 'networkx\.")

Mutation = Callable[[str, random.Random], str]


def tokens(text: str) -> list[str]:
    return TOKENS.findall(text)


def swap_tokens(text: str, chance: random.Random) -> str:
    parts = tokens(text)
    for _ in range(chance.randint(1, 3)):
        i, j = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[i], parts[j] = parts[j], parts[i]
    return "".join(parts)


def replace_token(text: str, chance: random.Random) -> str:
    parts = tokens(text)
    words = [i for i, part in enumerate(parts) if not part.isspace()]
    parts[chance.choice(words)] = chance.choice(POOL)
    return "".join(parts)


def drop_token(text: str, chance: random.Random) -> str:
    parts = tokens(text)
    del parts[chance.randrange(len(parts))]
    return "".join(parts)


def repeat_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    line = chance.choice(lines)
    lines[chance.randrange(len(lines)) : 0] = [line] * chance.choice([1, 2, 50])
    return "".join(lines)


def drop_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def move_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    line = lines.pop(chance.randrange(len(lines)))
    lines.insert(chance.randrange(len(lines) + 1), line)
    return "".join(lines)


def splice(text: str, chance: random.Random) -> str:
    other = chance.choice(TEXTS).splitlines(keepends=True)
    lines = text.splitlines(keepends=True)
    start = chance.randrange(len(other))
    cut = other[start : start + chance.randint(1, 12)]
    at = chance.randrange(len(lines) + 1)
    return "".join([*lines[:at], *cut, *lines[at:]])


def nest(text: str, chance: random.Random) -> str:
    parts = tokens(text)
    words = [i for i, part in enumerate(parts) if part.isidentifier()]
    i, depth = chance.choice(words), chance.choice([3, 60, 99, 150, 4000])
    way = chance.choice(
        ["({})", "sigmoid({})", "-{}", "({} + 1)", "{}[K]", "1 if {} else 0", "sum[K]({})"]
    )
    left, right = way.split("{}")
    parts[i] = left * depth + parts[i] + right * depth
    return "".join(parts)


def chain(text: str, chance: random.Random) -> str:
    parts = tokens(text)
    words = [i for i, part in enumerate(parts) if part.isidentifier()]
    i, sign = chance.choice(words), chance.choice([" + ", " * ", " ** ", " - ", " < ", ", "])
    parts[i] = sign.join([parts[i]] * chance.choice([4, 80, 3000]))
    return "".join(parts)


def huge_number(text: str, chance: random.Random) -> str:
    numbers = list(re.finditer(r"\d+(\.\d+)?", text))
    if not numbers:
        return text
    found = chance.choice(numbers)
    return text[: found.start()] + chance.choice(HUGE) + text[found.end() :]


def odd_character(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(ODD) + text[at:]


def doubling_states(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = chance.randrange(len(lines) + 1)
    sign = chance.choice(["+", "*", "-", "/"])
    count = chance.choice([5, 40])
    more = ["    z0[t] = v[t]\n"]
    more += [f"    z{i + 1}[t] = z{i}[t] {sign} z{i}[t]\n" for i in range(count)]
    return "".join([*lines[:at], *more, *lines[at:]])


def truncate(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text))]


MUTATIONS: list[Mutation] = [
    swap_tokens, replace_token, replace_token, replace_token, drop_token, repeat_line, drop_line,
    move_line, splice, nest, chain, huge_number, odd_character, doubling_states, truncate,
]  # fmt: skip


def mutated(number: int) -> bytes:
    """The case of this number."""
    chance = random.Random(SEED * 1_000_003 + number)
    text = chance.choice(TEXTS)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 5])):
        if text:
            text = chance.choice(MUTATIONS)(text, chance)
    data = bytearray(text.encode("utf-8"))
    if chance.random() < 0.15:
        for _ in range(chance.randint(1, 8)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


class Watch:
    """Notes what the interpreter is asked to do that no check of a text has a reason for."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            flags = arguments[2]
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.seen.append(f"open {arguments[0]!r} for writing")
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.system", "subprocess.Popen"):
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event.startswith("socket."):
            self.seen.append(event)
        elif event == "compile" and not _OWN_CODE.match(str(arguments[1])):
            self.seen.append(f"compile {arguments[1]!r}")


@pytest.fixture(scope="module")
def watch() -> Watch:
    everything(b"".join(path.read_bytes() for path in ZOO[:1]))  # imports are done by then
    return Watch()


def everything(data: bytes) -> None:
    """What `check`, `explain` and `graph` do with a file."""
    source, refused = decode(data, "fuzz.eos")
    result = PIPELINE.check(source)
    assert all(each.code != "E099" for each in (*refused, *result.diagnostics))
    for mixer in result.unit.mixers.values():
        system = extract(mixer)
        try:
            explain(system, Shape.parse("T=8,K=4,V=4"))
        except ShapeError:
            pass
        graph = StateGraph(mixer)
        for write in FORMATS.values():
            write(graph)


def seconds(number: int, data: bytes, watch: Watch) -> float:
    """Processor time of one case, under watch."""
    start = time.process_time()
    watch.on = True
    try:
        everything(data)
    except Exception as error:
        raise AssertionError(f"case {number} raised {error!r}:\n{data!r}") from error
    finally:
        watch.on = False
    return time.process_time() - start


def survey(numbers: range, watch: Watch) -> None:
    for number in numbers:
        data = mutated(number)
        spent = seconds(number, data, watch)
        if spent >= SECONDS:  # once more: other processes on the cores slow this one's seconds too
            spent = seconds(number, data, watch)
        assert spent < SECONDS, f"case {number} took {spent:.1f} s:\n{data!r}"
        assert watch.seen == [], f"case {number}"


@pytest.mark.parametrize("block", range(5))
def test_mutated_specifications_are_only_read(block: int, watch: Watch) -> None:
    survey(range(block * 100, block * 100 + 100), watch)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(40))
def test_many_mutated_specifications_are_only_read(block: int, watch: Watch) -> None:
    survey(range(1000 + block * 500, 1000 + block * 500 + 500), watch)


def test_the_cases_are_the_same_each_time() -> None:
    assert [mutated(n) for n in range(20)] == [mutated(n) for n in range(20)]
    assert len({mutated(n) for n in range(200)}) > 190


def test_the_watch_sees(watch: Watch, tmp_path: Path) -> None:
    watch.on = True
    (tmp_path / "x").write_text("x")
    eval("1 + 1")
    watch.on = False
    seen, watch.seen = watch.seen, []
    assert any("for writing" in each for each in seen)
    assert any(each.startswith("compile") for each in seen)
