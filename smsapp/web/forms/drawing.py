"""How the controls of forms are drawn: what the macros of templates/ui/forms.html ask about a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wtforms import BooleanField, Field, PasswordField, RadioField, SelectFieldBase, SelectMultipleField

BOXES = ("radio", "checkbox")
"""Controls of which a field has one for each choice; the first has the number 0 in its id."""


def is_choices(field: Field) -> bool:
    """Return whether the field is a group of buttons or boxes, of which a person takes one or several."""
    return isinstance(field, RadioField) or (isinstance(field, SelectMultipleField) and _boxes(field))


def is_tick(field: Field) -> bool:
    """Return whether the field is one box to tick."""
    return isinstance(field, BooleanField)


def is_secret(field: Field) -> bool:
    """Return whether what is typed must not be carried from page to page."""
    return isinstance(field, PasswordField)


def control_id(field: Field) -> str:
    """Return the id of the control that gets the focus for this field."""
    return f"{field.id}-0" if _boxes(field) else str(field.id)


def described_by(field: Field, hint: object = "") -> str:
    """Return the ids of what explains the control: its hint and its errors."""
    return " ".join([*([f"{field.id}-hint"] if hint else []), *([f"{field.id}-error"] if field.errors else [])])


def control_attributes(field: Field, given: Mapping[str, Any], hint: object = "", style: str = "") -> dict[str, Any]:
    """Return the attributes of a field's control; `given` are a macro's keyword arguments, with _ for -."""
    attributes = {name.replace("_", "-"): value for name, value in given.items() if name != "class"}
    if described := described_by(field, hint):
        attributes["aria-describedby"] = described
    if field.errors:
        attributes["aria-invalid"] = "true"
    usual = "form-select" if isinstance(field, SelectFieldBase) else "form-control"
    classes = [style] if style else [usual, "is-invalid" if field.errors else "", str(given.get("class", ""))]
    return attributes | {"class": " ".join(filter(None, classes))}


class Box(NamedTuple):
    """One radio button or checkbox of a group."""

    id: str
    value: str
    text: object
    checked: bool


def boxes(field: Field) -> list[Box]:
    """Return the controls of a group; drawn one by one by WTForms they would be a tenth of the campaign's form."""
    choices = enumerate(field.iter_choices())
    return [Box(f"{field.id}-{n}", str(one.value), one.label or one.value, one.selected) for n, one in choices]


def option_attributes(field: Field, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that all controls of a group have."""
    marks = {"aria-invalid": "true", "aria-describedby": f"{field.id}-error"} if field.errors else {}
    kind = {"class": "form-check-input", "type": field.option_widget.input_type, "name": field.name}
    return kind | {name.replace("_", "-"): value for name, value in given.items()} | marks


def error_text(error: object) -> str:
    """Return an error of a field; a field that holds others has theirs in a mapping."""
    return " ".join(str(one) for one in error.values()) if isinstance(error, Mapping) else str(error)


def _boxes(field: Field) -> bool:
    """Return whether each choice of the field is a control of its own."""
    return getattr(getattr(field, "option_widget", None), "input_type", "") in BOXES


FILTERS = {
    "boxes": boxes,
    "control_attributes": control_attributes,
    "control_id": control_id,
    "described_by": described_by,
    "error_text": error_text,
    "option_attributes": option_attributes,
}
TESTS = {"choices": is_choices, "secret": is_secret, "tick": is_tick}
