"""Channels: accounts at providers, their calls and their health."""
