"""Uploads of apps, from a request's body to the database: checked, stored and acknowledged.

SDKs send every event here, one a request. What is no profile operation touches no database. What is one is stored
together with what comes at the same moment; a job applies it within a second (`services/apps/applying.py`).
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import current_app

from smsapp.domain import ark
from smsapp.domain.profile_operation import KINDS, MAX_EVENT
from smsapp.domain.quota import Measure
from smsapp.domain.rejection import Reason
from smsapp.domain.upload_signature import SignatureFault, UploadSignature
from smsapp.services.apps import applying, key_secrets
from smsapp.services.apps.profile_reading import BROKEN
from smsapp.services.apps.quotas import Meter
from smsapp.services.platform.group_commit import GroupCommit
from smsapp.store import queue
from smsapp.store.apps import app_keys, uploads
from smsapp.store.apps.app_keys import KeyRights
from smsapp.store.apps.uploads import NewUpload
from smsapp.store.db import current_session
from smsapp.store.settings import settings

EXTENSION = "smsapp.uploads"
KEYS_SECONDS = 1.0
"""How long a process believes what it knows about AppKeys."""
COUNTED_SECONDS = 60.0
"""How often a process tells how many records it refused without keeping them."""
MOST_LARGE = 2
"""Large bodies that a process works on at once."""
LARGE_WAIT = 5.0
"""Seconds a large body waits for its turn."""
LINGER, MOST_LINGERING = 0.1, 2
"""Seconds for which whoever has used up a quota waits for the answer, and how many in a process do: who asks again as
soon as it is refused would otherwise take as much of the server as all others."""
ROW_BYTES = 200_000
"""Bytes of records from which on the next ones go into another row."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an SDK is told: a code of the protocol, and a sentence unless it is 200."""

    code: int = 200
    text: str = ""
    status: int = 200
    retry_after: int = 0


TAKEN = Answer()
STRANGER = Answer(400, "The AppKey (appid) is unknown or disabled.")
UNSIGNED = Answer(401, "This AppKey takes signed uploads only.", 401)
UNVERIFIED = {
    SignatureFault.MALFORMED: "X-Up-Timestamp or X-Up-Nonce cannot be read.",
    SignatureFault.UNKNOWN_KEY: "The AppKey of the signature is unknown or disabled, or has no secret.",
    SignatureFault.WRONG: "The signature is wrong.",
    SignatureFault.STALE: "The signature is not of this moment. Set the clock and sign anew.",
    SignatureFault.REPLAYED: "This signature was used before. Sign each request anew.",
}
UNCHECKED = Answer(503, "Signatures cannot be checked now. Try again.", 503, 5)
BUSY = Answer(503, "Too many large requests at once. Try again.", 503, 1)


@dataclass
class _Door:
    """What a web process knows between two requests."""

    commit: GroupCommit[_Accepted]
    keys: Mapping[str, KeyRights] = field(default_factory=dict)
    signed_only: frozenset[str] = frozenset()
    """Those of them that take signed uploads only."""
    keys_at: float = float("-inf")
    counted: Counter[str] = field(default_factory=Counter)
    counted_at: float = float("-inf")
    rung_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)
    meter: Meter = field(default_factory=Meter)
    large: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST_LARGE))
    lingering: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST_LINGERING))


@dataclass(frozen=True, slots=True)
class _Accepted:
    """The profile records of one request, as JSON in the order they came, one or many with commas between them."""

    at: dt.datetime
    records: Sequence[bytes]
    counted: Mapping[str, int] = field(default_factory=dict)


def largest_body() -> int:
    """Return the most bytes of an upload as it comes."""
    return settings().UP_MAX_MB * 2**20


def take(body: bytes, appid: str, now: dt.datetime, signature: UploadSignature | None = None) -> Answer:
    """Take the body of one upload; when this returns `TAKEN`, what is worth keeping is stored.

    `appid` is the AppKey of the address; it counts for records that name none. Raises ark.Unreadable for a body that
    cannot be read, and what the database does.
    """
    door = _door()
    keys = _keys(door)
    unsigned = door.signed_only
    if signature is not None:
        try:
            fault = key_secrets.fault(signature, body, keys.get(signature.key), now)
        except queue.QueueDown:
            return UNCHECKED
        if fault is not None:
            return Answer(401, UNVERIFIED[fault], 401)
        unsigned -= {signature.key}
    named = keys.get(appid)

    def begin(piece: bytearray) -> None:
        nonlocal named
        if named is None:
            named = keys.get(ark.named_key(piece, keys))
            _ask_quota(door, named, ONE_REQUEST, now)

    try:
        with _turn_of_large(door) as large:
            plain = ark.unfold(body, settings().UP_MAX_INFLATED_MB * 2**20, large, begin)
            if named is None:  # its key stands further in than `begin` was shown
                named = keys.get(ark.named_key(plain, keys))
                _ask_quota(door, named, ONE_REQUEST, now)
            if named is None:
                _count(door, Counter({Reason.BAD_APPID: 1}), now)
                return STRANGER
            records, broken = ark.records(plain)
            accepted, counted, as_it_came = _sorted_out(records, broken, appid, named, keys, unsigned)
            for key, n in Counter([record["appid"] for record in accepted]).items():
                size = len(plain) * n // (len(records) + len(broken))
                _ask_quota(door, keys[key], {Measure.RECORDS: n, Measure.BYTES: size}, now)
            if accepted:
                texts = [_inside(plain)] if as_it_came else [_json(record).encode() for record in accepted]
                door.commit.store([_Accepted(now, texts)])
            if counted:
                _count(door, counted, now)
    except _Refused as refused:
        return _told_later(door, refused.answer)
    if records and counted[Reason.UNSIGNED] == len(records):
        return UNSIGNED
    return STRANGER if records and counted[Reason.BAD_APPID] == len(records) else TAKEN


def refusal(appid: str, now: dt.datetime) -> Answer | None:
    """Return what is answered to a request whose address names a key that has used up a quota, unread; else None.

    The request is counted.
    """
    door = _door()
    try:
        _ask_quota(door, _keys(door).get(appid), ONE_REQUEST, now)
    except _Refused as refused:
        return _told_later(door, refused.answer)
    return None


def _told_later(door: _Door, answer: Answer) -> Answer:
    """Return the answer to somebody who is refused, after a moment if a quota is used up and not too many wait."""
    if answer.status == 429 and door.lingering.acquire(blocking=False):
        try:
            time.sleep(LINGER)
        finally:
            door.lingering.release()
    return answer


def _ask_quota(door: _Door, key: KeyRights | None, amounts: Mapping[Measure, int], now: dt.datetime) -> None:
    """Count what a key brings; raise _Refused if it has used up one of its quotas."""
    if key is None:
        return
    exceeded = door.meter.exceeded(key.id, key.rights.kind, amounts, now)
    if exceeded is not None:
        text = f"The AppKey has used up its quota of {exceeded.limit} {_QUOTAS[exceeded.measure]}."
        raise _Refused(Answer(429, text, 429, exceeded.seconds))


_QUOTAS = {
    Measure.REQUESTS: "requests a minute",
    Measure.RECORDS: "records a day",
    Measure.NEW_CONTACTS: "new contacts a day",
    Measure.BYTES: "bytes a day",
}
ONE_REQUEST = {Measure.REQUESTS: 1}


class _Refused(Exception):
    """This request is not taken now."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.code)


def _sorted_out(
    records: Sequence[Any],
    broken: Sequence[str],
    appid: str,
    named: KeyRights,
    keys: Mapping[str, KeyRights],
    unsigned: Set[str],
) -> tuple[list[dict[str, Any]], Counter[str], bool]:
    """Return the records that are worth keeping, each with its key, the number of the others by reason, and
    whether the body holds the former as they are and nothing else."""
    if not broken and _are_worth_keeping(records, keys.keys() - unsigned if unsigned else keys.keys()):
        return list(records), Counter(), True
    accepted: list[dict[str, Any]] = []
    as_it_came = not broken
    counted: Counter[str] = Counter()
    for record in records:
        if not isinstance(record, dict):
            counted[Reason.NO_OBJECT] += 1
            continue
        key = record.get("appid")
        if not key or not isinstance(key, str):
            key = str(key or appid)
            record["appid"] = key
            as_it_came = False
        if key not in keys:
            counted[Reason.BAD_APPID] += 1
            continue
        if key in unsigned:
            counted[Reason.UNSIGNED] += 1
            continue
        what = record.get("xwhat")
        if isinstance(what, str) and what not in KINDS and 0 < len(what) <= MAX_EVENT:
            continue  # An event that is no profile operation.
        accepted.append(record)
    as_it_came = as_it_came and len(accepted) == len(records)
    if named.key in unsigned:
        counted[Reason.UNSIGNED] += len(broken)
        return accepted, counted, as_it_came
    accepted += [{"appid": named.key, BROKEN: text[: app_keys.RAW_LENGTH]} for text in broken]
    return accepted, counted, as_it_came


def _are_worth_keeping(records: Sequence[Any], keys: Set[str]) -> bool:
    """Say whether all records are profile operations of keys that are known: most bodies of many are."""
    try:
        return (
            set(map(type, records)) == {dict}
            and {record["appid"] for record in records} <= keys
            and {record["xwhat"] for record in records} <= KINDS.keys()
        )
    except (KeyError, TypeError):
        return False


def _inside(plain: bytearray) -> bytes:
    """Return the records of a body that was read, without the brackets around them."""
    text = bytes(plain).removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n\x00")
    return text[1:-1] if text.startswith(b"[") else text


# Escaped, so that half a surrogate pair is stored like everything else.
_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _door() -> _Door:
    door: _Door | None = current_app.extensions.get(EXTENSION)
    if door is None:
        door = current_app.extensions[EXTENSION] = _opened()
    return door


def _opened() -> _Door:
    door = _Door(GroupCommit(_store, lambda: _ring(door)))
    return door


def _keys(door: _Door) -> Mapping[str, KeyRights]:
    """Return the active AppKeys as they were at most a second ago."""
    if time.monotonic() - door.keys_at > KEYS_SECONDS:
        with door.lock:
            if time.monotonic() - door.keys_at > KEYS_SECONDS:
                door.keys = app_keys.key_rights(current_session())
                door.signed_only = frozenset(key for key, row in door.keys.items() if row.signed_only)
                door.keys_at = time.monotonic()
    return door.keys


@contextmanager
def _turn_of_large(door: _Door) -> Iterator[Callable[[], None]]:
    """Yield what is to be called once a body turns out to be large: it waits for one of the few places."""
    has_place = False

    def wait() -> None:
        nonlocal has_place
        has_place = door.large.acquire(timeout=LARGE_WAIT)
        if not has_place:
            raise _Refused(BUSY)

    try:
        yield wait
    finally:
        if has_place:
            door.large.release()


def _count(door: _Door, counted: Mapping[str, int], now: dt.datetime) -> None:
    """Note what anybody may send: nothing of it is kept but its number, told once a minute by each process."""
    with door.lock:
        door.counted.update(counted)
        if time.monotonic() - door.counted_at < COUNTED_SECONDS:
            return
        door.counted_at = time.monotonic()
        counted_so_far, door.counted = dict(door.counted), Counter()
    door.commit.store([_Accepted(now, [], counted_so_far)])


def _store(accepted: list[_Accepted]) -> None:
    """Store the records of several requests, in the order they came."""
    counted = sum((Counter(one.counted) for one in accepted), Counter[str]())
    rows: list[NewUpload] = []
    texts: list[bytes] = []
    size = 0
    for text in (text for one in accepted for text in one.records):
        texts.append(text)
        size += len(text)
        if size >= ROW_BYTES:
            rows.append(NewUpload(accepted[0].at, b"[%b]" % b",".join(texts), {}))
            texts, size = [], 0
    if texts:
        rows.append(NewUpload(accepted[0].at, b"[%b]" % b",".join(texts), {}))
    if counted:
        rows.append(NewUpload(accepted[0].at, b"[]", dict(counted)))
    uploads.add(rows)


def _ring(door: _Door) -> None:
    """Ask for uploads to be applied, unless a job did so a moment ago: it looks again before it ends."""
    if time.monotonic() - door.rung_at > applying.RING_SECONDS:
        door.rung_at = time.monotonic()
        queue.enqueue_unless_waiting(queue.UPLOADS, "apply_uploads")
