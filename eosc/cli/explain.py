"""`eosc explain`: what a mixer is and how it is computed, or what a code means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from eosc.cli import output
from eosc.cli.status import Status, finish

if TYPE_CHECKING:
    from eosc.report.explain import ProofRow
    from eosc.schedule.program import Program

_CODE = re.compile(r"[EW]\d{3}", re.IGNORECASE)


@click.command()
@click.argument("target", metavar="FILE[:mixer][(choice=…)] | CODE")
@click.option("--shape", default="", help="Sizes: B=4,T=4096,H=16,K=128,V=128 (the default).")
@click.option("--prove", is_flag=True, help="Prove the algorithms, and say what was proved.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
def explain(target: str, shape: str, prove: bool, as_json: bool) -> None:
    """Explain a mixer (structure, readout, states, bytes, schedule) or a diagnostic code."""
    if _CODE.fullmatch(target):
        _explain_code(target.upper(), as_json)
    else:
        _explain_mixers(target, shape, prove, as_json)


def _explain_code(code: str, as_json: bool) -> None:
    from eosc.diagnostics import CODES, did_you_mean, render_code

    if code not in CODES:
        hint = did_you_mean(code, list(CODES))
        raise click.UsageError(f"there is no code {code}" + (f"; {hint}" if hint else ""))
    info = CODES[code]
    if as_json:
        output.json_data(
            {
                "code": info.code,
                "title": info.title,
                "explanation": info.explanation,
                "example": info.example,
            }
        )
    else:
        output.data(render_code(code))


def _explain_mixers(text: str, shape_text: str, prove: bool, as_json: bool) -> None:
    from eosc.api import mixers
    from eosc.pipeline import PIPELINE
    from eosc.report.explain import Scheduled
    from eosc.report.explain import explain as explained
    from eosc.report.shape import Shape, ShapeError
    from eosc.targets import Target

    target = Target.parse(text)
    found = mixers(target)
    if not found:
        output.message(f"{text} holds no mixer")
        finish(Status.FINDING)
    results = []
    try:
        shape = Shape.parse(shape_text)
        for name, mixer in found.items():
            system = PIPELINE.extract(mixer)
            program = PIPELINE.plan(system) if PIPELINE.plan is not None else None
            schedule = program if isinstance(program, Scheduled) else None
            where = mixer.span.file if mixer.span is not None else str(target.path)
            proofs = _proofs(name, program) if prove and program is not None else ()
            results.append(
                explained(system, shape, name=name, file=where, schedule=schedule, proofs=proofs)
            )
    except ShapeError as error:
        raise click.BadParameter(str(error), param_hint="--shape") from error
    if as_json:
        output.json_data({"mixers": [each.record() for each in results]})
        return
    output.explanations(results)
    output.next_step(f"eosc graph {text}, or eosc build {text}")


def _proofs(name: str, program: Program) -> tuple[ProofRow, ...]:
    """What is proved of a program, that of its layer included."""
    from eosc.backends.naming import identifier
    from eosc.backends.package import operators_of
    from eosc.backends.proofs import certify
    from eosc.pipeline import PIPELINE
    from eosc.report.explain import ProofRow

    if program.fallback:
        return ()
    programs = operators_of(identifier(name), program, PIPELINE.inside(program))
    return tuple(
        ProofRow(
            each.subject,
            "not proved" if each.unproved else "proved",
            each.unproved or ", ".join(each.conditions),
        )
        for each in certify(programs, triton=True).lines
    )
