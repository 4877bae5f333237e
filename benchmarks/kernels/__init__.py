"""Check and time the generated Triton kernels of the decay family (see `__main__`)."""
