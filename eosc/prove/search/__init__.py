"""The search for proofs: untrusted, it only proposes steps that the kernel checks.

It knows no variant by name. Values at random points say which relations between memories are worth
trying; closed forms, gauges and certificates are read off the recurrences.
"""

from eosc.prove.search.proposing import search
from eosc.prove.search.proving import Found, Missed, prove
from eosc.prove.search.relations import Claim
from eosc.prove.search.saturation import Saturated, saturated
from eosc.prove.search.steps import Candidate

__all__ = ["Candidate", "Claim", "Found", "Missed", "Saturated", "prove", "saturated", "search"]
