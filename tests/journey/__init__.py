"""Long stories through real programs."""
