"""Tables and statements of signing in: sessions, counted attempts, second factors, identities of a provider."""
