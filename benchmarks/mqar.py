"""Train a two-layer model of generated mixers on multi-query associative recall (MQAR).

A sequence starts with key-value pairs; later some positions repeat a key, and the model must answer
with its value. The task needs a memory that is written by content and read by content, which is
what a sequence mixer is for (Arora et al. 2023, arXiv:2312.04927).

    python -m benchmarks.mqar                        # the zoo's GLA
    python -m benchmarks.mqar path/to/mixer.eos      # any other spec with a layer
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor, nn
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
IGNORED = -100  # label of the positions that are not queries, as cross_entropy has it


@dataclass(frozen=True, slots=True)
class Task:
    """The size of the recall problem.

    Token 0 is blank, the rest of the first half of the vocabulary are keys, the second half values.

    Attributes:
        vocabulary: Number of tokens, even.
        length: Tokens of a sequence; at least three for every pair.
        pairs: Key-value pairs at the start, each key queried once later on.
    """

    vocabulary: int = 64
    length: int = 32
    pairs: int = 4

    def __post_init__(self) -> None:
        if self.pairs >= self.vocabulary // 2 or self.length < 3 * self.pairs:
            raise ValueError(f"{self.pairs} pairs do not fit: {self}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the model is built and trained.

    The cosine is cut for more steps than a run needs: recall is learned late and all at once, and
    a rate that has already fallen then never gets there. Training stops at the goal.

    Attributes:
        width: Model width D.
        layers: Mixer layers.
        steps: Optimiser steps at most.
        batch: Sequences a step.
        rate: Peak learning rate, after ``warmup`` linear steps, then cosine to zero.
        decay: AdamW weight decay, on matrices only.
        clip: Bound on the gradient's norm.
        goal: Held-out accuracy at which training stops.
        every: Steps between two looks at the held-out set.
    """

    width: int = 128
    layers: int = 2
    steps: int = 2500
    batch: int = 128
    rate: float = 3e-3
    warmup: int = 100
    decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    goal: float = 0.99
    every: int = 50


@dataclass(frozen=True, slots=True)
class Result:
    """What a training run gave.

    Attributes:
        accuracy: Share of held-out queries answered right, in [0, 1].
        steps: Optimiser steps done.
        seconds: Wall-clock time of the training loop.
        losses: Training loss of every step, in nats.
        accuracies: Pairs (step, held-out accuracy).
    """

    accuracy: float
    steps: int
    seconds: float
    losses: tuple[float, ...]
    accuracies: tuple[tuple[int, float], ...]


def draw(task: Task, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw sequences and their labels.

    Returns:
        tokens: [count, length] int64.
        labels: [count, length] int64; the value at a query's position, ``IGNORED`` elsewhere.
    """

    def distinct(pool: int) -> Tensor:  # [count, pairs] different numbers below `pool`
        order = torch.rand(count, pool, generator=generator).argsort(dim=1)
        return order[:, : task.pairs]

    half, start = task.vocabulary // 2, 2 * task.pairs
    keys = 1 + distinct(half - 1)
    values = half + distinct(half)
    places = start + distinct(task.length - start)
    tokens = torch.zeros(count, task.length, dtype=torch.int64)
    tokens[:, 0:start:2] = keys
    tokens[:, 1:start:2] = values
    tokens.scatter_(1, places, keys)
    labels = torch.full_like(tokens, IGNORED).scatter_(1, places, values)
    return tokens, labels


class Recall(nn.Module):
    """Embedding, residual mixers behind RMSNorm, a norm and a linear head; no MLP, no positions."""

    def __init__(
        self, make_mixer: Callable[[int], nn.Module], vocabulary: int, width: int, layers: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)  # N(0, 1)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(layers))
        self.mixers = nn.ModuleList(make_mixer(width) for _ in range(layers))
        self.final = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens [B, T] to logits [B, T, vocabulary]."""
        x = self.embedding(tokens)  # [B, T, D]
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            x = x + mixer(norm(x))
        logits: Tensor = self.head(self.final(x))
        return logits


def accuracy(model: nn.Module, tokens: Tensor, labels: Tensor) -> float:
    """Return the share of queries whose most likely token is the label."""
    asked = labels != IGNORED
    with torch.no_grad():
        answers = torch.cat([model(part).argmax(-1) for part in tokens.split(256)])
    return (answers == labels)[asked].double().mean().item()


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.rate, betas=recipe.betas)


def _rate_at(step: int, recipe: Recipe) -> float:
    rise = min(1.0, (step + 1) / recipe.warmup)
    return rise * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def train(
    make_mixer: Callable[[int], nn.Module],
    task: Task | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> Result:
    """Train on fresh sequences until the held-out accuracy reaches the goal or the steps are spent.

    Args:
        make_mixer: Maps the width D to a module [B, T, D] -> [B, T, D]; called once a layer.
        task: The problem's size.
        recipe: Model size and optimisation.
        seed: Of the weights and of the data; the held-out set has a stream of its own.
        console: Where progress is shown; stderr if not given.
    """
    task, recipe = task or Task(), recipe or Recipe()
    torch.manual_seed(seed)
    model = Recall(make_mixer, task.vocabulary, recipe.width, recipe.layers)
    optimiser = _optimiser(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate_at(step, recipe))
    stream = torch.Generator().manual_seed(seed)
    held_out = draw(task, 1024, torch.Generator().manual_seed(2**31 + seed))
    losses: list[float] = []
    looks: list[tuple[int, float]] = []
    began = time.perf_counter()
    with Progress(
        TextColumn("training"),
        BarColumn(),
        TextColumn("step {task.completed}/{task.total}  {task.fields[state]}"),
        TimeElapsedColumn(),
        console=console or Console(stderr=True),
    ) as progress:
        bar = progress.add_task("training", total=recipe.steps, state="")
        for step in range(1, recipe.steps + 1):
            tokens, labels = draw(task, recipe.batch, stream)
            asked = labels != IGNORED
            loss = functional.cross_entropy(model(tokens)[asked], labels[asked])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if step % recipe.every == 0 or step == recipe.steps:
                looks.append((step, accuracy(model, *held_out)))
            share = f"held-out {looks[-1][1]:.1%}" if looks else "held-out    -"
            progress.update(bar, advance=1, state=f"loss {losses[-1]:.3f}  {share}")
            if looks and looks[-1][1] >= recipe.goal:
                break
    seconds = time.perf_counter() - began
    return Result(looks[-1][1], step, seconds, tuple(losses), tuple(looks))


def plot(result: Result, path: Path, title: str) -> None:
    """Write the loss and accuracy curves as PNG, creating the folder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left = figure.subplots()
    left.plot(range(1, result.steps + 1), result.losses, color="tab:blue", linewidth=1)
    left.set(xlabel="step", ylabel="training loss (nats)", title=title, ylim=(0, None))
    right = left.twinx()
    right.plot(*zip(*result.accuracies, strict=True), color="tab:orange", marker="o", markersize=3)
    right.set(ylabel="held-out accuracy", ylim=(0, 1.02))
    figure.savefig(path, dpi=150)


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), default=ROOT / "examples/gating/gla.eos")
@click.option("--heads", default=4, show_default=True)
@click.option("--key", default=16, show_default=True, help="Size of axis K of a head.")
@click.option("--value", default=32, show_default=True, help="Size of axis V of a head.")
@click.option("--steps", default=Recipe().steps, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "out", show_default=False)
def main(spec: Path, heads: int, key: int, value: int, steps: int, seed: int, out: Path) -> None:
    """Compile SPEC, train two layers of it on recall, write the loss plot, print the accuracy."""
    import eosc

    def make_mixer(width: int) -> nn.Module:
        return eosc.compile(spec, D=width, H=heads, K=key, V=value)

    task, recipe = Task(), Recipe(steps=steps)
    result = train(make_mixer, task, recipe, seed)
    picture = out / f"mqar_{spec.stem}.png"
    plot(result, picture, f"{spec.stem} on MQAR: {task.pairs} pairs, length {task.length}")
    click.echo(f"loss plot: {picture}")
    click.echo(
        f"MQAR accuracy: {result.accuracy:.2%} "
        f"(vocabulary {task.vocabulary}, length {task.length}, {task.pairs} pairs; "
        f"{result.steps} steps in {result.seconds:.0f} s)"
    )
    if result.accuracy < 0.95:
        sys.exit(1)


if __name__ == "__main__":
    main()
