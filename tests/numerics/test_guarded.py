"""Chunks in the form that their gate allows, interpreted in fp64, against the recurrence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eosc.backends.triton.module import algorithms
from eosc.ir.build import product
from eosc.ir.evaluate import evaluate
from eosc.ir.nodes import Algorithm, Kernel, Size, Store
from eosc.lowering import adjoint, chunk
from eosc.lowering.guarded import SUFFIX, alternatives, guardable, guarded
from eosc.lowering.parts import Form
from eosc.lowering.scan import Scan
from eosc.schedule.table import KERNELS, Row
from tests.numerics.test_lowering import check, error, inputs_of, recurrence, scan_of

WIDE, MILD = Form(16, 1), Form(16, 16)


def both(scan: Scan) -> tuple[Algorithm, Algorithm]:
    """Forward and backward in both forms."""
    ahead = [chunk.forward(scan, form, stored=True) for form in (WIDE, MILD)]
    back = [adjoint.backward(scan, form, stored=True) for form in (WIDE, MILD)]
    return guarded(scan, *ahead), guarded(scan, *back)


@pytest.mark.parametrize("gates", ["mild", "turns", "strong", "resets"])
@pytest.mark.parametrize("decays", ["K", "V", "KV", "0KV"])
def test_both_kinds_of_chunks(decays: str, gates: str) -> None:
    scan = scan_of(decays, inclusive=decays != "V")
    for T, segments in ((17, 1), (40, 2)):
        check(scan, T, gates, *both(scan), segments)


def doubled(algorithm: Algorithm, mild: bool) -> Algorithm:
    """The kernels for one kind of chunks store twice what they should."""

    def wrong(kernel: Kernel) -> Kernel:
        body = tuple(
            replace(each, value=product(each.value, Size("K", dims=())))
            if isinstance(each, Store)
            else each
            for each in kernel.body
        )
        return replace(kernel, body=body)

    launches = tuple(
        wrong(each)
        if isinstance(each, Kernel) and each.guard is not None and each.guard.met == mild
        else each
        for each in algorithm.launches
    )
    return replace(algorithm, launches=launches)


def test_each_chunk_is_computed_in_its_own_form() -> None:
    scan = scan_of("K")
    forward, _ = both(scan)
    x = inputs_of(scan, 40, "turns")
    want, _ = recurrence(scan, x)
    for mild in (True, False):
        got = evaluate(doubled(forward, mild), x)["y"]
        strong = (slice(None), slice(16, 32), slice(0, 1))
        assert (error(got[strong], want[strong]) > 0.5) == (not mild)
        assert (error(got[:, :16], want[:, :16]) > 0.5) == mild
        assert (error(got[:, 16:32, 1], want[:, 16:32, 1]) > 0.5) == mild


def test_alternatives_are_the_two_forms() -> None:
    scan = scan_of("K")
    _, backward = both(scan)
    found = dict(alternatives(backward))
    assert list(found) == ["", "gates in range"]
    wide = found[""]
    assert wide.launches == adjoint.backward(scan, WIDE, stored=True).launches
    assert wide.scratch == adjoint.backward(scan, WIDE, stored=True).scratch
    last = found["gates in range"].launches[-1]
    assert isinstance(last, Kernel) and last.name.endswith(SUFFIX) and last.guard is None
    assert last.body == adjoint.backward(scan, MILD, stored=True).kernels[-1].body
    plain = chunk.forward(scan, WIDE, stored=True)
    assert alternatives(plain) == (("", plain),)


def test_the_gradients_of_both_forms_are_split() -> None:
    """What sums over K has a launch of its own, so that K is shared out for the rest."""
    rows = [Row(name, "", "", 0, 64, 64, 16, 16, 4, 1) for name in KERNELS]
    printed = algorithms(scan_of("K"), {16: WIDE}, rows)["backward"][16]
    forms = {
        each.name: (each.blocked, each.guard is not None and each.guard.met)
        for each in printed.kernels
        if each.parallel
    }
    assert forms == {
        "gradients_mild_value": (("V",), True),
        "gradients_mild": (("K",), True),
        "gradients_value": (("V",), False),
        "gradients": (("K",), False),
    }


def test_what_has_no_cheaper_form_is_not_guarded() -> None:
    assert guardable(scan_of("K"), WIDE)
    assert not guardable(scan_of("K"), MILD)
    assert not guardable(scan_of("0"), WIDE)
    assert not guardable(scan_of("cK"), WIDE)
