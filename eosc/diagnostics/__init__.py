"""Everything the user is told: positions, findings, the registry of codes, and the renderers."""

from eosc.diagnostics.codes import CODES, CodeInfo
from eosc.diagnostics.model import (
    NOWHERE,
    Diagnostic,
    EosError,
    Label,
    Locator,
    Severity,
    Sink,
    Source,
    Span,
    did_you_mean,
)
from eosc.diagnostics.render import render_code, render_text, sanitise, to_json

__all__ = [
    "CODES",
    "NOWHERE",
    "CodeInfo",
    "Diagnostic",
    "EosError",
    "Label",
    "Locator",
    "Severity",
    "Sink",
    "Source",
    "Span",
    "did_you_mean",
    "render_code",
    "render_text",
    "sanitise",
    "to_json",
]
