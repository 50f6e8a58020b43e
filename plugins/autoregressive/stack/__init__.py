"""Networks of images as stacks of causal layers, and how they go pixel by pixel."""
