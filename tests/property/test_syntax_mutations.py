"""Mutated specifications never raise, never hang, and never confuse the formatter."""

import time
from random import Random

import pytest

from eosc.diagnostics import Source, render_text, to_json
from eosc.options import LIMITS
from eosc.resources import zoo_folder
from eosc.syntax import ast, decode, parse
from eosc.syntax.format import format_text
from eosc.syntax.words import KEYWORDS

SEEDS = [path.read_bytes() for path in sorted(zoo_folder().glob("*/*.eos"))]
TOKENS = [
    *sorted(KEYWORDS),
    *"()[]{}:,=~|.+-*/%<>!\"'#\\@^$;&?",
    *["**", "//", "==", "!=", "<=", ">=", ":=", "->", '"""', "t", "K'", "1j", "_", "m[t-1]"],
    *["\n", "\n    ", "\n        ", "\t", "\r", "\r\n", " \\\n", "  # note\n", "\n\n\n"],
    *["\0", "\x1b[2J", "\u202e", "\u200b", "\u2028", "\ufeff", "\u0430", "\u00d7", "e\u0301"],
    *["1e999999", "9" * 30, "0.1.2", "1_000", "0x10", "1e-5", ".5", "5.", "K ** 999999999"],
]
DEEP = ["(", "[", "-", "not ", "f(", "x[", "a ** ", "a if b else ", "(a, ", "sum[K](", '"""']
SECONDS = 2.0


def mutate(random: Random) -> bytes:
    """One to eight random edits of a random file of the zoo."""
    data = random.choice(SEEDS)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(8)
        if kind == 0:
            data = data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + random.randint(1, 12) :]
        elif kind in (2, 3):
            data = data[:at] + random.choice(TOKENS).encode() + data[at:]
        elif kind == 4:
            data = data[:at] + random.choice(TOKENS).encode() + data[at + random.randint(1, 4) :]
        elif kind == 5:
            lines = data.split(b"\n")
            lines.insert(random.randrange(len(lines)), random.choice(lines))
            data = b"\n".join(lines)
        elif kind == 6:
            other = random.choice(SEEDS)
            data = data[:at] + other[random.randrange(len(other)) :][: random.randrange(400)]
        elif random.random() < 0.2:
            count = random.choice([50, 99, 101, 1000, 5000])
            data = data[:at] + random.choice(DEEP).encode() * count + data[at:]
    return data


def check(data: bytes) -> str:
    """Parse, render and, where there are no errors, format; the text of whatever goes wrong."""
    start = time.process_time()
    source, refused = decode(data, "x.eos")
    module, found = parse(source)
    elapsed = time.process_time() - start
    for diagnostic in (*refused, *found):
        text = render_text(diagnostic, source)
        assert text.replace("\n", "").isprintable()
        assert to_json(diagnostic)["file"] == "x.eos"
        assert diagnostic.code != "E099", diagnostic.message
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(source.text)
    assert len(found) <= LIMITS.diagnostics
    if not found and not refused:
        once = format_text(source.text)
        again, errors = parse(Source("x.eos", once))
        assert errors == ()
        assert format_text(once) == once
        assert sum(1 for _ in ast.walk(again)) == sum(1 for _ in ast.walk(module))
        assert len(again.comments) == len(module.comments)
    return "" if elapsed < SECONDS else f"{elapsed:.1f} s"


def sweep(first: int, count: int) -> None:
    for seed in range(first, first + count):
        data = mutate(Random(seed))
        try:
            assert check(data) == ""
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{data!r}") from error


def test_mutated_files() -> None:
    sweep(0, 500)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_mutated_files(part: int) -> None:
    sweep(1000 + 2000 * part, 2000)


HOSTILE = {
    "brackets": b"def f(x) = " + b"(" * 200_000,
    "open brackets, closed": b"def f(x) = " + b"(" * 100_000 + b")" * 100_000,
    "closing brackets": b")" * 200_000,
    "signs": b"def f(x) = " + b"-" * 200_000 + b"x\n",
    "one name": b"x" * 250_000,
    "one number": b"def f(x) = " + b"9" * 250_000,
    "exponent": b"def f(x) = 1e" + b"9" * 250_000,
    "quotes": b'"' * 250_001,
    "docstring": b'"""' + b"x\n" * 100_000,
    "comments": b"# x\n" * 60_000,
    "newlines": b"\n" * 260_000,
    "spaces": b" " * 260_000,
    "tabs": b"\t\n" * 120_000,
    "carriage returns": b"\r" * 260_000,
    "backslashes": b"\\\n" * 120_000,
    "errors": b"mixer x:\n" + b"    a b\n" * 30_000,
    "headers": b"mixer x:\n" * 25_000,
    "stairs": b"".join(b" " * i + b"a:\n" for i in range(700)),
    "zero bytes": b"\0" * 250_000,
    "not utf-8": b"\xff" * 250_000,
    "controls": b"\x1b" * 250_000,
    "overrides": "\u202e".encode() * 80_000,
    "combining marks": b"def f(x) = " + "e\u0301\u0323".encode() * 40_000,
    "lookalikes": b"def f(x) = " + "\u0430".encode() * 100_000,
    "too long": b"# x\n" * 100_000,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files(data: bytes) -> None:
    assert check(data) == ""


def test_the_number_of_words_is_bounded_too() -> None:
    """Short of the limit on bytes, so that the time to parse any file is bounded."""
    line = "    a[t] = b[t] * exp(c[t-1]) + 3\n"
    for count, expected in ((1000, []), (8000, ["E007"])):
        _, found = parse(Source("x.eos", "mixer x:\n" + line * count))
        assert [each.code for each in found] == expected
