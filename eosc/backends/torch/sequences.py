"""Named values over whole sequences as torch text, and the token recurrence of any mixer.

What does not depend on a memory is computed for all steps at once; memories that read each other
run in a loop over steps; readouts are again computed for all steps at once. The text is plain
differentiable torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from eosc.backends.naming import Names, identifier
from eosc.backends.torch.core import Core
from eosc.backends.torch.rules import RULES
from eosc.backends.torch.scopes import Val
from eosc.backends.torch.texts import NotPrintableError
from eosc.recurrence.operands import State, crossing
from eosc.semantics import terms as ir
from eosc.semantics.model import Kind, Mixer
from eosc.semantics.terms import Dependence


class Sequences(Core):
    """The values of a mixer over whole sequences.

    Args:
        mixer: the elaborated mixer.
        names: names of variables; those of operands are given by `operand_name`.
        given: names that something else computes (readouts of scans), as values [B, T, H, axes].
        numbers: configs that the caller passes, as names of Python numbers.
    """

    rules = RULES

    def __init__(
        self,
        mixer: Mixer,
        names: Names,
        given: Mapping[str, Val] | None = None,
        numbers: Iterable[str] = (),
    ) -> None:
        from eosc.reference.dependence import groups

        super().__init__(mixer, names)
        self.groups = {name: group for group in groups(mixer) for name in group[0]}
        self.given = dict(given or {})
        self.numbers = tuple(numbers)
        self.crossing = {each.operand.name: each for each in crossing(mixer)}
        self._named: dict[str, Val] = {}

    def past(self, name: str) -> str:
        """The variable of the values before the sequence, [B, steps, H, axes], or None."""
        state = next((each for each in self.states if each.name == name), None)
        return (
            "None" if state is None else self.names.of(f"past {name}", f"{identifier(name)}_past")
        )

    def fill(self, name: str) -> str:
        """A name's value before the first step."""
        initial = self.mixer.by_name[name].initial if name in self.mixer.by_name else None
        if initial is None:
            return "0.0"
        val = self.spread(self.value(initial, 0), self.mixer.by_name[name].type.axes)
        return self.name(val, "first", 0).text

    # Named values

    def named(self, name: str) -> Val:
        """The value of a declaration over the whole sequence."""
        if name in self.given:
            return self.given[name]
        if name not in self._named:
            self._named[name] = self._define(name)
        return self._named[name]

    def _define(self, name: str) -> Val:
        declaration = self.mixer.by_name[name]
        if name in self.numbers:
            return Val(self.names(name), None)
        if declaration.value is None:
            return self._operand(name)
        group, cyclic = self.groups.get(name, ((name,), False))
        if cyclic:
            return self._stepwise(group, name)
        val = self.value(declaration.value, 0)
        if val.axes is not None:
            val = self.conformed(val, name)
        val = self.name(val, identifier(name), 0, declaration.value)
        if val.text.isidentifier() and val.axes is not None:
            return val
        return val

    def conformed(self, val: Val, name: str) -> Val:
        """The value in its declared axes and field."""
        declared = self.mixer.by_name[name].type
        log = val.log if val.axes == self.sort(declared.axes) else None
        val = replace(self.spread(val, declared.axes), log=log)
        if declared.complex:
            return Val(self.call("_as_complex", val.text), val.axes)
        return val

    def _operand(self, name: str) -> Val:
        """An operand in [B, T, H, axes]; one that crosses as a log, exponentiated."""
        declaration = self.mixer.by_name[name]
        names: tuple[str, ...] = (name,)
        if name in self.crossing:
            names = self.crossing[name].names
        moving = declaration.type.dependence is not Dependence.STATIC
        texts = []
        for each in names:
            text = self.call("_worked", self.names(each), "dtype")
            if declaration.kind is Kind.KERNEL:
                text = f"{text}.transpose(0, 1)[None]"
            elif not (moving and declaration.kind is Kind.OPERAND):
                text = f"{text}[None, None]"
            texts.append(self.call("_shared", text, "H", 2))
        axes = list(declaration.type.axes)
        if names == (name,):
            return self.name(self.arranged(Val(texts[0]), axes), identifier(name), 0)
        log = self.name(self.arranged(Val(texts[0]), axes), f"log_{identifier(name)}", 0)
        if len(names) == 1:
            val = self.name(Val(f"torch.exp({log.text})", log.axes), identifier(name), 0)
            return replace(val, log=log.text)
        arg = self.name(self.arranged(Val(texts[1]), axes), f"arg_{identifier(name)}", 0)
        whole = self.name(Val(f"torch.complex({log.text}, {arg.text})", log.axes), "log", 0)
        polar = f"torch.polar(torch.exp({log.text}), {arg.text})"
        val = self.name(Val(polar, log.axes), identifier(name), 0)
        return replace(val, log=whole.text)

    def _stepwise(self, group: tuple[str, ...], wanted: str) -> Val:
        """A loop over steps for names that read each other; every one of them, stacked."""
        memories = [n for n in group if self.mixer.by_name[n].kind is Kind.MEMORY]
        lists = {name: self.names.fresh(f"{identifier(name)}_steps") for name in group}
        outside = [name for name in group if name in memories or self._read_outside(name, group)]
        previous: dict[str, Val] = {}
        for name in memories:
            axes = self.sort(self.mixer.by_name[name].type.axes)
            held = self.names.fresh(identifier(name))
            sizes = ", ".join(["B", "1", self.heads, *(self.size(axis) for axis in axes)])
            self.line(f"{held} = {self._first_memory(name, sizes)}", note=f"{name} before the step")
            previous[name] = Val(held, axes)
        for name in outside:
            self.line(f"{lists[name]} = []")
        step = self.names.fresh("t")
        current: dict[str, Val] = {}
        bound = frozenset(("name", name) for name in group)
        binding = {"time": step, "current": current, "previous": previous}
        with self.block(f"for {step} in range(T):", 0, bound=bound, **binding):
            for name in group:
                value = self.mixer.by_name[name].value
                assert value is not None, "a group holds defined names"
                val = self.conformed(self.tensor(self.value(value)), name)
                if name in memories:
                    shape = ["B", "1", self.heads, *(self.size(axis) for axis in val.axes or ())]
                    val = replace(val, text=f"{val.operand}.expand({', '.join(shape)})")
                current[name] = self.name(val, f"{identifier(name)}_now", 1, value)
                if name in outside:
                    self.line(f"{lists[name]}.append({current[name].text})", 1)
            for name in memories:
                self.line(f"{previous[name].text} = {current[name].text}", 1)
        for name in outside:
            empty = previous.get(name, next(iter(previous.values()))).text
            stacked = self.call("_joined", lists[name], empty)
            kept = previous[name].axes if name in previous else current[name].axes
            self._named[name] = self.name(Val(stacked, kept), identifier(name), 0)
        for name in memories:
            self.lasts[name] = previous[name].text
        return self._named[wanted]

    def _first_memory(self, name: str, sizes: str) -> str:
        held = self.past(name)
        declared = self.mixer.by_name[name].type
        complex_ = self.call("_complex_dtype", "dtype") if declared.complex else "dtype"
        if self.mixer.by_name[name].initial is None:
            first = f"torch.zeros({sizes}, dtype={complex_}, device=device)"
        else:
            first = f"{self.fill(name)}.to({complex_}).expand({sizes})"
        return f"{first} if {held} is None else {held}"

    def _read_outside(self, name: str, group: tuple[str, ...]) -> bool:
        for each in self.mixer.declarations:
            if each.name in group or each.value is None:
                continue
            reads = (r for r in ir.walk(each.value) if isinstance(r, ir.Read))
            if any(r.name == name for r in reads):
                return True
        return self.mixer.output.name == name

    def linear(self, term: ir.Linear, level: int) -> Val:
        """A learned map: of layers only."""
        raise NotPrintableError("linear() belongs in a layer")

    def shortconv(self, term: ir.ShortConv, level: int) -> Val:
        """A learned convolution: of layers only."""
        raise NotPrintableError("shortconv() belongs in a layer")

    def view(self, term: ir.View, level: int) -> Val:
        """A reshape: of layers only."""
        raise NotPrintableError("view() belongs in a layer")

    # Entry and exit

    def open_states(self) -> None:
        """Lines that bring the states before the sequence into [B, steps, H, axes]."""
        for state in self.states:
            held = self.state_name(state)
            if state.kind == "position":
                self.line(f"first_position = 0 if {held} is None else {held}.max()")
                self.line("position = torch.arange(T, dtype=dtype, device=device).view(1, -1, 1)")
                self.line(f"if {held} is not None:")
                self.line(f"    position = position + {held}.to(dtype).view(-1, 1, 1)")
                continue
            if state.name in self.given:
                continue
            past = self.names.of(f"past {state.name}", f"{identifier(state.name)}_past")
            axes = list(shown_axes(state))
            moved = (
                f"{held}.unsqueeze(1)"
                if state.kind in ("memory", "running")
                else (f"{held}.transpose(1, 2)")
            )
            arranged = self.arranged(Val(self.call("_worked", moved, "dtype")), axes).text
            self.line(f"{past} = None if {held} is None else {arranged}")

    def final(self, state: State) -> str:
        """The text of a state behind the sequence, in the layout of `State`."""
        if state.kind == "position":
            held = self.state_name(state)
            zero = "torch.zeros(B, dtype=torch.int64, device=device)"
            return f"({zero} if {held} is None else {held}) + T"
        if state.name in self.lasts and state.kind in ("memory", "running"):
            axes = self.sort(shown_axes(state))
            val = Val(self.lasts[state.name], axes)
            if state.kind == "running":
                identity = (
                    "0.0"
                    if state.scan is not None and state.scan.op == "cumsum"
                    else ('float("-inf")')
                )
                past = self.names.of(f"past {state.name}", "past")
                last = self.call("_last", val.text, past, identity, 1)
                val = Val(last, axes)
            return f"{self._declared(val, state)}.squeeze(1)"
        val = self.tensor(self.named(state.name))
        axes = self.sort(shown_axes(state))
        sizes = ", ".join(["B", "T", self.heads, *(self.size(axis) for axis in axes)])
        full = self.call("_grown_to", val.text, f"({sizes})")
        past = self.past(state.name)
        depth = str(state.depth)
        if state.kind == "history":
            depth = f"T + (0 if {past} is None else {past}.shape[1])"
        if state.kind in ("memory", "running"):
            last = self.call("_last", full, past, self.fill(state.name), 1)
            return f"{self._declared(Val(last, axes), state)}.squeeze(1)"
        last = self.call("_last", full, past, self.fill(state.name), depth)
        return f"{self._declared(Val(last, axes), state)}.transpose(1, 2)"

    def _declared(self, val: Val, state: State) -> str:
        """The value with its axes as declared."""
        axes = shown_axes(state)
        if val.axes == axes or val.axes is None:
            return val.operand
        places = ", ".join(str(3 + val.axes.index(axis)) for axis in axes)
        return f"{val.operand}.permute(0, 1, 2, {places})"


def shown_axes(state: State) -> tuple[str, ...]:
    """The axes of a state, as declared."""
    assert state.declaration is not None, "the position has no axes"
    if state.kind == "running" and state.scan is not None:
        return state.scan.type.axes
    return state.declaration.type.axes
