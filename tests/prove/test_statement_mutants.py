"""Statements of mixers that nobody wrote: a mutant is stated as the reference runs it, too."""

from __future__ import annotations

import random
import re

import pytest

from eosc.prove.statements import Unstated
from eosc.resources import zoo_folder
from eosc.semantics.model import Mixer
from eosc.testing import zoo
from tests.prove.machine import check_outputs

OTHERS = {
    "+": ("-", "*"),
    "-": ("+",),
    "*": ("+", "-"),
    "[t]": ("[t-1]", "[t-2]"),
    "[t-1]": ("[t]", "[t-2]"),
    "exp": ("sigmoid", "cos", "tanh", "softplus"),
    "sigmoid": ("exp", "relu", "silu"),
    "silu": ("gelu", "elu"),
    "softplus": ("exp", "logsigmoid"),
    "s <= t": ("s < t", "t - 2 < s <= t", "t - 3 < s <= t"),
    "sum[K]": ("mean[K]",),
    "logcumsumexp": ("cumsum",),
    "Re": ("Im", "abs"),
    "conj": ("identity",),
    "l2norm": ("rmsnorm", "softmax", "layernorm"),
    "softmax": ("l2norm", "srmsnorm"),
    "** 2": ("** 3", "** 0"),
    "cos": ("sin",),
    "index(H)": ("H",),
    "* t": ("/ (t + 1)",),
    "q[t]": ("cumsum(q[t])", "softmax[K](q[t])"),
    "k[t]": ("q[t]", "cumsum(k[t])"),
    "v[t]": ("v[t-1]", "cumsum(v[t])", "(v[t] if t % 2 == 0 else 1)"),
    "u[t]": ("u[t-1]", "logcumsumexp(u[t])"),
}
_PLACES = re.compile(
    "|".join(
        rf"\b{key}\b" if key.isalpha() else re.escape(key)
        for key in sorted(OTHERS, key=len, reverse=True)
    )
)


def _texts() -> list[str]:
    """The mixers of the zoo, without their layers and documentation."""
    found = []
    for name in zoo.mixers():
        text = next(zoo_folder().glob(f"*/{name}.eos")).read_text(encoding="utf-8")
        if not text.startswith(("family", "def", "from")):
            text = text.partition("\n    layer(")[0]
            found.append(re.sub(r' *"""(?s:.*?)"""\n', "", text))
    return found


def _mutant(texts: list[str], chance: random.Random) -> Mixer:
    """A text with one or two changes that is still a mixer."""
    while True:
        text = chance.choice(texts)
        for _ in range(chance.randint(1, 2)):
            place = chance.choice(list(_PLACES.finditer(text)) or [None])
            if place is not None:
                other = chance.choice(OTHERS[place.group(0)])
                text = text[: place.start()] + other + text[place.end() :]
        try:
            return zoo.mixer_from(text)
        except ValueError:
            continue


def _check(count: int, seed: int) -> None:
    texts, chance = _texts(), random.Random(seed)
    compared = 0
    for _ in range(count):
        mixer = _mutant(texts, chance)
        try:
            check_outputs(mixer)
        except (Unstated, ArithmeticError):
            continue  # a clear refusal, or a power of 0 or a root of -1 that the reals do not have
        except ValueError as error:
            assert "taps" in str(error)  # the reference asks for more of a kernel than is sampled
            continue
        compared += 1
    assert compared > 0.9 * count


def test_mutants_are_stated_as_the_reference_runs_them() -> None:
    _check(60, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_mutants_are_stated_as_the_reference_runs_them(seed: int) -> None:
    _check(1000, seed)
