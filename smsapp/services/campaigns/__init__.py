"""Campaigns: drafted, listed, reviewed, confirmed, stopped."""
