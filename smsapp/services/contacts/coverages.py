"""What a person or a file says a refusal or a consent covers: checked against the signatures of our texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy.orm import Session

from smsapp.domain import scope as scopes
from smsapp.domain.cells import Row
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.invisible import trimmed
from smsapp.domain.scope import Coverage, Scope
from smsapp.store.db import current_session
from smsapp.store.sms_templates import all_signatures

SCOPE_HEADERS = frozenset({"范围", "拒收范围", "同意范围", "scope"})
SIGNATURE_HEADERS = frozenset({"签名", "短信签名", "signature", "signatures"})


def signatures() -> list[str]:
    """Return the signatures of our texts, one of which may be meant alone."""
    return all_signatures(current_session())


def check(session: Session, coverage: Coverage, known: Sequence[str] = ()) -> None:
    """Raise Refusal if a signature is meant but none is named, or one that neither is ours nor in `known`."""
    if coverage.scope is Scope.SIGNATURE and not coverage.signatures:
        raise Refusal(Problem("scope_signature_missing", "signatures"))
    if unknown := set(coverage.signatures) - {*all_signatures(session), *known}:
        raise Refusal(Problem("scope_signature_unknown", "signatures", {"signature": min(unknown)}))


def as_words(coverage: Coverage) -> str:
    """Return what is covered as the audit log keeps it."""
    return f"{coverage.scope} {scopes.as_text(coverage.signatures)}".strip()


def read(scope: str, signature: str, known: Collection[str]) -> Coverage | Problem:
    """Return what two cells of a file cover, everything if both are empty; or what is wrong with them."""
    names = scopes.from_text(signature)
    meant = scopes.WORDS.get(scope.casefold()) if scope else Scope.SIGNATURE if names else Scope.EVERYTHING
    if meant is None:
        return Problem("scope_unreadable", "scope", {"word": scope[:20]})
    if meant is Scope.SIGNATURE and not names:
        return Problem("scope_signature_missing", "signatures")
    if unknown := [name for name in names if name not in known]:
        return Problem("scope_signature_unknown", "signatures", {"signature": unknown[0][:60]})
    return Coverage(meant, names)


def place(names: Sequence[str], words: Collection[str]) -> int:
    """Return the index of the column with one of these headings (lower case, without spaces); -1 if there is none."""
    return next((index for index, name in enumerate(names) if name in words), -1)


def cell(cells: Row, index: int) -> str:
    """Return a cell without its margins; "" if the row has none there."""
    return trimmed(cells[index]) if 0 <= index < len(cells) else ""
