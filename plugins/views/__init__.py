"""Pictures of what models make of data, and of codes."""
