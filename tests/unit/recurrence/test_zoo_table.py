"""The zoo's table: class of each oscillation, field, dependence, stages and readout.

The class, its axes and the dependence (of the oscillation) are those of the papers' own tables; a
new mixer of the zoo must be entered here.
"""

import pytest

from eosc.recurrence.extract import extract
from eosc.recurrence.model import Field, System
from eosc.semantics.terms import Dependence
from eosc.testing.zoo import mixer, mixers

FIXED, TIME, DATA = Dependence.STATIC, Dependence.TIME, Dependence.DATA

KEPT = ("identity", 0, FIXED)

# name: ({memory: (class, complex, dependence)}, readout, exclusive)
# fmt: off
TABLE = {
    "abc": ({"mk": ("diag{S}", 0, DATA), "mv": ("diag{S}", 0, DATA)}, "linear", 0),
    "based": (dict.fromkeys(("m0", "m1", "m2", "n0", "n1", "n2"), KEPT), "ratio", 0),
    "based_parallel": ({}, "ratio", 0),
    "comba": ({"m": ("scalar + lowrank(1)", 0, DATA)}, "linear", 0),
    "cosformer": ({"m": ("scalar", 1, FIXED), "n": ("scalar", 1, FIXED)}, "ratio", 0),
    "deltanet": ({"m": ("identity + lowrank(1)", 0, DATA)}, "linear", 0),
    "deltaproduct": ({"m": ("product[R](identity + lowrank(1))", 0, DATA)}, "linear", 0),
    "dfw": ({"m": ("separable{K, V}", 0, DATA)}, "linear", 0),
    "dplr": ({"m": ("diag{K} + lowrank(1)", 0, DATA)}, "linear", 0),
    "dss": ({"m": ("diag{K, V}", 1, FIXED)}, "linear", 0),
    "gated_deltanet": ({"m": ("scalar + lowrank(1)", 0, DATA)}, "linear", 0),
    "gateloop": ({"m": ("diag{K}", 1, DATA)}, "linear", 0),
    "gdn2": ({"m": ("diag{K} + lowrank(1)", 0, DATA)}, "linear", 0),
    "gla": ({"m": ("diag{K}", 0, DATA)}, "linear", 0),
    "gsa": ({"mk": ("diag{S}", 0, DATA), "mv": ("diag{S}", 0, DATA)}, "linear", 0),
    "hgrn": ({"m": ("diag{V}", 0, DATA)}, "linear", 0),
    "hgrn2": ({"m": ("diag{K}", 0, DATA)}, "linear", 0),
    "hyena": ({}, "linear", 0),
    "kda": ({"m": ("diag{K} + lowrank(1)", 0, DATA)}, "linear", 0),
    "lcsm": ({"m": ("diag{K, V}", 0, FIXED)}, "linear", 0),
    "lightnet": ({"m": ("diag{K}", 0, DATA)}, "linear", 0),
    "linear_attention": ({"m": ("identity", 0, FIXED)}, "linear", 0),
    "linear_attention_norm": ({"m": KEPT, "n": KEPT}, "ratio", 0),
    "longconv": ({}, "linear", 0),
    "lrpe": ({"m": ("diag{K}", 1, FIXED)}, "linear", 0),
    "lrpe_feature": ({"mc": ("identity", 0, FIXED), "ms": ("identity", 0, FIXED)}, "linear", 0),
    "lru": ({"m": ("diag{K}", 1, FIXED)}, "linear", 0),
    "mamba": ({"m": ("diag{K, V}", 0, DATA)}, "linear", 0),
    "mamba2": ({"m": ("scalar", 0, DATA)}, "linear", 0),
    "mega_ema": ({"m": ("diag{K, V}", 0, FIXED)}, "nonlinear", 0),
    "mesanet": ({"g": ("scalar", 0, DATA), "m": ("scalar", 0, DATA)}, "nonlinear", 0),
    "mingru": ({"m": ("diag{V}", 0, DATA)}, "linear", 0),
    "mlstm": ({"m": ("scalar", 0, DATA), "n": ("scalar", 0, DATA)}, "ratio", 0),
    "qrnn": ({"m": ("diag{V}", 0, DATA)}, "linear", 0),
    "rebased": ({"m": KEPT, "n": KEPT}, "ratio", 0),
    "retnet": ({"m": ("diag{C}", 1, FIXED)}, "linear", 0),
    "retnet_norot": ({"m": ("scalar", 0, FIXED)}, "linear", 0),
    "retnet_rope": ({"m": ("scalar", 0, FIXED)}, "linear", 0),
    "rglru": ({"m": ("diag{V}", 0, DATA)}, "linear", 0),
    "rope_la": ({"m": ("identity", 0, FIXED)}, "linear", 0),
    "rope_la_complex": ({"m": ("diag{C}", 1, FIXED)}, "linear", 0),
    "rwkv4": ({"num": ("diag{V}", 0, FIXED), "den": ("diag{V}", 0, FIXED)}, "ratio", 1),
    "rwkv6": ({"m": ("diag{K}", 0, DATA)}, "linear", 1),
    "rwkv7": ({"m": ("diag{K} + lowrank(1)", 0, DATA)}, "linear", 0),
    "s4": ({"m": ("dense{K}", 0, FIXED)}, "linear", 0),
    "s4d": ({"m": ("diag{K, V}", 1, FIXED)}, "linear", 0),
    "s5": ({"m": ("diag{K}", 1, FIXED)}, "linear", 0),
    "shortconv": ({}, "linear", 0),
    "simple_gla": ({"m": ("scalar", 0, DATA)}, "linear", 0),
    "softmax_attention": ({}, "ratio", 0),
    "tnl": ({"m": ("scalar", 0, FIXED)}, "linear", 0),
    "tnn": ({}, "linear", 0),
    "ttt_linear": (dict.fromkeys(("m", "base"), ("coupled{m, base}", 0, DATA)), "linear", 0),
}
# fmt: on

# Sums over the past: {state: class}
SUMS = {
    "based_parallel": {"num": "history(exponential)", "den": "history(exponential)"},
    "hyena": {"y": "history(lti)"},
    "longconv": {"y": "history(lti)"},
    "shortconv": {"y": "shift"},
    "softmax_attention": {"num": "history(quadratic)", "den": "history(quadratic)"},
    "tnn": {"y": "history(lti)"},
}

LCSM = {
    "kv_param": ("diag{K, V}", 0, FIXED),
    "kv_outer": ("separable{K, V}", 0, DATA),
    "v_dep": ("diag{V}", 0, DATA),
    "k_dep": ("diag{K}", 0, DATA),
    "k_param": ("diag{K}", 0, FIXED),
    "v_param": ("diag{V}", 0, FIXED),
    "k_dep_kv": ("diag{K, V}", 0, DATA),
    "v_dep_kv": ("diag{K, V}", 0, DATA),
    "v_dep_k": ("diag{K, V}", 0, DATA),
    "k_dep_v": ("diag{K, V}", 0, DATA),
    "one": ("identity", 0, FIXED),
    "complex_rot": ("diag{K}", 1, FIXED),
    "cumsoftmax": ("diag{K}", 0, DATA),
}


def facts(system: System) -> dict[str, tuple[str, int, Dependence]]:
    return {
        each.memory: (str(each.structure), int(each.field is Field.COMPLEX), each.dependence)
        for each in system.recurrences
    }


@pytest.mark.parametrize("name", mixers())
def test_the_zoo_has_the_classes_of_its_table(name: str) -> None:
    system = extract(mixer(name))
    expected, kind, exclusive = TABLE[name]
    found = facts(system)
    if name == "ttt_linear":  # the boundary memory only follows the clock
        expected = {**expected, "base": ("coupled{m, base}", 0, TIME)}
    assert found == expected
    assert system.readout_kind == kind
    assert {each.inclusive for each in system.readouts} == ({not exclusive} if found else set())
    assert {each.name: str(each.structure) for each in system.sums} == SUMS.get(name, {})


def test_the_table_has_no_stranger() -> None:
    assert sorted(TABLE) == list(mixers())


@pytest.mark.parametrize("osc", LCSM)
@pytest.mark.parametrize("act", ["identity", "silu"])
def test_lcsm_oscillations_have_their_classes(osc: str, act: str) -> None:
    system = extract(mixer("lcsm", osc=osc, act=act))
    assert facts(system) == {"m": LCSM[osc]}


@pytest.mark.parametrize(
    ("choices", "outer"),
    [
        ({"e_dep": "yes", "s_dep": "yes"}, True),
        ({"e_dep": "no", "s_dep": "yes"}, False),
        ({"e_dep": "no", "s_dep": "no"}, False),
    ],
    ids=["dd", "fixed e", "fixed e and s"],
)
def test_lcsm_tells_outer_products_from_channelwise_ones(
    choices: dict[str, str], outer: bool
) -> None:
    (recurrence,) = extract(mixer("lcsm", osc="k_dep", **choices)).recurrences
    (write,) = recurrence.writes
    assert write.outer is outer
    assert write.input.type.axes == ("V",)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("gla", [["m"]]),
        ("gsa", [["mk"], ["mv"]]),
        ("abc", [["mk"], ["mv"]]),
        ("mesanet", [["g"], ["m"]]),
        ("ttt_linear", [["m", "base"]]),
        ("shortconv", []),
    ],
)
def test_stages(name: str, stages: list[list[str]]) -> None:
    system = extract(mixer(name))
    assert [[each.memory for each in stage.recurrences] for stage in system.stages] == stages


@pytest.mark.parametrize(
    ("name", "memory", "factors"),
    [
        ("gla", "m", [(("K",), "(0, 1]", "a")]),
        ("simple_gla", "m", [((), "(0, 1]", "a")]),
        ("hgrn2", "m", [(("K",), "(0, 1)", "a")]),
        ("dfw", "m", [(("K",), "(0, 1)", None), (("V",), "(0, 1)", None)]),
        ("retnet", "m", [((), "[31/32, 1)", None), (("C",), "[1, 1]", None)]),
        ("lru", "m", [(("K",), "(0, 1)", None)]),
        ("gateloop", "m", [(("K",), "(0, 1)", None)]),
        ("kda", "m", [(("K",), "(0, 1]", "a")]),
        ("deltaproduct", "m", [((), "(0, 1]", "a")]),
        ("linear_attention", "m", []),
        ("deltanet", "m", []),
    ],
)
def test_decay_factors(name: str, memory: str, factors: list[tuple[object, ...]]) -> None:
    (found,) = (x for x in extract(mixer(name)).recurrences if x.memory == memory)
    assert [(each.axes, str(each.interval), each.log) for each in found.decay] == factors
