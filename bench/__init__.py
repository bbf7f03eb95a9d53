"""Measurements: not tests, and nothing the product needs."""
