"""Forms: one module per area. They check shape (required, length, choice); meaning is checked by services."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm

from smsapp import labels
from smsapp.domain.errors import Refusal
from smsapp.web import refill


class PageForm(FlaskForm):  # type: ignore[misc]
    """A form of a page. It keeps what was typed when the page is shown again after signing in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({} if args else refill.formdata()) | kwargs)


def put_problems(form: FlaskForm, refusal: Refusal) -> list[str]:
    """Put each problem's sentence next to the field named by its place; return the sentences that have no field."""
    homeless: list[str] = []
    for problem in refusal.problems:
        field = form._fields.get(problem.place)
        if field is None:
            homeless.append(labels.sentence(problem))
        else:
            field.errors = [*field.errors, labels.sentence(problem)]
    return homeless
