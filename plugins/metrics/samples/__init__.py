"""Metrics of draws: how near they are to held-out examples, in features."""
