"""Laws of the kinds of diffusion models."""
