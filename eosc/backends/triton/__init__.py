"""The Triton backend: an `Algorithm` as jitted kernels and the functions that launch them."""
