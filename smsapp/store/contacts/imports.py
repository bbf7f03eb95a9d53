"""Imports: uploaded files of contacts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.import_state import ImportState
from smsapp.store.db import Base, changed, one_of

BEGUN_NOT = (ImportState.RECEIVED, ImportState.UPLOADED)
"""States of files whose import has not been started."""


class Import(Base):
    """The import of an uploaded file of contacts. `position` rows are committed: a restart continues after them."""

    __tablename__ = "import"

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(sa.String(255))
    path: Mapped[str] = mapped_column(sa.String(255))
    """Relative to the instance folder's uploads."""
    format: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """services/tables/formats.py Format.as_json(), as recognised, and as chosen once it was started"""
    preview: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """{"rows": the first raw rows}; of a file that is no table {"facts": those of the failure}"""
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """domain/layout.py Layout.as_json(), with the file's "width" and "headings" """
    state: Mapped[str] = mapped_column(sa.String(20))
    """domain/import_state.py ImportState"""
    failure: Mapped[str] = mapped_column(sa.String(60), default="")
    size: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    read_bytes: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    position: Mapped[int] = mapped_column(default=0)
    added: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    without_number: Mapped[int] = mapped_column(default=0)
    """Rows that were kept without a usable number."""
    system: Mapped[str] = mapped_column(sa.String(20), default="", server_default="")
    """Which system's file it is, as a person says: domain/other_systems.py System, "" if nobody says it"""
    marks: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    """What becomes of each row of another system's file: bytes of domain/other_systems.py, packed by zlib"""
    merged: Mapped[int] = mapped_column(default=0, server_default="0")
    """Rows of people of whom another row came in."""
    opted_out: Mapped[int] = mapped_column(default=0, server_default="0")
    """Numbers of rows that were put on the opt-out list, or were there; a row that may be two numbers has both."""
    segment_name: Mapped[str] = mapped_column(sa.String(120), default="", server_default="")
    """The segment that the people of the file become; "" for none"""
    lease_until: Mapped[dt.datetime | None]
    created_by: Mapped[int | None] = mapped_column(sa.ForeignKey("app_user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]

    @property
    def rows(self) -> int:
        """Rows read that are not blank: new, updated, merged or refused."""
        return self.added + self.changed + self.merged + self.refused


def imports(session: Session, limit: int = 50) -> list[Import]:
    """Return the newest imports first."""
    return list(session.scalars(sa.select(Import).order_by(Import.id.desc()).limit(limit)))


def find(session: Session, import_id: int) -> Import | None:
    return session.get(Import, import_id)


def waiting(session: Session, created_by: int | None) -> tuple[int, int]:
    """Return (number, total bytes) of a person's files whose import has not been started."""
    mine = Import.created_by.is_(None) if created_by is None else Import.created_by == created_by
    totals = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(Import.size), 0))
    count, size = session.execute(totals.where(mine, Import.state.in_(BEGUN_NOT))).one()
    return int(count), int(size)


def claim_recognition(session: Session, import_id: int, now: dt.datetime, until: dt.datetime) -> bool:
    """Take the lease of a file that is to be recognised; return False if another worker holds it."""
    free = sa.or_(Import.lease_until.is_(None), Import.lease_until < now)
    claimed = sa.update(Import).where(Import.id == import_id, Import.state == ImportState.RECEIVED, free)
    return changed(session, claimed.values(lease_until=until)) == 1


def end_recognition(session: Session, import_id: int, state: ImportState, values: Mapping[str, Any]) -> bool:
    """Store what a file was recognised as, as columns; return False if it is gone or was recognised already."""
    ended = sa.update(Import).where(Import.id == import_id, Import.state == ImportState.RECEIVED)
    return changed(session, ended.values(state=state, lease_until=None, **values)) == 1


def claim_import(session: Session, import_id: int, now: dt.datetime, until: dt.datetime) -> bool:
    """Take the lease of an import; return False if it is done, unknown, or leased by another worker."""
    statement = sa.update(Import).where(Import.id == import_id, *_unattended(now))
    return changed(session, statement.values(state=ImportState.RUNNING, lease_until=until)) == 1


def advance_import(
    session: Session, import_id: int, position: int, until: dt.datetime, counts: Mapping[str, int], read_bytes: int
) -> bool:
    """Store the counts of a chunk that begins at row `position`; return False if another worker was first."""
    here = (Import.id == import_id, Import.state == ImportState.RUNNING, Import.position == position)
    statement = (
        sa.update(Import)
        .where(*here)
        .values(
            position=Import.position + counts["rows"],
            added=Import.added + counts["added"],
            changed=Import.changed + counts["changed"],
            refused=Import.refused + counts["refused"],
            without_number=Import.without_number + counts["without_number"],
            merged=Import.merged + counts["merged"],
            opted_out=Import.opted_out + counts["opted_out"],
            read_bytes=read_bytes,
            lease_until=until,
        )
    )
    return changed(session, statement) == 1


def end_import(session: Session, import_id: int, state: ImportState, now: dt.datetime, failure: str = "") -> bool:
    """End a running import; return False if it is none. Its row is locked until the transaction ends."""
    ended = sa.update(Import).where(Import.id == import_id, Import.state == ImportState.RUNNING)
    values = ended.values(state=state, failure=failure, finished_at=now, lease_until=None)
    return changed(session, values) == 1


def stranded_imports(session: Session, now: dt.datetime) -> list[int]:
    """Return ids of imports that wait for a worker or whose lease has expired; the sweep enqueues them."""
    return list(session.scalars(sa.select(Import.id).where(*_unattended(now))))


def stranded_recognitions(session: Session, now: dt.datetime) -> list[int]:
    """Return ids of files that wait to be recognised and that no worker holds."""
    free = sa.or_(Import.lease_until.is_(None), Import.lease_until < now)
    return list(session.scalars(sa.select(Import.id).where(Import.state == ImportState.RECEIVED, free)))


def _unattended(now: dt.datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions that an import is to be worked on and not leased."""
    free = sa.or_(Import.lease_until.is_(None), Import.lease_until < now)
    return Import.state.in_((ImportState.QUEUED, ImportState.RUNNING)), free


def abandoned_uploads(session: Session, before: dt.datetime | None) -> list[Import]:
    """Return imports that were uploaded before that moment, or ever, and never started."""
    query = sa.select(Import).where(Import.state.in_(BEGUN_NOT))
    return list(session.scalars(query if before is None else query.where(Import.created_at < before)))


def named_paths(session: Session, paths: Collection[str]) -> set[str]:
    """Return those of the paths that an import names."""
    return set(session.scalars(sa.select(Import.path).where(one_of(Import.path, paths))))


def count_unfinished(session: Session, before: dt.datetime | None) -> int:
    """Return how many imports are queued or running, of those uploaded before that moment."""
    query = sa.select(sa.func.count()).where(Import.state.in_((ImportState.QUEUED, ImportState.RUNNING)))
    return session.scalar(query if before is None else query.where(Import.created_at < before)) or 0


def file_names(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Return the names of these imports' files; of one that is gone there is none."""
    return dict(iter(session.execute(sa.select(Import.id, Import.file_name).where(one_of(Import.id, ids)))))
