"""Approximate posteriors."""
