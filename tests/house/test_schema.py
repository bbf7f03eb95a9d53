"""The migrations make exactly the tables of the models, on both databases."""

from __future__ import annotations

import flask_migrate
from flask import Flask


def test_the_migrations_lead_to_the_models(app: Flask) -> None:
    flask_migrate.check()
