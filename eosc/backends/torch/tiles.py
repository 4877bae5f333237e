"""Values of the Algorithm IR as torch text over [chunks, B, H, …] tiles.

Every value is printed for the part of time where it is needed (`domains`), so that a level of the
halving form costs what its pairs cost. Products run over all chunks at once; the state is what
`carry` makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from eosc.algebra.print import spell
from eosc.algebra.scalar import Arg, Fn, args_of
from eosc.backends.naming import Names
from eosc.backends.torch.contractions import contracted, hoisted
from eosc.backends.torch.decays import Decays
from eosc.backends.torch.domains import (
    FULL,
    Domain,
    Supports,
    addends,
    contains,
    projected,
    restricted,
    times,
)
from eosc.backends.torch.moves import Moves, aligned, layout_on
from eosc.backends.torch.sums import combined, flattened
from eosc.backends.torch.texts import BLOCK, NotPrintableError, Shared, Text, Writer, is_view
from eosc.ir.nodes import (
    TIME,
    Array,
    Decay,
    Dims,
    Dot,
    Inverse,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Recur,
    Rename,
    Round,
    Running,
    Size,
    Sum,
    Use,
    Value,
)


class Tiles:
    """The expressions of one kernel.

    Args:
        writer: where assignments go.
        names: names of variables.
        arrays: the arrays of the algorithm by name.
        variables: text of each array that is at hand, and its kind of access.
        chunk: tokens a chunk; 1: the body has no time dimension.
        lets: the named values, with states already replaced by uses.
        provide: the stacked states behind a use that is no let.
        shared: what earlier kernels of the same function have computed.
        once: names of lets with a single use.
    """

    def __init__(
        self,
        writer: Writer,
        names: Names,
        arrays: Mapping[str, Array],
        variables: Mapping[str, str],
        chunk: int,
        lets: Mapping[str, Let],
        provide: Callable[[str], Text],
        shared: Shared,
        once: frozenset[str] = frozenset(),
    ) -> None:
        self.writer, self.names, self.arrays, self.chunk = writer, names, arrays, chunk
        self.variables, self.lets, self.provide = variables, lets, provide
        self.supports = Supports({name: let.value for name, let in lets.items()}, chunk)
        self._done: dict[tuple[str, Domain], Text] = {}
        self._shared, self._once = shared, once
        self._tables = shared.tables
        self._moves = Moves(writer, chunk)
        self._decays = Decays(writer, names, shared, self._moves)

    # Values

    def value(self, value: Value, domain: Domain = FULL) -> Text:
        """The value on a part of time."""
        if not times(value.dims):
            domain = FULL
        match value:
            case Use(name=name):
                return self._use(name, domain)
            case Load():
                return self._moves.between(self._load(value), FULL, domain, value.dims)
            case Size(axis=axis):
                return Text(self.names.of(f"size of {axis}", axis), None)
            case Map():
                return self._map(value, domain)
            case Dot():
                return self._dot(value, domain)
            case Sum():
                outside = hoisted(value)
                if outside is not value:
                    return self.value(outside, domain)
                return self._sum(value, domain)
            case LogDecay(arg=arg):
                return self._log(arg, domain)
            case Decay():
                return self._decay(value, domain)
            case Mask():
                return self._mask(value, domain)
            case Inverse(arg=arg):
                lower = value.dims == ("i", "j")
                text = self.writer.call("_inverse_of_unit", self.full(arg, value.dims).text, lower)
                found = Text(text, value.dims, owned=True, fresh=True)
                return self._moves.between(found, FULL, domain, value.dims)
            case Rename(arg=arg):
                return self._rename(value, arg, domain)
            case Round(arg=arg):
                return self.value(arg, domain)
            case Running(arg=arg, suffix=suffix, strict=strict):
                inner = self.full(arg, value.dims)
                text = self.writer.call("_running", inner.text, suffix, strict)
                sums = Text(text, value.dims, owned=True, fresh=True)
                return self._moves.between(sums, FULL, domain, value.dims)
            case Recur():
                return self._moves.between(self._recur(value), FULL, domain, value.dims)
        raise NotPrintableError(f"torch prints no {type(value).__name__}")

    def full(self, value: Value, dims: Dims) -> Text:
        """The value on the whole chunk with these dimensions, size 1 where it lacks one."""
        return aligned(self.value(value, FULL), dims)

    def named(self, text: Text, wish: str, note: str = "", spec: int | None = None) -> Text:
        """The expression in a variable."""
        if text.bare and text.text.isidentifier():
            return text
        known = self._shared.parts.get(text.text)
        if known is not None:
            return Text(known, text.layout, owned=text.owned)
        other = self._shared.parts.get(text.turned)
        if other is not None:
            return Text(f"{other}.mT", text.layout)
        name = self.names.fresh(wish)
        self.writer.line(f"{name} = {text.text}", note, spec)
        self._shared.parts[text.text] = name
        return Text(name, text.layout, owned=text.owned)

    def _use(self, name: str, domain: Domain) -> Text:
        if name not in self.lets:
            held = self.provide(name)
            return self._moves.between(held, FULL, domain, held.layout or ())
        let = self.lets[name]
        dims = let.value.dims
        if (name, domain) in self._done:
            return self._done[name, domain]
        sparse = self.supports.of(let.value)
        target = sparse if sparse.blocked else domain if _is_partial(let.value) else FULL
        if (name, target) not in self._done:
            self._done[name, target] = self._computed(let, target)
        text = self._moves.between(self._done[name, target], target, domain, dims)
        self._done[name, domain] = text
        return text

    def _computed(self, let: Let, domain: Domain) -> Text:
        """The variable of a let; a prologue is the same in every kernel of the function."""
        known = self._shared.prologues.get(let.value)
        if known is not None:
            return known
        text = self._masked(let.value, self.value(let.value, domain))
        if let.name in self._once and text.fresh:
            return text
        named = self.named(text, let.name, let.note, let.lines[0] if let.lines else None)
        if not contains(let.value, lambda v: isinstance(v, Use)):
            self._shared.prologues[let.value] = named
        return named

    def _masked(self, value: Value, text: Text) -> Text:
        """Zeros behind T, where a pointwise function does not keep those of its loads."""
        from_tokens = contains(value, lambda v: isinstance(v, Load) and "i" in v.dims)
        prologue = from_tokens and not contains(value, lambda v: isinstance(v, Use | Dot))
        if prologue and not _keeps_zero(value) and text.layout is not None:
            return Text(self.writer.call("_valid", text.text, "T"), text.layout)
        return text

    def _load(self, value: Load) -> Text:
        array = self.arrays[value.array]
        if array.per is Per.CALL:
            return Text(self.variables[array.name], None)
        dims = tuple(name for name in value.dims)
        return Text(self.variables[array.name], dims)

    # Pointwise

    def _map(self, value: Map, domain: Domain) -> Text:
        parts = addends(value.fn)
        if parts is not None and len(parts) > 1 and domain is FULL:
            flat = flattened(value)
            if any(self.supports.of(each).blocked for _, each in flat):
                return self._gathered(flat, value.dims)
        sparse = self.supports.of(value)
        if sparse.blocked and sparse != domain and times(value.dims):
            if domain is FULL or domain.kind != sparse.kind:
                return self._moves.between(self._map(value, sparse), sparse, domain, value.dims)
        layout = layout_on(value.dims, domain)
        used = args_of(value.fn)
        texts = {
            name: aligned(self.value(arg, projected(domain, arg.dims)), layout)
            for name, arg in value.args
            if name in used
        }
        return self._spelled(value, texts, layout)

    def _spelled(self, value: Map, texts: Mapping[str, Text], layout: Dims) -> Text:
        """The function over the printed arguments, each computed once."""
        if isinstance(value.fn, Arg):
            return replace(texts[value.fn.name], layout=layout)
        if not texts:
            return Text(spell(value.fn, "torch").result, None)
        short = combined(value.fn, texts, layout, self.writer)
        if short is not None:
            return short
        holes = {name: f"eosc_hole_{n}_" for n, name in enumerate(texts)}
        spelled = spell(value.fn, "torch", holes, prefix="eosc_shared_")
        written = " ".join((*(text for _, text in spelled.lines), spelled.result))
        known: dict[str, str] = {}
        for name, hole in holes.items():
            text = texts[name]
            if len(re.findall(rf"\b{hole}\b", written)) > 1 and not is_view(text.text):
                text = self.named(text, "part")
            known[hole] = text.operand

        def filled(text: str) -> str:
            return re.sub(r"\beosc_(?:hole|shared)_\w+", lambda found: known[found.group()], text)

        for name, line in spelled.lines:
            known[name] = self.names.fresh("x")
            self.writer.line(f"{known[name]} = {filled(line)}")
        numbers = all(text.layout is None for text in texts.values())
        result = filled(spelled.result)
        bare = is_view(result)
        product = None
        match value.fn:
            case Fn("mul", (Arg(a), Arg(b))) if not numbers:
                if texts[a].layout is not None and texts[b].layout is not None:
                    product = (known[holes[a]], known[holes[b]])
        return Text(result, None if numbers else layout, bare, owned=not bare, product=product)

    def _gathered(self, parts: list[tuple[int, Value]], dims: Dims) -> Text:
        """A sum whose addends live on different parts of time, gathered in one tile."""
        whole = [(sign, each) for sign, each in parts if not self.supports.of(each).blocked]
        total = self.names.fresh("total")
        shape = ", ".join(self.extent(name) for name in dims)
        first = f"torch.zeros(chunks, B, H, {shape}, dtype=dtype, device=device)"
        if whole and whole[0][0] == 1:
            _, head = whole.pop(0)
            text = self.full(head, dims)
            wide = text.owned and text.layout == dims
            if not wide:
                first = self.writer.call("_whole", text.text, f"(chunks, B, H, {shape})")
            else:
                first = f"{text.text}.clone()" if text.text.isidentifier() else text.text
        self.writer.line(f"{total} = {first}")
        for sign, each in whole:
            text = self.full(each, dims)
            self.writer.line(f"{total} {'+' if sign > 0 else '-'}= {text.text}")
        for sign, each in parts:
            sparse = self.supports.of(each)
            if sparse.blocked:
                view = self._moves.between(Text(total, dims), FULL, sparse, dims).text
                text = aligned(self.value(each, sparse), layout_on(dims, sparse))
                if text.product is not None:
                    less = "" if sign > 0 else ", value=-1"
                    self.writer.line(f"{view}.addcmul_({', '.join(text.product)}{less})")
                    continue
                method = "add_" if sign > 0 else "sub_"
                self.writer.line(f"{view}.{method}({text.text})")
        return Text(total, dims, owned=True)

    def extent(self, name: str) -> str:
        """The size of a dimension."""
        return str(self.chunk) if name in TIME else self.names.of(f"size of {name}", name)

    # Walks over the tokens of each chunk

    def recurrence(self, value: Recur) -> tuple[str, str]:
        """The decay and the write of a walk at every token, as variables."""
        axes = tuple(name for name in value.dims if name not in TIME)
        sizes = ", ".join(self.extent(name) for name in ("i", *axes))
        texts = []
        for each, wish in ((value.decay, "decay"), (value.write, "write")):
            text = self.full(each, ("i", *axes))
            if text.layout is None:
                text = Text(f"torch.full((1,), {text.text}, dtype=dtype, device=device)", ())
            wide = Text(f"{text.operand}.expand(chunks, B, H, {sizes})", ("i", *axes))
            texts.append(self.named(wide, wish).text)
        return texts[0], texts[1]

    def _recur(self, value: Recur) -> Text:
        """The states before or after each token, from the state before each chunk."""
        axes = tuple(name for name in value.dims if name not in TIME)
        reverse = value.direction == -1
        start = self.full(value.start, axes).text
        walk = self.writer.call("_recur", start, *self.recurrence(value), "T", str(reverse))
        states = self.named(Text(walk, ("i", *axes), owned=True), "states").text
        later = (value.read == "after") != reverse
        return Text(f"{states}[:, :, :, {'1:' if later else ':-1'}]", ("i", *axes))

    # Contractions

    def _dot(self, value: Dot, domain: Domain) -> Text:
        over, dims = value.over, value.dims
        natural = self._natural(value, domain)
        left = self._operand(value.left, natural)
        right = self._operand(value.right, natural)
        result = restricted(natural, times(dims)[0]) if len(times(dims)) == 1 else natural
        if not times(dims):
            result = FULL
        out = layout_on(dims, result)
        text = contracted(left, right, over, out, natural)
        return self._moves.between(text, result, domain if times(dims) else FULL, dims)

    def _natural(self, value: Dot, domain: Domain) -> Domain:
        """The pairs, or tokens, over which a product is taken."""
        if value.over in TIME:
            for each in (value.left, value.right):
                if len(times(each.dims)) == 2:
                    return self.supports.of(each)
            return FULL
        return domain

    def _operand(self, arg: Value, natural: Domain) -> Text:
        own = times(arg.dims)
        if natural.kind == "level":
            target = natural if len(own) == 2 else restricted(natural, own[0]) if own else FULL
        else:
            target = natural if own else FULL
        text = self.value(arg, target)
        return text if is_view(text.text) else self.named(text, "part")

    def _sum(self, value: Sum, domain: Domain) -> Text:
        arg, over = value.arg, value.over
        sparse = self.supports.of(arg)
        inner = FULL
        if any(name in TIME for name in over):
            inner = sparse
            if not times(value.dims):
                inner = FULL
        elif times(arg.dims):
            inner = domain
        text = self.named(self.value(arg, inner), "part")
        if text.layout is None:
            raise NotPrintableError("a sum of a number")
        if "i" in over and "i" in text.layout and inner is FULL and self.chunk > 1:
            position = text.layout.index("i")
            if position == 0 and "j" not in text.layout:
                text = Text(self.writer.call("_valid", text.text, "T"), text.layout)
        layout = text.layout or ()
        places = sorted(3 + layout.index(name) for name in over)
        at = str(places[0]) if len(places) == 1 else f"({', '.join(map(str, places))})"
        left = tuple(name for name in layout if name not in over)
        source = FULL
        if times(value.dims):
            source = restricted(inner, times(value.dims)[0])
        else:
            left = tuple(name for name in left if name != BLOCK)
        summed = Text(f"{text.operand}.sum({at})", left)
        return self._moves.between(summed, source, domain, value.dims)

    # Decays

    def _log(self, arg: Value, domain: Domain) -> Text:
        text = self.value(arg, domain)
        return Text(f"{text.operand}.clamp(min=lowest)", text.layout)

    def _decay(self, value: Decay, domain: Domain) -> Text:
        if self.chunk == 1:
            return self._token_decay(value)
        return self._decays.of(value, self._log_key(value), domain)

    def _token_decay(self, value: Decay) -> Text:
        """Of one token: its whole decay, or nothing."""
        if (value.low.kind, value.high.kind) == ("start", "end"):
            text = self.value(value.log, FULL)
            return Text(f"torch.exp({text.text})", text.layout)
        raise NotPrintableError(f"no D({value.low}, {value.high}] of one token")

    def _log_key(self, value: Decay) -> str:
        """The variable of a log-decay at each token."""
        log = value.log
        if not isinstance(log, Use):
            raise NotPrintableError("the log of a decay is named first")
        if ("log", log.name, 0) not in self._tables:
            text = self.value(log, FULL)
            if "i" not in log.dims:
                timed = self.writer.call("_timed", text.text, "T", self.chunk)
                text = self.named(Text(timed, ("i", *log.dims)), f"{log.name}_timed")
            self._tables["log", log.name, 0] = self.named(text, log.name).text
        return self._tables["log", log.name, 0]

    # Masks and names

    def _mask(self, value: Mask, domain: Domain) -> Text:
        sparse = self.supports.of(value)
        own = times(value.dims)
        if value.dims != own or len(own) != 2:
            raise NotPrintableError("a mask is over pairs of tokens alone")
        if sparse.kind != "level":
            inner = self.value(value.arg, sparse)
            lower = own == ("i", "j")
            offset = (-1 if lower else 1) if value.relation.strict else 0
            single = sparse.kind == "block" and sparse.size == 1 and not offset
            if not single:
                cut = ("tril" if lower else "triu") + ("_" if inner.fresh else "")
                text = f"{inner.operand}.{cut}({offset or ''})"
                turned = ""
                if inner.turned:
                    other = ("triu" if lower else "tril") + ("_" if inner.fresh else "")
                    turned = f"{inner.turned_operand}.{other}({-offset or ''})"
                inner = Text(text, inner.layout, owned=True, fresh=True, turned=turned)
        else:
            inner = self.value(value.arg, sparse)
        return self._moves.between(inner, sparse, domain, value.dims)

    def _rename(self, value: Rename, arg: Value, domain: Domain) -> Text:
        text = self.value(arg, domain)
        if text.layout is None:
            return text
        mapping = dict(zip(arg.dims, value.dims, strict=True))
        return replace(text, layout=tuple(mapping.get(name, name) for name in text.layout))


def _keeps_zero(value: Value) -> bool:
    """Whether the value is 0 wherever its loads with a time dimension are."""
    from eosc.algebra.scalar import ZERO, substitute

    match value:
        case Load():
            return "i" in value.dims
        case LogDecay(arg=arg) | Round(arg=arg) | Rename(arg=arg) | Sum(arg=arg):
            return _keeps_zero(arg)
        case Map(fn=fn, args=args):
            zero = {name: 0 for name, arg in args if _keeps_zero(arg)}
            return substitute(fn, zero) is ZERO
    return False


def _is_partial(value: Value) -> bool:
    """Whether a named value is printed only for the part of time where it is asked for."""

    def sized(each: Value) -> bool:
        return isinstance(each, Decay) and each.low.size + each.high.size > 0

    return len(times(value.dims)) == 2 or contains(value, sized)
