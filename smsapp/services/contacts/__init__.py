"""Contacts, their properties and segments: who can be written to, and who must not be."""
