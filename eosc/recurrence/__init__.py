"""The linear recurrences of a mixer: extraction, and classification from structure alone."""
