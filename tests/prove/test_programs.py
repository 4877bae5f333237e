"""Planned programs are their specs: proved for the zoo, and refused where the plan is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eosc.algebra.scalar import Arg
from eosc.backends.proofs import certify
from eosc.ir.nodes import Load, Map, Sum, Value
from eosc.lowering.elementwise.scan import ElementScan
from eosc.lowering.scan import Scan
from eosc.pipeline import PIPELINE
from eosc.prove import formula
from eosc.prove.algorithms.choices import written
from eosc.prove.algorithms.program import prove_program
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.algorithms.summary import prove_summary
from eosc.prove.checker import Checked, Rejected, check
from eosc.prove.formula import as_json
from eosc.recurrence.model import Peak, Phase
from eosc.schedule.program import Compute, InvariantStep, Packed, Program, ScanStep, Spread, Step
from eosc.semantics.terms import Apply, Rename, Solve, Term
from eosc.testing import zoo
from tests.numerics.test_composed import SPECS
from tests.prove.scans import scan_of

PROVED = (
    "dfw", "gla", "hgrn2", "lightnet", "linear_attention", "mamba2", "retnet_norot", "retnet_rope",
    "rope_la", "rwkv6", "simple_gla", "tnl",
)  # fmt: skip
COMPOSED = (
    "abc", "based", "cosformer", "gateloop", "gsa", "linear_attention_norm", "lrpe",
    "lrpe_feature", "mlstm", "rebased", "retnet", "rope_la_complex",
)  # fmt: skip
"""Several memories, several scans, complex memories as pairs."""
ELEMENTS = ("hgrn", "lcsm", "mamba", "mingru", "qrnn", "rglru", "rwkv4")
"""Memories that are walked element by element."""
STEADY = ("dss", "lru", "mega_ema", "s4", "s4d", "s5")
"""Memories that are constant in time."""
ERASING = ("comba", "deltanet", "dplr", "gated_deltanet", "gdn2", "kda", "rwkv7")
"""Memories that read themselves before they write."""


def proved(program: Program) -> Checked:
    problem, proof = prove_program(program)
    return check(json.loads(json.dumps(as_json(problem))), json.loads(json.dumps(proof)))


def with_scan(program: Program, **parts: object) -> Program:
    """The program with parts of its scan replaced."""

    def changed(step: object) -> object:
        if not isinstance(step, ScanStep):
            return step
        return replace(step, scan=replace(step.scan, **parts))

    return replace(program, steps=tuple(changed(step) for step in program.steps))


def times(value: Value, factor: Value) -> Map:
    return Map(Arg("a") * Arg("b"), (("a", value), ("b", factor)), dims=value.dims)


@pytest.mark.parametrize("name", [*PROVED, *COMPOSED, *ELEMENTS, *STEADY, *ERASING])
def test_a_program_is_its_spec(name: str) -> None:
    program = PIPELINE.program(zoo.mixer(name))
    assert all(each.startswith("output") for each in proved(program).goals)
    inside = PIPELINE.inside(program)
    if inside is not None:
        assert proved(inside).goals == ("output",)


@pytest.mark.parametrize("name", SPECS)
def test_a_composition_that_the_zoo_has_not_is_its_spec(name: str) -> None:
    assert "output" in proved(PIPELINE.program(zoo.mixer_from(SPECS[name]))).goals


def test_a_memory_of_two_scans_is_the_same_in_both() -> None:
    """Each scan of the second read's memory is a walk of its own, with a decay of its own."""
    program = PIPELINE.program(zoo.mixer_from(SPECS["twice"]))
    place, step = next((n, each) for n, each in enumerate(program.steps) if n > 0)
    assert isinstance(step, ScanStep) and isinstance(step.scan, Scan)
    assert step.scan.log_key is not None
    for log in (None, times(step.scan.log_key, step.scan.log_key)):
        other = replace(step, scan=replace(step.scan, log_key=log))
        with pytest.raises(Rejected):
            proved(_with_step(program, place, other))


def test_what_is_not_proved_says_why() -> None:
    mixer = zoo.mixer_from(
        """
mixer m:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    memory m: K, V
    m[t] = m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t]) / max[K](exp(q[t]))
"""
    )
    with pytest.raises(Unreadable, match="a maximum over K, whose size is any"):
        proved(PIPELINE.program(mixer))


STEPWISE = """
mixer stepwise:
    axes R, K, V
    shrink q[t]: K
    expand k[t]: R, K
    input v[t]: R, V
    oscillation a[t] in (0, 1]
    oscillation b[t]: R in (0, 1]
    memory m: K, V
    m[t] = fold[R](S = a[t] * m[t-1], b[t] * S + k[t] * v[t])
    output y[t]: V = sum[K](q[t] * m[{read}])
"""


def folded(read: str = "") -> Program:
    """DeltaProduct; or a fold of decays whose output reads a time."""
    mixer = zoo.mixer_from(STEPWISE.format(read=read)) if read else zoo.mixer("deltaproduct")
    return PIPELINE.program(mixer)


@pytest.mark.parametrize("read", ["", "t", "t-1"])
def test_the_steps_of_a_fold_are_its_program_whatever_their_number(read: str) -> None:
    found = proved(folded(read))
    assert found.goals == ("memory", "output") and found.conditions == ()


@pytest.mark.parametrize(
    ("of", "parts"),
    [
        ("log_a", {"first": False}),
        ("q", {"first": True}),
        ("v", {"of": "k"}),
        ("k", {"place": None}),
    ],
)
def test_operands_that_are_spread_otherwise_are_refused(of: str, parts: dict[str, object]) -> None:
    program = folded()
    steps = tuple(
        replace(each, **parts) if isinstance(each, Spread) and each.of == of else each
        for each in program.steps
    )
    assert steps != program.steps
    with pytest.raises((Rejected, Unreadable)):
        proved(replace(program, steps=steps))


def test_a_wrong_step_of_a_fold_is_refused() -> None:
    program = folded()
    scan = program.scans[0].scan
    with pytest.raises(Rejected):
        proved(with_scan(program, functional=scan.expand))
    with pytest.raises(Rejected):
        proved(with_scan(program, shrink=scan.expand))
    with pytest.raises(Rejected):
        proved(with_scan(program, inclusive=False))


TURNED = """
mixer turned:
    axes K, V
    arg q[t], k[t]: K
    shrink s[t]: K = rope[K](q[t], t)
    expand e[t]: K = rope[K](k[t], t)
    input v[t]: V
    memory m: K, V
    m[t] = m[t-1] + e[t] * (v[t] - sum[K](e[t] * m[t-1]))
    output y[t]: V = sum[K](s[t] * m[t])
"""


def test_an_erasure_reads_every_part_of_a_split_axis() -> None:
    """A rotation splits K into the places of each pair; each part of a memory reads both."""
    program = PIPELINE.program(zoo.mixer_from(TURNED))
    assert proved(program).goals == ("output",)
    scan = program.scans[0].scan
    with pytest.raises(Rejected):
        proved(with_scan(program, functional=scan.shrink))


def test_a_prologue_sums_over_whole_axes() -> None:
    """Inside the scan the parts of K that a rotation makes have no sum over K but the memory's."""
    program = PIPELINE.program(zoo.mixer_from(TURNED))
    scan = program.scans[0].scan
    total = Sum(scan.expand, ("K",), dims=("i",))
    with pytest.raises(Unreadable, match="split or packed"):
        proved(with_scan(program, functional=times(scan.expand, total)))


def test_a_wrong_plan_is_refused() -> None:
    program = PIPELINE.program(zoo.mixer("gla"))
    scan = program.scans[0].scan
    assert scan.log_key is not None
    wrong = (
        {"inclusive": False},
        {"expand": scan.shrink},
        {"expand": times(scan.expand, scan.shrink)},
        {"scale": None},
        {"log_key": times(scan.log_key, scan.log_key)},
        {"log_key": None},
        {"log_scalar": Load("scale", dims=())},
    )
    for parts in wrong:
        with pytest.raises(Rejected):
            proved(with_scan(program, **parts))


@pytest.mark.parametrize("name", ["hgrn", "qrnn", "mamba"])
def test_a_wrong_walk_is_refused(name: str) -> None:
    program = PIPELINE.program(zoo.mixer(name))
    scan = program.scans[0].scan
    assert isinstance(scan, ElementScan) and scan.log is not None
    wrong: list[dict[str, object]] = [
        {"inclusive": False},
        {"log": None},
        {"log": times(scan.log, scan.log)},
        {"write": times(scan.write, scan.write)},
        {"shrink": scan.write if scan.shrink is None else times(scan.shrink, scan.shrink)},
    ]
    for parts in wrong:
        with pytest.raises(Rejected):
            proved(with_scan(program, **parts))


def _with_step(program: Program, place: int, step: Step) -> Program:
    """The program with one step replaced."""
    steps = (step if n == place else each for n, each in enumerate(program.steps))
    return replace(program, steps=tuple(steps))


def _negated(term: Term) -> Term:
    return Apply(op="neg", args=(term,), type=term.type)


def _wrong_steps(program: Program) -> Iterator[Program]:
    """Programs with a wrong phase, a sine for a cosine, a wrong part or parts out of order."""
    for place, step in enumerate(program.steps):
        match step:
            case Phase(angle=angle):
                yield _with_step(program, place, replace(step, angle=_negated(angle)))
            case Compute(term=Apply(op="cos" | "sin" as op) as term):
                other = replace(term, op="sin" if op == "cos" else "cos")
                yield _with_step(program, place, replace(step, term=other))
            case Packed(parts=(first, *rest), axes=axes):
                parts = (_negated(first), *rest)
                yield _with_step(program, place, replace(step, parts=parts))
                if len(set(axes)) == 1 and len({*step.parts}) > 1:
                    yield _with_step(program, place, replace(step, parts=(*rest, first)))


@pytest.mark.parametrize(
    "name", ["retnet", "gateloop", "cosformer", "lrpe_feature", "based", "spiral", "polar"]
)
def test_a_wrong_composition_is_refused(name: str) -> None:
    mixer = zoo.mixer_from(SPECS[name]) if name in SPECS else zoo.mixer(name)
    program = PIPELINE.program(mixer)
    wrong = list(_wrong_steps(program))
    assert len(wrong) >= 2
    for each in wrong:
        with pytest.raises(Rejected):
            proved(each)


def _wrong_steady(program: Program) -> Iterator[Program]:
    """Programs whose memory that is constant in time is another."""
    for place, step in enumerate(program.steps):
        if not isinstance(step, InvariantStep):
            continue
        changes: list[dict[str, object]] = [{"input": _negated(step.input)}]
        if step.matrix is not None:
            changes += [{"matrix": None, "factors": ()}, {"matrix": _turned_over(step.matrix)}]
        else:
            changes += [{"factors": ()}, {"factors": (*step.factors, *step.factors)}]
        if step.shrink is not None:
            changes += [{"shrink": None}, {"inclusive": False}]
        if step.expand is not None:
            changes.append({"expand": None})
        for change in changes:
            yield _with_step(program, place, replace(step, **change))


def _turned_over(matrix: Term) -> Term:
    """The transpose."""
    third = replace(matrix.type, axes=("V", "K'", "K''"))
    moved = Rename(
        arg=matrix, source="K'", target="K''", type=replace(third, axes=("V", "K", "K''"))
    )
    moved = Rename(arg=moved, source="K", target="K'", type=third)
    return Rename(arg=moved, source="K''", target="K", type=matrix.type)


@pytest.mark.parametrize("name", STEADY)
def test_a_wrong_steady_memory_is_refused(name: str) -> None:
    program = PIPELINE.program(zoo.mixer(name))
    wrong = list(_wrong_steady(program))
    assert len(wrong) >= 3
    for each in wrong:
        with pytest.raises(Rejected):
            proved(each)


def _wrong_heights(program: Program) -> Iterator[Program]:
    """Programs whose height does not come out of what it went into."""
    for place, step in enumerate(program.steps):
        if isinstance(step, Peak):
            yield _with_step(program, place, replace(step, log_decay=_negated(step.log_decay)))
            yield _with_step(program, place, replace(step, level=_negated(step.level)))
            yield _with_step(program, place, replace(step, decay=step.rise, rise=step.decay))
    assert isinstance(program.output, Apply)
    top, bottom = program.output.args
    yield replace(program, turns=program.turns[1:])
    yield replace(program, output=replace(program.output, args=(top, _negated(bottom))))
    assert isinstance(bottom, Apply) and bottom.op == "maximum"
    raised = replace(bottom, args=(bottom.args[0], _negated(bottom.args[1])))
    yield replace(program, output=replace(program.output, args=(top, raised)))
    lowered = replace(bottom, op="minimum")
    yield replace(program, output=replace(program.output, args=(top, lowered)))


def test_a_wrong_height_is_refused() -> None:
    program = PIPELINE.program(zoo.mixer("mlstm"))
    wrong = list(_wrong_heights(program))
    assert len(wrong) == 7
    for each in wrong:
        with pytest.raises(Rejected):
            proved(each)


def test_choices_are_written_alike() -> None:
    """Each way of writing a choice keeps its value; a turn is not moved out of a maximum."""
    x, y, e = (formula.at(name) for name in "xye")
    grown = formula.mul(formula.call("exp", e), y)
    lower = formula.call("exp", formula.negative(e))
    for name in ("maximum", "minimum"):
        found = written(formula.call(name, formula.call("abs", x), grown))
        inner = formula.call(name, formula.call("abs", formula.mul(lower, x)), y)
        assert found == formula.mul(formula.call("exp", e), inner)
        turn = formula.call("exp", formula.mul(formula.IMAGINARY, e))
        assert written(formula.call(name, x, turn)) == formula.call(name, x, turn)
        assert written(formula.call(name, x, grown), frozenset("e")) == formula.call(name, x, grown)
    chosen = written(formula.call("select", x, y, e))
    indicator = formula.call("select", x, formula.ONE, formula.ZERO)
    assert chosen == formula.add(e, formula.mul(indicator, formula.minus(y, e)))
    assert written(chosen) == chosen


# Equations of any number.


def test_a_solution_is_that_of_the_same_equations() -> None:
    program = PIPELINE.program(zoo.mixer("mesanet"))
    assert set(proved(program).goals) == {
        "output", "solution, matrix", "solution, right side"
    }  # fmt: skip


def _wrong_equations(program: Program) -> Iterator[Program]:
    """Programs that solve others than the spec's, or that have walked another matrix."""
    for place, step in enumerate(program.steps):
        if isinstance(step, Compute) and isinstance(step.term, Solve):
            solve = step.term
            for other in (
                replace(solve, right=_negated(solve.right)),
                replace(solve, matrix=_negated(solve.matrix)),
                replace(solve, matrix=solve.matrix.args[0]),  # type: ignore[attr-defined]
                replace(solve, matrix=replace(solve.matrix, op="sub")),  # type: ignore[call-arg]
            ):
                yield _with_step(program, place, replace(step, term=other))
        if isinstance(step, ScanStep) and isinstance(step.scan, ElementScan):
            log = step.scan.log
            assert log is not None
            for scan in (
                replace(step.scan, log=times(log, log)),
                replace(step.scan, inclusive=False),
            ):
                yield _with_step(program, place, replace(step, scan=scan))


def test_other_equations_are_refused() -> None:
    program = PIPELINE.program(zoo.mixer("mesanet"))
    wrong = list(_wrong_equations(program))
    assert len(wrong) == 6
    for each in wrong:
        with pytest.raises(Rejected):
            proved(each)
    steps = tuple(
        replace(each, term=each.term.right)
        if isinstance(each, Compute) and isinstance(each.term, Solve)
        else each
        for each in program.steps
    )
    with pytest.raises(Unreadable, match="other equations"):
        proved(replace(program, steps=steps))


@pytest.mark.parametrize("decays", ["", "0", "K", "0KV", "c"])
def test_summaries_of_segments_combine_in_any_order(decays: str) -> None:
    problem, proof = prove_summary(scan_of(decays))
    given = json.loads(json.dumps(as_json(problem)))
    found = check(given, json.loads(json.dumps(proof)))
    assert found.conditions == ()
    assert {"joined", "associative, added"} <= set(found.goals)


def test_a_wrong_combination_is_refused() -> None:
    problem, proof = prove_summary(scan_of("K"))
    given = json.loads(json.dumps(as_json(problem)))
    for goal in given["goals"]:
        if goal["name"] == "joined":
            goal["left"][2] = ["at", "late", {"E": 1, "": -1}, "a", "b"]
    with pytest.raises(Rejected):
        check(given, json.loads(json.dumps(proof)))


def test_a_decay_may_be_a_reset() -> None:
    """A range with 0 in it needs no condition: the log of 0 stands in an exponent only."""
    mixer = zoo.mixer_from(
        """
mixer m:
    axes K, V
    shrink q[t]: K
    expand k[t]: K
    input v[t]: V
    oscillation a[t]: K in [0, 1]
    memory m: K, V
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t])
"""
    )
    assert proved(PIPELINE.program(mixer)).conditions == ()


def test_what_is_too_large_to_be_proved_is_said_to_be() -> None:
    def program(states: int, update: str) -> Program:
        chain = "\n".join(
            f"    x{n + 1}[t]: K = {update.replace('x', f'x{n}[t]')}" for n in range(states)
        )
        return PIPELINE.program(
            zoo.mixer_from(
                f"""
mixer m:
    axes K, V
    shrink q[t]: K
    arg x0[t]: K
    input v[t]: V
    oscillation a[t]: K in (0, 1]
{chain}
    expand k[t]: K = sigmoid(x{states}[t])
    memory m: K, V
    m[t] = a[t] * m[t-1] + k[t] * v[t]
    output y[t]: V = sum[K](q[t] * m[t])
"""
            )
        )

    for states, update, reason in ((6, "sin(x)", "inside one another"), (12, "x * x + 1", "large")):
        lines = certify([("m", program(states, update))], triton=False).lines
        unproved = {each.subject: each.unproved for each in lines if each.unproved}
        assert reason in unproved["m, torch backward"]
        assert "m, torch forward" not in unproved
