"""Provider adapters: one file per provider, discovered."""
