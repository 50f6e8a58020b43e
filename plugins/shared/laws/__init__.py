"""Laws of the kinds of this package, imported where components are tested."""
