"""Limits on what a spec may ask of the compiler.

A spec is untrusted text: every pass whose cost can grow faster than the text it reads checks one of
these numbers first and reports a diagnostic instead of running on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, each inclusive.

    Attributes:
        file_bytes: Size of one ``.eos`` file.
        nesting: Depth of brackets, operators and blocks.
        words: Words and signs of one file, so that it is checked within two seconds.
        nodes: Expression nodes of one mixer after macro expansion (hash-consed).
        work: Units of work that checking one file may take (`eosc.semantics.work`).
        integer: Absolute value of an integer literal, and of a constant folded from literals.
        exponent: Absolute value of a constant exponent.
        decimal_exponent: Absolute value of the decimal exponent of a literal such as ``1e-6``.
        repeat: Repeat count in a stack (``n * block(...)``) and trips of a constant fold.
        delay: Constant delay ``d`` in ``x[t-d]``.
        family: Instances of one family or grid (E044).
        diagnostics: Diagnostics printed for one file before the rest are counted only.
    """

    file_bytes: int = 256 * 1024
    nesting: int = 100
    words: int = 25_000
    nodes: int = 100_000
    work: int = 50_000
    integer: int = 10**6
    exponent: int = 64
    decimal_exponent: int = 64
    repeat: int = 4096
    delay: int = 4096
    family: int = 4096
    diagnostics: int = 100


LIMITS = Limits()
