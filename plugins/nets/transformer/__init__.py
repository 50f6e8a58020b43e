"""Parts of transformers: one attention and one block for every model."""
