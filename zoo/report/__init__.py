"""Models side by side: comparisons, differences and tables."""
