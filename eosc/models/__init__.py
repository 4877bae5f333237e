"""Layers around mixers: which part of a layer runs inside the kernel and which around it."""
