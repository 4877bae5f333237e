"""Walks over the tokens of a chunk (`Recur`) as recurrences of the language of statements.

    forward     W[B] = start        W[t] = decay[t] W[t-1] + write[t]
    in reverse  W[E] = start        W[t] = decay[t+1] W[t+1] + write[t+1]

In reverse W[t] is the state that the tokens after t have left, as with an adjoint: before token t
the walk is at W[t], after it at W[t-1], and it ends with W[B].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from eosc.ir.nodes import TIME as TOKENS
from eosc.ir.nodes import Dims, Recur, Value
from eosc.prove import formula
from eosc.prove.algorithms.places import Here, Place, Walk
from eosc.prove.algorithms.scalars import Unreadable
from eosc.prove.formula import TIME, Definition, Formula, shifted

Part = Callable[[Value, Here], Formula]
"""Reads a value of the walk at a place of its own."""


@dataclass(slots=True)
class Walks:
    """The recurrences of one kernel, by what they are: equal walks are one.

    label: the kernel's name. definitions: where they are entered.
    """

    label: str
    definitions: dict[str, Definition]
    names: dict[str, str] = field(default_factory=dict)

    def read(self, value: Recur, here: Here, chunk: Walk, part: Part) -> Formula:
        """A state of a walk, at a token or at its end.

        Raises:
            Unreadable: the walk starts from what depends on a token, or is read where none is.
        """
        features = tuple(name for name in value.dims if name not in TOKENS)
        name = self._name(value, features, chunk, part)
        onward = value.direction == 1
        time = chunk.high if onward else chunk.low
        if value.read != "end":
            if value.dims[:1] != ("i",) or "i" not in here.times:
                raise Unreadable("a state of a walk where there is no token")
            time = here.times["i"].time
            if (value.read == "after") != onward:
                time = shifted(time, -1)
        return formula.at(name, time, *(here.indices[axis] for axis in features))

    def _name(self, value: Recur, features: Dims, chunk: Walk, part: Part) -> str:
        """The name of a walk, which is defined where it is new."""
        if any(name not in features for name in value.start.dims):
            raise Unreadable("a walk that starts from more than one state")
        if {*value.decay.dims, *value.write.dims} - {"i", *features}:
            raise Unreadable("a walk of more states than are read")
        letters = {axis: f"d{n}" for n, axis in enumerate(features)}
        onward = value.direction == 1
        token = {"t": 1} if onward else {"t": 1, "": 1}
        there = Here({"i": Place(token)}, letters)
        decay, write = (part(each, there) for each in (value.decay, value.write))
        base = part(value.start, Here({}, letters))
        key = repr((features, decay, write, base, value.direction))
        name = self.names.setdefault(key, f"walk.{self.label}{len(self.names) + 1}")
        last = formula.at(name, {"t": 1, "": -1} if onward else token, *letters.values())
        self.definitions[name] = Definition(
            name,
            ("t", *letters.values()),
            (TIME, *features),
            formula.add(formula.mul(decay, last), write),
            start=chunk.low if onward else chunk.high,
            base=base,
            step=value.direction,
        )
        return name
