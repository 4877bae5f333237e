"""The PyTorch backend: chunk algorithms as batched matrix products, and token recurrences."""
