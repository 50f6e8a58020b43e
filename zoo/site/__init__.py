"""The documentation site: pages of what is installed, and their rendering."""
