"""Where a tile is 0 although nothing says so: at tokens behind T and in the padding of an axis.

Tiles are padded to powers of two. Loads give 0 there; a function of loads need not (a sigmoid of
0 is 1/2), so sums over a dimension mask what is not known to be 0.
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.algebra.scalar import ZERO, S, substitute
from eosc.ir.nodes import (
    Carried,
    Dot,
    Kernel,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Recur,
    Rename,
    Round,
    Running,
    State,
    Sum,
    Update,
    Use,
    Value,
)


class Zeros:
    """Answers for one kernel. Carried tiles are taken to be 0 there until an update says no."""

    def __init__(self, kernel: Kernel) -> None:
        self._lets: Mapping[str, Value] = {
            each.name: each.value for each in kernel.body if isinstance(each, Let)
        }
        self._carried: Mapping[str, Carried] = {each.name: each for each in kernel.carried}
        self._updates = [each for each in kernel.body if isinstance(each, Update)]
        self._known: dict[tuple[str, str], bool] = {}
        self._done: dict[tuple[Value, str], bool] = {}

    def outside(self, value: Value, dim: str) -> bool:
        """Whether the value is 0 wherever the index along `dim` lies outside the array."""
        key = (value, dim)
        if key not in self._done:
            self._done[key] = self._find(value, dim)
        return self._done[key]

    def _find(self, value: Value, dim: str) -> bool:
        if dim not in value.dims:
            return False
        match value:
            case Load():
                return True
            case Use(name=name):
                return self.outside(self._lets[name], dim)
            case State(name=name):
                return self._state(name, dim)
            case Map(fn=fn, args=args):
                zero: dict[str, S | int] = {name: 0 for name, arg in args if self.outside(arg, dim)}
                return bool(zero) and substitute(fn, zero) is ZERO
            case Dot(left=left, right=right):
                return self.outside(left if dim in left.dims else right, dim)
            case Recur(write=write, start=start) if dim != "i":
                return self.outside(write, dim) and self.outside(start, dim)
            case Rename(arg=arg):
                return self.outside(arg, arg.dims[value.dims.index(dim)])
            case Running(arg=arg, suffix=suffix):
                return (suffix or dim != "i") and self.outside(arg, dim)
            case Sum(arg=arg) | LogDecay(arg=arg) | Mask(arg=arg) | Round(arg=arg):
                return self.outside(arg, dim)
        return False

    def _state(self, name: str, dim: str) -> bool:
        key = (name, dim)
        if key not in self._known:
            self._known[key] = self._carried[name].start == 0
            updates = [each for each in self._updates if each.state == name]
            if not all(self._find(each.value, dim) for each in updates):
                self._known[key] = False
                self._done.clear()
        return self._known[key]
