"""Fields that choose stored rows by searching: the page holds what is chosen and what was found, never all rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wtforms import Field, ValidationError

from smsapp.domain.errors import Problem
from smsapp.labels import sentence
from smsapp.web import inputs


@dataclass(frozen=True)
class Option:
    """A row that can be chosen; `note` tells rows of one name apart."""

    id: int
    name: str
    note: str = ""

    @property
    def text(self) -> str:
        return " · ".join(filter(None, (self.name, self.note)))


class _Picking(Field):  # type: ignore[misc]
    """What one row and several have in common: `known` are the chosen rows, `matches` those of a search for `words`."""

    is_many = False
    known: Sequence[Option] = ()
    matches: Sequence[Option] = ()
    words = ""
    more = False
    """Whether the search has more rows than `matches`."""
    searched = False
    rows: object = ()
    """The chosen rows: kept as long as the form, so that what is drawn from them loads them no second time."""

    @property
    def ids(self) -> list[int]:
        """The ids that are chosen."""
        raise NotImplementedError

    def pre_validate(self, _form: object) -> None:
        if {*self.ids} - {option.id for option in self.known}:
            raise ValidationError(sentence(Problem("choice_gone")))

    @property
    def others(self) -> list[Option]:
        """What matches and is not chosen."""
        return [option for option in self.matches if option.id not in self.ids]


class Pick(_Picking):
    """One stored row, chosen by its id; `nothing` is the label of the choice of none."""

    data: int | None

    def __init__(self, label: Any, nothing: Any, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.nothing = nothing

    @property
    def ids(self) -> list[int]:
        return [self.data] if self.data else []

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        self.data = None
        if valuelist:
            self.data = next(_ids(valuelist), None)


class PickMany(_Picking):
    """Several stored rows, chosen by their ids."""

    is_many = True
    data: list[int]

    @property
    def ids(self) -> list[int]:
        return list(dict.fromkeys(self.data or ()))

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        self.data = []
        self.data = list(_ids(valuelist))


def _ids(raws: Iterable[str]) -> Iterator[int]:
    """Yield the ids; raises ValueError, with a sentence for the reader, for what can be none."""
    for raw in raws:
        try:
            id_ = inputs.chosen_id(raw)
        except ValueError:
            raise ValueError(sentence(Problem("choice_gone"))) from None
        if id_:
            yield id_
