"""Page or piece: the only file that reads or writes htmx headers."""

from __future__ import annotations

from flask import Flask
from htmx_flask import Htmx

htmx = Htmx()


def init_app(app: Flask) -> None:
    htmx.init_app(app)
