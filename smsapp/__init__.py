"""Self-hosted SMS campaigns. Nothing is imported here, so that one rule can be used without the application."""
