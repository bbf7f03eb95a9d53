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
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from smsapp.domain import provider_claims, setting_addresses
from smsapp.domain.roles import RANKS
from smsapp.domain.setting_values import choice as _choice
from smsapp.domain.setting_values import flag as _flag
from smsapp.domain.setting_values import number as _number
from smsapp.domain.setting_values import zone as _zone

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


def _folder(raw: str) -> Path:
    return Path(raw).expanduser().resolve()


def _names(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())


def _networks(raw: str) -> tuple[str, ...]:
    names = _names(raw)
    for name in names:
        try:
            name == "unix" or ip_network(name)
        except ValueError:
            raise ValueError(f"must hold addresses, networks or unix, not {name!r}") from None
    return names


def setting(read: Callable[[str], Any], default: str, why: str, *, secret: bool = False) -> Any:
    return field(metadata={"read": read, "default": default, "why": why, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings, typed. Make one with `Config.read(os.environ)`."""

    INSTANCE_DIR: Path = setting(
        _folder, str(HERE / "instance"), "Folder for the database files, keys, uploads and logs."
    )
    DATABASE_URL: str = setting(
        setting_addresses.database, "", "PostgreSQL address; empty means SQLite in the instance folder.", secret=True
    )
    REDIS_URL: str = setting(
        setting_addresses.redis,
        "",
        "Redis or Valkey address; empty means the embedded Valkey in the instance folder.",
        secret=True,
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
    PUBLIC_URL: str = setting(
        setting_addresses.public_url, "", "Address under which providers reach this application for callbacks."
    )
    TRUSTED_HOSTS: tuple[str, ...] = setting(
        _names,
        "",
        "Names under which pages are answered, comma-separated, beside PUBLIC_URL's and localhost; empty without "
        "PUBLIC_URL means any (.example.com: and all below).",
    )
    HOST: str = setting(_text, "127.0.0.1", "Address the web server listens on.")
    PORT: int = setting(_number(0, 65535), "8000", "Port of the web server; `make run` takes the next free one.")
    WEB_WORKERS: int = setting(_number(1, 64), "2", "Processes of the web server.")
    NO_SEND: bool = setting(_flag, "0", "Pages only: nothing is sent, no worker starts (`flask serve --no-send`).")
    SEND_WORKERS: int = setting(
        _number(1, 64),
        "2",
        "Workers that send, on all hosts; `make run` starts so many. Without Redis each keeps to its share of a rate.",
    )
    TRUSTED_PROXIES: tuple[str, ...] = setting(
        _networks,
        "",
        "Reverse proxies whose X-Forwarded-For, -Proto, -Host and X-Request-ID are believed: addresses or networks, "
        "comma-separated (127.0.0.1, 10.0.0.0/24); unix: whoever connects through a unix socket.",
    )
    SECURE_COOKIES: bool = setting(_flag, "0", "Send cookies over https only; switch on in production.")
    HSTS_SECONDS: int = setting(
        _number(0, 63_072_000),
        "0",
        "How long browsers that came over https refuse plain http (Strict-Transport-Security); 0 says nothing. "
        "Begin with 300; 31536000 is a year.",
    )
    HSTS_SUBDOMAINS: bool = setting(_flag, "0", "Let that hold for all subdomains as well.")
    REQUIRE_SECOND_FACTOR: str = setting(
        _choice("", *RANKS),
        "",
        "The least role that must sign in with a second factor (administrator, operator ..); empty: nobody must.",
    )
    LOCAL_SIGN_IN: bool = setting(
        _flag, "1", "Let people sign in with a password; 0: only through OIDC_ISSUER and `flask users link`."
    )
    OIDC_ISSUER: str = setting(
        setting_addresses.issuer, "", "OpenID Connect provider through which people sign in; empty: none."
    )
    OIDC_CLIENT_ID: str = setting(_text, "", "This application's client id at the provider.")
    OIDC_CLIENT_SECRET: str = setting(_text, "", "Its secret; empty for a public client.", secret=True)
    OIDC_SCOPES: str = setting(_text, "openid profile email", "Scopes that are asked for, separated by blanks.")
    OIDC_ROLE_CLAIM: str = setting(
        _text, "groups", "Claim of the ID token that says the role; may be a path (realm_access.roles)."
    )
    OIDC_ROLES: tuple[tuple[str, str], ...] = setting(
        provider_claims.read_roles,
        "",
        "Values of that claim and their roles: sms-admins=administrator;sms-team=operator. Who has none stays out.",
    )
    REQUEST_SECONDS: int = setting(
        _number(1, 3600), "30", "How long a page, /up or a callback may take; then it ends with 503 and is rolled back."
    )
    LONG_REQUEST_SECONDS: int = setting(_number(1, 86_400), "900", "The same for exports and uploads.")
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
    UP_UNDO_MB: int = setting(
        _number(1, 1_000_000),
        "256",
        "MiB kept of each AppKey to undo what it replaced; older than seven days nothing is kept.",
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
    JOURNAL_DAYS: int = setting(
        _number(1, 3650), "90", "How old a backup may be for the journal to tell what was sent since."
    )
    TEMPLATE_CHECK_DAYS: int = setting(
        _number(1, 3650), "30", "After so many days an approval should be compared with the provider again."
    )
    MESSAGE_MONTHS: int = setting(
        _number(0, 240), "0", "How many months single messages are kept after their run; 0 keeps them. Numbers stay."
    )
    REPLY_MONTHS: int = setting(
        _number(0, 240), "0", "How many months replies are kept; 0 keeps them. Opt-outs and those that wait stay."
    )
    TEST_CLOCK: str = setting(_text, "", "For rehearsals: a file with the seconds that are added to the clock.")
    METRICS_PORT: int = setting(
        _number(0, 65535), "0", "Port on HOST that answers /metrics without a token, for Prometheus alone; 0: none."
    )
    METRICS_TOKEN: str = setting(
        _text, "", "Bearer token for /metrics on the main port; empty: it is not answered there.", secret=True
    )
    LOG_LEVEL: str = setting(_choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "How much is logged.")
    LOG_FORMAT: str = setting(_choice("text", "json"), "text", "Log lines for people, or as JSON for a collector.")

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
        config = cls(**(values | overrides))
        if contradictions := config.contradictions():
            raise ConfigError(contradictions)
        return config

    def contradictions(self) -> list[str]:
        """Return a sentence for each setting that another one needs."""
        needed = {"OIDC_CLIENT_ID": self.OIDC_CLIENT_ID, "OIDC_ROLES": self.OIDC_ROLES}
        missing = [f"{name} must be set with OIDC_ISSUER." for name, value in needed.items() if not value]
        if self.OIDC_ISSUER:
            return missing
        return [] if self.LOCAL_SIGN_IN else ["LOCAL_SIGN_IN must be 1 without OIDC_ISSUER."]

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
