"""Building blocks of causal layers."""
