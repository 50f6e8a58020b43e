"""Base distributions and priors."""
