"""Spans, the collector, and guesses at what was meant."""

import pytest

from eosc.diagnostics import CODES, Diagnostic, EosError, Sink, Source, did_you_mean
from eosc.options import LIMITS

SOURCE = Source("x.eos", "ab\n\ncde\n")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 2, (1, 1, 1, 3)),
        (2, 3, (1, 3, 2, 1)),
        (4, 7, (3, 1, 3, 4)),
        (5, 8, (3, 2, 4, 1)),
        (8, 8, (4, 1, 4, 1)),
    ],
)
def test_spans(start: int, end: int, expected: tuple[int, int, int, int]) -> None:
    span = SOURCE.span(start, end)
    assert (span.line, span.column, span.end_line, span.end_column) == expected
    assert (span.start, span.end) == (start, end)


def test_joined_spans() -> None:
    assert SOURCE.span(0, 1).to(SOURCE.span(4, 6)) == SOURCE.span(0, 6)


def test_sink_orders_by_place_and_drops_repetitions() -> None:
    sink = Sink()
    sink.report("W070", "late", SOURCE.span(5, 6))
    sink.raise_if_errors()
    sink.report("E000", "early", SOURCE.span(0, 1))
    sink.report("E000", "early", SOURCE.span(0, 1))
    assert [each.message for each in sink.diagnostics] == ["early", "late"]
    assert (sink.count, sink.has_errors) == (2, True)
    with pytest.raises(EosError) as raised:
        sink.raise_if_errors()
    assert raised.value.diagnostics == sink.diagnostics


@pytest.mark.parametrize(
    ("name", "pool", "expected"),
    [
        ("qery", ["query", "key"], "did you mean 'query'?"),
        ("Kk", ["V", "K"], "did you mean 'K'?"),
        ("SCALE", ["scale"], "did you mean 'scale'?"),
        ("xyz", ["query"], None),
        ("query", ["query"], None),
        ("a" * 10_000, ["aa"], None),
        ("abcd", ["abce", "abcf"], "did you mean 'abcf'?"),
    ],
)
def test_did_you_mean(name: str, pool: list[str], expected: str | None) -> None:
    assert did_you_mean(name, pool) == expected


def test_findings_are_values() -> None:
    one = Diagnostic("E000", "x", SOURCE.span(0, 1))
    assert one == Diagnostic("E000", "x", SOURCE.span(0, 1))
    assert hash(one) == hash(Diagnostic("E000", "x", SOURCE.span(0, 1)))


def test_explanations_give_the_limits_that_hold() -> None:
    for code, limits in {
        "E018": (LIMITS.nodes, LIMITS.work),
        "E044": (LIMITS.family, LIMITS.work),
    }.items():
        assert all(f"{limit:,}" in CODES[code].explanation for limit in limits), code
