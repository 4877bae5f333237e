from __future__ import annotations

import io
import math
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.mqar import IGNORED, Recall, Recipe, Task, accuracy, draw, plot, train

SILENT = Console(file=io.StringIO())
TASKS = [Task(), Task(vocabulary=16, length=12, pairs=4), Task(vocabulary=6, length=7, pairs=2)]


class Oracle(nn.Module):
    """Answers every query by looking its key up among the pairs."""

    def __init__(self, task: Task, shift: int = 0) -> None:
        super().__init__()
        self.task, self.shift = task, shift

    def forward(self, tokens: Tensor) -> Tensor:
        start = 2 * self.task.pairs
        keys, values = tokens[:, 0:start:2], tokens[:, 1:start:2].roll(self.shift, 1)
        hit = (tokens[:, :, None] == keys[:, None, :]).double()  # [B, T, pairs]
        return hit @ nn.functional.one_hot(values, self.task.vocabulary).double()


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_sequences_are_recall(task: Task) -> None:
    tokens, labels = draw(task, 200, torch.Generator().manual_seed(0))
    half, start = task.vocabulary // 2, 2 * task.pairs
    keys, values = tokens[:, 0:start:2], tokens[:, 1:start:2]
    assert tokens.shape == labels.shape == (200, task.length)
    assert keys.min() >= 1 and keys.max() < half
    assert values.min() >= half and values.max() < task.vocabulary
    assert all(row.unique().numel() == task.pairs for row in keys)
    assert ((labels != IGNORED).sum(1) == task.pairs).all()
    assert (labels[:, :start] == IGNORED).all()
    # Away from the queries the tail is blank, so no other position can be answered.
    assert (tokens[:, start:][labels[:, start:] == IGNORED] == 0).all()
    assert accuracy(Oracle(task), tokens, labels) == 1.0
    assert accuracy(Oracle(task, shift=1), tokens, labels) < 0.7


def test_sequences_follow_the_seed() -> None:
    first, again, other = (
        draw(Task(), 8, torch.Generator().manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("sizes", [{"pairs": 32}, {"length": 11}], ids=str)
def test_impossible_task_is_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Task(**sizes)


def test_model_is_residual() -> None:
    model = Recall(lambda width: nn.Linear(width, width), 64, 16, 3)
    assert model(torch.zeros(2, 5, dtype=torch.int64)).shape == (2, 5, 64)
    for mixer in model.mixers:
        nn.init.zeros_(mixer.weight)
        nn.init.zeros_(mixer.bias)
    tokens = torch.arange(10).view(2, 5)
    straight = model.head(model.final(model.embedding(tokens)))
    torch.testing.assert_close(model(tokens), straight)


def test_training_lowers_the_loss_and_draws_it(tmp_path: Path) -> None:
    recipe = Recipe(width=32, steps=60, batch=32, every=20, warmup=10)
    result = train(lambda width: nn.Linear(width, width), recipe=recipe, console=SILENT)
    assert result.steps == len(result.losses) == 60
    assert [step for step, _ in result.accuracies] == [20, 40, 60]
    # Without memory a model can learn that answers are values, and nothing else: ln 32.
    assert math.log(32) * 0.9 < result.losses[-1] < result.losses[0]
    assert result.accuracy < 0.2
    plot(result, tmp_path / "new" / "loss.png", "loss")
    assert (tmp_path / "new" / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_training_stops_at_the_goal() -> None:
    recipe = Recipe(width=16, steps=50, batch=8, every=5, goal=0.0)
    result = train(lambda width: nn.Linear(width, width), recipe=recipe, console=SILENT)
    assert result.steps == 5


@pytest.mark.slow
def test_generated_gla_recalls() -> None:
    import eosc

    spec = Path(__file__).resolve().parents[2] / "examples" / "gating" / "gla.eos"
    result = train(lambda width: eosc.compile(spec, D=width, H=4, K=16, V=32), console=SILENT)
    assert result.accuracy >= 0.95
