"""The typed settings of the running application, and the keys generated into its instance folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet
from flask import current_app

from config import Config

EXTENSION = "smsapp.settings"


def settings() -> Config:
    """Return the settings of the current application."""
    config: Config = current_app.extensions[EXTENSION]
    return config


def stored_secret(path: Path, make: str) -> str:
    """Return the secret in this file, generating it on first use; readable by its owner only.

    Two processes that start at the same moment agree: the file is created exclusively, the second one reads it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(make)
    return make


def secret_key(config: Config) -> str:
    return config.SECRET_KEY or stored_secret(config.INSTANCE_DIR / "secret.key", secrets.token_urlsafe(48))


def encryption_keys(config: Config) -> list[str]:
    """Return Fernet keys, newest first; the first encrypts, all decrypt."""
    raw = config.ENCRYPTION_KEY or stored_secret(config.INSTANCE_DIR / "encryption.key", Fernet.generate_key().decode())
    return [key.strip() for key in raw.split(",") if key.strip()]


def fernet() -> MultiFernet:
    """Return what encrypts with the newest key of the current application and decrypts with all of them."""
    return MultiFernet([Fernet(key) for key in encryption_keys(settings())])
