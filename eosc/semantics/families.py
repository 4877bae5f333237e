"""Families: choices are settled, matches flattened, requirements checked, grids expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

from eosc.diagnostics import Diagnostic, EosError, Label, Severity, did_you_mean
from eosc.options import LIMITS
from eosc.semantics.declarations import targets_of
from eosc.semantics.findings import Abandoned, Enough, Findings
from eosc.semantics.mixers import Text, elaborate_mixer
from eosc.semantics.model import Choice, Family, Grid, Mixer
from eosc.semantics.resolution import Names
from eosc.semantics.work import Exhausted
from eosc.syntax import ast

Settled = tuple[tuple[str, str], ...]


def option_text(option: ast.Option) -> str:
    """An option as it is written."""
    if isinstance(option, ast.Name):
        return option.id
    return option.text or str(option.value)


def show(settled: Settled, only: Sequence[str] = ()) -> str:
    """`osc = one, act = silu`."""
    return ", ".join(f"{name} = {value}" for name, value in settled if not only or name in only)


@dataclass(slots=True)
class _Workshop:
    """Makes the instances of one family, and keeps them with what was found about them."""

    node: ast.Family
    names: Names
    findings: Findings
    choices: dict[str, Choice]
    requires: tuple[ast.Require, ...]
    size: int
    macro_choices: frozenset[str] | None = None
    mentioned: dict[int, frozenset[str]] = field(default_factory=dict)
    alike: dict[tuple[object, ...], Settled] = field(default_factory=dict)
    built: dict[Settled, Mixer | None] = field(default_factory=dict)
    found: dict[Settled, tuple[Diagnostic, ...]] = field(default_factory=dict)

    def settle(self, options: Mapping[str, str]) -> Settled:
        """All choices, from some of them and the defaults.

        Raises:
            EosError: E040, E041.
        """
        for name, option in options.items():
            if name not in self.choices:
                raise EosError(self._no_choice(name))
            if option not in self.choices[name].options:
                raise EosError(self._no_option(name, option))
        settled = tuple(
            (name, options.get(name, choice.options[0])) for name, choice in self.choices.items()
        )
        for require in self.requires:
            if not holds(require.condition, dict(settled)):
                raise EosError(self._excluded(settled, require))
        return settled

    def _no_choice(self, name: str) -> Diagnostic:
        hint = did_you_mean(name, self.choices)
        known = ", ".join(self.choices)
        message = f"{self.node.name.id} has no choice '{name}'"
        return Diagnostic(
            "E040", message, self.node.name.span, hint=hint or f"its choices are {known}"
        )

    def _no_option(self, name: str, option: str) -> Diagnostic:
        options = self.choices[name].options
        return Diagnostic(
            "E040",
            f"'{option}' is not an option of choice '{name}' ({' | '.join(options)})",
            self.node.name.span,
            hint=did_you_mean(option, options),
        )

    def _excluded(self, settled: Settled, require: ast.Require) -> Diagnostic:
        mentioned = {each.id for each in ast.walk(require.condition) if isinstance(each, ast.Name)}
        only = [name for name in self.choices if name in mentioned]
        span = require.condition.span
        rule = " ".join(self.findings.source.text[span.start : span.end].split())
        return Diagnostic(
            "E041",
            f"the combination {show(settled, only)} is excluded by require",
            require.span,
            labels=(Label(require.span, "required here"),),
            notes=(f"{self.node.name.id} requires {rule}",),
        )

    def make(self, settled: Settled) -> Mixer:
        """The instance of settled options.

        Raises:
            EosError: the instance has errors.
        """
        try:
            mixer, found = self.examine(settled)
        except Exhausted:
            raise EosError(too_large(self.node.name, len(self.built), None)) from None
        if mixer is None:
            raise EosError(*(each for each in found if each.severity is Severity.ERROR))
        return mixer

    def examine(self, settled: Settled) -> tuple[Mixer | None, tuple[Diagnostic, ...]]:
        """The instance (None when it has errors) and what was found about it; both are kept."""
        if settled not in self.built:
            self.findings.work.spend(1 + self.size // 8)
            statements = tuple(flatten(self.node.body, dict(settled)))
            elsewhere = self._elsewhere(settled)
            key = self._reads(statements, settled, elsewhere)
            same = self.alike.setdefault(key, settled)
            if same in self.built:
                mixer, found = self.built[same], self.found[same]
                self.built[settled] = None if mixer is None else replace(mixer, choices=settled)
                self.found[settled] = found
            else:
                self._elaborate(statements, settled, elsewhere)
        return self.built[settled], self.found[settled]

    def _elaborate(
        self, statements: tuple[ast.Statement, ...], settled: Settled, elsewhere: dict[str, str]
    ) -> None:
        findings = Findings(self.findings.source, work=self.findings.work)
        doc = self.node.doc.text if self.node.doc else ""
        text = Text(self.node.name, doc, statements, settled, elsewhere, self.node.span)
        mixer = None
        with suppress(Enough):
            mixer = elaborate_mixer(text, self.names, findings)
        self.built[settled] = mixer
        self.found[settled] = findings.sink.diagnostics

    def _reads(
        self, statements: tuple[ast.Statement, ...], settled: Settled, elsewhere: dict[str, str]
    ) -> tuple[object, ...]:
        """All that an instance is made of: two that agree in it differ in their options only."""
        read = self.by_macros.union(*map(self._mentions, statements))
        options = tuple(each for each in settled if each[0] in read)
        return tuple(map(id, statements)), options, tuple(elsewhere.items())

    def _mentions(self, statement: ast.Statement) -> frozenset[str]:
        """The choices that a statement names."""
        if id(statement) not in self.mentioned:
            self.mentioned[id(statement)] = self._choices_in((statement,))
        return self.mentioned[id(statement)]

    @property
    def by_macros(self) -> frozenset[str]:
        """The choices that macros name; any statement may use them."""
        if self.macro_choices is None:
            self.macro_choices = self._choices_in(tuple(self.names.macros.values()))
        return self.macro_choices

    def _choices_in(self, roots: Sequence[ast.Node]) -> frozenset[str]:
        names = (n.id for root in roots for n in ast.walk(root) if isinstance(n, ast.Name))
        return frozenset(name for name in names if name in self.choices)

    def _elsewhere(self, settled: Settled) -> dict[str, str]:
        """Names that only other options define, with the choice whose match leaves them out."""
        missing: dict[str, str] = {}
        for match, taken in _matches(self.node.body, dict(settled)):
            subject = match.subject.id
            for case in match.cases:
                if case is taken:
                    continue
                for statement in _flat(case.body):
                    for name in targets_of(statement):
                        missing.setdefault(name.id, f"{subject} = {dict(settled)[subject]}")
        here = {n.id for s in flatten(self.node.body, dict(settled)) for n in targets_of(s)}
        return {name: where for name, where in missing.items() if name not in here}


def elaborate_family(node: ast.Family, names: Names, findings: Findings) -> Family | None:
    """The family; all its instances are elaborated by `check_family`, not here."""
    before = findings.sink.has_errors
    try:
        choices = _choices(node, findings)
        _check_matches(node.body, choices, findings)
        requires = tuple(each for each in _flat(node.body) if isinstance(each, ast.Require))
        for require in requires:
            _check_condition(require.condition, choices, findings)
        count = prod(len(each.options) for each in choices.values())
        if count > LIMITS.family:
            findings.fail(
                "E044",
                f"family {node.name.id} has {count:,} combinations of options,"
                f" more than {LIMITS.family:,}",
                node.name.span,
                hint="split it into several families, or make a number a config",
            )
    except Abandoned:
        return None
    if findings.sink.has_errors and not before:
        return None
    size = sum(1 for _ in _flat(node.body))
    findings.work.spend(count * len(requires) // 16)
    workshop = _Workshop(node, names, findings, choices, requires, size)
    combinations = tuple(
        settled
        for settled in _combinations(tuple(choices.values()))
        if all(holds(each.condition, dict(settled)) for each in requires)
    )
    if not combinations:
        findings.add("E041", f"require excludes every instance of {node.name.id}", node.name.span)
        return None
    return Family(
        node.name.id,
        tuple(choices.values()),
        combinations,
        workshop.settle,
        workshop.make,
        workshop.examine,
        node.doc.text if node.doc else "",
        node.span,
    )


def check_family(family: Family, name: ast.Name, findings: Findings) -> None:
    """Elaborate every instance; each finding is reported once, with the first instance it is in.

    A name that is unused in some instances only is no finding: other options use it.
    """
    first: dict[tuple[object, ...], tuple[Diagnostic, Settled]] = {}
    seen: dict[tuple[object, ...], int] = {}
    declared: dict[object, int] = {}
    for count, settled in enumerate(family.combinations):
        try:
            mixer, found = family.examine(settled)
        except Exhausted:
            findings.record(too_large(name, count, len(family.combinations)))
            return
        for each in found:
            key: tuple[object, ...] = (each.code, each.message, each.span)
            first.setdefault(key, (each, settled))
            seen[key] = seen.get(key, 0) + 1
        if mixer is not None:
            for declaration in mixer.declarations:
                declared[declaration.span] = declared.get(declaration.span, 0) + 1
    for key, (each, settled) in first.items():
        if each.code in ("W070", "W071", "W072") and seen[key] < declared.get(each.span, 0):
            continue
        everywhere = seen[key] == len(family.combinations)
        note = () if everywhere else (f"in {family.name}({show(settled)})",)
        findings.record(
            Diagnostic(
                each.code,
                each.message,
                each.span,
                each.labels,
                (*each.notes, *note),
                each.hint,
                each.severity,
            )
        )


def too_large(name: ast.Name, checked: int, instances: int | None) -> Diagnostic:
    """The error about a family that takes more work than a file may (E044)."""
    of_all = "" if instances is None else f" of its {instances:,}"
    return Diagnostic(
        "E044",
        f"family {name.id} is too large to check: {checked:,}{of_all} instances took all of the"
        f" {LIMITS.work:,} steps that one file may take",
        name.span,
        hint="split it into several families, or make a number a config",
    )


# ---- flattening


def flatten(
    statements: Sequence[ast.Statement], settled: Mapping[str, str]
) -> Iterator[ast.Statement]:
    """The statements of one instance: matches replaced by the case that is taken."""
    for statement in statements:
        match statement:
            case ast.Match():
                taken = _taken(statement, settled)
                if taken is not None:
                    yield from flatten(taken.body, settled)
            case ast.Choice() | ast.Require():
                continue
            case _:
                yield statement


def _taken(match: ast.Match, settled: Mapping[str, str]) -> ast.Case | None:
    chosen = settled[match.subject.id]
    for case in match.cases:
        if any(option_text(each) in (chosen, "_") for each in case.options):
            return case
    return None


def _matches(
    statements: Sequence[ast.Statement], settled: Mapping[str, str]
) -> Iterator[tuple[ast.Match, ast.Case | None]]:
    """The matches that an instance passes through, each with the case that is taken."""
    for statement in statements:
        if isinstance(statement, ast.Match):
            taken = _taken(statement, settled)
            yield statement, taken
            if taken is not None:
                yield from _matches(taken.body, settled)


def _flat(statements: Sequence[ast.Statement]) -> Iterator[ast.Statement]:
    """All statements, those inside cases included."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.Match):
            for case in statement.cases:
                yield from _flat(case.body)


# ---- choices and requirements


def _choices(node: ast.Family, findings: Findings) -> dict[str, Choice]:
    choices: dict[str, Choice] = {}
    for statement in _flat(node.body):
        if not isinstance(statement, ast.Choice):
            continue
        name = statement.name.id
        if name in choices:
            findings.fail("E016", f"choice '{name}' is defined twice", statement.name.span)
        options = tuple(option_text(each) for each in statement.options)
        for position, option in enumerate(options):
            if option in options[:position]:
                findings.fail(
                    "E016",
                    f"option '{option}' of choice '{name}' is listed twice",
                    statement.options[position].span,
                )
        choices[name] = Choice(name, options)
    return choices


def _check_matches(
    statements: Sequence[ast.Statement], choices: Mapping[str, Choice], findings: Findings
) -> None:
    for statement in _flat(statements):
        if not isinstance(statement, ast.Match):
            continue
        subject = statement.subject
        if subject.id not in choices:
            findings.fail(
                "E040",
                f"match needs a choice: '{subject.id}' is none",
                subject.span,
                hint=did_you_mean(subject.id, choices),
            )
        for case in statement.cases:
            for option in case.options:
                if option_text(option) != "_":
                    check_option(choices[subject.id], option, findings)


def check_option(choice: Choice, option: ast.Option, findings: Findings) -> None:
    """Report an option that the choice does not have (E040), and go on."""
    text = option_text(option)
    if text not in choice.options:
        findings.add(
            "E040",
            f"'{text}' is not an option of choice '{choice.name}' ({' | '.join(choice.options)})",
            option.span,
            hint=did_you_mean(text, choice.options),
        )


def _check_condition(node: ast.Expr, choices: Mapping[str, Choice], findings: Findings) -> None:
    """A requirement compares choices with options: `==`, `!=`, `and`, `or`, `not`."""
    match node:
        case ast.Logical(left=left, right=right):
            _check_condition(left, choices, findings)
            _check_condition(right, choices, findings)
        case ast.Unary(op="not", operand=operand):
            _check_condition(operand, choices, findings)
        case ast.Compare(
            operands=(ast.Name() as name, (ast.Name() | ast.Number()) as option),
            ops=(("==" | "!="),),
        ):
            if name.id not in choices:
                findings.fail(
                    "E042",
                    f"require compares choices: '{name.id}' is none",
                    name.span,
                    hint=did_you_mean(name.id, choices),
                )
            other = isinstance(option, ast.Name) and option.id in choices
            if not other:
                check_option(choices[name.id], option, findings)
        case _:
            findings.fail(
                "E042",
                "require takes ==, != between choices and options, joined by and, or, not",
                node.span,
            )


def holds(node: ast.Expr, settled: Mapping[str, str]) -> bool:
    """Whether a (checked) requirement holds for settled options."""
    match node:
        case ast.Logical(op="and", left=left, right=right):
            return holds(left, settled) and holds(right, settled)
        case ast.Logical(left=left, right=right):
            return holds(left, settled) or holds(right, settled)
        case ast.Unary(operand=operand):
            return not holds(operand, settled)
        case ast.Compare(
            operands=(ast.Name() as name, (ast.Name() | ast.Number()) as option), ops=(op,)
        ):
            text = option_text(option)
            return (settled[name.id] == settled.get(text, text)) == (op == "==")
    return True


def _combinations(choices: Sequence[Choice]) -> Iterator[Settled]:
    names = tuple(each.name for each in choices)
    for values in product(*(each.options for each in choices)):
        yield tuple(zip(names, values, strict=True))


# ---- grids


def elaborate_grid(node: ast.Grid, names: Names, findings: Findings) -> Grid | None:
    """The instances that a grid names; choices without a row keep their defaults."""
    family = names.definitions.get(node.family.id)
    if not isinstance(family, Family):
        if node.family.id not in names.definitions:
            pool = [n for n, d in names.definitions.items() if isinstance(d, Family)]
            findings.add(
                "E010",
                f"there is no family '{node.family.id}'",
                node.family.span,
                hint=did_you_mean(node.family.id, pool),
            )
        elif family is not None:
            findings.add("E010", f"'{node.family.id}' is not a family", node.family.span)
        return None
    choices = {each.name: each for each in family.choices}
    rows: dict[str, tuple[str, ...]] = {
        name: (choice.options[0],) for name, choice in choices.items()
    }
    errors = findings.sink.has_errors
    for row in node.rows:
        choice = choices.get(row.choice.id)
        if choice is None:
            findings.add(
                "E040",
                f"{family.name} has no choice '{row.choice.id}'",
                row.choice.span,
                hint=did_you_mean(row.choice.id, choices),
            )
            continue
        for option in row.options or ():
            check_option(choice, option, findings)
        chosen = tuple(option_text(each) for each in row.options or ())
        rows[choice.name] = choice.options if row.options is None else tuple(dict.fromkeys(chosen))
    if findings.sink.has_errors and not errors:
        return None
    allowed = set(family.combinations)
    wanted = [tuple(zip(rows, values, strict=True)) for values in product(*rows.values())]
    combinations = tuple(each for each in wanted if each in allowed)
    if not combinations:
        findings.add(
            "E041", f"require excludes every member of grid '{node.name.id}'", node.name.span
        )
        return None
    doc = node.doc.text if node.doc else ""
    return Grid(node.name.id, family, combinations, doc, node.span)
