"""The MCP server for agents: they read and draft with a key of the HTTP API; only people send."""
