"""The zoo itself: one commented spec a model."""
