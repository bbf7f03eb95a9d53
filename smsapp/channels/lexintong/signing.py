"""The key of a request of the new interface."""

from __future__ import annotations

import hashlib


def access_key(account_id: str, password: str, random: int, timestamp: int, first_number: str = "") -> str:
    """Return the AccessKey of a request; send requests also sign the first number, queries do not."""
    # MD5 is the provider's choice; the key is only as safe as the encrypted connection.
    digest = hashlib.md5(f"{password}SMmsEncryptKey".encode(), usedforsecurity=False).hexdigest().upper()
    numbers = f"&PhoneNos={first_number}" if first_number else ""
    signed = f"AccountId={account_id}{numbers}&Password={digest}&Random={random}&Timestamp={timestamp}"
    return hashlib.sha256(signed.encode()).hexdigest()
