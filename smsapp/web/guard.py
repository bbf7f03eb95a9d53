"""Who may see what: everything is closed unless an endpoint says otherwise."""

from __future__ import annotations

from flask import Flask


def init_app(app: Flask) -> None:
    """Close the application."""
