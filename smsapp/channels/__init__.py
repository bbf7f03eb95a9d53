"""Provider adapters: a file or a folder for each provider, discovered."""
