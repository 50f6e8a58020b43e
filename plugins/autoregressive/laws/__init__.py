"""The laws of the kinds that this family brings; imported where components are tested."""
