"""Networks of a noisy example and its noise level."""
