"""A scan over elements as definitions over a whole sequence, for the proof that it is the spec.

m[t] = exp(g[t]) m[t-1] + w[t]        y[t] = sum_over s[t] m[t]
"""

from __future__ import annotations

from collections.abc import Mapping

from eosc.ir.nodes import Value
from eosc.lowering.elementwise.scan import ElementScan
from eosc.prove import formula
from eosc.prove.algorithms.places import Here, Place, Walk
from eosc.prove.algorithms.reading import Meaning, Reader, Scope
from eosc.prove.algorithms.scalars import Unreadable, shallow
from eosc.prove.formula import ONE, TIME, ZERO, Definition, Formula, Time, shifted


class ElementRecurrence:
    """The definitions of a scan from an empty memory.

    raw: what its operands are. letters: the variable of each axis: `a` of one that the readout
    sums over, `b` of one that it keeps.
    """

    def __init__(self, scan: ElementScan, raw: Mapping[str, Meaning]) -> None:
        """Define the prologues and the memory.

        Raises:
            Unreadable: the readout sums over, or keeps, more than one axis, or a prologue is large.
        """
        if len(scan.over) > 1 or len(scan.reads) > 1:
            raise Unreadable("a readout that keeps, or sums over, two axes")
        self.scan, self.raw = scan, dict(raw)
        self.letters = {axis: "a" if axis in scan.over else "b" for axis in scan.axes}
        self.definitions: dict[str, Definition] = {}
        for name, value in scan.prologues():
            self._prologue(name, value)
        indices = tuple(self.letters[axis] for axis in scan.axes)
        last = formula.at("m", {"t": 1, "": -1}, *indices)
        decay = ONE
        if scan.log is not None:
            # Written out, so that the log of a decay stands in the exponent and may be of 0.
            decay = formula.call("exp", self._value(scan.log, {"t": 1}))
        body = formula.add(formula.mul(decay, last), self._at("w", {"t": 1}))
        sorts = (TIME, *scan.axes)
        self.definitions["m"] = Definition(
            "m", ("t", *indices), sorts, body, start={}, base=ZERO, step=1
        )

    def _prologue(self, name: str, value: Value) -> None:
        shallow(value)
        features = tuple(axis for axis in value.dims if axis != "i")
        timed = "i" in value.dims
        letters = tuple(self.letters[axis] for axis in features)
        self.definitions[f"scan.{name}"] = Definition(
            f"scan.{name}",
            ("t", *letters) if timed else letters,
            (TIME, *features) if timed else features,
            self._value(value, {"t": 1}),
        )

    def _value(self, value: Value, time: Time) -> Formula:
        """A prologue over the operands, at a token."""
        arrays = {each.name: each for each in self.scan.operands}
        reader = Reader(arrays, Walk({}, {"E": 1}, 1, {}), timed=True)
        features = {axis: self.letters[axis] for axis in value.dims if axis != "i"}
        return reader.read(value, Here({"i": Place(time)}, features), Scope(loads=self.raw))

    def _at(self, name: str, time: Time) -> Formula:
        value = dict(self.scan.prologues())[name]
        times = (time,) if "i" in value.dims else ()
        indices = (self.letters[axis] for axis in value.dims if axis != "i")
        return formula.at(f"scan.{name}", *times, *indices)

    def output(self, time: Time) -> Formula:
        """The output of a token, at b."""
        read = time if self.scan.inclusive else shifted(time, -1)
        found = formula.at("m", read, *(self.letters[axis] for axis in self.scan.axes))
        if self.scan.shrink is not None:
            found = formula.mul(self._at("s", time), found)
        for axis in self.scan.over:
            found = formula.contract(self.letters[axis], axis, found)
        return found
