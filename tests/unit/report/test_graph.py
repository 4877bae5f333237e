"""Pictures: their structure, not their bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from eosc.report.drawing import layers, placed
from eosc.report.graph import FORMATS, crosses, label, to_dot, to_json, to_mermaid, to_svg
from eosc.semantics.graph import StateGraph
from eosc.testing.zoo import mixer, mixers

ROOT = Path(__file__).resolve().parents[3]


def graph(name: str) -> StateGraph:
    return StateGraph(mixer(name))


def test_edges_that_cross_a_step_are_dashed() -> None:
    text = to_mermaid(graph("gla"))
    assert text.count("-. t-1 .->") == 1
    assert text.count("-->") == 6
    assert to_dot(graph("gla")).count("style=dashed, label=") == 1


def test_json_holds_the_stages() -> None:
    data = json.loads(to_json(graph("gsa")))
    assert data["stages"] == [["mk"], ["mv"]]
    assert {"source": "mk", "target": "mk", "kind": "delay", "delay": 1} in data["edges"]
    assert next(x for x in data["nodes"] if x["name"] == "q")["role"] == "shrink"


@pytest.mark.parametrize("name", mixers())
def test_layers_follow_the_step(name: str) -> None:
    subject = graph(name)
    found = layers(subject)
    assert sorted(x for layer in found for x in layer) == sorted(x.name for x in subject.nodes)
    place = {name: index for index, layer in enumerate(found) for name in layer}
    rank = {each.name: index for index, each in enumerate(subject.nodes)}
    for edge in subject.edges:
        if not crosses(edge) and rank[edge.source] < rank[edge.target]:
            assert place[edge.source] < place[edge.target]


@pytest.mark.parametrize("name", mixers())
def test_boxes_do_not_overlap(name: str) -> None:
    boxes = list(placed(graph(name), label).values())
    for index, first in enumerate(boxes):
        for second in boxes[index + 1 :]:
            apart = first.x + first.width <= second.x or second.x + second.width <= first.x
            assert apart or abs(first.y - second.y) >= 44


@pytest.mark.parametrize("name", mixers())
def test_an_svg_has_a_box_a_state_and_a_path_an_edge(name: str) -> None:
    subject = graph(name)
    root = ElementTree.fromstring(to_svg(subject).encode())
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}g/{space}rect")) == len(subject.nodes)
    assert len(root.findall(f"{space}path")) == len(subject.edges)


def test_pictures_are_the_same_under_any_hash_seed() -> None:
    code = (
        "from eosc.report.graph import FORMATS\n"
        "from eosc.semantics.graph import StateGraph\n"
        "from eosc.testing.zoo import mixer\n"
        "for name in ('based', 'rwkv6', 'ttt_linear'):\n"
        "    for write in FORMATS.values(): print(write(StateGraph(mixer(name))))\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(texts) == 1


def test_formats_are_those_of_the_command() -> None:
    from eosc.cli.graph import FORMATS as OFFERED

    assert tuple(FORMATS) == OFFERED
