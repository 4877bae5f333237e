"""Planning: which parts of a mixer become fused scans, in which form, and what runs around them."""
