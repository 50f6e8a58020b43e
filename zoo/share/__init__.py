"""The share file: one safetensors file that describes itself, read strictly."""
