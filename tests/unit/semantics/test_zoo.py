"""Every file of the zoo elaborates; a table pins what its mixers mean."""

import time

import pytest

from eosc.diagnostics import Severity, Source
from eosc.resources import zoo_folder
from eosc.semantics.elaborate import elaborate
from eosc.semantics.graph import StateGraph
from eosc.semantics.imports import Loader
from eosc.semantics.model import Unit
from eosc.semantics.terms import Dependence
from eosc.syntax import ast, parse

FILES = sorted(zoo_folder().glob("*/*.eos"))
LOADER = Loader()
STATIC, DATA = Dependence.STATIC, Dependence.DATA


def load(stem: str) -> Unit:
    path = next(each for each in FILES if each.stem == stem)
    source = Source(str(path), path.read_text(encoding="utf-8"))
    return elaborate(parse(source)[0], source, LOADER, thorough=False)[0]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_file_elaborates_without_error(path) -> None:
    source = Source(str(path), path.read_text(encoding="utf-8"))
    module, wrong = parse(source)
    found, diagnostics = elaborate(module, source, LOADER)
    assert wrong == ()
    assert [d.message for d in diagnostics if d.severity is Severity.ERROR] == []
    kinds = ast.Mixer | ast.Family | ast.Grid | ast.Layer | ast.Block | ast.Model
    items = [item for item in module.items if isinstance(item, kinds)]
    assert {item.name.id for item in items} <= {*found.definitions, *found.grids}
    theorems = [item for item in module.items if isinstance(item, ast.Theorem | ast.Claim)]
    assert len(found.theorems) == len(theorems)


def test_only_exponential_gates_are_warned_about() -> None:
    warned = {}
    for path in FILES:
        source = Source(str(path), path.read_text(encoding="utf-8"))
        diagnostics = elaborate(parse(source)[0], source, LOADER, thorough=False)[1]
        found = {d.code for d in diagnostics if d.severity is Severity.WARNING}
        if found:
            warned[path.stem] = found
    assert warned == {"mlstm": {"W063"}, "rwkv4": {"W063"}}


# mixer, state, axes, complex, dependence, range as inferred
STATES = [
    ("gla", "a", ("K",), False, DATA, "(0, 1]"),
    ("gla", "m", ("K", "V"), False, DATA, None),
    ("hgrn", "a", ("V",), False, DATA, "(0, 1)"),
    ("hgrn2", "k", ("K",), False, DATA, "(0, 1)"),
    ("mamba", "a", ("K", "V"), False, DATA, "(0, 1)"),
    ("mamba", "dt", ("V",), False, DATA, "(0, inf)"),
    ("mamba2", "a", (), False, DATA, "(0, 1)"),
    ("retnet", "gamma", (), False, STATIC, None),
    ("retnet", "a", ("C",), True, STATIC, None),
    ("retnet", "e", ("C",), True, DATA, None),
    ("gateloop", "a", ("K",), True, DATA, "(0, 1)"),
    ("lru", "a", ("K",), True, STATIC, "(0, 1)"),
    ("lru", "gamma", ("K",), False, STATIC, "(0, 1)"),
    ("s4d", "a", ("K", "V"), True, STATIC, "(0, 1)"),
    ("s4", "A", ("K", "K'", "V"), False, STATIC, None),
    ("lightnet", "a", ("K",), False, DATA, "[0, 1]"),
    ("lightnet", "e", ("K",), False, DATA, "(0, 1]"),
    ("abc", "p", ("S",), False, DATA, "(0, 1]"),
    ("tnl", "a", (), False, STATIC, None),
    ("mingru", "i", ("V",), False, DATA, "(0, inf)"),
    ("rwkv4", "e", ("V",), False, DATA, "(0, inf)"),
    ("based", "m2", ("K", "K'", "V"), False, DATA, None),
    ("deltaproduct", "beta", ("R",), False, DATA, "(0, 2)"),
    ("cosformer", "a", (), True, STATIC, "[1, 1]"),
]


@pytest.mark.parametrize(
    "name, state, axes, is_complex, dependence, range",
    STATES,
    ids=[f"{row[0]}.{row[1]}" for row in STATES],
)
def test_state(name, state, axes, is_complex, dependence, range) -> None:
    declaration = load(name).mixers[name].by_name[state]
    kind = declaration.type
    assert (kind.axes, kind.complex, kind.dependence) == (axes, is_complex, dependence)
    if range is not None:
        assert str(declaration.inferred) == range


def test_every_written_range_of_the_zoo_is_shown() -> None:
    claims = 0
    for path in FILES:
        for mixer in load(path.stem).mixers.values():
            for each in mixer.declarations:
                if each.declared is not None and each.value is not None:
                    claims += 1
                    assert each.inferred.within(each.declared), (mixer.name, each.name)
    assert claims >= 35


STAGES = [
    ("gla", (("m",),)),
    ("abc", (("mk",), ("mv",))),
    ("gsa", (("mk",), ("mv",))),
    ("mlstm", (("m",), ("n",))),
    ("ttt_linear", (("m", "base"),)),
    ("based", (("m0",), ("m1",), ("m2",), ("n0",), ("n1",), ("n2",))),
    ("softmax_attention", ()),
]


@pytest.mark.parametrize("name, stages", STAGES, ids=[row[0] for row in STAGES])
def test_stages(name, stages) -> None:
    assert StateGraph(load(name).mixers[name]).stages() == stages


def test_a_file_elaborates_fast() -> None:
    path = next(each for each in FILES if each.stem == "gla")
    source = Source(str(path), path.read_text(encoding="utf-8"))
    module, _ = parse(source)
    elaborate(module, source, LOADER)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        elaborate(module, source, LOADER)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05
