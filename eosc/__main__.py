"""Run the command line as ``python -m eosc``."""

from __future__ import annotations

from eosc.cli import main

if __name__ == "__main__":
    main()
