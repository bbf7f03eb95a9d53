"""SMS templates: typed in, imported, read from the provider, approved."""
