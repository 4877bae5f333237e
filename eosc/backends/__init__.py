"""Backends: print an `Algorithm` and the package around it as text."""
