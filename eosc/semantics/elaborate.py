"""A file: syntax tree to elaborated definitions.

`elaborate` reports every error of the file, each once; what has no error is in the unit.
"""

from __future__ import annotations

from dataclasses import replace

from eosc.diagnostics import Diagnostic, Label, Sink, Source, Span, did_you_mean
from eosc.options import LIMITS
from eosc.semantics import builtins
from eosc.semantics.blocks import elaborate_block
from eosc.semantics.claims import elaborate_theorem
from eosc.semantics.families import check_family, elaborate_family, elaborate_grid
from eosc.semantics.findings import Enough, Findings
from eosc.semantics.imports import ZOO, Loader
from eosc.semantics.layers import elaborate_layer
from eosc.semantics.mixers import Text, elaborate_mixer
from eosc.semantics.model import Definition, Unit
from eosc.semantics.models import elaborate_model
from eosc.semantics.resolution import Names
from eosc.semantics.theorems import Theorem
from eosc.semantics.work import Exhausted, Work
from eosc.syntax import ast
from eosc.syntax.characters import normalise


def elaborate(
    module: ast.Module,
    source: Source,
    loader: Loader | None = None,
    *,
    thorough: bool = True,
    work: Work | None = None,
) -> tuple[Unit, tuple[Diagnostic, ...]]:
    """Elaborate a file.

    Args:
        module: the syntax tree.
        source: its text, quoted in hints; its path says where imports are looked up first.
        loader: finds imported files; None makes a fresh one over the built-in zoo.
        thorough: elaborate every instance of every family now, to report what is wrong with any.
        work: the account of what it costs; None makes one with the limit of a file.

    Returns:
        The unit, with everything that has no error, and all findings in the order of the text.
    """
    return _File(
        module,
        source,
        Loader() if loader is None else loader,
        thorough,
        Work.of_one_file() if work is None else work,
    ).run()


class _File:
    """The elaboration of one file."""

    def __init__(
        self, module: ast.Module, source: Source, loader: Loader, thorough: bool, work: Work
    ) -> None:
        self.module = module
        self.findings = Findings(Source(source.path, normalise(source.text)), Sink(), work)
        self.loader = loader
        self.thorough = thorough
        self.unit = Unit(source.path, module.doc.text if module.doc else "")
        self.macros: dict[str, ast.Macro] = {}
        self.names = Names(macros=self.macros)
        self.places: dict[str, Span] = {}
        self.theorems: list[Theorem] = []

    def run(self) -> tuple[Unit, tuple[Diagnostic, ...]]:
        # Reading the text has cost something, too: about a unit for a word.
        length = sum(item.span.end - item.span.start for item in self.module.items)
        self.findings.work.spent += min(length // 2, LIMITS.words)
        for item in self.module.items:
            if isinstance(item, ast.Macro):
                self._macro(item)
        for item in self.module.items:
            try:
                self._item(item)
            except Exhausted:
                self._too_much(item)
                break
            except Enough:
                break
        self.unit = replace(self.unit, theorems=tuple(self.theorems))
        return self.unit, self.findings.sink.diagnostics

    def _too_much(self, item: ast.Item) -> None:
        self.findings.stop(
            "E018",
            "the file is too large to check: this definition and those above it take more than"
            f" the {LIMITS.work:,} steps that are allowed",
            _name_of(item),
            hint="split the file",
        )

    def _item(self, item: ast.Item) -> None:
        match item:
            case ast.Import():
                self._import(item)
            case ast.Mixer():
                self._mixer(item)
            case ast.Family():
                self._family(item)
            case ast.Grid():
                self._grid(item)
            case ast.Layer():
                self._layer(item)
            case ast.Block():
                self._block(item)
            case ast.Model():
                self._model(item)
            case ast.Theorem() | ast.Claim():
                self._theorem(item)

    # ---- names

    def _claim(self, name: ast.Name) -> bool:
        """Whether a top-level name is free."""
        if name.id in builtins.RESERVED:
            self.findings.add("E004", f"'{name.id}' is reserved", name.span)
            return False
        if name.id in self.places:
            self.findings.add(
                "E016",
                f"'{name.id}' is defined twice",
                name.span,
                label="again",
                labels=(Label(self.places[name.id], "first defined here"),),
            )
            return False
        self.places[name.id] = name.span
        return True

    def _define(self, name: str, definition: Definition | None) -> None:
        self.names.definitions[name] = definition

    def _macro(self, item: ast.Macro) -> None:
        name = item.name
        if name.id in builtins.FUNCTIONS:
            self.findings.add(
                "E016",
                f"'{name.id}' is a builtin function already",
                name.span,
                hint="choose another name",
            )
            return
        if not self._claim(name):
            return
        for position, each in enumerate(item.parameters):
            if each.id in builtins.RESERVED:
                self.findings.add("E004", f"'{each.id}' is reserved", each.span)
            if each.id in [other.id for other in item.parameters[:position]]:
                self.findings.add(
                    "E016", f"parameter '{each.id}' of '{name.id}' is named twice", each.span
                )
        self.macros[name.id] = item

    # ---- items

    def _import(self, item: ast.Import) -> None:
        module = ".".join(each.id for each in item.module)
        for name in item.names:
            if not self._claim(name):
                continue
            self._define(name.id, None)
            definition = self._imported(item, module, name)
            if definition is not None:
                self._define(name.id, definition)
                self.unit.imports[name.id] = definition

    def _imported(self, item: ast.Import, module: str, name: ast.Name) -> Definition | None:
        if len(item.module) != 1:
            self.findings.add(
                "E010",
                f"no module '{module}': imports name the zoo or a file of the same folder",
                item.module[0].span.to(item.module[-1].span),
            )
            return None
        path = self.unit.path
        try:
            unit = self.loader.load(module, name.id, path)
        except RecursionError:
            self.findings.add("E010", f"importing '{name.id}' leads back to this file", name.span)
            return None
        if unit is not None and name.id in unit.definitions:
            return unit.definitions[name.id]
        if unit is not None and module == ZOO:
            where, pool = f"{name.id}.eos", tuple(unit.definitions)
        elif unit is not None:
            where, pool = f"{module}.eos", tuple(unit.definitions)
        else:
            where, pool = module, self.loader.known(path)
        hint = did_you_mean(name.id, pool)
        if unit is not None and hint is None:
            hint = f"`eosc check {where}` says what is wrong with it"
        self.findings.add("E010", f"{where} has no definition '{name.id}'", name.span, hint=hint)
        return None

    def _mixer(self, item: ast.Mixer) -> None:
        if not self._claim(item.name):
            return
        doc = item.doc.text if item.doc else ""
        text = Text(item.name, doc, item.body, span=item.span)
        mixer = elaborate_mixer(text, self.names, self.findings)
        self._define(item.name.id, mixer)
        if mixer is not None:
            self.unit.mixers[mixer.name] = mixer

    def _family(self, item: ast.Family) -> None:
        if not self._claim(item.name):
            return
        family = elaborate_family(item, self.names, self.findings)
        self._define(item.name.id, family)
        if family is not None:
            self.unit.families[family.name] = family
            if self.thorough:
                check_family(family, item.name, self.findings)

    def _layer(self, item: ast.Layer) -> None:
        assert item.name is not None
        if not self._claim(item.name):
            return
        layer = elaborate_layer(item, self.names, self.findings)
        self._define(item.name.id, layer)
        if layer is not None:
            self.unit.layers[layer.name] = layer

    def _block(self, item: ast.Block) -> None:
        if not self._claim(item.name):
            return
        block = elaborate_block(item, self.names, self.findings)
        self._define(item.name.id, block)
        if block is not None:
            self.unit.blocks[block.name] = block

    def _model(self, item: ast.Model) -> None:
        if not self._claim(item.name):
            return
        model = elaborate_model(item, self.names, self.findings)
        self._define(item.name.id, model)
        if model is not None:
            self.unit.models[model.name] = model

    def _theorem(self, item: ast.Theorem | ast.Claim) -> None:
        if isinstance(item, ast.Theorem) and isinstance(item.name, ast.Name):
            if not self._claim(item.name):
                return
            self._define(item.name.id, None)
        theorem = elaborate_theorem(item, self.names, self.findings)
        if theorem is not None:
            self.theorems.append(theorem)

    def _grid(self, item: ast.Grid) -> None:
        if not self._claim(item.name):
            return
        grid = elaborate_grid(item, self.names, self.findings)
        if grid is not None:
            self.unit.grids[grid.name] = grid


def _name_of(item: ast.Item) -> Span:
    """Where an item is named; the whole of one without a name."""
    name = getattr(item, "name", None)
    return name.span if isinstance(name, ast.Node) else item.span
