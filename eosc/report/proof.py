"""What `eosc prove` says of a statement: plain text, Markdown, LaTeX or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eosc.prove import notation
from eosc.prove.engine import Outcome, Verdict
from eosc.prove.reading import Stated, sides
from eosc.semantics.theorems import Equivalence, Identity

_WORKED = 600
"""Characters of the normal form that is worth printing."""

_WIDE = 4000
"""Characters of one formula that are printed; the certificate holds the rest."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A statement with its outcome.

    certificate: the file that was written. replayed: the two values that the reference evaluator
    gives at the witness. reproduced: whether they are those of the witness.
    """

    stated: Stated
    outcome: Outcome
    certificate: str | None = None
    replayed: tuple[str, str] | None = None
    reproduced: bool = True


def record(settled: Settled) -> dict[str, Any]:
    """The row of `eosc prove --json`."""
    stated, outcome = settled.stated, settled.outcome
    witness = outcome.witness
    return {
        "file": stated.file,
        "line": stated.line,
        "name": stated.name,
        "claim": stated.text,
        "verdict": outcome.verdict.value,
        "assumptions": list(outcome.assumptions),
        "witness": None if witness is None else witness.to_json(),
        "ms": round(outcome.ms, 1),
        "certificate": settled.certificate,
    }


def headline(stated: Stated) -> str:
    """What the claim says, and of which sizes: `a ≡ b (every length, K, V), with …`."""
    claim, text = stated.claim, stated.text.partition(" ")[2]
    body, _, bound = text.partition(" where ")
    if isinstance(claim, Equivalence | Identity):
        body = body.replace(" == ", " ≡ ", 1)
    axes = [axis.name for side in sides(claim)[:1] for axis in side.mixer.axes]
    axes += [each.name for each in stated.theorem.axes]
    every = ", ".join((["every length"] if sides(claim) else []) + list(dict.fromkeys(axes)))
    head = f"{body} ({every})" if every else body
    return head + (f", with {bound}" if bound else "")


def plain(settled: Settled) -> str:
    """A few lines: the statement, the steps of its proof or its witness, the verdict."""
    stated, outcome = settled.stated, settled.outcome
    word = "" if stated.text.startswith("prove") else "NOT "
    lines = [f"THEOREM {word}{headline(stated)}"]
    if stated.file:
        named = "" if stated.name in stated.text else f" {stated.name}"
        lines.append(f"    {stated.file}:{stated.line}{named}")
    for number, each in enumerate(_steps(outcome, notation.text), 1):
        lines.append(f"    {number}. {each[:_WIDE]}")
    lines += [f"       {each[:_WIDE]}" for each in _worked(outcome, notation.text)]
    lines.append("    " + verdict(settled))
    lines += [f"    {each}" for each in _remarks(settled)]
    return "\n".join(lines)


def verdict(settled: Settled) -> str:
    """The last line: PROVED, PROVED under …, REFUTED at …, UNKNOWN."""
    stated, outcome = settled.stated, settled.outcome
    took = f"{outcome.ms:.0f} ms"
    match outcome.verdict:
        case Verdict.UNKNOWN:
            found = f"UNKNOWN · {took}"
        case _ if outcome.witness is not None:
            found = f"{outcome.witness.text(*_sides(stated))} · {took}"
            if outcome.verdict is Verdict.PROVED:
                found = found.replace("REFUTED", "PROVED by a witness", 1)
        case known:
            under = f" under {', '.join(outcome.assumptions)}" if outcome.assumptions else ""
            count = outcome.checked.obligations if outcome.checked is not None else 0
            parts = [known.value.upper() + under, took, f"{count} obligations"]
            if known is Verdict.REFUTED:
                parts.append("what it denies is proved")
            if settled.certificate:
                parts.append(f"certificate {settled.certificate}")
            found = " · ".join(parts)
    return found if outcome.as_claimed else f"{found} · the claim was to {outcome.claimed} it"


def _sides(stated: Stated) -> tuple[str, str]:
    """What the two values of a witness are called."""
    if isinstance(stated.claim, Equivalence):
        outputs = [
            next((x.name for x in side.mixer.declarations if x.kind.name == "OUTPUT"), "y")
            for side in (stated.claim.left, stated.claim.right)
        ]
        return f"{outputs[0]}_A", f"{outputs[1]}_B"
    return "left", "right"


def _remarks(settled: Settled) -> Iterator[str]:
    outcome = settled.outcome
    if settled.replayed is not None:
        left, right = settled.replayed
        differ = "" if settled.reproduced else ", which the witness does not say"
        yield f"replayed with the fp64 reference: {left} and {right}{differ}"
    if outcome.verdict is Verdict.UNKNOWN and outcome.reason:
        yield f"because {outcome.reason[:_WIDE]}"
    yield from outcome.notes


def _steps(outcome: Outcome, show: Any) -> Iterator[str]:
    """What each step of the proof shows, in words and formulas."""
    problem = outcome.problem
    parameters: dict[str, tuple[str, ...]] = {}
    goals: dict[str, Any] = {}
    if problem is not None:
        parameters = {each.name: each.parameters for each in problem.definitions}
        goals = {each.name: each for each in problem.goals}
    ways = {}
    if outcome.candidate is not None:
        ways = {each.memory: each.found for group in outcome.candidate.claims for each in group}
    for step in outcome.proof:
        yield from _step(step, parameters, goals, ways, show)


def _step(
    step: dict[str, Any],
    parameters: dict[str, tuple[str, ...]],
    goals: dict[str, Any],
    ways: dict[str, str],
    show: Any,
) -> Iterator[str]:
    def reading(name: str) -> str:
        places = parameters.get(name, ())
        return str(show(("at", name, *places)))

    using = ", ".join(each["hypothesis"] for each in step.get("using", ()))
    by = f", using {using}" if using else ""
    match step["rule"]:
        case "induction":
            for claim in step["claims"]:
                name = claim["definition"]
                way = f" ({ways[name]})" if ways.get(name) else ""
                closed = show(claim["closed"])
                yield f"induction on t{way}: {reading(name)} = {closed}   base ✓  step ✓{by}"
        case "strong":
            name = step["definition"]
            closed = show(step["closed"])
            yield f"strong induction: {reading(name)} = {closed}   step ✓{by}"
        case "equal":
            goal = goals.get(step["goal"])
            sides_ = "" if goal is None else f": {show(goal.left)} = {show(goal.right)}"
            yield f"equality of normal forms, {step['goal']}{sides_} ✓{by}"
        case "telescope":
            yield f"telescoping {step['goal']} with the potential {show(step['potential'])} ✓"
        case "lemma":
            yield f"lemma {step['name']}: {show(step['left'])} = {show(step['right'])}"
            for inner in step["by"]:
                yield from _step(inner, parameters, goals, ways, show)
        case "define":
            definition = step["definition"]
            parameters[definition["name"]] = tuple(definition["parameters"])
            yield f"let {reading(definition['name'])} := {show(definition['body'])}"
        case rule:
            yield f"{rule} {step.get('goal', '')} ✓"


def _worked(outcome: Outcome, show: Any) -> Iterator[str]:
    """One step in full: the normal form that both of its sides have, the shortest there is."""
    if outcome.checked is None or not outcome.checked.steps:
        return
    steps = [(len(notation.text(each.form)), each) for each in outcome.checked.steps]
    onward = [each for each in steps if each[1].name.startswith("step")]
    size, chosen = min(onward or steps, key=lambda each: each[0])
    if size <= _WORKED:
        yield f"in full, {chosen.name}: both sides are {show(chosen.form)}"


# ---- Markdown and LaTeX


def markdown(found: Sequence[Settled]) -> str:
    """A table of verdicts and the proofs, in Markdown."""
    lines = ["| statement | verdict | under | ms |", "| --- | --- | --- | ---: |"]
    for each in found:
        assumed = ", ".join(_code(x) for x in each.outcome.assumptions)
        verdict_ = each.outcome.verdict.value
        lines.append(
            f"| {_code(each.stated.text)} | {verdict_} | {assumed} | {each.outcome.ms:.0f} |"
        )
    for each in found:
        lines += ["", f"### {_code(each.stated.text)}", ""]
        if each.stated.theorem.doc:
            lines += [_prose(each.stated.theorem.doc), ""]
        lines += [f"1. {_code(x)}" for x in _steps(each.outcome, notation.text)]
        lines += [f"   - {_code(x)}" for x in _worked(each.outcome, notation.text)] + [""]
        lines.append(_prose(verdict(each)))
        lines += [_prose(x) for x in _remarks(each)]
    return "\n".join(lines)


def _code(text: str) -> str:
    """Inline code: a fence longer than any run of backticks inside; bars do not end a cell."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|").replace("\n", " ")


def _prose(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(text.split()))


def latex(found: Sequence[Settled]) -> str:
    r"""Theorem and proof environments (amsmath, amssymb, amsthm), one for each statement."""
    return "\n\n".join(map(_theorem, found))


def _theorem(settled: Settled) -> str:
    stated, outcome = settled.stated, settled.outcome
    claim = rf"\texttt{{{_escaped(stated.text)}}}"
    lines = [rf"\begin{{theorem}}[{_escaped(stated.name)}]", claim, r"\end{theorem}"]
    if outcome.proof:
        lines.append(r"\begin{proof}")
        lines += [rf"\({each}\)\par" for each in _formulas(outcome)]
        if outcome.assumptions:
            assumed = "; ".join(_escaped(each) for each in outcome.assumptions)
            lines.append(f"Under: {assumed}.")
        lines.append(r"\end{proof}")
    else:
        lines.append(rf"\emph{{{_escaped(verdict(settled))}}}")
    return "\n".join(lines)


def _formulas(outcome: Outcome) -> Iterator[str]:
    def show(formula: Any) -> str:
        return f"\0{notation.latex(formula)}\0"

    for each in (*_steps(outcome, show), *_worked(outcome, show)):
        # Formulas stand between marks; the words around them are text.
        parts = each.split("\0")
        yield "".join(
            part if number % 2 else rf"\text{{{_escaped(part)}}}" if part else ""
            for number, part in enumerate(parts)
        )


_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "_": r"\_", "^": r"\textasciicircum{}",
    "#": r"\#", "$": r"\$", "%": r"\%", "&": r"\&", "~": r"\textasciitilde{}",
    "≡": r"\(\equiv\)", "Σ": r"\(\Sigma\)", "∏": r"\(\prod\)", "≤": r"\(\le\)", "·": r"\(\cdot\)",
    "✓": r"\(\checkmark\)", "≠": r"\(\ne\)", "≥": r"\(\ge\)", "<": r"\(<\)", ">": r"\(>\)",
}  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, letter) for letter in text)
