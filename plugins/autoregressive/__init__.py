"""Autoregressive models: each number given those before it."""
