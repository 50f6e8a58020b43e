"""Export: programs for other runtimes, model cards, uploads."""
