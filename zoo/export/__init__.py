"""What leaves zoo: programs for other runtimes, model cards, uploads."""
