"""What is installed, in words and as JSON Schema, without importing torch."""
