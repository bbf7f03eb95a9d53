"""Tests: the folders mirror smsapp; names are sentences."""
