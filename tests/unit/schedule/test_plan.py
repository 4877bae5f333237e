"""What the planner fuses, hoists and certifies, by structure."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest

from eosc import api
from eosc.diagnostics import EosError
from eosc.ir.nodes import Per, Sum, walk
from eosc.lowering.delta.scan import DeltaScan
from eosc.lowering.elementwise.scan import ElementScan
from eosc.models.layers import fuse
from eosc.recurrence.extract import extract
from eosc.recurrence.model import Phase, Turn
from eosc.resources import zoo_folder
from eosc.schedule.plan import plan
from eosc.schedule.program import Compute, InvariantStep, Program, Spread
from eosc.semantics.formulas import formula
from eosc.semantics.model import Mixer, Unit
from eosc.semantics.terms import Read
from eosc.targets import Target


@cache
def unit(path: str) -> Unit:
    return api.load(zoo_folder() / path)


def mixer(target: str) -> Mixer:
    path, _, name = target.partition(":")
    (found,) = Target.parse(f"{zoo_folder()}/{target}").mixers(unit(path)).values()
    return found


def planned(target: str) -> Program:
    return plan(extract(mixer(target)))


# target, parts of the log-decay, what is hoisted, whether the output is the bare readout
FUSED = [
    ("linear/linear_attention.eos", (), ("scale",), True),
    ("gating/simple_gla.eos", ("g0",), ("scale",), True),
    ("gating/gla.eos", ("gK",), ("scale",), True),
    ("gating/hgrn2.eos", ("gK",), ("scale",), True),
    ("gating/dfw.eos", ("gK", "gV"), (), True),
    ("gating/rwkv6.eos", ("gK",), (), True),
    ("gating/lightnet.eos", ("gK",), ("z", "z_before"), True),
    ("position/rope_la.eos", (), ("e", "s"), True),
    ("retention/retnet_norot.eos", ("g0",), ("scale", "log_gamma"), True),
    ("retention/retnet_rope.eos", ("g0",), ("scale", "e", "s", "log_gamma"), True),
    ("retention/tnl.eos", ("g0",), ("log_a",), True),
    ("ssm/mamba2.eos", ("g0",), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=one)", (), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=k_dep)", ("gK",), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=v_dep)", ("gV",), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=kv_outer)", ("gK", "gV"), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=k_param)", ("gK",), (), True),
    ("lcsm/lcsm.eos:lcsm(osc=v_param)", ("gV",), (), True),
]


@pytest.mark.parametrize(("target", "logs", "hoisted", "bare"), FUSED, ids=[r[0] for r in FUSED])
def test_the_decay_family_is_fused(
    target: str, logs: tuple[str, ...], hoisted: tuple[str, ...], bare: bool
) -> None:
    program = planned(target)
    assert program.fallback == ""
    (step,) = program.scans
    assert tuple(name for name, _ in step.scan.logs()) == logs
    assert tuple(each.name for each in program.steps if isinstance(each, Compute)) == hoisted
    assert (type(program.output).__name__ == "Read") is bare


# target, axes of the memory, of the log-decay, of the output
ELEMENTWISE = [
    ("rnn/hgrn.eos", ("V",), ("i", "V"), ("V",)),
    ("rnn/mingru.eos", ("V",), ("i", "V"), ("V",)),
    ("rnn/qrnn.eos", ("V",), ("i", "V"), ("V",)),
    ("rnn/rglru.eos", ("V",), ("i", "V"), ("V",)),
    ("ssm/mamba.eos", ("K", "V"), ("i", "K", "V"), ("V",)),
    ("lcsm/lcsm.eos:lcsm(osc=kv_param)", ("K", "V"), ("K", "V"), ("V",)),
    ("lcsm/lcsm.eos:lcsm(osc=v_dep_kv)", ("K", "V"), ("i", "K", "V"), ("V",)),
    ("lcsm/lcsm.eos:lcsm(osc=one,e_dep=no)", ("K", "V"), (), ("V",)),
]


@pytest.mark.parametrize(
    ("target", "axes", "log", "reads"), ELEMENTWISE, ids=[r[0] for r in ELEMENTWISE]
)
def test_what_no_product_holds_is_walked_element_by_element(
    target: str, axes: tuple[str, ...], log: tuple[str, ...], reads: tuple[str, ...]
) -> None:
    (step,) = planned(target).scans
    assert isinstance(step.scan, ElementScan)
    assert (step.scan.axes, step.scan.reads) == (axes, reads)
    assert (() if step.scan.log is None else step.scan.log.dims) == log
    assert step.certified(64)


def test_a_gate_behind_the_read_is_made_with_it() -> None:
    program = planned("rnn/qrnn.eos")
    (step,) = program.scans
    assert isinstance(program.output, Read) and program.output.name == step.result
    assert isinstance(step.scan, ElementScan) and step.scan.shrink is not None
    assert "o_raw" in {each.name for each in step.scan.operands}


OWN = """mixer own:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input  v[t]: V
    arg    w[t]: V
    memory m: K, V

    m[t] = 0.5 * m[t-1] + k[t] * v[t]
    output y[t]: V = {output}
"""


# output, dimensions of each sum in what the scan adds of the token's own; None: nothing is added
ADDED = [
    ("sum[K](q[t] * m[t])", None),
    ("sum[K](q[t] * m[t]) + w[t]", []),
    ("w[t] - 2 * v[t] + 3 * sum[K](q[t] * m[t])", []),
    ("sum[K](q[t] * (m[t] + k[t] * v[t]))", [("i",)]),  # v is no part of the sum
    ("sum[K](q[t] * m[t]) + sum[K](q[t] * w[t]) * v[t]", [("i",)]),
    ("w[t] * sum[K](q[t] * m[t]) + v[t]", None),  # what is read is multiplied behind the scan
    ("w[t] - sum[K](q[t] * m[t])", None),
    ("sum[K](q[t] * m[t]) + sum[V](w[t]) * v[t]", None),  # V is shared out among programs
    ("tanh(sum[K](q[t] * m[t])) + v[t]", None),
]


@pytest.mark.parametrize(("output", "sums"), ADDED, ids=[r[0] for r in ADDED])
def test_what_the_output_adds_of_its_own_token_is_made_with_it(
    tmp_path: Path, output: str, sums: list[tuple[str, ...]] | None
) -> None:
    path = tmp_path / "own.eos"
    path.write_text(OWN.format(output=output), encoding="utf-8")
    program = plan(extract(api.mixers(path)["own"]))
    (step,) = program.scans
    own = dict(step.scan.prologues()).get("own")
    bare = isinstance(program.output, Read) and program.output.name == step.result
    assert bare is (sums is not None or output == ADDED[0][0])
    found = None if own is None else [x.dims for x in walk(own) if isinstance(x, Sum)]
    assert found == sums
    assert own is None or own.dims == ("i", "V")


def test_a_decay_made_of_a_rate_and_a_step_is_not_an_operand() -> None:
    (step,) = planned("ssm/mamba.eos").scans
    wide = [each.name for each in step.scan.operands if each.axes == ("K", "V")]
    assert wide == ["A_log"]  # of a head: exp(-exp(A_log) dt) itself is never an array
    assert isinstance(step.scan, ElementScan)
    inner = [each for each in walk(step.scan.log) if each.dims == ("i", "K", "V")]
    assert len(inner) == 1  # its parts are made over their own axes


# target, what the reason speaks of
LATER = [
    ("delta/ttt_linear.eos", "no readout"),
    ("normalised/softmax_attention.eos", "history"),
]


@pytest.mark.parametrize(("target", "reason"), LATER, ids=[r[0] for r in LATER])
def test_other_structures_say_why_not(target: str, reason: str) -> None:
    program = planned(target)
    assert not program.scans
    assert reason in program.fallback


def test_a_layer_fuses_its_gate() -> None:
    fused = fuse(mixer("gating/gla.eos"))
    assert fused is not None
    program = plan(extract(fused.mixer), fused.numbers)
    (step,) = program.scans
    kinds = {each.name: each.per for each in step.scan.operands}
    assert kinds["a_raw"] is Per.TOKEN
    assert kinds["tau"] is Per.CALL
    assert "logsigmoid" in str(getattr(step.scan.log_key, "fn", None))
    assert {each.name for each in fused.projections} == {"q", "k", "v", "a_raw"}


SPEC = """mixer gate:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    arg z[t]: K
    oscillation a[t]: K in [0, 1] = {decay}
    memory m: K, V

    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t])
"""

# decay, base of the form with a chunk of 64: exponents reach base / 2 times the gate, below 74.8
BOUNDED = [
    ("sigmoid(z[t])", 1),
    ("exp(-20 * sigmoid(z[t]))", 4),
    ("exp(-clamp(z[t], 0, 5))", 16),
    ("exp(-2 * sigmoid(z[t]))", 64),
    ("0.5 + 0.5 * sigmoid(z[t])", 64),
]


@pytest.mark.parametrize(("decay", "base"), BOUNDED, ids=[r[0] for r in BOUNDED])
def test_the_range_decides_the_form(tmp_path: Path, decay: str, base: int) -> None:
    path = tmp_path / "gate.eos"
    path.write_text(SPEC.format(decay=decay))
    program = plan(extract(api.load(path).mixers["gate"]))
    assert program.scans[0].form(64).base == base
    assert str(base) in program.describe()[0][1] or base in (1, 64)


def test_a_decay_without_a_stable_log_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "gate.eos"
    path.write_text(SPEC.format(decay="tanh(z[t]) ** 2"))
    with pytest.raises(EosError) as caught:
        plan(extract(api.load(path).mixers["gate"]))
    assert caught.value.diagnostics[0].code == "E064"


def test_a_long_chain_of_states_is_fused_once_a_state_and_only_so_far(tmp_path: Path) -> None:
    states = [f"    x{n + 1}[t]: K = x{n}[t] * x{n}[t] + 1" for n in range(40)]
    spec = tmp_path / "chain.eos"
    spec.write_text(
        "mixer chain:\n    axes K, V\n    shrink q[t]: K\n    expand k[t]: K\n    input v[t]: V\n"
        "    oscillation a[t]: K in (0, 1]\n    memory m: K, V\n\n    x0[t]: K = k[t]\n"
        + "\n".join(states)
        + "\n    m[t] = a[t] * m[t-1] + x40[t] * v[t]\n"
        "    output y[t]: V = sum[K](q[t] * m[t])\n"
    )
    (chain,) = dict(api.mixers(spec)).values()
    start = time.process_time()
    program = plan(extract(chain))
    assert time.process_time() - start < 2.0
    computed = [each.name for each in program.steps if isinstance(each, Compute)]
    assert len(program.scans) == 1
    assert 0 < len(computed) < 20


# target, log-decays, whether what is erased is written by the same vector
ERASING = [
    ("delta/deltanet.eos", (), True),
    ("delta/gated_deltanet.eos", ("g0",), True),
    ("delta/kda.eos", ("gK",), True),
    ("delta/dplr.eos", ("gK",), False),
    ("delta/rwkv7.eos", ("gK",), False),
]


@pytest.mark.parametrize(("target", "logs", "tied"), ERASING, ids=[r[0] for r in ERASING])
def test_a_term_of_rank_one_is_fused(target: str, logs: tuple[str, ...], tied: bool) -> None:
    program = planned(target)
    assert program.fallback == ""
    (step,) = program.scans
    assert isinstance(step.scan, DeltaScan)
    assert tuple(name for name, _ in step.scan.logs()) == logs
    assert step.scan.tied is tied


ERASURE = """mixer erasure:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    arg p[t]: K
    oscillation a[t]: K in (0, 1]
    oscillation b[t] in (0, 1)
    memory m: K, V

    {update}
    output y[t]: V = sum[K](q[t] * m[t])
"""

# update, whether one write is left
UPDATES = [
    ("m[t] = a[t] * m[t-1] + b[t] * k[t] * (v[t] - sum[K](p[t] * m[t-1]))", True),
    ("m[t] = a[t] * m[t-1] + k[t] * (b[t] * v[t] - sum[K](p[t] * m[t-1]))", True),
    ("m[t] = a[t] * (m[t-1] + k[t] * (v[t] - b[t] * sum[K](p[t] * m[t-1])))", True),
    ("m[t] = a[t] * m[t-1] + k[t] * v[t] - b[t] * p[t] * sum[K](k[t] * m[t-1])", False),
    ("m[t] = a[t] * m[t-1] + k[t] * (v[t] - sum[K](k[t] * m[t-1]) - sum[K](p[t] * m[t-1]))", True),
]


@pytest.mark.parametrize(("update", "tied"), UPDATES)
def test_the_pieces_say_what_is_erased(tmp_path: Path, update: str, tied: bool) -> None:
    path = tmp_path / "erasure.eos"
    path.write_text(ERASURE.format(update=update))
    program = plan(extract(api.load(path).mixers["erasure"]))
    assert program.fallback == ""
    scan = program.scans[0].scan
    assert isinstance(scan, DeltaScan) and scan.tied is tied


# target, of each scan its memories by row and column, and the readouts of the columns
GRIDS = [
    ("normalised/linear_attention_norm.eos", [((("m", "n"),), 2)]),
    ("normalised/mlstm.eos", [((("m_low", "n_low"),), 2)]),
    ("normalised/based.eos", [((("m2", "n2"),), 2), ((("m0", "n0"), ("m1", "n1")), 2)]),
    ("normalised/rebased.eos", [((("m", "n"),), 2)]),
    ("normalised/cosformer.eos", [((("m_re", "n_re"), ("m_im", "n_im")), 2)]),
    ("position/lrpe.eos", [((("m_re",), ("m_im",)), 1)]),
    ("position/lrpe_feature.eos", [((("mc",), ("ms",)), 1)]),
    ("retention/retnet.eos", [((("m_re",), ("m_im",)), 1)]),
    ("gating/gateloop.eos", [((("m_re",), ("m_im",)), 1)]),
    ("slots/abc.eos", [(None, 1), (None, 1)]),
    ("slots/gsa.eos", [(None, 1), (None, 1)]),
]


@pytest.mark.parametrize(("target", "scans"), GRIDS, ids=[r[0] for r in GRIDS])
def test_memories_that_are_read_together_are_one_scan(
    target: str, scans: list[tuple[tuple[tuple[str, ...], ...] | None, int]]
) -> None:
    program = planned(target)
    assert program.fallback == ""
    layouts = [each.layout for each in program.scans]
    found = [(each.memories, len(each.results)) if each else (None, 1) for each in layouts]
    assert found == scans


def test_a_retention_keeps_its_real_decay_and_turns_by_the_rest() -> None:
    program = planned("retention/retnet.eos")
    (step,) = program.scans
    assert [name for name, _ in step.scan.logs()] == ["g0"]
    (phase,) = (each for each in program.steps if isinstance(each, Phase))
    assert formula(phase.angle) == "theta"
    assert program.turns == (Turn("m", ("m_re", "m_im"), phase.name),)


@pytest.mark.parametrize(
    ("target", "has"),
    [("gating/gateloop.eos", True), ("retention/retnet.eos", False), ("position/lrpe.eos", False)],
)
def test_a_scan_gives_the_gradient_of_angles_that_move_with_its_decays(
    target: str, has: bool
) -> None:
    program = planned(target)
    (step,) = program.scans
    (phase,) = (each for each in program.steps if isinstance(each, Phase))
    assert step.phase == (phase.name if has else "")


def test_rewrites_name_theorems_that_there_are() -> None:
    folder = zoo_folder() / "theorems"
    for target, _ in GRIDS[:9]:
        rows = planned(target).rewritten()
        assert rows
        for _, _, theorem in rows:
            name, _, file = theorem.partition(" ")
            assert f"theorem {name}:" in (folder / file.strip("()")).read_text(encoding="utf-8")


FOLD = """def step(S, k, v, b) = S + k * (b * v - sum[K](k * S))


mixer steps:
    axes R, K, V
    shrink q[t]: K
    expand k[t]: R, K
    input v[t]: V
    arg z[t]
    oscillation a[t]: K in (0, 1]
    oscillation b[t]: R in (0, 2)
    memory m: K, V

    {update}
    output y[t]: V = sum[K](q[t] * m[t])
"""


def _folded(tmp_path: Path, update: str) -> Program:
    path = tmp_path / "steps.eos"
    path.write_text(FOLD.format(update=update))
    return plan(extract(api.load(path).mixers["steps"]))


def test_the_steps_of_a_fold_are_tokens_of_their_scan(tmp_path: Path) -> None:
    program = _folded(tmp_path, "m[t] = fold[R](S = a[t] * m[t-1], step(S, k[t], v[t], b[t]))")
    (step,) = program.scans
    assert step.steps == "R" and isinstance(step.scan, DeltaScan) and step.scan.tied
    spread = {each.of: each for each in program.steps if isinstance(each, Spread)}
    assert {name for name, each in spread.items() if each.place == 0} == {"k", "b"}
    assert {name for name, each in spread.items() if each.first} == {"log_a"}
    assert set(spread) == {"q", "k", "v", "b", "log_a"}


# update, what the reason speaks of
NOT_STEPS = [
    ("m[t] = fold[R](S = exp(-exp(z[t])) * m[t-1], step(S, k[t], v[t], b[t]))", "before a fold"),
    ("m[t] = fold[R](S = m[t-1] + q[t] * v[t], step(S, k[t], v[t], b[t]))", "write"),
    ("m[t] = z[t] * fold[R](S = m[t-1], step(S, k[t], v[t], b[t]))", "fold inside"),
]


@pytest.mark.parametrize(("update", "reason"), NOT_STEPS, ids=[r[1] for r in NOT_STEPS])
def test_what_a_fold_may_not_hold_is_said(tmp_path: Path, update: str, reason: str) -> None:
    program = _folded(tmp_path, update)
    assert not program.scans
    assert reason in program.fallback


# target, what its rows say of training and of decoding
CONSTANT = [
    ("convolution/shortconv.eos", "4 taps written out", "3 of them kept"),
    ("convolution/longconv.eos", "spectra", "every past token"),
    ("convolution/hyena.eos", "spectra", "every past token"),
    ("ssm/s4.eos", "dense powers", "the recurrence"),
    ("ssm/s4d.eos", "diagonal powers", "the recurrence"),
    ("ssm/lru.eos", "states of all tokens", "the recurrence"),
]


@pytest.mark.parametrize(("target", "train", "decode"), CONSTANT, ids=[r[0] for r in CONSTANT])
def test_what_is_constant_in_time_says_how(target: str, train: str, decode: str) -> None:
    program = planned(target)
    assert program.fallback == ""
    assert not program.scans
    rows = {use: algorithm for use, algorithm, *_ in program.describe()}
    assert list(rows) == ["train", "prefill", "decode"]
    assert train in rows["train"]
    assert decode in rows["decode"]


VARYING = """mixer varying:
    axes K, V
    shrink q[t]: K
    input v[t]: V
    param b, p, c: K
    oscillation a: K in (0, 1)
    memory m: K, V

    m[t] = a * m[t-1] - p * sum[K](c * m[t-1]) + b * v[t]
    output y[t]: V = sum[K](q[t] * m[t])
"""


def test_a_readout_of_the_data_is_no_convolution(tmp_path: Path) -> None:
    path = tmp_path / "varying.eos"
    path.write_text(VARYING)
    program = plan(extract(api.load(path).mixers["varying"]))
    assert not any(isinstance(each, InvariantStep) and each.shrink for each in program.steps)
