"""What eosc says about a mixer: its explanation, and pictures of its graph of states."""
