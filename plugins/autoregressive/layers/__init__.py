"""Causal layers: the features of each place depend on itself and the places before it."""
