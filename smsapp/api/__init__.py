"""The HTTP API for the organisation's own programs: the same services as the pages, called with keys."""
