"""Which mixers a mixer equals, specialises or generalises: claims to be settled, likeliest first.

A claim `L == R where b` says that L is a special case of R. What could be bound is read off the two
recurrences: where R takes an operand, L has an expression in the same part (expand, input,
oscillation, shrink). Nothing here is trusted: a wrong proposal is refuted, or fails to elaborate.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum

from eosc.diagnostics import EosError
from eosc.prove.engine import Budget, Outcome, Verdict, settle
from eosc.prove.reading import Asked, Given, Stated, asked, definition_of
from eosc.recurrence.extract import extract
from eosc.recurrence.model import System
from eosc.semantics.formulas import formula
from eosc.semantics.imports import Loader
from eosc.semantics.model import Declaration, Family, Kind, Mixer, Role
from eosc.semantics.terms import Dependence, Read, Type, walk

BUDGET = Budget(first=0.03, search=1.5, deep=0.1)
_MOST = 10
"""Proposals for one pair and direction."""
_EACH = 3
"""Proposals for one operand."""
_WORD = re.compile(r"[A-Za-z_]\w*")
_PARTS = (Role.SHRINK, Role.EXPAND, Role.INPUT, Role.OSCILLATION)


class Tie(Enum):
    """How two mixers are related."""

    EQUAL = "equal"
    SPECIAL = "special case of"
    GENERAL = "generalises"
    DIFFERENT = "differs from"


@dataclass(frozen=True, slots=True)
class Relation:
    """A settled relation to another mixer; of equal ones, the claim in one direction."""

    tie: Tie
    other: str
    claim: str
    outcome: Outcome
    likeness: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A mixer with its recurrence, by the name that claims use.

    options: what is fixed of it: choices of a family, values of configs and operands.
    """

    name: str
    given: Given
    definition: Mixer | Family
    mixer: Mixer
    system: System
    options: tuple[tuple[str, str], ...] = ()

    def side(self, fixed: Sequence[tuple[str, str]] = ()) -> str:
        """The mixer as a side of a claim, with values fixed."""
        values = {**dict(fixed), **dict(self.options)}
        given = ", ".join(f"{name} = {value}" for name, value in values.items())
        return f"{self.name}({given})" if given else self.name


def known(
    name: str, given: Given, loader: Loader, options: tuple[tuple[str, str], ...] = ()
) -> Known | None:
    """A mixer at a place, of a family an instance; None where its recurrence is not extracted.

    Raises:
        OSError: the file cannot be read.
        EosError: the file has errors, or the family no such instance.
    """
    definition = definition_of(given, loader)
    if not isinstance(definition, Mixer | Family):
        return None
    mixer = definition.instance(**dict(options)) if isinstance(definition, Family) else definition
    try:
        return Known(name, given, definition, mixer, extract(mixer), options)
    except EosError:
        return None


def relate(own: Known, other: Known, loader: Loader, budget: Budget = BUDGET) -> Relation:
    """The relation between two mixers, as far as it is found."""
    like = likeness(own.system, other.system)
    if set(own.mixer.output.type.axes) != set(other.mixer.output.type.axes):
        nothing = Outcome(Verdict.UNKNOWN, "prove", 0.0, reason="their outputs have other axes")
        return Relation(Tie.DIFFERENT, other.name, "", nothing, like)
    down = _settled(own, other, loader, budget)
    up = _settled(other, own, loader, budget)
    first, second = _proved(down), _proved(up)
    if first is not None and second is not None:
        return Relation(Tie.EQUAL, other.name, *first, like)
    if first is not None:
        return Relation(Tie.SPECIAL, other.name, *first, like)
    if second is not None:
        return Relation(Tie.GENERAL, other.name, *second, like)
    tried = [each for each in (*down, *up) if each[1].verdict is Verdict.REFUTED]
    if not tried:
        nothing = Outcome(Verdict.UNKNOWN, "prove", 0.0, reason="no claim about both was found")
        return Relation(Tie.DIFFERENT, other.name, "", nothing, like)
    return Relation(Tie.DIFFERENT, other.name, *max(tried, key=_late), like)


def likeness(left: System, right: System) -> int:
    """How many traits two recurrences share; a nearer mixer shares more."""
    mine, theirs = ([_traits(each) for each in x.recurrences] for x in (left, right))
    shared = sum(
        a == b
        for one, two in zip(mine, theirs, strict=False)
        for a, b in zip(one, two, strict=True)
    )
    named = {x.name for x in left.mixer.operands} & {x.name for x in right.mixer.operands}
    same = (len(mine) == len(theirs)) + 2 * (left.readout_kind == right.readout_kind)
    return 2 * shared + same + len(named)


def _traits(each: object) -> tuple[object, ...]:
    structure, field = getattr(each, "structure", None), getattr(each, "field", None)
    return (str(structure), field, getattr(each, "dependence", None))


def _late(tried: tuple[str, Outcome]) -> int:
    """How long two mixers agree: the length of the smallest counterexample."""
    witness = tried[1].witness
    return 0 if witness is None else witness.length


def _proved(tried: Sequence[tuple[str, Outcome]]) -> tuple[str, Outcome] | None:
    return next((each for each in tried if each[1].verdict is Verdict.PROVED), None)


def _settled(
    left: Known, right: Known, loader: Loader, budget: Budget
) -> list[tuple[str, Outcome]]:
    """The proposals up to the first that is proved."""
    found: list[tuple[str, Outcome]] = []
    for stated in itertools.islice(proposals(left, right, loader), _MOST):
        outcome = settle(stated.theorem, stated.claim, budget)
        found.append((stated.text, outcome))
        if outcome.verdict is Verdict.PROVED:
            break
    return found


def proposals(left: Known, right: Known, loader: Loader) -> Iterator[Stated]:
    """Claims that the left is a special case of the right; those that do not elaborate are left."""
    given = tuple(sorted({left.name: left.given, right.name: right.given}.items()))
    read = {each.name: each.definition for each in (left, right)}
    seen: set[str] = set()
    for bound in _bindings(left, right):
        for fixed in _fixings(left.mixer, right.mixer):
            where = ", ".join(f"{target} := {value}" for target, value in bound)
            text = f"prove {left.side()} == {right.side(fixed)}"
            text += f" where {where}" if where else ""
            if text in seen:
                continue
            seen.add(text)
            try:
                yield asked(Asked(text + "\n", given), loader, read)
            except EosError:
                continue


def _fixings(left: Mixer, right: Mixer) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Ways to fix configs of the right: those that the left lacks are taken as 1, then left."""
    own = {each.name for each in left.declarations}
    missing = [each.name for each in right.of_kind(Kind.CONFIG) if each.name not in own]
    return (tuple((name, "1") for name in missing), ()) if missing else ((),)


def _bindings(left: Known, right: Known) -> Iterator[tuple[tuple[str, str], ...]]:
    """Ways to bind the right's operands, each with a value for every one that needs it."""
    offers = tuple(_offers(left))
    choices = []
    for operand in right.mixer.operands:
        values = list(dict.fromkeys(_values(operand, left.mixer, offers)))[:_EACH]
        timed = operand.type.dependence is not Dependence.STATIC
        target = f"{operand.name}[t]" if timed else operand.name
        choices.append([(target, value) for value in values])
    ordered = itertools.product(*choices)
    for chosen in sorted(itertools.islice(ordered, 64), key=lambda x: _rank(x, choices)):
        yield tuple(each for each in chosen if each[1])


def _rank(chosen: Sequence[tuple[str, str]], choices: Sequence[list[tuple[str, str]]]) -> int:
    return sum(options.index(each) for each, options in zip(chosen, choices, strict=True))


@dataclass(frozen=True, slots=True)
class _Offer:
    """A value that the left has: the part that it plays, its text and what it is."""

    role: Role
    name: str
    text: str
    type: Type

    def fits(self, operand: Declaration) -> bool:
        """Whether an operand can be bound to it."""
        known = set(operand.type.axes) >= set(self.type.axes)
        still = operand.type.dependence is Dependence.STATIC
        moves = self.type.dependence is not Dependence.STATIC
        return known and not (still and moves) and self.type.complex <= operand.type.complex


def _values(operand: Declaration, left: Mixer, offers: Sequence[_Offer]) -> Iterator[str]:
    """What an operand of the right may be over the names of the left; "" leaves it identified."""
    own = {each.name: each for each in left.operands}.get(operand.name)
    same = None if own is None else _read(own)
    identified = own is not None and set(own.type.axes) <= set(operand.type.axes)
    if own is not None and identified and own.role is operand.role:
        yield ""
    texts = [
        each.text
        for each in offers
        if each.fits(operand)
        and (each.name == operand.name or (operand.role in _PARTS and each.role is operand.role))
    ]
    yield from ("" if text == same else text for text in texts)
    if identified:
        yield ""
    if operand.kind is Kind.PARAM and not identified:
        yield from _alike(operand, left)
    if operand.role is Role.OSCILLATION:
        yield "1"
    elif operand.role not in _PARTS:
        yield from ("0", "1")


def _alike(operand: Declaration, left: Mixer) -> list[str]:
    """The params of the left of the same type, those with a similar name first."""
    same = [each for each in left.of_kind(Kind.PARAM) if each.type == operand.type]

    def far(each: Declaration) -> float:
        return -SequenceMatcher(None, each.name, operand.name).ratio()

    return [each.name for each in sorted(same, key=far)][:2]


def _offers(left: Known) -> Iterator[_Offer]:
    """The values of the left, those of its recurrence first; none that depends on a memory."""
    remembers = _remembering(left.mixer)
    for role, text, kind in _parts(left):
        if not remembers & set(_WORD.findall(text)):
            yield _Offer(role, "", text, kind)
    for each in left.mixer.declarations:
        if each.kind in (Kind.STATE, Kind.CONST, Kind.OPERAND) and each.name not in remembers:
            yield _Offer(each.role, each.name, _read(each), each.type)


def _parts(left: Known) -> Iterator[tuple[Role, str, Type]]:
    """The parts of the first recurrence, as text."""
    for each in left.system.recurrences[:1]:
        if len(each.writes) == 1:
            (write,) = each.writes
            yield Role.EXPAND, formula(write.expand), write.expand.type
            yield Role.INPUT, formula(write.input), write.input.type
        if len(each.decay) == 1:
            yield Role.OSCILLATION, formula(each.decay[0].value), each.decay[0].value.type
    for readout in left.system.readouts[:1]:
        if readout.shrink is not None:
            shrink, kind = formula(readout.shrink), readout.shrink.type
            yield Role.SHRINK, shrink, kind
            for config in left.mixer.of_kind(Kind.CONFIG)[:1]:
                yield Role.SHRINK, f"{config.name} * ({shrink})", kind


def _remembering(mixer: Mixer) -> set[str]:
    """The names whose values depend on a memory; bound by one of them, nothing is special."""
    found = {each.name for each in mixer.memories}
    for name in mixer.order:
        value = mixer.by_name[name].value
        if value is not None and any(
            isinstance(each, Read) and each.name in found for each in walk(value)
        ):
            found.add(name)
    return found


def _read(declaration: Declaration) -> str:
    timed = declaration.type.dependence is not Dependence.STATIC
    return f"{declaration.name}[t]" if timed else declaration.name
