"""Backups: one file with database, inbox, uploads still needed and a manifest; and how it is put back."""
