"""The trusted kernel: is this a proof? Standard library only, and nothing of eosc."""
