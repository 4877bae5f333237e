"""Shapes at which operators are timed: `B4_T4096_H64_D128`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from eosc.report.shape import Shape, ShapeError
from eosc.semantics.model import Mixer

STANDARD = (
    "B4_T2048_H16_D128",
    "B4_T4096_H64_D128",
    "B2_T16384_H16_D128",
    "B1_T8192_H96_D128",
    "B8_T2048_H32_D256",
    "B8_T2048_H16_D128",
    "B1_T16384_H16_D128",
)
"""Those at which the peers' times are known. Source: KERNELS, section 2."""

CHECK_TOKENS = 150
"""Tokens of a check: several chunks and a ragged one."""

_CHECK_ELEMENTS = 1 << 25
_CHECK_HEADS = 2
_PART = re.compile(r"(?P<name>[A-Z])(?P<size>[1-9]\d{0,9})")


@dataclass(frozen=True, slots=True)
class BenchShape:
    """Batch, tokens, heads, and the sizes of axes that the label names.

    width: of every axis that `sizes` does not name; 0 where each is named.
    """

    batch: int
    time: int
    heads: int
    width: int
    sizes: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def parse(label: str) -> BenchShape:
        """Read a label; D sets every axis, and an axis that is named has its own size.

        Raises:
            ShapeError: the text is no such label.
        """
        found: dict[str, int] = {}
        for part in label.split("_"):
            pair = _PART.fullmatch(part)
            if pair is None or pair["name"] in found:
                raise ShapeError(f"'{label}' is not like B4_T4096_H64_D128")
            found[pair["name"]] = int(pair["size"])
        try:
            batch, time, heads = (found.pop(name) for name in "BTH")
        except KeyError as error:
            raise ShapeError(f"'{label}' has no {error.args[0]}") from None
        width = found.pop("D", 0)
        if not (width or found):
            raise ShapeError(f"'{label}' has no D, and no axis by name")
        return BenchShape(batch, time, heads, width, tuple(found.items()))

    def __str__(self) -> str:
        parts = [f"B{self.batch}", f"T{self.time}", f"H{self.heads}"]
        parts += [f"D{self.width}"] if self.width else []
        return "_".join([*parts, *(f"{name}{size}" for name, size in self.sizes)])

    def fit(self, mixer: Mixer) -> Shape:
        """The sizes of a mixer; where it has one open axis, that is as wide as all heads together.

        Raises:
            ShapeError: a size contradicts the mixer's axes, or an axis has none.
        """
        named = dict(self.sizes)
        open_axes = [axis.name for axis in mixer.axes if axis.size is None]
        heads, width = self.heads, self.width
        if width and len(open_axes) == 1 and open_axes[0] not in named:
            heads, width = 1, self.heads * self.width
        if not width and (left := [name for name in open_axes if name not in named]):
            raise ShapeError(f"'{self}' has no size for axis {left[0]} of {mixer.name}")
        sizes = {axis: named.get(axis, width) for axis in open_axes}
        return Shape(self.batch, self.time, heads, sizes).fit(mixer)


def small(shape: Shape, mixer: Mixer) -> Shape:
    """The shape at which an operator is checked: the same axes, few heads and tokens."""
    elements = max((shape.size(each.type.axes) for each in mixer.memories), default=1)
    tokens = max(20, min(CHECK_TOKENS, _CHECK_ELEMENTS // elements))
    return replace(
        shape, batch=1, time=min(shape.time, tokens), heads=min(shape.heads, _CHECK_HEADS)
    )


def parse_all(text: str) -> tuple[BenchShape, ...]:
    """Labels with commas; `standard` stands for the list of that name.

    Raises:
        ShapeError: one of them is no label.
    """
    labels: list[str] = []
    for label in filter(None, (each.strip() for each in text.split(","))):
        labels += STANDARD if label == "standard" else (label,)
    if not labels:
        raise ShapeError("no shape is given")
    return tuple(BenchShape.parse(label) for label in dict.fromkeys(labels))
