"""Documentation site: pages of installed components, and their rendering."""
