"""Tables and queries of campaigns."""
