"""Laws of the kinds of this family, imported where components are tested."""
