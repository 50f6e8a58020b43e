"""Names to classes: installed plugins, components, their declarations, renames and migrations."""
