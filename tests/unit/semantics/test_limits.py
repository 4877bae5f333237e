"""A specification is untrusted text: what it costs is bounded by what it says."""

import time

import pytest

from eosc.semantics import families
from tests.unit.semantics.reading import codes

HEAD = "mixer a:\n    axes K, V\n    input v[t]: V\n    memory m: V\n"
TAIL = "    output y[t]: V = m[t]\n"


def macros(count: int, body: str, first: str = "x") -> str:
    lines = [f"def f0(x) = {first}\n"]
    lines += [f"def f{i}(x) = {body.format(f=f'f{i - 1}')}\n" for i in range(1, count)]
    return "".join(lines) + HEAD + f"    m[t] = 0.5 * m[t-1] + f{count - 1}(v[t])\n" + TAIL


def update(value: str) -> str:
    return HEAD + f"    m[t] = 0.5 * m[t-1] + {value}\n" + TAIL


FOLDS = "".join(f"fold[V](S{i} = 0, S{i} + " for i in range(30)) + "v[t]" + ")" * 30
CHAIN = "".join(f"    s{i}[t] = s{i - 1}[t] + s{i - 1}[t] * v[t]\n" for i in range(1, 60))

CHOICES = "".join(f"    choice c{i}: a | b | c | d\n" for i in range(6))
STATES = "".join(f"    s{i}[t] = v[t] * {i} + v[t-1] * sigmoid(v[t])\n" for i in range(60))
FAMILY = (
    f"family wide:\n    axes V\n{CHOICES}    input v[t]: V\n{STATES}    output y[t]: V = s0[t]\n"
)

# name, text, first code
CASES = [
    ("sum of two", macros(60, "{f}(x) + {f}(x)"), "E018"),
    ("nested twice", macros(30, "{f}({f}(x))", "exp(x)"), "E018"),
    ("deep", macros(150, "{f}(x) + 1"), "E008"),
    ("folds", HEAD + f"    r[t] = {FOLDS}\n    m[t] = m[t-1] + v[t] * r[t]\n" + TAIL, "E018"),
    ("power of a power", update("v[t] ** (9 ** (9 ** 9))"), "E009"),
    ("tower in a size", "mixer a:\n    axes K, V = K ** K ** K\n" + update("v[t]")[23:], "E009"),
]


@pytest.mark.parametrize("text, code", [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_refused_at_once(text: str, code: str) -> None:
    start = time.perf_counter()
    found = codes(text)
    assert found and found[0] == code
    assert found.count(code) == 1
    assert time.perf_counter() - start < 2


def test_long_chains_of_states_are_fine() -> None:
    text = HEAD + "    s0[t] = v[t]\n" + CHAIN + "    m[t] = 0.5 * m[t-1] + s59[t]\n" + TAIL
    start = time.perf_counter()
    assert codes(text) == ["W070"] or codes(text) == []
    assert time.perf_counter() - start < 2


def test_a_family_that_is_too_much_to_check_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MOST_STEPS", 5_000)
    assert codes(FAMILY).count("E044") == 1
