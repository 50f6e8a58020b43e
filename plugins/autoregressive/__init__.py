"""Autoregressive models: one number after the other, each given those before it."""
