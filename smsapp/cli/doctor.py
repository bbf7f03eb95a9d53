"""flask doctor: what is configured, what answers, what is wrong, in plain words."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import urlsplit

import click

from config import Config
from smsapp.cli.output import Line, ShowingCommand, Shown, showing
from smsapp.labels import sentence
from smsapp.services.channels.channel_health import LATE_HOURS, Health
from smsapp.services.monitoring import health
from smsapp.services.platform import audit_proof, clock

LITTLE_SPACE = 1 << 30
MANY_WAITING = 1000


class Mark(StrEnum):
    GOOD = "ok"
    NOTE = "note"
    WRONG = "WRONG"


COLOURS = {Mark.GOOD: "green", Mark.NOTE: "yellow", Mark.WRONG: "red"}
Finding = tuple[Mark, str]


@click.command("doctor", cls=ShowingCommand)
@showing
def command() -> Shown:
    """Say what is configured, what answers and what is wrong; exit code 1 if something is wrong.

    \b
    Example: flask doctor
    """
    config = Config.read(os.environ)
    findings = [*look_at_settings(config), *look_at_servers(config)]
    wrong = sum(mark is Mark.WRONG for mark, _ in findings)
    last = "Everything that was looked at is in order." if not wrong else f"{wrong} to put right."
    lines: list[Line] = [(click.style(f"{mark.value:>5}", fg=COLOURS[mark]) + "  ", text) for mark, text in findings]
    items = [{"mark": mark.value.lower(), "text": text} for mark, text in findings]
    return Shown({"wrong": wrong, "items": items}, [*lines, "", last], code=1 if wrong else 0)


def look_at_settings(config: Config) -> Iterator[Finding]:
    """Yield findings about the settings alone. Values are not printed: some are secret."""
    names = [item.name for item in dataclasses.fields(Config) if item.name in os.environ]
    yield Mark.GOOD, f"Settings from the environment: {', '.join(names) or 'none'}; the others have their defaults."
    folder = config.INSTANCE_DIR
    if os.access(folder, os.W_OK):
        space = health.free_space()
        mark = Mark.GOOD if space >= LITTLE_SPACE else Mark.WRONG
        yield mark, f"The instance folder {folder} can be written; {space / (1 << 30):.1f} GiB are free on its disk."
    else:
        yield Mark.WRONG, f"The instance folder {folder} cannot be written by this user."
    for name in ("secret.key", "encryption.key"):
        file = folder / name
        if file.exists() and file.stat().st_mode & 0o077:
            yield Mark.WRONG, f"{file} can be read by others; run: chmod 600 {file}"
    if not config.PUBLIC_URL:
        yield Mark.NOTE, "PUBLIC_URL is empty: providers cannot call back with receipts and replies."
    elif config.PUBLIC_URL.startswith("https://") and not config.SECURE_COOKIES:
        yield Mark.WRONG, "PUBLIC_URL is https, but SECURE_COOKIES is off; set SECURE_COOKIES=1."
    elif config.PUBLIC_URL.startswith("https://") and not config.HSTS_SECONDS:
        yield Mark.NOTE, "HSTS_SECONDS is 0: a browser that was given an http address asks once without encryption."
    if config.PUBLIC_URL and not config.TRUSTED_PROXIES:
        yield Mark.NOTE, "TRUSTED_PROXIES is empty: behind a reverse proxy every visitor would seem to be the proxy."


def look_at_servers(config: Config) -> Iterator[Finding]:
    """Yield findings about the database, Redis and the stored rows."""
    database = health.database()
    if not database.answers:
        yield Mark.WRONG, f"The database does not answer ({database.trouble}); look at DATABASE_URL."
    elif database.problem is not None:
        yield Mark.WRONG, f"{database.server} answers. {sentence(database.problem)}"
    else:
        yield Mark.GOOD, f"{database.server} answers; its schema fits this version."
    yield from _look_at_queue(config)
    if database.is_usable:
        yield _look_at_audit_log()
        yield from _look_at_work()


def _look_at_audit_log() -> Finding:
    proof = audit_proof.verify(audit_proof.LATEST)
    if proof.broken is not None:
        return Mark.WRONG, f"The audit log was changed: entry {proof.broken} is missing or not what was written."
    return Mark.GOOD, f"The audit log's latest entries are what was written ({proof.entries} in all)."


def _look_at_queue(config: Config) -> Iterator[Finding]:
    queue = health.listeners()
    kind = "Redis" if config.REDIS_URL else "The embedded Valkey"
    if not queue.answers:
        remedy = "look at REDIS_URL" if config.REDIS_URL else "it runs while `make run` (flask serve) runs"
        yield Mark.WRONG, f"{kind} does not answer; {remedy}."
        return
    if queue.takes_writes:
        yield Mark.GOOD, f"{kind} answers and takes writes."
    else:
        yield Mark.WRONG, f"{kind} answers but refuses writes (full, or a read-only replica): nothing is sent."
    if is_open(config.REDIS_URL):
        yield (
            Mark.WRONG,
            "REDIS_URL names another host without a password: whoever reaches it can stop and repeat jobs; "
            "set one (requirepass) and put it into the address.",
        )
    server = health.redis_setup()
    if server is not None and server.may_evict:
        yield Mark.WRONG, f"{kind} removes keys when it is full, and jobs with them; set maxmemory-policy noeviction."
    if server is not None and not server.keeps_on_disk:
        yield (
            Mark.NOTE,
            f"{kind} keeps nothing on disk: after its restart jobs come back within a minute, quotas count anew; "
            "set appendonly yes.",
        )
    if queue.workers:
        yield Mark.GOOD, f"{queue.workers} worker{'s' if queue.workers > 1 else ''} listen."
    else:
        yield Mark.WRONG, "No worker listens, so nothing is sent; run: python worker.py work"
    if queue.scheduler:
        yield Mark.GOOD, "The scheduler is awake."
    else:
        yield Mark.WRONG, "No scheduler is awake, so nothing starts by itself; run: python worker.py schedule"
    if queue.waiting > MANY_WAITING:
        yield Mark.WRONG, f"{queue.waiting} jobs wait for a worker; more workers are needed, or they hang."
    if queue.failed:
        yield Mark.NOTE, f"{queue.failed} jobs failed lately; the workers' logs say why."


def is_open(redis_url: str) -> bool:
    """Say whether the address names another host and no password."""
    parts = urlsplit(redis_url)
    local = parts.scheme == "unix" or parts.hostname in {None, "localhost", "127.0.0.1", "::1"}
    return not local and not parts.password


def _look_at_work() -> Iterator[Finding]:
    work = health.work(clock.now())
    if work.administrators:
        yield Mark.GOOD, f"Administrators who can sign in: {work.administrators}."
    else:
        yield Mark.NOTE, "Nobody can sign in yet; the first start prints a link, or run: flask users create"
    if work.late_campaigns:
        ids = ", ".join(map(str, work.late_campaigns[:10]))
        yield Mark.WRONG, f"Campaigns past their time that nobody started: {ids}; is a scheduler awake?"
    if work.unread_callbacks > MANY_WAITING // 2:
        yield Mark.WRONG, f"{work.unread_callbacks} or more callbacks wait to be read; do workers listen on `receipts`?"
    for name in work.unheld_channels:
        yield Mark.WRONG, f"No process holds the connection of channel {name}; run: python worker.py connect"
    for name in work.sealed_channels:
        yield Mark.WRONG, f"The secrets of channel {name} do not open with the present ENCRYPTION_KEY."
    for name, codes in work.unknown_codes.items():
        text = ", ".join(f"{code} ({n})" for code, n in codes[:10])
        yield Mark.NOTE, f"Channel {name} has reported codes without a known meaning: {text}; its page has them all."
    for row, channel_health in work.channels:
        yield from _look_at_channel(row.name, row.is_low, channel_health)
        if trouble := row.templates_trouble:
            why = _why(trouble["result"], trouble["outcome"], trouble["code"])
            yield Mark.NOTE, f"The templates of channel {row.name} could not be compared ({why}); see its page."
    for name, kinds in work.key_alarms.items():
        yield Mark.WRONG, f"AppKey {name} had unusual hours ({', '.join(sorted(set(kinds)))}); look at its page."
    for run_id, wrong in work.broken_runs.items():
        yield Mark.WRONG, f"The numbers of run {run_id} do not add up: {'; '.join(wrong)}."
    if not work.broken_runs:
        yield Mark.GOOD, "The numbers of the latest runs add up."


def _look_at_channel(name: str, is_low: bool, channel_health: Health) -> Iterator[Finding]:
    """Yield what operators should know before they send through this channel."""
    if channel_health.trouble:
        why = _why(channel_health.trouble.result, channel_health.trouble.outcome, channel_health.trouble.code)
        yield Mark.WRONG, f"The last call through channel {name} failed ({why}); see its page."
    if is_low:
        yield Mark.NOTE, f"The account of channel {name} has little left; top it up."
    if channel_health.waiting:
        yield (
            Mark.NOTE,
            f"{channel_health.waiting} messages of channel {name} were accepted more than {LATE_HOURS} hours ago and "
            "have no receipt; does the provider know the callback address?",
        )
    if channel_health.last_success and not channel_health.trouble:
        yield Mark.GOOD, f"Channel {name} last took a message at {channel_health.last_success:%Y-%m-%d %H:%M} UTC."


def _why(*parts: str) -> str:
    return ", ".join(filter(None, parts))
