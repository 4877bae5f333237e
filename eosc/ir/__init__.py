"""The Algorithm IR: one object is proved, evaluated in fp64, and printed as PyTorch and Triton."""
