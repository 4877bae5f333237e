"""Labels of shapes, and what sizes a mixer has at one."""

from __future__ import annotations

import pytest

from eosc.bench.shapes import CHECK_TOKENS, STANDARD, BenchShape, parse_all, small
from eosc.report.shape import Shape, ShapeError
from eosc.testing.zoo import mixer


@pytest.mark.parametrize("label", [*STANDARD, "B8_T2048_H1_K16_V2048", "B1_T2_H3_D4_K5"])
def test_a_label_is_read_and_written(label: str) -> None:
    assert str(BenchShape.parse(label)) == label


@pytest.mark.parametrize(
    "label",
    ["", "B1", "B1_T2_H3", "B1_T2_D3", "B0_T2_H3_D4", "B1_T2_H3_D4_D5", "B1,T2", "b1_t2_h3_d4",
     "B1_T2_H3_D-4", "B1_T2_H3_D99999999999"],
)  # fmt: skip
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(ShapeError):
        BenchShape.parse(label)


def test_a_list_of_labels() -> None:
    assert [str(each) for each in parse_all("standard")] == list(STANDARD)
    assert len(parse_all(f"{STANDARD[0]}, standard,")) == len(STANDARD)
    with pytest.raises(ShapeError):
        parse_all(" ,")


def test_all_heads_are_one_where_there_is_one_axis() -> None:
    label = BenchShape.parse("B4_T32_H8_D16")
    assert label.fit(mixer("hgrn")) == Shape(4, 32, 1, {"V": 128})
    assert label.fit(mixer("gla")) == Shape(4, 32, 8, {"K": 16, "V": 16})
    assert BenchShape.parse("B4_T32_H8_D16_V24").fit(mixer("hgrn")).sizes == {"V": 24}


def test_axes_by_name() -> None:
    found = BenchShape.parse("B8_T2048_H1_K16_V2048").fit(mixer("mamba"))
    assert found == Shape(8, 2048, 1, {"K": 16, "V": 2048})
    with pytest.raises(ShapeError, match="no size for axis V"):
        BenchShape.parse("B1_T1_H1_K4").fit(mixer("gla"))


def test_a_derived_axis_follows() -> None:
    found = BenchShape.parse("B1_T8_H2_D16").fit(mixer("retnet"))
    assert found.sizes["K"] == 2 * found.sizes["C"]


def test_a_check_is_small_but_has_the_same_axes() -> None:
    subject = mixer("gla")
    shape = BenchShape.parse("B4_T4096_H64_D128").fit(subject)
    place = small(shape, subject)
    assert (place.batch, place.time, place.heads) == (1, CHECK_TOKENS, 2)
    assert place.sizes == shape.sizes
    short = BenchShape.parse("B4_T7_H1_D16").fit(subject)
    assert (small(short, subject).time, small(short, subject).heads) == (7, 1)


def test_a_large_memory_is_checked_over_fewer_tokens() -> None:
    subject = mixer("based")
    shape = BenchShape.parse("B1_T4096_H16_D128").fit(subject)
    assert 20 <= small(shape, subject).time < CHECK_TOKENS
