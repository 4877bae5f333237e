"""Sizes at which a mixer is explained: `B=4,T=4096,H=16,K=128,V=128`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from eosc.options import LIMITS
from eosc.recurrence.operands import static_number
from eosc.semantics.model import Axis, Mixer
from eosc.semantics.terms import AxisSize, Fold, walk

DEFAULT = "B=4,T=4096,H=16,K=128,V=128"
_OTHER = 128
_FOLDED = 4
_LARGEST = 2**31


class ShapeError(Exception):
    """A shape that cannot be read, or that does not fit the mixer's axes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Batch, time, heads, and sizes of axes by name."""

    batch: int
    time: int
    heads: int
    sizes: Mapping[str, int]

    @staticmethod
    def parse(text: str) -> Shape:
        """Read a shape; B, T, H, K and V that are left out have their defaults.

        Raises:
            ShapeError: the text is no list of NAME=SIZE.
        """
        found = _pairs(DEFAULT) | _pairs(text)
        batch, time, heads = (found.pop(name) for name in ("B", "T", "H"))
        return Shape(batch, time, heads, found)

    def fit(self, mixer: Mixer) -> Shape:
        """The same with a size for each axis of the mixer, and only for those.

        A derived axis follows its definition; given a size itself (`K = 2 * C` and K = 128), it
        settles the axis it is made of. What nothing settles is 128, or 4 for an axis of steps
        within a token (one that a fold runs over).

        Raises:
            ShapeError: a size contradicts a definition.
        """
        names = [axis.name for axis in mixer.axes]
        known = {name: size for name, size in self.sizes.items() if name in names}
        values = [each.value for each in mixer.declarations if each.value is not None]
        folded = {x.axis for value in values for x in walk(value) if isinstance(x, Fold)}
        for axis in mixer.axes:
            if axis.size is not None:
                known.update(_settled(axis, mixer, known))
        for axis in mixer.axes:
            if axis.name not in known:
                other = _FOLDED if axis.name in folded else _OTHER
                known[axis.name] = other if axis.size is None else _derived(axis, mixer, known)
        return Shape(self.batch, self.time, self.heads, {name: known[name] for name in names})

    def size(self, axes: Iterable[str]) -> int:
        """The number of elements over the axes."""
        return prod(self.sizes[axis.rstrip("'")] for axis in axes)

    def __str__(self) -> str:
        pairs = {"B": self.batch, "T": self.time, "H": self.heads, **self.sizes}
        return ", ".join(f"{name}={size}" for name, size in pairs.items())


def _pairs(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, size = (each.strip() for each in part.partition("="))
        if not (name and equals and size.isascii() and size.isdigit() and len(size) < 11):
            raise ShapeError(f"'{part}' is not NAME=SIZE with a positive whole number")
        if not 0 < int(size) < _LARGEST:
            raise ShapeError(f"{name}={size}: a size is between 1 and {_LARGEST - 1}")
        found[name] = int(size)
    return found


def _derived(axis: Axis, mixer: Mixer, known: Mapping[str, int]) -> int:
    assert axis.size is not None  # asked for derived axes only
    try:
        value = static_number(axis.size, mixer, known, {})
    except (KeyError, ValueError, ZeroDivisionError):
        return _OTHER
    if value.denominator != 1 or not 0 < value < _LARGEST:
        raise ShapeError(f"axis {axis.name} would have size {value}")
    return int(value)


def _settled(axis: Axis, mixer: Mixer, known: Mapping[str, int]) -> dict[str, int]:
    """The size of the one open axis that a derived axis of known size is made of."""
    assert axis.size is not None  # asked for derived axes only
    used = {getattr(each, "axis", "") for each in _sizes(axis)}
    open_axes = sorted(name for name in used if name not in known)
    if axis.name not in known:
        return {}
    if not open_axes:
        value = _derived(axis, mixer, known)
        if value != known[axis.name] and axis.name not in _pairs(DEFAULT):
            raise ShapeError(f"axis {axis.name} is {value} by its definition, not the size given")
        return {axis.name: value}
    for candidate in range(1, min(known[axis.name], LIMITS.integer) + 1):
        trial = {**known, open_axes[0]: candidate}
        if len(open_axes) == 1 and _derived(axis, mixer, trial) == known[axis.name]:
            return {open_axes[0]: candidate}
    raise ShapeError(f"no size of {open_axes[0]} makes {axis.name} = {known[axis.name]}")


def _sizes(axis: Axis) -> Iterable[object]:
    return (each for each in walk(axis.size) if isinstance(each, AxisSize)) if axis.size else ()
