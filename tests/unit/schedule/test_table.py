"""The table of measured configurations: what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from eosc.pipeline import PIPELINE, check_file
from eosc.schedule.table import refused

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize(
    ("name", "width", "key", "value", "wanted"),
    [
        ("delta/kda", 2, 32, 128, True),
        ("delta/kda", 2, 128, 24, True),
        ("delta/kda", 2, 64, 64, False),
        ("delta/kda", 4, 32, 32, False),
        ("delta/gated_deltanet", 2, 32, 32, False),
        ("gating/gla", 2, 16, 16, False),
    ],
)
def test_small_tiles_of_erasing_scans_with_vector_decays_have_no_kernel(
    name: str, width: int, key: int, value: int, wanted: bool
) -> None:
    (mixer,) = check_file(EXAMPLES / f"{name}.eos").unit.mixers.values()
    (step,) = PIPELINE.program(mixer).scans
    assert refused(step.scan, width, key, value) is wanted
