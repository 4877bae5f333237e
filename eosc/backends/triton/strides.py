"""Where the entries of arrays lie, as launches pass it: named once for each array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from eosc.backends.triton.kernel import Namer, Parameter


class Strides:
    """The strides that the launches of a function share.

    Args:
        namer: of names.
        lasting: the arrays that are there in every call.
    """

    def __init__(self, namer: Namer, lasting: Iterable[str]) -> None:
        self.namer, self.lasting = namer, {*lasting}
        self.named: dict[str, tuple[str, ...]] = {}

    def arguments(self, parameters: Iterable[Parameter]) -> list[str]:
        """What a launch passes."""
        found: list[str] = []
        for array, group in groupby(parameters, lambda each: each.array):
            texts = tuple(each.argument for each in group)
            if array in self.lasting and self.named.setdefault(array, texts) == texts:
                found.append(f"*{self._name(array)}")
            else:
                found += texts
        return found

    def lines(self) -> list[str]:
        """The names, given."""
        return [f"{self._name(each)} = {_place(each, self.named[each])}" for each in self.named]

    def _name(self, array: str) -> str:
        return self.namer.names.of(f"place of {array}", f"{array}_at")


def _place(array: str, texts: Sequence[str]) -> str:
    """The first strides of an array, and what else its place has."""
    count = sum(text.startswith(f"{array}.stride(") for text in texts)
    strides = f"{array}.stride()[:{count}]"
    return f"(*{strides}, {', '.join(texts[count:])})" if texts[count:] else strides
