"""The database's part of a campaign: freeze, claim and read, write back, apply receipts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from bench.raw import Bound, Watch
from bench.raw.ground import RUN, Ground

BATCH = 1000
RECEIPTS, PER_CALLBACK = 50_000, 100
"""Receipts of one transaction, and of one callback."""
QUEUED, ACCEPTED, UNDELIVERED, DELIVERED = 0, 5, 7, 8
Row = tuple[int, str, str]
"""(seq, phone, params)"""


def freeze(ground: Ground, rows: int, batch: int = BATCH) -> Bound:
    """Write one message per contact and the batches by INSERT..SELECT; the ids of contacts are the numbers."""
    watch = Watch()
    if ground.postgres:
        params, phone = "jsonb_build_array(properties ->> 'name')::text", "phones ->> '$phone'"
    else:
        params, phone = "json_array(properties ->> '$.name')", "phones ->> '$.\"$phone\"'"
    with watch.running(), ground.transaction():
        ground.run(
            "INSERT INTO raw_message (run_id, seq, contact_id, phone, params, status)"
            f" SELECT {RUN}, id, id, {phone}, {params}, {QUEUED} FROM raw_contact WHERE id <= {rows} ORDER BY id"
        )
        ground.run(
            "INSERT INTO raw_batch SELECT run_id, (seq - 1) / ? + 1, min(seq), max(seq), 0 FROM raw_message"
            " WHERE run_id = ? GROUP BY 1, 2",
            (batch, RUN),
        )
        ground.run(f"INSERT INTO raw_tally VALUES ({RUN}, 'queued', {rows}), ({RUN}, 'accepted', 0)")
    return Bound("freeze", rows, watch.seconds)


def claim(ground: Ground, rows: int) -> tuple[Bound, list[list[Row]]]:
    """Claim every batch, one row of the batch table each, and read its messages; return the batches too."""
    watch = Watch()
    skip = "FOR UPDATE SKIP LOCKED" if ground.postgres else ""
    batches: list[list[Row]] = []
    while True:
        with watch.running(), ground.transaction():
            bounds = ground.run(
                "UPDATE raw_batch SET state = 1 WHERE run_id = ? AND no = (SELECT no FROM raw_batch WHERE run_id = ?"
                f" AND state = 0 ORDER BY no LIMIT 1 {skip}) RETURNING lo, hi",
                (RUN, RUN),
            ).fetchone()
            if bounds is None:
                break
            batch = ground.run(
                "SELECT seq, phone, params FROM raw_message WHERE run_id = ? AND seq BETWEEN ? AND ?", (RUN, *bounds)
            ).fetchall()
        batches.append(batch)
    return Bound("claim and read", rows, watch.seconds), batches


def write_back(ground: Ground, rows: int, batch: int = BATCH) -> Bound:
    """Store an answer for every message: one transaction per batch, with its tallies and its state."""
    watch = Watch()
    for no, lo in enumerate(range(1, rows + 1, batch), start=1):
        seqs = range(lo, min(lo + batch, rows + 1))
        with watch.running(), ground.transaction():
            _store(ground, seqs)
            ground.run("UPDATE raw_batch SET state = 2 WHERE run_id = ? AND no = ?", (RUN, no))
            ground.run("UPDATE raw_tally SET n = n - ? WHERE run_id = ? AND state = 'queued'", (len(seqs), RUN))
            ground.run("UPDATE raw_tally SET n = n + ? WHERE run_id = ? AND state = 'accepted'", (len(seqs), RUN))
    return Bound("write back", rows, watch.seconds)


def _store(ground: Ground, seqs: Sequence[int]) -> None:
    if ground.postgres:
        ground.run(
            f"UPDATE raw_message m SET status = {ACCEPTED}, parts = v.parts, provider_ref = v.ref, answered_at = ?"
            " FROM unnest(?::int[], ?::smallint[], ?::text[]) v(seq, parts, ref)"
            f" WHERE m.run_id = {RUN} AND m.seq = v.seq AND m.status = {QUEUED}",
            (1_772_000_000, list(seqs), [1] * len(seqs), [f"ref-{seq}" for seq in seqs]),
        )
        return
    ground.connection.executemany(
        f"UPDATE raw_message SET status = {ACCEPTED}, parts = ?, provider_ref = ?, answered_at = ?"
        f" WHERE run_id = {RUN} AND seq = ? AND status = {QUEUED}",
        [(1, f"ref-{seq}", 1_772_000_000, seq) for seq in seqs],
    )


def callbacks(run_id: int, seqs: Sequence[int], per_callback: int) -> list[bytes]:
    """Return the bodies of callbacks about these messages; one in twenty was not delivered."""
    news = [{"ref": f"{run_id}-{seq}", "news": "delivered" if seq % 20 else "undelivered"} for seq in seqs]
    return [json.dumps(news[at : at + per_callback]).encode() for at in range(0, len(news), per_callback)]


def receipts(ground: Ground, rows: int) -> Bound:
    """Apply a receipt for every message, in random order: parsed, staged into a heap, then one UPDATE..FROM.

    It includes what any reader of receipts has to do: parse the JSON of each callback of a hundred, and each reference.
    It does not include storing the callbacks, fetching them and marking them as read.
    """
    order = list(range(1, rows + 1))
    random.Random(3).shuffle(order)
    stored = callbacks(RUN, order, PER_CALLBACK)
    at_once = RECEIPTS // PER_CALLBACK
    watch = Watch()
    for begin in range(0, len(stored), at_once):
        with watch.running(), ground.transaction():
            _stage(ground, _read(stored[begin : begin + at_once]))
            ground.run(
                "UPDATE raw_message SET status = r.status, receipt_at = r.at FROM raw_receipt r"
                f" WHERE raw_message.run_id = {RUN} AND raw_message.seq = r.seq AND raw_message.status < r.status"
            )
            ground.run("SELECT status, count(*) FROM raw_receipt GROUP BY status").fetchall()
            ground.run("DELETE FROM raw_receipt")
    return Bound("receipts, staged", rows, watch.seconds)


def _read(bodies: Sequence[bytes]) -> list[tuple[int, int, int]]:
    statuses = {"delivered": DELIVERED, "undelivered": UNDELIVERED}
    return [
        (int(receipt["ref"].partition("-")[2]), statuses[receipt["news"]], 1_772_000_060)
        for body in bodies
        for receipt in json.loads(body)
    ]


def _stage(ground: Ground, news: Sequence[tuple[Any, ...]]) -> None:
    if not ground.postgres:
        ground.connection.executemany("INSERT INTO raw_receipt VALUES (?, ?, ?)", news)
        return
    with ground.connection.cursor() as cursor, cursor.copy("COPY raw_receipt FROM STDIN") as copy:
        for row in news:
            copy.write_row(row)
