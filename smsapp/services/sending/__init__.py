"""Runs: opened, frozen, sent, held, moved, repeated and closed."""
