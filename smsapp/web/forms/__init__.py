"""Forms: one module per area. They check shape (required, length, choice); meaning is checked by services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from flask_wtf.i18n import Translations
from wtforms.fields.choices import SelectChoice

from smsapp import labels
from smsapp.domain.errors import Problem, Refusal
from smsapp.web import refill


class _Words(Translations):  # type: ignore[misc]
    """The sentences of WTForms; about a choice that was not offered there is one of ours."""

    def gettext(self, string: str) -> str:
        return _choice_gone() if "choice" in string.lower() else str(super().gettext(string))

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return _choice_gone() if "choice" in singular else str(super().ngettext(singular, plural, n))


def _choice_gone() -> str:
    return labels.sentence(Problem("choice_gone"))


class PageForm(FlaskForm):  # type: ignore[misc]
    """A form of a page. It keeps what was typed when the page is shown again after signing in."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def get_translations(self, _form: object) -> _Words:
            return _Words()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **({} if args else refill.formdata()) | kwargs)


def options(pairs: Iterable[tuple[Any, Any]]) -> list[SelectChoice]:
    """Return what a field offers, of (value, words)."""
    return [SelectChoice(str(value), words) for value, words in pairs]


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
