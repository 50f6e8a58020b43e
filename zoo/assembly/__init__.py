"""From a validated spec to a checked model."""
