"""Which values of a kernel are the same for all chunks of a program."""

from __future__ import annotations

from collections.abc import Mapping

from eosc.ir.nodes import Array, Load, LogDecay, Map, Per, Size, Sum, Use, Value


class Fixed:
    """Asked of a value of one kernel: is it the same for all chunks, and small?

    Args:
        arrays: the arrays of its algorithm.
        values: what the kernel names.
    """

    def __init__(self, arrays: Mapping[str, Array], values: Mapping[str, Value]) -> None:
        self.arrays, self.values = arrays, values
        self._known: dict[Value, bool] = {}

    def __call__(self, value: Value) -> bool:
        """Whether the value is fixed."""
        if value not in self._known:
            self._known[value] = self._is(value)
        return self._known[value]

    def _is(self, value: Value) -> bool:
        match value:
            case Load(array=array):
                return self.arrays[array].per in (Per.HEAD, Per.CALL)
            case Use(name=name):
                return self(self.values[name])
            case Size():
                return True
            case Map(args=args, dims=dims):
                return "i" not in dims and all(self(arg) for _, arg in args)
            case LogDecay(arg=arg) | Sum(arg=arg):
                return self(arg)
        return False
