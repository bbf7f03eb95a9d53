"""Tables and queries of what providers report later."""
