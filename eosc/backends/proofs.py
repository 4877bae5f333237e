"""What a build proves of its own output: the spec is the program, and the program its algorithms.

Statements are derived from the spec, the scan and the printed algorithms each time; a certificate
holds their hashes, the proofs, and under which conditions the kernel accepted them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from eosc.backends.torch import module as torch_module
from eosc.backends.torch.operator import scan_name
from eosc.backends.triton import module as triton_module
from eosc.ir.nodes import Algorithm
from eosc.lowering.guarded import CHECKED, REACH, alternatives
from eosc.prove.algorithms.constant import prove_constant
from eosc.prove.algorithms.exponents import certificate
from eosc.prove.algorithms.family import Part, prove_family
from eosc.prove.algorithms.program import prove_program, ranges_of
from eosc.prove.algorithms.recurrence import Bounds
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.bounds import Unsafe
from eosc.prove.bounds import check as check_exponents
from eosc.prove.checker import Rejected, check
from eosc.schedule.program import Program, ScanStep
from eosc.schedule.rooms.decay import MAGNITUDE
from eosc.schedule.table import rows_of

FORMAT = "eosc-algorithms/1"

Checker: TypeAlias = Callable[[str], tuple[str, tuple[str, ...]]]
"""Of a statement and its proof: why it is rejected (nothing if it is not), and its conditions."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was to be proved: what, under which conditions, or why it is not proved."""

    subject: str
    conditions: tuple[str, ...] = ()
    unproved: str = ""

    def __str__(self) -> str:
        """`gla is its spec: proved`, with conditions or the reason where there are any."""
        if self.unproved:
            return f"{self.subject}: not proved, {self.unproved}"
        under = f" where {', '.join(self.conditions)}" if self.conditions else ""
        return f"{self.subject}: proved{under}"


@dataclass(frozen=True, slots=True)
class Proved:
    """A certificate as text, and what it says line by line."""

    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate's programs, and what it says line by line."""

    programs: dict[str, Any]
    lines: tuple[Line, ...]


def file(programs: Iterable[tuple[str, Program]], triton: bool, origin: dict[str, str]) -> Proved:
    """The certificate of what is printed for a mixer, as text.

    origin: the mixer's name, its source and the hash of that.
    """
    from eosc import __version__

    found = certify(programs, triton)
    content = {
        "format": FORMAT,
        "eosc": __version__,
        **origin,
        "triton": triton,
        "programs": found.programs,
    }
    text = json.dumps(content, separators=(",", ":"), sort_keys=True) + "\n"
    return Proved(text, found.lines)


def emitted(step: ScanStep, triton: bool) -> dict[str, Algorithm]:
    """Every algorithm that is printed for a scan, by what it is printed for.

    Of one that has chunks of several kinds, what it is for each kind.
    """
    form = step.form(torch_module.TOKENS_PER_CHUNK)
    found = {
        f"torch {use}": algorithm
        for use, algorithm in torch_module.algorithms(step.scan, form).items()
    }
    if triton:
        forms = {each.chunk: each for each in step.forms}
        printed = triton_module.algorithms(step.scan, forms, rows_of(step.scan))
        for use, by_length in printed.items():
            for length, algorithm in by_length.items():
                for kind, each in alternatives(algorithm):
                    label = f"triton {use}, chunks of {length}"
                    found[f"{label}, {kind}" if kind else label] = each
    return found


def certify(
    programs: Iterable[tuple[str, Program]],
    triton: bool,
    held: Mapping[str, Any] | None = None,
    twice: bool = False,
) -> Certified:
    """Prove what is printed for each program.

    Args:
        programs: by the name of the operator.
        triton: whether Triton kernels are printed, too.
        held: the programs of a certificate, whose proofs are checked instead of new ones.
        twice: whether the second checker evaluates each obligation, too.
    """
    checked = _checked_twice if twice else _checked
    found: dict[str, Any] = {}
    lines: list[Line] = []
    for called, program in programs:
        known = (held or {}).get(called, {})
        spec = _spec(program, known.get("spec"), checked)
        lines.append(_line(f"{called} is its spec", spec))
        scans: dict[str, Any] = {}
        for step in program.scans:
            scans[scan_name(step)] = scan = _scan(
                step,
                emitted(step, triton),
                ranges_of(program, step),
                known.get("scans", {}).get(scan_name(step), {}),
                checked,
            )
            lines += _scan_lines(called, scan)
        held_constant = known.get("constant", {})
        constant = {
            label: _part(Part(problem, tuple(proof)), held_constant.get(label), checked)
            for label, (problem, proof) in prove_constant(program).items()
        }
        lines += (_line(f"{called}, {label}", part) for label, part in constant.items())
        found[called] = {"spec": spec, "scans": scans, "constant": constant}
    return Certified(found, tuple(lines))


def _spec(program: Program, held: Mapping[str, Any] | None, checked: Checker) -> dict[str, Any]:
    try:
        problem, proof = prove_program(program)
    except Unreadable as reason:
        return {"unproved": str(reason)}
    return _part(Part(problem, tuple(proof)), held, checked)


def _scan(
    step: ScanStep,
    algorithms: Mapping[str, Algorithm],
    ranges: Mapping[str, Bounds],
    held: Mapping[str, Any],
    checked: Checker,
) -> dict[str, Any]:
    try:
        family = prove_family(step.scan, algorithms, ranges)
    except Unreadable:
        return {"parts": {}, "alone": _alone(step, algorithms, ranges, checked)}
    known = held.get("parts", {})
    parts = {name: _part(part, known.get(name), checked) for name, part in family.parts.items()}
    alone = {}
    if any("unproved" in each for each in parts.values()):
        alone["alone"] = _alone(step, algorithms, ranges, checked)
    return {
        **alone,
        "parts": parts,
        "algorithms": {
            label: [list(goal) for goal in goals] for label, goals in family.goals.items()
        },
        "exponents": {
            label: _exponent(step, each, label.endswith(CHECKED))
            for label, each in algorithms.items()
        },
    }


def _alone(
    step: ScanStep,
    algorithms: Mapping[str, Algorithm],
    ranges: Mapping[str, Bounds],
    checked: Checker,
) -> dict[str, dict[str, Any]]:
    """For each algorithm by itself, why it is not proved, or under which conditions it is."""
    found: dict[str, dict[str, Any]] = {}
    for label, algorithm in algorithms.items():
        try:
            parts = prove_family(step.scan, {label: algorithm}, ranges).parts
        except Unreadable as reason:
            found[label] = {"unproved": str(reason)}
            continue
        answers = [checked(each.text) for each in parts.values()]
        wrong = [reason for reason, _ in answers if reason]
        conditions = dict.fromkeys(text for _, texts in answers for text in texts)
        found[label] = {"unproved": wrong[0]} if wrong else {"conditions": list(conditions)}
    return found


def _part(part: Part, held: Mapping[str, Any] | None, checked: Checker) -> dict[str, Any]:
    """A statement's hash, its proof, and the conditions that the kernel found."""
    text = part.text
    own = json.loads(text)
    proof = own["proof"] if held is None else held.get("proof", [])
    if proof != own["proof"]:
        text = json.dumps({"problem": own["problem"], "proof": proof}, separators=(",", ":"))
    digest = hashlib.sha256(json.dumps(own["problem"], sort_keys=True).encode()).hexdigest()
    reason, conditions = checked(text)
    if reason:
        return {"statement_sha256": digest, "unproved": reason, "proof": proof}
    return {"statement_sha256": digest, "conditions": list(conditions), "proof": proof}


@lru_cache(maxsize=256)
def _checked(text: str) -> tuple[str, tuple[str, ...]]:
    """Why the kernel rejects a proof (nothing where it accepts it), and its conditions."""
    whole = json.loads(text)
    try:
        found = check(whole["problem"], whole["proof"])
    except Rejected as reason:
        return str(reason), ()
    # Where a value is positive, that it is not 0 need not be said.
    positive = [each.formula for each in found.conditions if each.kind == "positive"]
    said = (
        each.text
        for each in found.conditions
        if each.kind == "positive" or each.formula not in positive
    )
    return "", tuple(dict.fromkeys(said))


@lru_cache(maxsize=256)
def _checked_twice(text: str) -> tuple[str, tuple[str, ...]]:
    """The same, with every obligation evaluated at random points by the second checker."""
    from eosc.prove.second import Separated, evaluate

    reason, conditions = _checked(text)
    if not reason:
        whole = json.loads(text)
        try:
            evaluate(whole["problem"], whole["proof"])
        except Separated as error:
            return f"the second checker: {error}", ()
    return reason, conditions


def _exponent(step: ScanStep, algorithm: Algorithm, checked: bool) -> str | None:
    """The largest exponent that an algorithm forms (None: of any gate), or why it is not safe.

    checked: a kernel runs only where half a chunk decays by a certain amount at most. Its factors
    are formed about the middle, so that bound spread over the tokens of a half is as good as one
    of each token.
    """
    length = max(each.chunk for each in algorithm.kernels)
    bound = next((each.bound for each in step.certificates if each.chunk == length), None)
    if checked:
        bound = 2 * REACH / length
    bounds = {"gK": bound, "gV": bound}
    try:
        largest = check_exponents(certificate(algorithm, bounds, MAGNITUDE))
    except Unsafe as reason:
        return f"unsafe: {reason}"
    return None if largest is None else str(largest)


def _line(subject: str, part: Mapping[str, Any]) -> Line:
    return Line(subject, tuple(part.get("conditions", ())), part.get("unproved", ""))


def _scan_lines(called: str, scan: Mapping[str, Any]) -> Iterable[Line]:
    alone = scan.get("alone", {})
    for label, goals in scan.get("algorithms", {each: [] for each in alone}).items():
        subject = f"{called}, {label}"
        if alone:
            yield _line(subject, alone[label])
            continue
        parts = [scan["parts"][name] for name in dict.fromkeys(part for part, _ in goals)]
        exponent = scan["exponents"][label] or ""
        wrong = exponent if exponent.startswith("unsafe") else ""
        conditions = dict.fromkeys(text for each in parts for text in each["conditions"])
        yield Line(subject, tuple(conditions), wrong)
