"""The specs of the package, one a file."""
