"""The update of a memory with any value in place of the memory: what structure claims speak of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from eosc.prove import formula
from eosc.prove.formula import IMAGINARY, ZERO, Formula, Time, shifted
from eosc.prove.statements import pointwise
from eosc.prove.statements.environment import Environment, Place, Unstated, suffix
from eosc.prove.statements.goals import Goals, Places, taken
from eosc.prove.statements.layouts import base
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.terms import evaluate
from eosc.semantics import terms as ir
from eosc.semantics.model import Declaration, Kind, Mixer


@dataclass
class Probe(Side):
    """Reads a mixer with values put in place of the memories of one group.

    real: the mixer as it is, for what does not depend on the group. group: its memories. cone:
    these and the states between them. values: what stands for a memory, at some places.
    """

    real: Side | None = None
    cone: frozenset[str] = frozenset()
    values: Mapping[str, Callable[[tuple[Place, ...]], Formula]] = field(default_factory=dict)

    def _now(
        self, declaration: Declaration, time: Time, env: Environment, term: ir.Read
    ) -> Formula:
        name = declaration.name
        if name not in self.cone:
            assert self.real is not None, "a probe has a mixer"
            return self.real.read(term, time, env)
        if declaration.kind is Kind.MEMORY and time == shifted(env.time, -1):
            return self.values[name](tuple(env.places[axis] for axis in declaration.type.axes))
        if time != env.time:
            raise Unstated(f"'{name}' is read at another step in the update", term.span)
        return self._inline(declaration, time, env)


class Update:
    """The update of the memories of one group, with values in place of the memories."""

    def __init__(self, structure: Goals, group: tuple[str, ...]) -> None:
        self._structure = structure
        self._group = group
        self._cone = frozenset(_cone(structure.mixer, group))
        self._draft = structure.draft

    def value(self, name: str, memory: Declaration, places: Places) -> Formula:
        """What stands in place of a memory: `M` and `N` are any values, `real` a real one."""
        chosen = tuple(places[axis] for axis in memory.type.axes)
        return self._value(name, memory, chosen)

    def _value(self, name: str, memory: Declaration, places: tuple[Place, ...]) -> Formula:
        if name == "0":
            return ZERO
        if name.startswith("only "):
            return self._value("M", memory, places) if name == f"only {memory.name}" else ZERO
        if name == "combined":
            weights = [formula.at(self._draft.symbol(each, ())) for each in ("x(M)", "y(N)")]
            parts = [
                pointwise.times(weight, self._value(each, memory, places))
                for weight, each in zip(weights, ("M", "N"), strict=True)
            ]
            return pointwise.plus(*parts)
        called = f"{name}({memory.name}){suffix(places)}"
        indices = tuple(each.index for each in places if each.index is not None)
        sorts = tuple(
            sort
            for axis in memory.type.axes
            if (sort := self._draft.layouts[base(axis)].sort) is not None
        )
        if not memory.type.complex or name == "real":
            return formula.at(self._draft.symbol(called, sorts), *indices)
        parts = [
            formula.at(self._draft.symbol(f"{called}.{part}", sorts), *indices)
            for part in ("re", "im")
        ]
        return pointwise.plus(parts[0], pointwise.times(IMAGINARY, parts[1]))

    def change(self, name: str, memory: Declaration, places: Places, time: str = "t") -> Formula:
        """D of a value: the update at token time t + 1 minus the update of 0."""
        readers = {
            each: (lambda chosen, each=each: self._value(name, self._memory(each), chosen))
            for each in self._group
        }
        return self._difference(readers, memory, places, time)

    def entry(
        self, memory: Declaration, axis: str, slot: Places, row: Place, column: Place
    ) -> Formula:
        """The operator along an axis, for a memory that is 1 at one place of it, elsewhere 0."""

        def unit(chosen: tuple[Place, ...]) -> Formula:
            place = chosen[memory.type.axes.index(axis)]
            return ("delta", place.index, column.index)

        readers: dict[str, Callable[[tuple[Place, ...]], Formula]] = {
            each: (unit if each == memory.name else lambda chosen: ZERO) for each in self._group
        }
        places = {each: slot[each] for each in memory.type.axes if each != axis}
        # The update may bind indices of its own; none may be that of the column.
        return self._difference(readers, memory, {**places, axis: row}, "t", slot)

    def _memory(self, name: str) -> Declaration:
        return self._structure.mixer.by_name[name]

    def _difference(
        self,
        readers: Mapping[str, Callable[[tuple[Place, ...]], Formula]],
        memory: Declaration,
        places: Places,
        time: str,
        around: Places | None = None,
    ) -> Formula:
        nothing = {each: (lambda chosen: ZERO) for each in self._group}
        names = {**places, **(around or {})}
        found = [self._update(values, memory, places, time, names) for values in (readers, nothing)]
        return pointwise.difference(*found)

    def _update(
        self,
        values: Mapping[str, Callable[[tuple[Place, ...]], Formula]],
        memory: Declaration,
        places: Places,
        time: str,
        names: Places,
    ) -> Formula:
        assert memory.value is not None, "a memory has an update"
        side = self._structure.side
        probe = Probe(
            side.text,
            self._draft,
            side.prefix,
            fixed=side.fixed,
            real=side,
            cone=self._cone,
            values=values,
        )
        env = Environment(taken(names), formula.moment(time, 1), dict(places), earliest={time: 0})
        return evaluate(memory.value, env, probe)


def _cone(mixer: Mixer, group: tuple[str, ...]) -> set[str]:
    """The memories of a group and the states that depend on them within a step."""
    found = set(group)
    for name in mixer.order:
        value = mixer.by_name[name].value
        if value is None or mixer.by_name[name].kind is Kind.MEMORY:
            continue
        reads = (each.name for each in ir.walk(value) if isinstance(each, ir.Read))
        if any(each in found for each in reads):
            found.add(name)
    return found
