"""A run directory and its checkpoints."""
