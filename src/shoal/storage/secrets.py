"""What lies encrypted in the database: the keys of devices. AES-256-GCM under a master key beside the database.

A copy of the database alone, a backup on a stick, gives no key away. A stored secret is

    version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag
"""

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shoal.errors import Unavailable

MASTER_KEY: Final = "master.key"
KEY_BYTES: Final = 32
# NIST SP 800-38D §8.3: with random nonces of 96 bits a key is good for 2^32 secrets; a fleet has a million.
NONCE_BYTES: Final = 12

_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
_HEAD_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES


class Vault:
    """Encrypts and decrypts under one master key. `context` binds a secret to its owner: it fits nowhere else."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"{len(master_key)} bytes instead of {KEY_BYTES}")
        self._cipher = AESGCM(master_key)
        self._head = _VERSION + hashlib.sha256(b"shoal master key id" + master_key).digest()[:_KEY_ID_BYTES]

    @classmethod
    def open(cls, folder: Path, named: Path | None = None) -> "Vault":
        """The vault of a data folder. Its master key is the named file, or one in the folder that is made the first time.

        Raises:
            Unavailable: the key cannot be read, is not a key, or others may read it.
        """
        path = named or folder / MASTER_KEY
        # A named one may be shared by a group: systemd's credentials look like that.
        forbidden = stat.S_IRWXO | (0 if named else stat.S_IRWXG)
        try:
            if named is None and not path.exists():
                _create(path)
            if stat.S_IMODE(path.stat().st_mode) & forbidden:
                raise Unavailable("master key", f"other users may read {path}", f"Run: chmod 600 {path}")
            master_key = path.read_bytes()
        except OSError as error:
            raise Unavailable(
                "master key", f"{path}: {error.strerror}", "Give this user the right to read it"
            ) from error
        if len(master_key) != KEY_BYTES:
            raise Unavailable("master key", f"{path} holds {len(master_key)} bytes, not {KEY_BYTES}", "Restore it")
        return cls(master_key)

    def encrypt(self, plaintext: bytes, context: str) -> bytes:
        """A secret that only this master key opens, and only in this context."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, plaintext, self._head + context.encode())

    def decrypt(self, secret: bytes, context: str) -> bytes:
        """The plaintext.

        Raises:
            Unavailable: made under another master key, for another context, or damaged.
        """
        head, nonce = secret[:_HEAD_BYTES], secret[_HEAD_BYTES : _HEAD_BYTES + NONCE_BYTES]
        if head != self._head:
            raise Unavailable(
                "master key",
                f"{context} was encrypted under another master key",
                f"Restore the {MASTER_KEY} that belongs to this database",
            )
        try:
            return self._cipher.decrypt(nonce, secret[_HEAD_BYTES + NONCE_BYTES :], head + context.encode())
        except (InvalidTag, ValueError) as error:
            raise Unavailable("master key", f"the secret of {context} is damaged", "Set a new one") from error


def _create(path: Path) -> None:
    """All of the key or none of it: it is written beside, and then given its name."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, secrets.token_bytes(KEY_BYTES))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # another process was faster: its key holds
    finally:
        beside.unlink()
