"""The page of special cases shows what the prover settles today, and draws no circle by mistake."""

from __future__ import annotations

import re

from benchmarks.lattice import PAGE, Edge, page, settled_page


def test_the_page_is_what_is_proved() -> None:
    assert PAGE.read_text(encoding="utf-8") == settled_page()


def test_every_arrow_joins_two_nodes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    nodes = set(re.findall(r'^    (n\d+)\["', text, re.MULTILINE))
    arrows = re.findall(r"^    (n\d+) -->(?:\|\"[^\"|]*\"\|)? (n\d+)$", text, re.MULTILINE)
    assert len(arrows) >= 30
    assert {end for arrow in arrows for end in arrow} == nodes


def test_labels_cannot_break_the_graph() -> None:
    shown = page([Edge("a", "b", 'x = "y"|z' + "w" * 60)], [])
    (line,) = (each for each in shown.splitlines() if "-->" in each)
    assert line.count('"') == 2 and line.count("|") == 2 and len(line) < 70
