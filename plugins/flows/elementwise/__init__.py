"""Elementwise transformers of couplings and autoregressive layers."""
