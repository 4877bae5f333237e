"""What the planner does to a system before it is scanned, in words, and the theorems behind it."""

from __future__ import annotations

from collections.abc import Iterator

from eosc.recurrence.model import Phase
from eosc.schedule.program import Program, Rewrite, ScanStep
from eosc.semantics.formulas import formula

PAIR = "lrpe_is_two_real_memories (position.eos)"
ROWS = "lrpe_is_linear_attention_of_twice_the_features (position.eos)"
HEIGHT = "mlstm_is_a_weighted_average (linear.eos)"
COLUMNS = "normaliser_is_a_column_of_ones (linear.eos)"
"""Theorems of the zoo; each is an instance of what is done, with the same proof."""


def rewrites(program: Program) -> tuple[Rewrite, ...]:
    """What was done to the memories of a program."""
    return (*_pairs(program), *_grids(program))


def _pairs(program: Program) -> Iterator[Rewrite]:
    angles = {each.name: each.angle for each in program.steps if isinstance(each, Phase)}
    for turn in program.turns:
        if turn.peak:
            how = "a memory whose height, a running maximum of exponents, cancels from the output"
            yield Rewrite(turn.memory, how, HEIGHT)
            continue
        how = f"two real memories, {turn.parts[0]} and {turn.parts[1]}"
        if turn.phase:
            angle = formula(angles[turn.phase])
            how += f"; the phase of its decay, {angle}, summed over the call, turns write and read"
        yield Rewrite(turn.memory, how, PAIR)


def _grids(program: Program) -> Iterator[Rewrite]:
    for step in program.steps:
        if not isinstance(step, ScanStep) or step.layout is None:
            continue
        layout = step.layout
        if len(layout.keys) > 1:
            rows = [", ".join(row) for row in layout.memories]
            how = "one scan, keys side by side: the output adds what is read of them"
            yield Rewrite(" + ".join(rows), how, ROWS)
        if len(layout.values) > 1:
            how = "one scan, inputs side by side: they are written and read by the same keys"
            columns = zip(*layout.memories, strict=True)
            yield Rewrite(" | ".join(" + ".join(each) for each in columns), how, COLUMNS)
