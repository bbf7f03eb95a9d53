"""Copies of the database, of one moment each, and how they are put back."""
