"""The logarithm of a decay as a term that stays finite as long as the decay is not 0."""

from __future__ import annotations

from eosc.recurrence.building import Builder, is_number
from eosc.recurrence.operands import crossing
from eosc.semantics.model import Mixer
from eosc.semantics.terms import Apply, Read, Term


def log_of(term: Term, mixer: Mixer, build: Builder) -> Term:
    """The natural logarithm of a real term that is not negative.

    Products, powers, exponentials and sigmoids are taken apart; an operand that crosses as a log is
    read as that log by whatever computes the term.
    """
    logs = {each.operand.name for each in crossing(mixer) if each.as_log}
    return _Log(mixer, build, logs).of(term)


class _Log:
    def __init__(self, mixer: Mixer, build: Builder, crossed: set[str]) -> None:
        self.mixer, self.build, self.crossed = mixer, build, crossed

    def of(self, term: Term) -> Term:
        build = self.build
        if is_number(term, 1):
            return build.number(0)
        match term:
            case Apply(op="mul" | "div" as op, args=(left, right)):
                logs = self.of(left), self.of(right)
                if not all(map(_bare, logs)):  # two factors of unknown sign stay together
                    return build.apply("add" if op == "mul" else "sub", *logs)
            case Apply(op="pow", args=(base, exponent)):
                log = self.of(base)
                if not _bare(log):
                    return build.mul(exponent, log)
            case Apply(op="exp", args=(arg,)) if not arg.type.complex:
                return arg
            case Apply(op="sigmoid", args=(arg,)):
                return build.apply("logsigmoid", arg)
            case Apply(op="identity", args=(arg,)):
                return self.of(arg)
            case Apply(op="abs", args=(Read(name=name) as read,)) if name in self.crossed:
                return self._modulus(read)
            case Read(name=name) if name in self.crossed:
                # An identity around it: its log is known, however it is computed.
                return build.apply("identity", build.apply("log", term))
            case Read(name=name) if name in self.mixer.by_name and name not in self.crossed:
                value = self.mixer.by_name[name].value
                known = isinstance(value, Apply) and value.op in ("mul", "div", "pow", "exp")
                if value is not None and (known or getattr(value, "op", "") == "sigmoid"):
                    return self.of(value)
        return build.apply("log", term)

    def _modulus(self, read: Read) -> Term:
        """Log |a| of an operand that crosses as the log of its modulus and its argument."""
        log = self.build.apply("log", read)
        if not read.type.complex:
            return log
        kind = type(read.type)(read.type.axes, False, read.type.dependence)
        return Apply("Re", (log,), type=kind)


def _bare(log: Term) -> bool:
    """Whether nothing but the logarithm of a term is known."""
    return isinstance(log, Apply) and log.op == "log"
