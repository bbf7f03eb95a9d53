"""What doors that speak JSON take and give, in one shape: the HTTP API, the MCP server and commands with --json."""
