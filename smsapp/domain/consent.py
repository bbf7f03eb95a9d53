"""Consent to texts: how it came, and what a property of contacts says about it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.domain.scope import EVERYTHING, Coverage, Scope
from smsapp.domain.trust import PUBLIC, Source


class ConsentSource(enum.StrEnum):
    """How a consent or its withdrawal came."""

    PROPERTY = "property"
    """The value of the property that administrators have declared."""
    IMPORT = "import"
    PERSON = "person"


LONGEST_WORDS = 1000
YES = frozenset({"1", "yes", "y", "true", "given", "是", "同意", "已同意"})
NO = frozenset({"0", "no", "n", "false", "withdrawn", "否", "不同意", "撤回", "已撤回"})
"""How files say whether consent is given or withdrawn."""


@dataclass(frozen=True)
class ConsentProperty:
    """A yes-or-no property whose value is a person's consent; `words` are what the person has agreed to there."""

    name: str
    words: str
    coverage: Coverage = EVERYTHING

    def as_json(self) -> dict[str, Any]:
        return {
            "property": self.name,
            "words": self.words,
            "scope": str(self.coverage.scope),
            "signatures": list(self.coverage.signatures),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ConsentProperty:
        return cls(value["property"], value["words"], Coverage(Scope(value["scope"]), tuple(value["signatures"])))

    def is_given(self, value: object, source: Source | None) -> bool:
        """Return whether a contact's value is a consent: anybody can send what a public AppKey sends."""
        return value is True and source is not None and source.origin not in PUBLIC
