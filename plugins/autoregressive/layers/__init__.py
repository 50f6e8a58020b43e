"""Causal layers: each place from itself and the places before it."""
