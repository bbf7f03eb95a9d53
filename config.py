"""Every setting of the product, once: name, type, default and why. Read from the environment.

README's settings table is made from this file (`flask settings`); a wrong value stops the start with a
sentence that names the variable and says what it should look like.
"""

from __future__ import annotations

import dataclasses
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HERE = Path(__file__).resolve().parent
LONGEST_SOCKET = 100
"""Bytes in the path of a unix socket; systems allow 104 to 108."""


class ConfigError(Exception):
    """One or more settings cannot be used; `problems` holds one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _text(raw: str) -> str:
    return raw


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(f"must be a whole number, not {raw!r}") from None
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}, not {value}")
        return value

    return read


def _flag(raw: str) -> bool:
    word = raw.strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError(f"must be 1 or 0, not {raw!r}")


def _zone(raw: str) -> str:
    try:
        ZoneInfo(raw)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"must be an IANA zone such as Asia/Shanghai, not {raw!r}") from None
    return raw


def _choice(*allowed: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {raw!r}")
        return raw

    return read


def _folder(raw: str) -> Path:
    return Path(raw).expanduser().resolve()


def _database(raw: str) -> str:
    # Hosting companies hand out postgres://, which SQLAlchemy refuses; psycopg 3 is our driver.
    for old in ("postgres://", "postgresql://"):
        if raw.startswith(old):
            return "postgresql+psycopg://" + raw.removeprefix(old)
    if raw and not raw.startswith(("sqlite:///", "postgresql+psycopg://")):
        # The value may hold a password, so it is not repeated.
        raise ValueError("must start with sqlite:/// or postgresql://")
    return raw


def _redis(raw: str) -> str:
    if raw and not raw.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return raw


def _public_url(raw: str) -> str:
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ValueError("must be an address such as https://sms.example.com")
    return raw.rstrip("/")


def _names(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def setting(read: Callable[[str], Any], default: str, why: str, *, secret: bool = False) -> Any:
    return field(metadata={"read": read, "default": default, "why": why, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings, typed. Make one with `Config.read(os.environ)`."""

    INSTANCE_DIR: Path = setting(
        _folder, str(HERE / "instance"), "Folder for the database files, keys, uploads and logs."
    )
    DATABASE_URL: str = setting(
        _database, "", "PostgreSQL address; empty means SQLite in the instance folder.", secret=True
    )
    REDIS_URL: str = setting(
        _redis, "", "Redis or Valkey address; empty means the embedded Valkey in the instance folder.", secret=True
    )
    SECRET_KEY: str = setting(
        _text, "", "Signs sessions; empty means a key generated into the instance folder.", secret=True
    )
    ENCRYPTION_KEY: str = setting(
        _text,
        "",
        "Fernet key (or several, newest first, comma-separated) for channel secrets; empty means a generated one.",
        secret=True,
    )
    PUBLIC_URL: str = setting(_public_url, "", "Address under which providers reach this application for callbacks.")
    TRUSTED_HOSTS: tuple[str, ...] = setting(
        _names,
        "",
        "Names under which pages are answered, comma-separated, beside PUBLIC_URL's and localhost; empty without "
        "PUBLIC_URL means any (.example.com: and all below).",
    )
    HOST: str = setting(_text, "127.0.0.1", "Address the web server listens on.")
    PORT: int = setting(_number(0, 65535), "8000", "Port of the web server; `make run` takes the next free one.")
    WEB_WORKERS: int = setting(_number(1, 64), "2", "Processes of the web server.")
    SEND_WORKERS: int = setting(
        _number(1, 64),
        "2",
        "Workers that send, on all hosts; `make run` starts so many. Without Redis each keeps to its share of a rate.",
    )
    BEHIND_PROXY: bool = setting(_flag, "0", "Trust X-Forwarded-* of one reverse proxy.")
    SECURE_COOKIES: bool = setting(_flag, "0", "Send cookies over https only; switch on in production.")
    DEFAULT_ZONE: str = setting(_zone, "Asia/Shanghai", "Zone of new campaigns.")
    DEFAULT_LOCALE: str = setting(_choice("zh_Hans", "en"), "zh_Hans", "Language of the pages before a person chooses.")
    DEFAULT_REGION: str = setting(_text, "CN", "Country whose national phone numbers need no +prefix.")
    MAX_UPLOAD_MB: int = setting(_number(1, 10_000), "512", "Largest file accepted for an import, in MiB.")
    UP_MAX_MB: int = setting(_number(1, 512), "10", "Largest body accepted by /up, in MiB.")
    UP_MAX_INFLATED_MB: int = setting(_number(1, 1024), "8", "Largest size of an /up body after gunzip, in MiB.")
    UP_REQUESTS_PER_MINUTE: int = setting(
        _number(1, 10_000_000),
        "30000",
        "Requests to /up by one public AppKey; by a server key ten times as many.",
    )
    UP_RECORDS_PER_DAY: int = setting(
        _number(1, 1_000_000_000), "1000000", "Profile records of one public AppKey; of a server key ten times as many."
    )
    UP_NEW_CONTACTS_PER_DAY: int = setting(
        _number(1, 1_000_000_000), "20000", "New contacts by one public AppKey; by a server key ten times as many."
    )
    UP_MB_PER_DAY: int = setting(
        _number(1, 10_000_000), "512", "MiB of profile records by one public AppKey; by a server key ten times as many."
    )
    ALLOWED_PRIVATE_HOSTS: tuple[str, ...] = setting(
        _names,
        "",
        "Hosts or networks in private ranges that channels may call, comma-separated (127.0.0.0/8, kannel.lan).",
    )
    LATE_GRACE_MINUTES: int = setting(_number(0, 10_080), "120", "How late a missed slot may still be sent.")
    DRIFT_PERCENT: int = setting(
        _number(0, 100_000), "20", "A run with so many per cent more messages than were reviewed waits for a person,"
    )
    DRIFT_FEWEST: int = setting(_number(0, 10_000_000), "100", "if it is more than so many messages more;")
    DRIFT_ELSEWHERE: int = setting(
        _number(0, 10_000_000),
        "20",
        "so does one with more than so many to countries or prefixes not reviewed.",
    )
    ROUTE_AFTER_SECONDS: int = setting(
        _number(0, 86_400), "300", "A channel that takes nothing for so long loses the run to its second channel."
    )
    ROUTE_AFTER_REFUSALS: int = setting(
        _number(1, 1_000_000),
        "200",
        "So many refusals that lie with the channel, and more than it took, move a run to its second channel.",
    )
    RECEIPT_HOURS: int = setting(
        _number(1, 720), "72", "Without a receipt for so long, a message counts as no receipt."
    )
    SENDER_SECONDS: int = setting(_number(1, 600), "45", "How long one sender works before it enqueues its successor.")
    BRAKE_AFTER: int = setting(
        _number(1, 100_000), "100", "After so many messages in a row without an answer a run waits instead of going on."
    )
    LEASE_SECONDS: int = setting(_number(5, 3600), "120", "After this time a silent sender's batch is unconfirmed.")
    CALLBACK_BACKLOG: int = setting(
        _number(100, 10_000_000),
        "50000",
        "So many unread callbacks of one channel, and its provider is asked to come again later (503).",
    )
    RETENTION_DAYS: int = setting(
        _number(1, 3650), "180", "How long callbacks are kept as they came, and receipts that name no message."
    )
    TEMPLATE_CHECK_DAYS: int = setting(
        _number(1, 3650), "30", "After so many days an approval should be compared with the provider again."
    )
    MESSAGE_MONTHS: int = setting(
        _number(0, 240), "0", "How many months single messages are kept after their run; 0 keeps them. Numbers stay."
    )
    TEST_CLOCK: str = setting(_text, "", "For rehearsals: a file with the seconds that are added to the clock.")
    LOG_LEVEL: str = setting(_choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "How much is logged.")

    @classmethod
    def read(cls, environ: Mapping[str, str], **overrides: Any) -> Config:
        """Return the settings found in `environ`; raise ConfigError with every problem at once."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for item in dataclasses.fields(cls):
            raw = environ.get(item.name, item.metadata["default"])
            try:
                values[item.name] = item.metadata["read"](raw)
            except ValueError as error:
                problems.append(f"{item.name} {error}.")
        if problems:
            raise ConfigError(problems)
        return cls(**(values | overrides))

    @property
    def database_url(self) -> str:
        return self.DATABASE_URL or f"sqlite:///{self.INSTANCE_DIR / 'smsapp.db'}"

    @property
    def answered_hosts(self) -> list[str]:
        """Return the host names under which pages are answered; empty means any."""
        if not (self.PUBLIC_URL or self.TRUSTED_HOSTS):
            return []
        own = urlsplit(self.PUBLIC_URL).hostname
        return [*self.TRUSTED_HOSTS, *([own] if own else []), "localhost", "127.0.0.1", "[::1]"]

    @property
    def redis_url(self) -> str:
        return self.REDIS_URL or f"unix://{self.valkey_socket}"

    @property
    def valkey_socket(self) -> Path:
        """Return the socket of the embedded Valkey: in the instance folder if its path is short enough.

        Otherwise in a temporary folder that the first call creates.
        """
        socket = self.INSTANCE_DIR / "valkey.sock"
        if len(os.fsencode(socket)) <= LONGEST_SOCKET:
            return socket
        return _private_folder(self.INSTANCE_DIR / "valkey.folder") / "valkey.sock"


def _private_folder(link: Path) -> Path:
    """Return a folder with a short path that only this user can enter; the symlink `link` names it to all processes."""
    link.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            folder = link.readlink()
            if _is_private(folder):
                return folder
            link.unlink()
        except FileNotFoundError:
            pass
        new_folder = tempfile.mkdtemp(prefix="smsapp-")
        try:
            os.symlink(new_folder, link)
        except FileExistsError:
            os.rmdir(new_folder)


def _is_private(folder: Path) -> bool:
    """Return whether this is a folder of this user that nobody else can enter; somebody may have replaced it."""
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
