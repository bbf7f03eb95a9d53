"""A file encrypted with a passphrase, written and read as a stream in bounded memory.

A line of JSON with the salt, then blocks: four bytes of length, then AES-256-GCM of at most BLOCK bytes. The key is
scrypt's of the passphrase; the nonce is the number of the block, and its last byte says whether the file ends with it,
so blocks can be neither exchanged nor cut off. Each file has its own salt, and with it its own key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from smsapp.domain.errors import Problem, Refusal

BLOCK = 1024 * 1024
TAG = 16
LONGEST_HEADER = 200
MAGIC = b'{"smsapp-encrypted":1,'
SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26, "dklen": 32}
"""32 MiB and a tenth of a second for a guess."""


def is_encrypted(file: IO[bytes]) -> bool:
    """Return whether this file is encrypted; it is read from its beginning afterwards."""
    start = file.read(len(MAGIC))
    file.seek(0)
    return start == MAGIC


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(hashlib.scrypt(passphrase.encode(), salt=salt, **SCRYPT))


def _nonce(block: int, last: bool) -> bytes:
    return block.to_bytes(11, "big") + bytes([last])


class Encrypting:
    """A file to write to; `close` ends it and leaves the file below open."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt = secrets.token_bytes(16)
        header = MAGIC + b'"salt":"' + base64.b64encode(salt) + b'"}\n'
        file.write(header)
        self._file, self._cipher, self._header = file, _cipher(passphrase, salt), header
        self._buffer = bytearray()
        self._block = 0

    def write(self, data: bytes) -> int:
        self._buffer += data
        # The last block is known only when the file ends, so one stays back.
        while len(self._buffer) > BLOCK:
            self._put(bytes(self._buffer[:BLOCK]), last=False)
            del self._buffer[:BLOCK]
        return len(data)

    def flush(self) -> None:
        """Do nothing: a block is written once it is full."""

    def close(self) -> None:
        self._put(bytes(self._buffer), last=True)
        self._buffer.clear()

    def _put(self, block: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._block, last), block, self._header)
        self._file.write(len(sealed).to_bytes(4, "big") + sealed)
        self._block += 1


class Decrypting:
    """A file to read from; raises Refusal if the passphrase is wrong or the file was changed or cut off."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        header = file.readline(LONGEST_HEADER)
        try:
            salt = base64.b64decode(json.loads(header)["salt"])
        except (ValueError, KeyError):
            raise Refusal(Problem("backup_damaged")) from None
        self._file, self._cipher, self._header = file, _cipher(passphrase, salt), header
        self._buffer = bytearray()
        self._block = 0
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._buffer) < size):
            self._take()
        size = len(self._buffer) if size < 0 else size
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _take(self) -> None:
        length = int.from_bytes(self._file.read(4), "big")
        sealed = self._file.read(length) if TAG <= length <= BLOCK + TAG else b""
        for last in (False, True):
            try:
                self._buffer += self._cipher.decrypt(_nonce(self._block, last), sealed, self._header)
            except (InvalidTag, ValueError):
                continue
            self._block += 1
            self._ended = last
            return
        raise Refusal(Problem("backup_damaged" if self._block else "backup_passphrase"))
