"""Checks that nobody is written to twice or forgotten when processes are killed at random moments; see __main__.py."""
