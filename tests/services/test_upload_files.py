"""Files of contacts on the disk: none stays that no import names, and none is larger than a person may have."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
from pathlib import Path

import pytest
from flask import Flask

from smsapp.services.contacts import imports
from smsapp.services.tables import limited
from tests.services.test_other_systems import BY, endpoints, recognised, user

pytestmark = pytest.mark.parametrize("config", ["sqlite"], indirect=True)


def test_what_is_discarded_while_a_worker_looks_at_it_leaves_no_file(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = imports.upload(io.BytesIO(endpoints(user("a"))), "export", BY, now)
    folder, recognise = imports.path_of(row).parent, limited.recognise

    def discarding(path: Path, wanted: limited.Wanted) -> limited.Recognised:
        result = recognise(path, wanted)
        imports.discard(row.id, BY, now)
        return result

    monkeypatch.setattr(limited, "recognise", discarding)
    imports.recognise(row.id, now)
    assert list(folder.iterdir()) == []


def test_the_sweep_removes_old_files_that_no_import_names(app: Flask, now: dt.datetime) -> None:
    table = imports.path_of(recognised(endpoints(user("a")), None, now))
    original, young = table.with_name(table.stem), table.with_name("contacts-1.table")
    for path in (original, young):
        path.write_bytes(b"x")
    for path in (table, original):
        os.utime(path, (now.timestamp() - 3 * 86400,) * 2)
    os.utime(young, (now.timestamp(),) * 2)
    imports.sweep(now)
    assert {*table.parent.iterdir()} == {table, young}


def test_a_packed_file_counts_as_large_as_it_is_unpacked(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = imports.upload(io.BytesIO(gzip.compress(endpoints(user("a", x=["y" * 8000])))), "export", BY, now)
    monkeypatch.setattr(imports, "MOST_WAITING_MIB", 0)
    imports.recognise(row.id, now)
    assert imports.found(row.id).failure == "uploads_waiting"
    assert list(imports.path_of(row).parent.iterdir()) == []
