"""The reference evaluator against independent code: packages, and other algebraic forms."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from eosc.reference import evaluate
from eosc.testing import rms_relative, sample
from eosc.testing.zoo import mixer, sizes
from tests.numerics import closed_forms as forms
from tests.numerics.fla_naive import naive

BATCH, STEPS, HEADS = 2, 64, 3


@dataclass(frozen=True)
class Row:
    name: str
    oracle: Callable[[dict[str, Tensor]], Tensor]
    choices: dict[str, str] = field(default_factory=dict)
    steps: int = STEPS
    gates: tuple[str, ...] = ("default",)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return "-".join((self.name, *self.choices.values()))


def lcsm(oracle: Callable[[dict[str, Tensor]], Tensor], steps: int = 24, **choices: str) -> Row:
    return Row("lcsm", oracle, choices, steps)


def logsigmoid(x: Tensor) -> Tensor:
    return functional.logsigmoid(x) / 16


GATED = ("default", "strong", "weak", "mixed")
FORMS = forms.lcsm_elementwise

ROWS = [
    Row("linear_attention", forms.linear_attention),
    Row("linear_attention_norm", forms.linear_attention_norm),
    Row("simple_gla", forms.simple_gla, gates=GATED),
    Row("retnet_norot", forms.retnet_norot),
    Row("retnet", forms.retnet),
    Row("retnet_rope", forms.retnet),
    Row("rope_la", forms.rope_la),
    Row("rope_la_complex", forms.rope_la),
    Row("tnl", forms.tnl),
    Row("mamba2", forms.mamba2, gates=GATED),
    Row("lrpe", forms.lrpe),
    Row("lrpe_feature", forms.lrpe),
    Row("cosformer", forms.cosformer),
    Row("gla", forms.gla, gates=(*GATED, "zero", "one")),
    Row("hgrn2", forms.hgrn2, gates=GATED),
    Row("dfw", forms.dfw, gates=GATED),
    Row("gateloop", forms.gateloop, steps=32),
    Row("lightnet", forms.lightnet),
    Row("rwkv6", forms.rwkv6, gates=GATED),
    Row("mamba", forms.mamba, steps=32, gates=GATED),
    Row("deltanet", forms.deltanet),
    Row("gated_deltanet", forms.gated_deltanet),
    Row("kda", forms.kda),
    Row("gdn2", forms.gdn2, gates=GATED),
    Row("comba", forms.comba, gates=GATED),
    Row("deltaproduct", forms.deltaproduct, gates=(*GATED, "zero", "one")),
    Row("dplr", forms.dplr, gates=GATED),
    Row("rwkv7", forms.rwkv7),
    Row("mesanet", forms.mesanet, gates=GATED, sizes={"V": 8}),
    Row("ttt_linear", forms.ttt_linear),
    Row("based", forms.based),
    Row("based_parallel", forms.based_parallel),
    Row("rebased", forms.rebased),
    Row("softmax_attention", forms.softmax_attention),
    Row("mlstm", forms.mlstm, gates=GATED),
    Row("rwkv4", forms.rwkv4, gates=GATED),
    Row("gsa", forms.gsa, gates=(*GATED, "zero", "one")),
    Row("abc", forms.abc),
    Row("hgrn", forms.hgrn, gates=GATED),
    Row("mingru", forms.mingru),
    Row("qrnn", forms.qrnn),
    Row("rglru", forms.rglru),
    Row("s4", forms.s4),
    Row("s4d", forms.s4d, gates=GATED),
    Row("dss", forms.dss, gates=GATED),
    Row("s5", forms.s5),
    Row("lru", forms.lru),
    Row("mega_ema", forms.mega_ema, gates=GATED),
    Row("longconv", forms.longconv),
    Row("shortconv", forms.shortconv),
    Row("tnn", forms.tnn),
    lcsm(FORMS(lambda x: x, lambda x: logsigmoid(x["o"])), osc="kv_param"),
    lcsm(
        FORMS(
            torch.relu,
            lambda x: logsigmoid(x["ok"])[..., None] + logsigmoid(x["ov"])[..., None, :],
        ),
        osc="kv_outer",
        act="relu",
    ),
    lcsm(
        FORMS(torch.sigmoid, lambda x: logsigmoid(x["ov"])[..., None, :]),
        osc="v_dep",
        act="sigmoid",
    ),
    lcsm(
        FORMS(lambda x: functional.elu(x) + 1, lambda x: logsigmoid(x["ok"])[..., None]),
        osc="k_dep",
        act="elu1",
    ),
    lcsm(
        FORMS(functional.silu, lambda x: logsigmoid(x["o"])[..., None]), osc="k_param", act="silu"
    ),
    lcsm(FORMS(functional.elu, lambda x: logsigmoid(x["o"])[:, None]), osc="v_param", act="elu"),
    lcsm(
        FORMS(lambda x: x.relu() ** 2, lambda x: logsigmoid(x["ok"][..., None] * x["o"])),
        osc="k_dep_kv",
        act="relu2",
    ),
    lcsm(
        FORMS(torch.square, lambda x: logsigmoid(x["ov"][..., None, :] * x["o"])),
        osc="v_dep_kv",
        act="square",
    ),
    lcsm(
        FORMS(lambda x: x, lambda x: logsigmoid(x["ov"][..., None, :] * x["o"][..., None])),
        osc="v_dep_k",
    ),
    lcsm(
        FORMS(lambda x: x, lambda x: logsigmoid(x["ok"][..., None] * x["o"][:, None])),
        osc="k_dep_v",
    ),
    lcsm(FORMS(lambda x: x, lambda x: torch.zeros((), dtype=torch.float64)), osc="one"),
    lcsm(forms.lcsm_rotation, osc="complex_rot", act="square"),
    lcsm(forms.lcsm_cumsoftmax, osc="cumsoftmax", act="silu"),
    lcsm(forms.lcsm_ssm, par="ssm"),
    lcsm(forms.lcsm_per_channel, 64, e_dep="no", s_dep="no", osc="kv_param", act="sigmoid"),
]


@pytest.mark.parametrize(
    ("row", "gates"),
    [pytest.param(row, gates, id=f"{row.id}-{gates}") for row in ROWS for gates in row.gates],
)
def test_agrees_with_an_independent_oracle(row: Row, gates: str) -> None:
    subject = mixer(row.name, **row.choices)
    chosen = {**sizes(subject), **row.sizes}
    operands = sample(subject, BATCH, row.steps, HEADS, chosen, gates=gates)
    expected = row.oracle({name: values.clone() for name, values in operands.items()})
    found = evaluate(subject, operands).output
    assert found.dtype == torch.float64
    assert found.abs().max() > 1e-6
    error = rms_relative(found, expected)
    assert error <= 1e-10


def onnx_linear_attention(rule: str, heads: int, x: dict[str, Tensor]) -> Tensor:
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    names = ["q", "k", "v", "past", *(name for name in ("decay", "beta") if name in x)]
    slots = ["q", "k", "v", "past", *(name if name in x else "" for name in ("decay", "beta"))]
    attributes = {"update_rule": rule, "q_num_heads": heads, "kv_num_heads": x["k"].shape[2]}
    node = helper.make_node("LinearAttention", slots, ["y", "state"], **attributes)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "linear_attention", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 27)])
    feed = {name: x[name].flatten(2).float().numpy() for name in names if name != "past"}
    feed["past"] = x["past"].float().numpy()
    found = torch.from_numpy(ReferenceEvaluator(model).run(None, feed)[0])
    return found.unflatten(2, (heads, -1)).double()


@pytest.mark.parametrize(
    ("name", "rule", "decay", "shared"),
    [
        ("linear_attention", "linear", None, 4),
        ("simple_gla", "gated", "a", 4),
        ("gla", "gated", "a", 4),
        ("deltanet", "delta", None, 4),
        ("gated_deltanet", "gated_delta", "a", 4),
        ("kda", "gated_delta", "a", 4),
        ("gla", "gated", "a", 2),
        ("gated_deltanet", "gated_delta", "a", 1),
    ],
)
def test_agrees_with_the_onnx_operator(
    name: str, rule: str, decay: str | None, shared: int
) -> None:
    """An operator written from its own specification; keys and values shared by query heads."""
    pytest.importorskip("onnx")
    subject = mixer(name)
    heads = {each.name: shared for each in subject.operands if each.name != "q"}
    operands = sample(subject, 2, 24, 4, sizes(subject), heads=heads)
    state = torch.randn(2, shared, 8, 6, generator=torch.Generator().manual_seed(1)).double()
    given = {key: operands[key] for key in ("q", "k", "v")} | {"past": state}
    if decay is not None:
        given["decay"] = operands[decay].log()
    if "beta" in operands:
        given["beta"] = operands["beta"]
    initial = {"m": state.repeat_interleave(4 // shared, dim=1)}
    found = evaluate(subject, operands, initial_state=initial).output
    error = rms_relative(found, onnx_linear_attention(rule, 4, given))
    assert error <= 1e-5


def stateful(path: str, name: str, *order: str, bhtd: bool = False) -> Callable[..., Tensor]:
    """A recurrent function of fla as (operands, initial state) -> final state [N, H, K, V]."""

    def run(x: dict[str, Tensor], state: Tensor) -> Tensor:
        inputs = [x[each].log() if each in ("a", "w") else x[each] for each in order]
        if bhtd:
            inputs = [each.transpose(1, 2) for each in inputs]
        function = naive(path, name)
        return function(*inputs, initial_state=state, output_final_state=True)[1]

    return run


STATEFUL = {
    "linear_attention": stateful("linear_attn/naive", "naive_recurrent_linear_attn", "q", "k", "v"),
    "simple_gla": stateful("simple_gla/naive", "naive_chunk_simple_gla", "q", "k", "v", "a"),
    "gla": stateful("gla/naive", "naive_recurrent_gla", "q", "k", "v", "a"),
    "deltanet": stateful(
        "delta_rule/naive", "delta_rule_recurrence", "q", "k", "v", "beta", bhtd=True
    ),
    "gated_deltanet": stateful(
        "gated_delta_rule/naive", "naive_chunk_gated_delta_rule", "q", "k", "v", "a", "beta"
    ),
    "kda": stateful("kda/naive", "naive_chunk_kda", "q", "k", "v", "a", "beta"),
    "dplr": stateful(
        "generalized_delta_rule/dplr/naive",
        "dplr_chunkwise",
        *("q", "k", "v", "alpha", "beta", "w"),
        bhtd=True,
    ),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_states_agree_with_an_independent_oracle(name: str) -> None:
    """A state [N, H, K, V] goes in and comes out as that package lays it out."""
    subject = mixer(name)
    operands = sample(subject, BATCH, STEPS, HEADS, sizes(subject))
    state = torch.randn(BATCH, HEADS, 8, 6, generator=torch.Generator().manual_seed(2)).double()
    found = evaluate(subject, operands, initial_state={"m": state}).states["m"]
    expected = STATEFUL[name](operands, state.clone())
    error = rms_relative(found, expected)
    assert error <= 1e-10
    assert rms_relative(found, evaluate(subject, operands).states["m"]) > 1e-4
