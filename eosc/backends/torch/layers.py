"""`layer.py` of a package: the `nn.Module` around the operator, with its projections.

A layer writes its head axis out, so its values are [B, T, 1, axes] with H among the axes. Several
`linear` of the layer's input become one matrix product; what follows the operator (norm, gate,
output projection) is plain torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from eosc.backends.naming import Names, identifier
from eosc.backends.text import Library, docstring, render
from eosc.backends.torch.filters import Filters
from eosc.backends.torch.operator import Operator
from eosc.backends.torch.scopes import Val
from eosc.backends.torch.sequences import Sequences, shown_axes
from eosc.backends.torch.texts import NotPrintableError
from eosc.models.layers import fuse
from eosc.recurrence.building import rebuild
from eosc.recurrence.operands import State
from eosc.semantics import terms as ir
from eosc.semantics.model import Axis, Declaration, Kind, Layer, Mixer
from eosc.semantics.terms import NOW, Dependence, Term, Type

_RESERVED = (
    "torch nn Tensor math NamedTuple self x state return_state cu_seqlens B T dtype device held "
    "initial final op filters LayerState Parameter y position first_position output device_ dtype_"
).split()
_INPUT = "x"


@cache
def _libraries() -> tuple[Library, Library]:
    here = Path(__file__)
    return (
        Library(here.with_name("layer_runtime.py")),
        Library(here.with_name("sequence_runtime.py"), here.with_name("convolution_runtime.py")),
    )


def print_layer(
    mixer: Mixer,
    operators: tuple[Operator, ...],
    name: str,
    header: tuple[str, ...],
    filters: Filters | None = None,
) -> str:
    """The text of `layer.py`. It calls the last operator: with two, the one with the layer inside.

    Raises:
        NotPrintableError: the layer has mixers or attention inside it, or a kernel that is a
            network of the lag.
    """
    if mixer.layer is None:
        raise NotPrintableError("no layer")
    printer = _Printer(mixer, mixer.layer, operators[-1], name, header)
    printer.seq.filters = filters
    return printer.print()


@dataclass
class _Weight:
    """A submodule or parameter: its name and the text that makes it."""

    name: str
    text: str


class _LayerSequences(Sequences):
    """The terms of a layer. weights: the submodules and parameters that they use."""

    def __init__(self, mixer: Mixer, names: Names, fused: dict[int, tuple[str, str]]) -> None:
        super().__init__(mixer, names, numbers=[c.name for c in mixer.of_kind(Kind.CONFIG)])
        self.weights: list[_Weight] = []
        self.convolutions: list[tuple[str, str, str]] = []
        self.owner: dict[int, str] = {}
        self._fused = fused
        self._attributes = Names(("forward", "step", "training"))
        for declaration in mixer.declarations:
            for term in () if declaration.value is None else ir.walk(declaration.value):
                self.owner[id(term)] = declaration.name

    heads = "1"

    def weight(self, wish: str, text: str) -> str:
        """A new attribute of the module."""
        name = self._attributes.fresh(wish)
        self.weights.append(_Weight(name, text))
        return name

    def features(self, axes: tuple[str, ...]) -> str:
        """The number of entries over axes."""
        return " * ".join(self.size(axis) for axis in axes) or "1"

    def shaped(self, text: str, axes: tuple[str, ...]) -> Val:
        """[B, T, features] as [B, T, 1, axes]."""
        sizes = ", ".join(["B", "T", "1", *(self.size(axis) for axis in axes)])
        return Val(f"{text}.reshape({sizes})", self.sort(axes))

    def flat(self, val: Val, axes: tuple[str, ...]) -> str:
        """[B, T, 1, axes] as [B, T, features]."""
        if val.text == f"{_INPUT}.unsqueeze(2)":
            return _INPUT
        full = self.spread(val, axes)
        assert full.axes is not None
        text = full.operand
        if full.axes != axes:
            places = ", ".join(str(3 + full.axes.index(axis)) for axis in axes)
            text = f"{text}.permute(0, 1, 2, {places})"
        return f"{text}.flatten(2)"

    def linear(self, term: ir.Linear, level: int) -> Val:
        """A learned map, from every axis of its argument to those of the term."""
        out = term.type.axes
        if id(term) in self._fused:
            return self.shaped(self._fused[id(term)][1], out)
        wish = self._wish(term)
        source = term.arg.type.axes
        given = self.flat(self.tensor(self.value(term.arg, level)), source)
        into, bias = self.features(out), bool(term.bias)
        made = "nn.Linear({}, {}, bias={}, device=device, dtype=dtype)"
        if term.rank is None:
            attribute = self.weight(wish, made.format(self.features(source), into, bias))
            return self.shaped(f"self.{attribute}({given})", out)
        rank = f"int({self.value(term.rank, 0).text})"
        down = self.weight(f"{wish}_down", made.format(self.features(source), rank, False))
        up = self.weight(f"{wish}_up", made.format(rank, into, bias))
        return self.shaped(f"self.{up}(self.{down}({given}))", out)

    def _wish(self, term: Term) -> str:
        owner = self.owner.get(id(term), "value")
        output = self.mixer.by_name[owner].kind is Kind.OUTPUT
        return "out_proj" if output else f"{identifier(owner)}_proj"

    def shortconv(self, term: ir.ShortConv, level: int) -> Val:
        """A learned causal depthwise convolution, and the inputs that it keeps."""
        axes = term.arg.type.axes
        given = self.flat(self.tensor(self.value(term.arg, level)), axes)
        width = f"int({self.value(term.width, 0).text})"
        owner = identifier(self.owner.get(id(term), "value"))
        channels = self.features(axes)
        shape = f"({channels}, {width})"
        attribute = self.weight(f"{owner}_conv", f"_uniform({shape}, {width}, device, dtype)")
        before, out = f"{attribute}_before", self.names.fresh("convolved")
        self.convolutions.append((attribute, before, f"[B, {width} - 1, {channels}]"))
        after = f"{attribute}_after"
        call = self.call("_short_convolution", given, f"self.{attribute}", before)
        self.line(f"{out}, {after} = {call}", level)
        return self.shaped(out, axes)

    def short_filter(self, term: ir.ShortConv, width: int, name: str) -> Val:
        """The same with what follows it, as one operator."""
        axes = term.arg.type.axes
        given = self.name(Val(self.flat(self.tensor(self.value(term.arg, 0)), axes)), "given", 0)
        owner, channels = identifier(self.owner.get(id(term), "value")), self.features(axes)
        text = f"_uniform(({channels}, {width}), {width}, device, dtype)"
        attribute = self.weight(f"{owner}_conv", text)
        before = f"{attribute}_before"
        self.convolutions.append((attribute, before, f"[B, {width} - 1, {channels}]"))
        newest = self.call("_newest_of", given.text, before, width - 1)
        self.line(f"{attribute}_after = {newest}")
        taps = f"self.{attribute}.flip(1).t()[None]"
        held = f"None if {before} is None else {before}.unsqueeze(2)"
        call = f"filters.{name}({given.text}.unsqueeze(2), {taps}, {held})"
        out = self.name(Val(f"{call}.squeeze(2)"), "convolved", 0)
        return self.shaped(out.text, axes)

    def view(self, term: ir.View, level: int) -> Val:
        """A reshape without weights."""
        given = self.flat(self.tensor(self.value(term.arg, level)), term.arg.type.axes)
        return self.shaped(given, term.type.axes)

    def log(self, term: Term) -> Val:
        """The natural log of a term, in float32 or better and without overflow."""
        match term:
            case ir.Apply(op="sigmoid", args=(arg,)):
                val = self._wide(self.value(arg, 0))
                return Val(f"torch.nn.functional.logsigmoid({val.text})", val.axes)
            case ir.Apply(op="exp", args=(arg,)):
                return self._wide(self.value(arg, 0))
            case ir.Apply(op="pow", args=(base, exponent)):
                return self._combined("*", self.log(base), self.value(exponent, 0))
            case ir.Apply(op="mul", args=(left, right)):
                return self._combined("+", self.log(left), self.log(right))
            case ir.Read(name=name, at=at) if at in (None, NOW):
                value = self.mixer.by_name[name].value
                if value is not None:
                    return self.log(value)
        val = self._wide(self.value(term, 0))
        return Val(f"torch.log({val.text})", val.axes)

    def _wide(self, val: Val) -> Val:
        val = self.tensor(val)
        return Val(self.call("_wide", val.text), val.axes)

    def _combined(self, sign: str, left: Val, right: Val) -> Val:
        axes = self.sort([*(left.axes or ()), *(right.axes or ())])
        texts = self.aligned(left, axes).operand, self.aligned(right, axes).operand
        return Val(f"{texts[0]} {sign} {texts[1]}", axes)

    def _operand(self, name: str) -> Val:
        declaration = self.mixer.by_name[name]
        axes = self.sort(declaration.type.axes)
        if name == _INPUT:
            return Val(f"{_INPUT}.unsqueeze(2)", axes)
        given = declaration.type.axes
        lead = "[None, :, None]" if declaration.kind is Kind.KERNEL else "[None, None, None]"
        shape = [self.size(axis) for axis in given]
        if declaration.kind is Kind.KERNEL:
            if declaration.width is None:
                raise NotPrintableError(f"the kernel {name} has no width")
            shape.insert(0, f"int({self.value(declaration.width, 0).text})")
        text = initial_value(self, declaration, shape)
        attribute = self.weight(identifier(name), f"nn.Parameter({text})")
        return self.arranged(Val(f"self.{attribute}{lead}"), list(given))


def initial_value(seq: Sequences, declaration: Declaration, shape: list[str]) -> str:
    """The text of a parameter's first value, a tensor of the shape.

    Raises:
        NotPrintableError: the initialiser is a network of the lag.
    """
    size = f"({', '.join(shape)}{',' if len(shape) == 1 else ''})"
    return _drawn(seq, declaration.init, size, declaration.type.axes)


def _drawn(seq: Sequences, init: Term | None, size: str, axes: tuple[str, ...]) -> str:
    blank = f"torch.empty({size}, device=device, dtype=dtype)"
    match init:
        case None:
            return f"{blank}.normal_(0.0, 0.02)"
        case ir.Apply(op="normal", args=(mean, deviation)):
            return f"{blank}.normal_({seq.value(mean, 0).text}, {seq.value(deviation, 0).text})"
        case ir.Apply(op="uniform", args=(low, high)):
            return f"{blank}.uniform_({seq.value(low, 0).text}, {seq.value(high, 0).text})"
        case ir.Apply(op="log_uniform", args=(low, high)):
            low_text, high_text = seq.value(low, 0).text, seq.value(high, 0).text
            return f"{blank}.uniform_(math.log({low_text}), math.log({high_text})).exp()"
        case ir.Apply(op="inv_softplus", args=(inner,)):
            return seq.call("_inverse_softplus", _drawn(seq, inner, size, axes))
        case ir.Apply(op="log", args=(inner,)) if _is_random(inner):
            return f"torch.log({_drawn(seq, inner, size, axes)})"
        case ir.Apply(op="mlp"):
            raise NotPrintableError("a kernel that is a network of the lag")
    ordered = seq.sort(axes)
    if ordered != axes:
        raise NotPrintableError("an initial value with its axes in another order")
    val = seq.aligned(seq.tensor(seq.value(init, 0)), ordered)
    return seq.call("_filled", val.text, size, "device", "dtype")


def _is_random(term: Term) -> bool:
    return any(
        isinstance(each, ir.Apply)
        and each.op in ("normal", "uniform", "log_uniform", "inv_softplus", "mlp")
        for each in ir.walk(term)
    )


class _Printer:
    def __init__(
        self, mixer: Mixer, layer: Layer, operator: Operator, name: str, header: tuple[str, ...]
    ) -> None:
        self.mixer, self.layer, self.operator = mixer, layer, operator
        self.name, self.header = name, header
        self.names = Names((*_RESERVED, name))
        self.pseudo = _as_mixer(mixer, layer)
        self.projections = self._projections()
        self.fused, self.fusion = self._fusion()
        self.seq = _LayerSequences(self.pseudo, self.names, self.fused)
        behind = _reached(self.pseudo)
        self.seq.use(each for each in self.projections.values() if id(each) in behind)

    def _projections(self) -> dict[str, Term]:
        """The operands of the operator that the layer does not name: raw projections, by name."""
        names = {each.name for each in self.layer.declarations}
        own = tuple(each for each in self.pseudo.declarations if each.name in names)
        inside = fuse(replace(self.mixer, layer=replace(self.layer, declarations=own)))
        assert inside is not None, "the mixer has a layer"
        return {each.name: each.term for each in inside.projections}

    def _fusion(self) -> tuple[dict[int, tuple[str, str]], list[tuple[str, ir.Linear]]]:
        """The plain maps of the input, by term: done by one matrix product."""
        found: list[tuple[str, ir.Linear]] = []
        for declaration in self.pseudo.declarations:
            for term in () if declaration.value is None else ir.walk(declaration.value):
                if isinstance(term, ir.Attention | ir.MixerCall):
                    raise NotPrintableError("a layer with a mixer or attention inside")
                plain = isinstance(term, ir.Linear) and term.rank is None and not term.bias
                if plain and isinstance(term, ir.Linear) and _is_input(term.arg):
                    found.append((declaration.name, term))
        if len(found) < 2:
            return {}, []
        listed = [(self.names.fresh(f"{identifier(n)}_in"), each) for n, each in found]
        return {id(each): (text, text) for text, each in listed}, listed

    def print(self) -> str:
        seq = self.seq
        seq.heads = "1"
        lines = seq.lines
        seq.line("B, T = x.shape[:2]")
        seq.line("dtype, device = x.dtype, x.device")
        place = len(lines)
        own = [each for each in seq.states if each.kind != "position"]
        self.layer_states = tuple(own)
        self._fused_line()
        arguments = [self._bound(name, each) for name, each in self._operands()]
        options_of = {each.name for each in self.pseudo.of_kind(Kind.CONFIG)}
        numbers = [each for each in self.operator.sequence.numbers if each in options_of]
        arguments += [f"{identifier(each)}={self.names(each)}" for each in numbers]
        mixer_states = self.operator.sequence.states
        fields = [self.names.fresh(f"{identifier(each.name)}_state") for each in mixer_states]
        packed = "cu_seqlens" if not self._looped() else "None"
        given = f"({', '.join(fields)}{',' if len(fields) == 1 else ''})"
        carried = f", initial_state={given}" if fields else ""
        options = f"{carried}, output_final_state=return_state, cu_seqlens={packed}"
        output_axes = self.mixer.output.type.axes
        seq.line(f"y, final = op.{self.operator.name}({', '.join(arguments)}{options})")
        y_axes = seq.sort(("H", *output_axes))
        arranged = seq.arranged(Val("y.unsqueeze(2)"), ["H", *output_axes])
        seq.given["y"] = seq.name(replace(arranged, axes=y_axes), "y_heads", 0)
        output = self.pseudo.output
        assert output.value is not None, "an output has a value"
        out = seq.flat(seq.tensor(seq.value(output.value, 0)), output.type.axes)
        result = seq.name(Val(out), "output", 0).text
        finals = [seq.final(each) for each in own]
        finals += [f"{each[0]}_after" for each in seq.convolutions]
        seq.line("if not return_state:")
        seq.line("    return output" if result == "output" else f"    return {result}")
        states = ", ".join([*finals, *(["*final"] if fields else [])])
        seq.line(f"return {result}, LayerState({states})")
        opening = self._opening(own, fields, lines[place:])
        lines[place:place] = opening
        return self._render(own, fields)

    def _operands(self) -> list[tuple[str, Any]]:
        return [
            (name, each)
            for name, (_, each) in zip(
                self.operator.parameters, self.operator.sequence.operands, strict=True
            )
        ]

    def _fused_line(self) -> None:
        if not self.fusion:
            return
        seq = self.seq
        sizes = [seq.features(each.type.axes) for _, each in self.fusion]
        total = " + ".join(sizes)
        width = seq.size("D")
        made = f"nn.Linear({width}, {total}, bias=False, device=device, dtype=dtype)"
        attribute = seq.weight("in_proj", made)
        targets = ", ".join(text for text, _ in self.fusion)
        seq.line(f"{targets} = self.{attribute}(x).split(({', '.join(sizes)}), -1)")

    def _bound(self, name: str, operand: Any) -> str:
        """The text of an operand of the mixer, in the layout of the operator."""
        seq, declared = self.seq, operand.declaration
        binding = self.pseudo.by_name.get(declared.name)
        raw = self.projections.get(declared.name)
        if raw is None and (binding is None or binding.kind is Kind.OUTPUT):
            return self._own_parameter(declared, operand.taps)
        if declared.type.complex:
            raise NotPrintableError(f"the complex operand {declared.name}")
        if binding is None or binding.kind is Kind.OUTPUT:
            assert raw is not None
            axes, val = raw.type.axes, seq.value(raw, 0)
        elif binding.value is not None and operand.log:
            axes, val = binding.type.axes, seq.log(binding.value)
        else:
            axes, val = binding.type.axes, seq.named(declared.name)
        val = seq.spread(seq.tensor(val), axes)
        assert val.axes is not None
        order = [axis for axis in axes if axis not in declared.type.axes]
        wanted = [*order, *declared.type.axes]
        text = val.operand
        if tuple(wanted) != val.axes:
            places = ", ".join(str(3 + val.axes.index(axis)) for axis in wanted)
            text = f"{text}.permute(0, 1, 2, {places})"
        if operand.static:
            return f"{text}[0, 0{', 0' if order else ''}]"
        text = f"{text}.squeeze(2)" if order else text
        sizes = ", ".join(seq.size(axis) for axis in declared.type.axes)
        full = f"{text}.expand(B, T, -1{', ' if sizes else ''}{sizes})"
        return full

    def _own_parameter(self, declared: Declaration, taps: bool) -> str:
        """A parameter of the mixer that the layer does not bind."""
        seq = self.seq
        if taps:
            raise NotPrintableError(f"the learned kernel {declared.name} is not bound")
        shape = ["H", *(seq.size(axis) for axis in declared.type.axes)]
        inner = _Initial(self.mixer, self.names)
        text = initial_value(inner, declared, shape)
        seq.used |= inner.used
        attribute = seq.weight(identifier(declared.name), f"nn.Parameter({text})")
        return f"self.{attribute}"

    def _looped(self) -> bool:
        """Whether packed sequences are run one by one, because the layer itself looks back."""
        return bool(self.layer_states or self._convolved())

    def _convolved(self) -> bool:
        values = [d.value for d in self.pseudo.declarations if d.value is not None]
        return any(isinstance(t, ir.ShortConv) for value in values for t in ir.walk(value))

    def _opening(
        self, own: list[State], fields: list[str], body: list[tuple[int, str, int | None]]
    ) -> list[tuple[int, str, int | None]]:
        """Lines before the body: sizes and options that it uses, and the states."""
        import re

        seq = self.seq
        words = set(re.findall(r"\w+", " ".join(text for _, text, _ in body)))
        found: list[tuple[int, str, int | None]] = []
        for name in self._attributes():
            if name in words:
                found.append((1, f"{name} = self.{name}", None))
        held = [seq.state_name(each) for each in own]
        held += [before for _, before, _ in seq.convolutions]
        held += fields
        if held:
            target = ", ".join(held) + ("," if len(held) == 1 else "")
            found.append((1, f"{target} = (None,) * {len(held)} if state is None else state", None))
        scratch, seq.stack[0].lines = seq.stack[0].lines, []
        before = len(seq.stack[0].lines)
        seq.open_states()
        found += seq.stack[0].lines[before:]
        seq.stack[0].lines = scratch
        return found

    def _attributes(self) -> list[str]:
        """Sizes and options of the layer, as variables."""
        names = [self.seq.size(axis.name) for axis in self.pseudo.axes]
        names += [self.names(c.name) for c in self.pseudo.of_kind(Kind.CONFIG)]
        return list(dict.fromkeys(names))

    def _render(self, own: list[State], fields: list[str]) -> str:
        seq = self.seq
        used = {*seq.used, "_size"}
        if self._looped():
            used.add("_each_sequence_of")
        used |= {"_uniform"} if seq.convolutions else set()
        ours, sequences = _libraries()
        runtime = (*ours.closure(used & {*ours.names}), *sequences.closure(used - {*ours.names}))
        joined = " ".join(runtime)
        abstract = [n for n in ("Callable", "Sequence") if f"{n}[" in joined]
        weights = [(each.name, each.text) for each in seq.weights]
        uses_math = "math." in joined or any("math." in text for _, text in weights)
        states = [(identifier(e.name), self._kept(e)) for e in own]
        states += [(name, layout) for name, _, layout in seq.convolutions]
        states += [(field, "of the operator") for field in fields]
        return render(
            "torch/layer.py.jinja",
            header=self.header,
            doc=docstring(f"The layer {self.name}: its projections around the operator."),
            imports=[
                *(["import math"] if uses_math else []),
                *([f"from collections.abc import {', '.join(abstract)}"] if abstract else []),
                f"from typing import {'Any, ' if ': Any' in joined else ''}NamedTuple",
            ],
            runtime=runtime,
            class_name=class_name(self.name),
            class_doc=docstring(self.layer.doc.strip() or self.mixer.doc.strip() or self.name, 4),
            filters="filters." in " ".join(text for _, text, _ in seq.lines),
            states=states,
            parameters=self._constructor()[0],
            settings=self._constructor()[1],
            attributes=self._attributes(),
            weights=weights,
            looped=self._looped(),
            lines=seq.lines,
        )

    def _kept(self, state: State) -> str:
        return f"[B, 1, {state.depth}, {', '.join(shown_axes(state))}]"

    def _constructor(self) -> tuple[list[str], list[str]]:
        """Parameters, and lines that settle defaults and derived sizes."""
        seq, parameters, lines = self.seq, [], []
        sizes = {axis.name for axis in self.pseudo.axes}
        for formal in self.layer.formals:
            size = formal.name in sizes
            name = seq.size(formal.name) if size else self.names(formal.name)
            if formal.default is None:
                parameters.append(f"{name}: int" if size else f"{name}: float")
            elif isinstance(formal.default, ir.Number):
                number = formal.default.value
                text = str(int(number)) if number.denominator == 1 else repr(float(number))
                kind = "int" if size or number.denominator == 1 else "float"
                parameters.append(f"{name}: {kind} = {text}")
            else:
                kind = "int" if size else "float"
                parameters.append(f"{name}: {kind} | None = None")
                default = seq.value(formal.default, 0).text
                lines.append(f"{name} = {default} if {name} is None else {name}")
            if size:
                lines.append(f"{name} = _size({formal.name!r}, {name})")
        known = {formal.name for formal in self.layer.formals}
        for axis in (*self.layer.axes, *self.mixer.axes):
            if axis.name in known or axis.name not in sizes:
                continue
            if axis.size is not None:
                text = seq.value(axis.size, 0).text
                lines.append(f"{seq.size(axis.name)} = _size({axis.name!r}, {text})")
                known.add(axis.name)
        return parameters, lines


class _Initial(Sequences):
    """Static terms of the mixer, for the initial values of its parameters: no variables."""

    def name(self, val: Val, wish: str, level: int, term: Term | None = None) -> Val:
        """The value as it is."""
        return val


def class_name(name: str) -> str:
    """`gla` -> `Gla`, `gated_deltanet` -> `GatedDeltanet`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_") if part)


def _is_input(term: Term) -> bool:
    return isinstance(term, ir.Read) and term.name == _INPUT and term.at == NOW


def _reached(layer: Mixer) -> frozenset[int]:
    """The terms that the output reads itself or through names, by identity.

    A weight among them that is also a projection of the operator is one weight in two places.
    """
    found: set[int] = set()
    names, entered = [layer.output.name], {layer.output.name}
    while names:
        value = layer.by_name[names.pop()].value
        for term in () if value is None else ir.walk(value):
            found.add(id(term))
            if isinstance(term, ir.Read) and term.name in layer.by_name:
                names += [term.name] if term.name not in entered else []
                entered.add(term.name)
    return frozenset(found)


def _as_mixer(mixer: Mixer, layer: Layer) -> Mixer:
    """The layer as a mixer whose head axis is an axis like the others."""
    layer_axes = {axis for each in layer.declarations for axis in each.type.axes} | {
        axis
        for each in layer.declarations
        if each.value
        for t in ir.walk(each.value)
        for axis in t.type.axes
    }
    named = [axis.name for axis in mixer.axes]
    formals = {formal.name for formal in layer.formals}
    order = ["D", *(a.name for a in layer.axes), "H", *named, *sorted(layer_axes)]
    order = [name for name in dict.fromkeys(order) if "'" not in name]
    derived = {axis.name: axis for axis in (*mixer.axes, *layer.axes)}
    axes = tuple(
        Axis(name) if name in formals else derived.get(name, Axis(name))
        for name in order
        if name in layer_axes | formals | set(named)
        and (name not in formals or name in (layer_axes | set(named) | {"D", "H"}))
    )
    data = Type(axes=("D",), dependence=Dependence.DATA)
    found = [Declaration(_INPUT, Kind.OPERAND, data)]
    numbers = formals - {axis.name for axis in axes}
    for formal in layer.formals:
        if formal.name in numbers:
            found.append(Declaration(formal.name, Kind.CONFIG, Type(), value=formal.default))
    for each in layer.declarations:
        value = None if each.value is None else _fresh(each.value)
        found.append(replace(each, value=value))
    y = Declaration("y", Kind.STATE, Type(("H", *mixer.output.type.axes), False, Dependence.DATA))
    found.append(y)
    order_of = tuple(each.name for each in found if each.value is not None)
    return Mixer(f"{mixer.name}_layer", axes, tuple(found), order_of)


def _fresh(term: Term) -> Term:
    """The term with each weight an object of its own: every occurrence is a new weight."""
    inner = rebuild(term, _fresh)
    return replace(inner) if isinstance(inner, ir.Linear | ir.ShortConv) else inner
