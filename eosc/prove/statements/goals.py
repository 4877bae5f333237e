"""Goals about one mixer, under construction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from eosc.prove import formula
from eosc.prove.formula import Equation, Formula
from eosc.prove.statements.assumptions import assumptions
from eosc.prove.statements.draft import Draft
from eosc.prove.statements.environment import Names, Place, Unstated, suffix
from eosc.prove.statements.layouts import base, layouts
from eosc.prove.statements.mixers import Side
from eosc.prove.statements.reading import MOST, Text
from eosc.prove.statements.sides import restrict, terms_of
from eosc.semantics.graph import StateGraph
from eosc.semantics.theorems import Property, Theorem

Places = dict[str, Place]


class Goals:
    """A structure claim, the mixer that it is about, and the goals entered so far."""

    def __init__(self, theorem: Theorem, claim: Property, sizes: Mapping[str, int]) -> None:
        self.claim = claim
        self.mixer = claim.side.mixer
        graph = StateGraph(self.mixer)
        self.groups = graph.memory_groups
        assumed = assumptions(theorem)
        axes = (*self.mixer.axes, *theorem.axes, *assumed.axes, *restrict(sizes))
        fixed = dict(claim.side.fixed)
        self.draft = Draft(layouts(axes, [*terms_of(self.mixer), *fixed.values()]))
        mixer = self.mixer
        self.text = Text(mixer.name, mixer.axes, mixer.declarations, mixer.order)
        ranges = {each.name: each.declared for each in mixer.declarations}
        self.side = Side(self.text, self.draft, "mixer.", fixed=fixed, ranges=ranges)
        self.goals: list[Equation] = []

    def enter(
        self,
        name: str,
        places: Mapping[str, Place],
        left: Formula,
        right: Formula,
        times: tuple[str, ...] = ("t",),
    ) -> None:
        """Enter `left == right` at every place, and at the token times t + 1."""
        found: dict[str, str] = {}
        for axis, place in places.items():
            if isinstance(place.index, str):
                found[place.index] = str(self.draft.layouts[base(axis.rstrip("*"))].sort)
        self.goals.append(
            Equation(
                name + suffix(tuple(places.values())),
                (*((each, formula.TIME) for each in times), *found.items()),
                left,
                right,
                tuple((formula.moment(), formula.moment(each)) for each in times),
            )
        )

    def slots(self, axes: tuple[str, ...]) -> Iterator[Places]:
        """Places along axes; `K*` is a second place along K."""
        names = Names()
        names.fresh("s")  # a second time of some goals
        chosen = []
        for axis in axes:
            layout = self.draft.layouts[base(axis.rstrip("*"))]
            small = base(axis.rstrip("*")).lower().replace("/", "")
            variable = None if layout.sort is None else names.fresh(small)
            chosen.append([Place(digits, variable) for digits in layout.digits()])
        if prod(map(len, chosen)) > MOST:
            raise Unstated(f"more than {MOST} places to be written out one by one")
        for places in product(*chosen):
            yield dict(zip(axes, places, strict=True))


def taken(places: Mapping[str, Place]) -> Names:
    """Names of bound variables next to those of places, and a second time `s`."""
    names = Names()
    for each in ("s", *(str(place.index) for place in places.values())):
        names.fresh(each)
    return names
