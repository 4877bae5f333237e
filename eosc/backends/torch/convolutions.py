"""A convolution as torch text: its kernel over all lags at once, its signal with its past."""

from __future__ import annotations

from eosc.backends.torch.core import Core
from eosc.backends.torch.scopes import Val
from eosc.recurrence.convolution import Convolution
from eosc.semantics.model import Declaration
from eosc.semantics.terms import KernelAt, Term


def convolved(seq: Core, found: Convolution) -> Val:
    """The sum over the past of the whole sequence at once, [B, T, H, axes]."""
    seq.kept.append(found)
    before = None if found.width is None else f"int({seq.value(found.width, 0).text}) - 1"
    longer = {name: seq.with_past(name, before) for name in found.reads}
    bound = frozenset({("variable", found.variable)})
    with seq.block("", 0, bound=bound, longer={found.variable: longer}):
        signal = seq.name(seq.tensor(seq.value(found.signal)), "signal", 1)
    lags = seq.names.fresh("lags")
    seq.line(f"{lags} = {_lags(seq, found, signal)}")
    with seq.block("", 0, bound=bound, ranges={found.variable: lags}):
        kernel = _as_given(seq, found.kernel, lags)
        if kernel is None:
            kernel = seq.name(seq.tensor(seq.value(found.kernel)), "kernel", 1)
    axes = seq.sort([*(signal.axes or ()), *(kernel.axes or ())])
    texts = seq.aligned(signal, axes).text, seq.aligned(kernel, axes).text
    how = [seq.products] if seq.products else []
    total = Val(seq.call("_convolved", *texts, lags, "T", found.first, *how), axes)
    for each in found.around:
        total = _wrapped(seq, total, each)
    if found.gate is None:
        return total
    gate = seq.tensor(seq.value(found.gate, 0))
    axes = seq.sort([*(total.axes or ()), *(gate.axes or ())])
    return Val(f"{seq.aligned(gate, axes).operand} * {seq.aligned(total, axes).operand}", axes)


def _as_given(seq: Core, kernel: Term, lags: str) -> Val | None:
    """A learned kernel in the dtype of its operand, where convolutions take any; else None."""
    if not seq.products or not isinstance(kernel, KernelAt):
        return None
    declared = seq.mixer.by_name[kernel.name]
    if declared.value is not None or declared.type.complex:
        return None
    taps = f"{seq.names(kernel.name)}.transpose(0, 1)[None]"
    shared = Val(seq.call("_shared", taps, "H", 2), declared.type.axes)
    whole = seq.name(seq.arranged(shared, list(declared.type.axes)), kernel.name, 0)
    return Val(f"{whole.text}[:, :{lags}]", whole.axes)


def all_taps(seq: Core, kernel: Declaration, extent: str, level: int) -> Val:
    """A kernel at the lags 0 ... extent - 1, along the time dimension."""
    if kernel.value is None:
        learned = seq.named(kernel.name)
        return Val(f"{learned.text}[:, :{extent}]", learned.axes)
    assert kernel.lag is not None, "a kernel names its lag"
    bound = frozenset({("variable", kernel.lag)})
    with seq.block("", level, bound=bound, ranges={kernel.lag: extent}):
        inner = seq.tensor(seq.spread(seq.value(kernel.value), kernel.type.axes))
        return seq.name(inner, kernel.name, level + 1)


def _lags(seq: Core, found: Convolution, signal: Val) -> str:
    """The number of lags that the sum has in these steps."""
    most = [f"{signal.operand}.shape[1]"]
    ends = [found.width]
    if found.finite is not None:
        ends.append(seq.mixer.by_name[found.finite].width)
    most += [f"int({seq.value(each, 0).text})" for each in ends if each is not None]
    return most[0] if len(most) == 1 else f"min({', '.join(most)})"


def _wrapped(seq: Core, val: Val, how: str | tuple[str, ...]) -> Val:
    if isinstance(how, tuple):
        full = seq.spread(val, how)
        assert full.axes is not None
        places = tuple(3 + full.axes.index(axis) for axis in how)
        kept = tuple(axis for axis in full.axes if axis not in how)
        return Val(f"{full.operand}.sum({places})", kept)
    if how == "neg":
        return Val(f"-{val.operand}", val.axes)
    return Val(seq.call({"Re": "_real", "Im": "_imag"}[how], val.text), val.axes)
