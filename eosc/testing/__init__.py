"""What the numerical tests share: valid operands for any mixer, and the error measures.

Importing this imports no torch; calling does.
"""

from eosc.testing.measures import log_decay_error, rms_relative
from eosc.testing.sampling import GATES, sample

__all__ = ["GATES", "log_decay_error", "rms_relative", "sample"]
