"""The laws of causal models and their parts."""
