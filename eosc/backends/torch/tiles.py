"""Values of the Algorithm IR as torch text over [chunks, B, H, …] tiles.

Every value is printed for the part of time where it is needed (`domains`), so that a level of the
halving form costs what its pairs cost. Products run over all chunks at once; the state is what
`carry` makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from eosc.algebra.print import spell
from eosc.algebra.scalar import Arg, Fn, S, args_of
from eosc.backends.naming import Names, comment
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
from eosc.ir.build import product, summed
from eosc.ir.nodes import (
    TIME,
    Array,
    Decay,
    Dims,
    Dot,
    Let,
    Load,
    LogDecay,
    Map,
    Mask,
    Per,
    Point,
    Rename,
    Round,
    Running,
    Size,
    Sum,
    Use,
    Value,
)

BLOCK = "b"
"""The dimension of blocks in a layout; feature axes of a spec are never called that: see `axis`."""


class NotPrintableError(Exception):
    """The IR holds something that this backend does not print."""


@dataclass(frozen=True, slots=True)
class Text:
    """A torch expression. layout: its dimensions behind [chunks, B, H]; None for a number.

    bare: whether it stands as an operand without parentheses. owned: whether its memory is its
    own, of full size. fresh: whether that memory is nobody else's yet, so that it may be
    overwritten. product: the two factors, where it is a product. turned: the text of the
    transposed tile, where that may be in a variable already. matmul: the two sides of a matrix
    product and the number that it is scaled by, where it is one.
    """

    text: str
    layout: Dims | None
    bare: bool = True
    owned: bool = False
    fresh: bool = False
    product: tuple[str, str] | None = None
    turned: str = ""
    matmul: tuple[str, str, str] | None = None

    @property
    def operand(self) -> str:
        """The text where it is an operand or has something behind it."""
        return self.text if self.bare else f"({self.text})"

    @property
    def turned_operand(self) -> str:
        """The same of the transposed tile."""
        return self.turned if self.bare else f"({self.turned})"


@dataclass
class Writer:
    """The lines of a function: (indent, text, line of the spec or None)."""

    lines: list[tuple[int, str, int | None]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def line(self, text: str, note: str = "", spec: int | None = None) -> None:
        """Add a line, with a comment."""
        note = comment(note)
        self.lines.append((1, f"{text}  # {note}" if note else text, spec))

    def call(self, name: str, *args: object) -> str:
        """A call of a runtime function."""
        self.used.add(name)
        return f"{name}({', '.join(str(each) for each in args)})"


@dataclass
class Shared:
    """What the kernels of one function have in common: prologues, and tables of their decays.

    smallest: the size of the smallest blocks whose decays are asked for. middle: the size of the
    blocks in midpoint form, 0 where there are none. parts: variables by their text; nothing
    writes to them.
    """

    smallest: int = 1
    middle: int = 0
    prologues: dict[Value, Text] = field(default_factory=dict)
    tables: dict[tuple[str, str, int], str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)


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

    # Values

    def value(self, value: Value, domain: Domain = FULL) -> Text:
        """The value on a part of time."""
        if not times(value.dims):
            domain = FULL
        match value:
            case Use(name=name):
                return self._use(name, domain)
            case Load():
                return self._on(self._load(value), FULL, domain, value.dims)
            case Size(axis=axis):
                return Text(self.names.of(f"size of {axis}", axis), None)
            case Map():
                return self._map(value, domain)
            case Dot():
                return self._dot(value, domain)
            case Sum():
                hoisted = _hoisted(value)
                if hoisted is not value:
                    return self.value(hoisted, domain)
                return self._sum(value, domain)
            case LogDecay(arg=arg):
                return self._log(arg, domain)
            case Decay():
                return self._decay(value, domain)
            case Mask():
                return self._mask(value, domain)
            case Rename(arg=arg):
                return self._rename(value, arg, domain)
            case Round(arg=arg):
                return self.value(arg, domain)
            case Running(arg=arg, suffix=suffix, strict=strict):
                inner = self.full(arg, value.dims)
                text = self.writer.call("_running", inner.text, suffix, strict)
                sums = Text(text, value.dims, owned=True, fresh=True)
                return self._on(sums, FULL, domain, value.dims)
        raise NotPrintableError(f"torch prints no {type(value).__name__}")

    def full(self, value: Value, dims: Dims) -> Text:
        """The value on the whole chunk with these dimensions, size 1 where it lacks one."""
        return self.aligned(self.value(value, FULL), dims)

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

    def aligned(self, text: Text, layout: Dims) -> Text:
        """The expression with the dimensions of `layout`, size 1 where it lacks one."""
        if text.layout is None or text.layout == layout:
            return text
        own = tuple(name for name in layout if name in text.layout)
        if set(own) != set(text.layout):
            raise NotPrintableError(f"{text.layout} does not fit into {layout}")
        out = text.operand
        if own != text.layout:
            order = [3 + text.layout.index(name) for name in own]
            if len(order) > 1 and own[:-2] == text.layout[:-2]:
                out += ".mT"
            else:
                out += f".permute(0, 1, 2, {', '.join(map(str, order))})"
        if own != layout:
            missing = [":" if name in own else "None" for name in layout]
            while missing and missing[-1] == ":":
                missing.pop()
            out += f"[:, :, :, {', '.join(missing)}]"
        return Text(out, layout)

    def _layout(self, dims: Dims, domain: Domain) -> Dims:
        return (BLOCK, *dims) if domain.blocked and times(dims) else dims

    def _use(self, name: str, domain: Domain) -> Text:
        if name not in self.lets:
            return self._on(self.provide(name), FULL, domain, self.provide(name).layout or ())
        let = self.lets[name]
        dims = let.value.dims
        if (name, domain) in self._done:
            return self._done[name, domain]
        sparse = self.supports.of(let.value)
        target = sparse if sparse.blocked else domain if _is_partial(let.value) else FULL
        if (name, target) not in self._done:
            self._done[name, target] = self._computed(let, target)
        self._done[name, domain] = self._on(self._done[name, target], target, domain, dims)
        return self._done[name, domain]

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

    # Moving between parts of time

    def _on(self, text: Text, source: Domain, target: Domain, dims: Dims) -> Text:
        """The expression, printed for `source`, on `target`."""
        own = times(dims)
        if not own or source == target or text.layout is None:
            return text
        call, layout = self.writer.call, self._layout(dims, target)
        if target is not FULL and target.kind != "full":
            if source.blocked:
                text = self._on(text, source, FULL, dims)
            if len(own) == 1:
                if target.kind == "block":
                    return Text(call("_blocks", text.text, target.size), layout)
                which = 1 if target.kind == "second" else 0
                return Text(call("_half", text.text, target.size, which), layout)
            view = self._view(target, own)
            return Text(call(view, text.text, target.size), layout)
        if len(own) == 1 and source.kind == "block":
            return Text(f"{text.operand}.flatten(3, 4)", layout)
        if len(own) == 1:
            which = 1 if source.kind == "second" else 0
            self.writer.used.add("_half")
            placed = call("_placed", text.text, "_half", self.chunk, source.size, which)
        else:
            view = self._view(source, own)
            self.writer.used.add(view)
            placed = call("_placed", text.text, view, self.chunk, source.size)
        return Text(placed, layout, owned=True)

    @staticmethod
    def _view(domain: Domain, own: Dims) -> str:
        if domain.kind == "block":
            return "_diagonal"
        return "_level" if own == ("i", "j") else "_upper_level"

    # Pointwise

    def _map(self, value: Map, domain: Domain) -> Text:
        parts = addends(value.fn)
        if parts is not None and len(parts) > 1 and domain is FULL:
            flat = self._flattened(value, 1)
            if any(self.supports.of(each).blocked for _, each in flat):
                return self._gathered(flat, value.dims)
        sparse = self.supports.of(value)
        if sparse.blocked and sparse != domain and times(value.dims):
            if domain is FULL or domain.kind != sparse.kind:
                return self._on(self._map(value, sparse), sparse, domain, value.dims)
        layout = self._layout(value.dims, domain)
        used = args_of(value.fn)
        texts = {
            name: self.aligned(self.value(arg, projected(domain, arg.dims)), layout)
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
        short = _combined(value.fn, texts, layout)
        if short is not None:
            return short
        holes = {name: f"eosc_hole_{n}_" for n, name in enumerate(texts)}
        spelled = spell(value.fn, "torch", holes, prefix="eosc_shared_")
        written = " ".join((*(text for _, text in spelled.lines), spelled.result))
        known: dict[str, str] = {}
        for name, hole in holes.items():
            text = texts[name]
            if len(re.findall(rf"\b{hole}\b", written)) > 1 and not _is_view(text.text):
                text = self.named(text, "part")
            known[hole] = text.operand

        def filled(text: str) -> str:
            return re.sub(r"\beosc_(?:hole|shared)_\w+", lambda found: known[found.group()], text)

        for name, line in spelled.lines:
            known[name] = self.names.fresh("x")
            self.writer.line(f"{known[name]} = {filled(line)}")
        numbers = all(text.layout is None for text in texts.values())
        result = filled(spelled.result)
        bare = _is_view(result)
        product = None
        match value.fn:
            case Fn("mul", (Arg(a), Arg(b))) if not numbers:
                if texts[a].layout is not None and texts[b].layout is not None:
                    product = (known[holes[a]], known[holes[b]])
        return Text(result, None if numbers else layout, bare, owned=not bare, product=product)

    def _flattened(self, value: Value, sign: int) -> list[tuple[int, Value]]:
        """A sum of sums as signed addends."""
        if isinstance(value, Map):
            parts = addends(value.fn)
            if parts is not None:
                args = dict(value.args)
                found = []
                for each, name in parts:
                    found += self._flattened(args[name], sign * each)
                return found
        return [(sign, value)]

    def _gathered(self, parts: list[tuple[int, Value]], dims: Dims) -> Text:
        """A sum whose addends live on different parts of time, gathered in one tile."""
        whole = [(sign, each) for sign, each in parts if not self.supports.of(each).blocked]
        total = self.names.fresh("total")
        shape = ", ".join(self._extent(name) for name in dims)
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
                view = self._on(Text(total, dims), FULL, sparse, dims).text
                text = self.aligned(self.value(each, sparse), self._layout(dims, sparse))
                if text.product is not None:
                    less = "" if sign > 0 else ", value=-1"
                    self.writer.line(f"{view}.addcmul_({', '.join(text.product)}{less})")
                    continue
                method = "add_" if sign > 0 else "sub_"
                self.writer.line(f"{view}.{method}({text.text})")
        return Text(total, dims, owned=True)

    def _extent(self, name: str) -> str:
        return str(self.chunk) if name in TIME else self.names.of(f"size of {name}", name)

    # Contractions

    def _dot(self, value: Dot, domain: Domain) -> Text:
        over, dims = value.over, value.dims
        natural = self._natural(value, domain)
        left = self._contracted(value.left, natural, value)
        right = self._contracted(value.right, natural, value)
        result = restricted(natural, times(dims)[0]) if len(times(dims)) == 1 else natural
        if not times(dims):
            result = FULL
        out = self._layout(dims, result)
        text = self._product(left, right, over, out, natural)
        return self._on(text, result, domain if times(dims) else FULL, dims)

    def _natural(self, value: Dot, domain: Domain) -> Domain:
        """The pairs, or tokens, over which a product is taken."""
        if value.over in TIME:
            for each in (value.left, value.right):
                if len(times(each.dims)) == 2:
                    return self.supports.of(each)
            return FULL
        return domain

    def _contracted(self, arg: Value, natural: Domain, value: Dot) -> Text:
        own = times(arg.dims)
        if natural.kind == "level":
            target = natural if len(own) == 2 else restricted(natural, own[0]) if own else FULL
        else:
            target = natural if own else FULL
        text = self.value(arg, target)
        return text if _is_view(text.text) else self.named(text, "part")

    def _product(self, left: Text, right: Text, over: str, out: Dims, natural: Domain) -> Text:
        if left.layout is None or right.layout is None:
            raise NotPrintableError("a product with a number is no Dot")
        batch = tuple(d for d in out if d in left.layout and d in right.layout and d != over)
        rows = tuple(d for d in out if d in left.layout and d not in right.layout)
        columns = tuple(d for d in out if d in right.layout and d not in left.layout)
        plain = batch == out[: len(batch)] and batch in ((), (BLOCK,))
        if not plain or len(rows) > 1 or len(columns) > 1 or not (rows and columns):
            return self._einsum(left, right, over, out)
        if out[len(batch) :] == (*columns, *rows):
            left, right, rows, columns = right, left, columns, rows
        first = self.aligned(left, (*batch, *rows, over))
        inside = over in TIME or (rows[0] in TIME and columns[0] in TIME)
        if natural.kind in ("level", "block") and natural.size == 1 and inside:
            return self._single(left, right, over, out, batch, rows, columns)
        second = self.aligned(right, (*batch, over, *columns))
        text = f"{first.operand} @ {second.operand}"
        turned = ""
        if second.text.endswith(".mT"):
            turned = f"{second.text.removesuffix('.mT')} @ {first.operand}.mT"
        sides = (first.text, second.text, "1.0")
        return Text(text, out, False, owned=True, fresh=True, turned=turned, matmul=sides)

    def _single(
        self,
        left: Text,
        right: Text,
        over: str,
        out: Dims,
        batch: Dims,
        rows: Dims,
        columns: Dims,
    ) -> Text:
        """Products of blocks of one token: no matrix product is needed."""
        first = self.aligned(left, (*batch, *rows, over))
        if over in TIME:
            second = self.aligned(right, (*batch, over, *columns))
            text = f"{first.operand} * {second.operand}"
            return Text(text, out, bare=False, owned=True)
        second = self.aligned(right, (*batch, *columns, over))
        text = f"({first.operand} * {second.operand}).sum(-1, keepdim=True)"
        return Text(text, out, owned=True)

    def _einsum(self, left: Text, right: Text, over: str, out: Dims) -> Text:
        assert left.layout is not None and right.layout is not None
        letters = {
            name: chr(ord("d") + n)
            for n, name in enumerate(dict.fromkeys((*left.layout, *right.layout)))
        }

        def spelled(layout: Dims) -> str:
            return _LEAD + "".join(letters[name] for name in layout)

        equation = f"{spelled(left.layout)},{spelled(right.layout)}->{spelled(out)}"
        return Text(f'torch.einsum("{equation}", {left.text}, {right.text})', out, owned=True)

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
        return self._on(summed, source, domain, value.dims)

    # Decays

    def _log(self, arg: Value, domain: Domain) -> Text:
        text = self.value(arg, domain)
        return Text(f"{text.operand}.clamp(min=lowest)", text.layout)

    def _decay(self, value: Decay, domain: Domain) -> Text:
        if self.chunk == 1:
            return self._token_decay(value)
        features = tuple(name for name in value.log.dims if name not in TIME)
        own = times(value.dims)
        if len(own) == 2:
            return self._pair_decay(value, domain, own, features)
        dim = own[0] if own else ""
        dims = (dim, *features) if dim else features
        low, high = value.low, value.high
        key = self._log_key(value)
        if not own:
            table = self._table(key, "prefix", self.chunk)
            return Text(f"{table}[:, :, :, -1]", features)
        if "middle" in (low.kind, high.kind):
            return self._midpoint(key, value, domain, dims)
        if low.kind in ("start", "opening"):
            size = low.size or self.chunk
            kind = "before" if high.kind == "before" else "prefix"
        elif high.kind in ("end", "closing") and low.kind == "at":
            size, kind = high.size or self.chunk, "suffix"
        else:
            raise NotPrintableError(f"no table holds D({low}, {high}]")
        return self._on(Text(self._table(key, kind, size), dims), FULL, domain, dims)

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

    def _table(self, log: str, kind: str, size: int) -> str:
        """The variable that holds D(opening, i], D(opening, i) or D(j, closing] of blocks."""
        if (log, kind, size) in self._tables:
            return self._tables[log, kind, size]
        call = self.writer.call
        smallest, half = self._shared.smallest, size // 2
        if kind == "before":
            text = call("_before", self._table(log, "prefix", size), size)
        elif size > 1 and size == smallest:
            text = self._first_table(log, kind, size)
        elif kind == "prefix":
            text = (
                f"torch.exp({log})"
                if size == 1
                else (call("_grown", self._table(log, kind, half), half))
            )
        elif size == 1:
            text = f"torch.ones_like({self._table(log, 'prefix', 1)})"
        else:
            self.writer.used.add("_half")
            tables = self._table(log, kind, half), self._table(log, "prefix", half)
            text = call("_grown_back", *tables, half)
        notes = {
            "prefix": f"decay from the opening of each block of {size}",
            "before": f"the same up to the token before, blocks of {size}",
            "suffix": f"decay to the closing of each block of {size}",
        }
        name = self.names.fresh(f"{kind}{size}_{log}")
        self.writer.line(f"{name} = {text}", notes[kind])
        self._tables[log, kind, size] = name
        return name

    def _first_table(self, log: str, kind: str, size: int) -> str:
        """The table of the smallest blocks: from the midpoint form where that is there."""
        self.writer.used |= {"_half", "_blocks"}
        forward = kind == "prefix"
        ends = ("middle", "at") if forward else ("at", "middle")
        if size == self._shared.middle:
            half = self.writer.call("_half_decay", log, size, 0 if forward else 1)
            return f"({self._from_middle(log, *ends, size)} * {half}).flatten(3, 4)"
        ends = ("opening", "at") if forward else ("at", "closing")
        quoted = (f'"{each}"' for each in ends)
        return self.writer.call("_between", log, *quoted, size) + ".flatten(3, 4)"

    def _from_middle(self, log: str, low: str, high: str, size: int) -> str:
        """The variable of D(low, high] in blocks, one of the ends the middle of the block."""
        key = (log, f"{low} to {high}", size)
        if key not in self._tables:
            self.writer.used |= {"_half", "_blocks"}
            if low == "middle":
                text = self.writer.call("_between", log, '"middle"', f'"{high}"', size)
            else:
                text = self.writer.call("_inverse", self._from_middle(log, high, low, size))
            name = self.names.fresh(f"{low}_to_{high}{size}_{log}")
            self.writer.line(f"{name} = {text}", f"D({low}, {high}] in blocks of {size}")
            self._tables[key] = name
        return self._tables[key]

    def _midpoint(self, log: str, value: Decay, domain: Domain, dims: Dims) -> Text:
        """Decay from or to the middle of each block: signed sums, bounded by the certificate."""
        size = value.low.size or value.high.size
        held = Text(self._from_middle(log, value.low.kind, value.high.kind, size), (BLOCK, *dims))
        if size == self.chunk:
            whole = Text(f"{held.text}.flatten(3, 4)", dims)
            return self._on(whole, FULL, domain, dims)
        return self._on(held, Domain("block", size), domain, dims)

    def _pair_decay(self, value: Decay, domain: Domain, own: Dims, features: Dims) -> Text:
        low, high = value.low, value.high
        if features or low != Point("at", "j") or high.kind not in ("at", "before"):
            raise NotPrintableError(f"no table holds D({low}, {high}] of pairs")
        log, call = self._log_key(value), self.writer.call
        before = high.kind == "before"
        if domain.kind == "level":
            kind = "before" if before else "prefix"
            row = call("_half", self._table(log, kind, domain.size), domain.size, 1)
            column = call("_half", self._table(log, "suffix", domain.size), domain.size, 0)
            shapes = ("[..., :, None]", "[..., None, :]")
            rows, columns = shapes if own == ("i", "j") else shapes[::-1]
            return Text(f"{row}{rows} * {column}{columns}", (BLOCK, *own), bare=False)
        size = domain.size if domain.kind == "block" else self.chunk
        key = (log, "pairs before" if before else "pairs", size)
        if key not in self._tables:
            for each in ("_half", "_level", "_grown", "_grown_back", "_blocks"):
                self.writer.used.add(each)
            text = call("_pairs", self._table(log, "prefix", 1), size)
            if before:
                text = call("_rows_before", text)
            if size == self.chunk:
                text += "[:, :, :, 0]"
            name = self.names.fresh(f"pairs{size}_{log}")
            self.writer.line(f"{name} = {text}", f"D(j, {high}] of the pairs of a block of {size}")
            self._tables[key] = name
        held = self._tables[key]
        if domain is FULL or domain.kind == "full":
            return self.aligned(Text(held, ("i", "j")), own)
        return self.aligned(Text(held, (BLOCK, "i", "j")), (BLOCK, *own))

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
        return self._on(inner, sparse, domain, value.dims)

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


def _hoisted(value: Sum) -> Value:
    """A sum over features with the factors that lack them in front of it."""
    if any(name in TIME for name in value.over):
        return value
    factors = _factors(value.arg)
    outer = [each for each in factors if not any(name in each.dims for name in value.over)]
    inner = [each for each in factors if any(name in each.dims for name in value.over)]
    if not outer or any(not any(name in f.dims for f in inner) for name in value.over):
        return value
    return product(*outer, summed(product(*inner), *value.over), dims=value.dims)


def _factors(value: Value) -> list[Value]:
    """The factors of a product of products."""
    match value:
        case Map(fn=Fn("mul", (Arg(a), Arg(b))), args=args):
            held = dict(args)
            return [*_factors(held[a]), *_factors(held[b])]
    return [value]


_LEAD = "ABC"
"""Letters of the leading dimensions in an einsum."""


def _combined(fn: S, texts: Mapping[str, Text], layout: Dims) -> Text | None:
    """Products into memory that nobody else has, and sums of products, in one pass."""
    parts = addends(fn)
    if parts is not None and len(parts) > 1:
        return _summed(parts, texts, layout)
    match fn:
        case Fn("mul", (Arg(a), Arg(b))):
            for one, other in ((texts[a], texts[b]), (texts[b], texts[a])):
                if one.fresh and one.layout == layout:
                    text = f"{one.operand}.mul_({other.text})"
                    turned = ""
                    sides = None
                    if other.layout is None:
                        turned = f"{one.turned_operand}.mul_({other.text})" if one.turned else ""
                        if one.matmul is not None and one.matmul[2] == "1.0":
                            sides = (*one.matmul[:2], other.text)
                    return Text(text, layout, owned=True, fresh=True, turned=turned, matmul=sides)
    return None


def _summed(parts: list[tuple[int, str]], texts: Mapping[str, Text], layout: Dims) -> Text | None:
    """A sum that starts in memory nobody else has, or in one pass with a product."""
    given = [(sign, texts[name]) for sign, name in parts]
    if any(text.layout is None for _, text in given):
        return None
    start = next((t for s, t in given if s > 0 and t.fresh and t.layout == layout), None)
    if start is None:
        plain = (t for s, t in given if s > 0 and t.product is None and t.layout == layout)
        start = next(plain, None)
        first = next((p for p in given if p[1].product is not None), None)
        if start is None:
            # Products alone: the first takes the memory that the others are added to.
            wide = (t for s, t in given if s > 0 and t.owned and t.layout == layout)
            start = next(wide, None)
            if start is None or any(t.product is None for _, t in given):
                return None
            text = start.operand
        elif first is None or first[1].layout != layout:
            return None
        else:
            given.remove(first)
            less = "" if first[0] > 0 else ", value=-1"
            text = f"torch.addcmul({start.text}, {', '.join(first[1].product or ())}{less})"
    else:
        text = start.operand
    given.remove((1, start))
    for sign, each in given:
        if each.product is not None:
            less = "" if sign > 0 else ", value=-1"
            text += f".addcmul_({', '.join(each.product)}{less})"
        else:
            text += f".{'add_' if sign > 0 else 'sub_'}({each.text})"
    return Text(text, layout, owned=True, fresh=True)


def _is_partial(value: Value) -> bool:
    """Whether a named value is printed only for the part of time where it is asked for."""

    def sized(each: Value) -> bool:
        return isinstance(each, Decay) and each.low.size + each.high.size > 0

    return len(times(value.dims)) == 2 or contains(value, sized)


def _is_view(text: str) -> bool:
    """Whether the text costs nothing to evaluate twice and stands without parentheses."""
    return bool(_VIEW.fullmatch(text))


_VIEW = re.compile(r"(?:\w+|_(?:half|blocks)\(\w+, [\d, ]+\))(?:\.mT|\[[\w:., -]*\])*")
