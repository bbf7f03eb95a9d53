"""Erased people: their numbers' hashes, the erasures under way, and what they change in each table."""
