"""Addresses in settings, as people write them: of the database, of Redis, of this application, of a provider."""

from __future__ import annotations

from urllib.parse import urlsplit


def database(raw: str) -> str:
    """Return the address for SQLAlchemy; raises ValueError, without the value, which may hold a password."""
    # Hosting companies hand out postgres://, which SQLAlchemy refuses; psycopg 3 is our driver.
    for old in ("postgres://", "postgresql://"):
        if raw.startswith(old):
            return "postgresql+psycopg://" + raw.removeprefix(old)
    if raw and not raw.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return raw


def redis(raw: str) -> str:
    """Return the address of Redis; raises ValueError."""
    if raw and not raw.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return raw


def public_url(raw: str) -> str:
    """Return the address of this application without a slash at its end; raises ValueError."""
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise ValueError("must be an address such as https://sms.example.com")
    return raw.rstrip("/")


def issuer(raw: str) -> str:
    """Return the issuer of an OpenID provider as it is: issuers are compared letter by letter; raises ValueError."""
    parts = urlsplit(raw)
    is_local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if raw and not (parts.netloc and (parts.scheme == "https" or (parts.scheme == "http" and is_local))):
        raise ValueError("must be the https address of a provider, such as https://login.example.com/realms/sms")
    return raw
