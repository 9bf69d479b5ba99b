"""What lies encrypted in the database, such as the keys of devices: AES-256-GCM under a master key beside it.

A copy of the database alone, a backup on a stick, gives no key away. A stored secret is

    version (1 byte) | key id (4 bytes) | nonce (12 bytes) | ciphertext and tag

so that a wrong master key is told from a damaged row.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.types import TypeDecorator

from shoal.errors import Unavailable

KEY_BYTES: Final = 32
# NIST SP 800-38D §8.3: with random nonces of 96 bits a key is good for 2^32 secrets; a fleet has a million.
NONCE_BYTES: Final = 12

_VERSION: Final = b"\x01"
_KEY_ID_BYTES: Final = 4
HEAD_BYTES: Final = len(_VERSION) + _KEY_ID_BYTES


class Secret(TypeDecorator[bytes]):
    """A column of secrets that a `Vault` encrypted: a new master key, or a lost one, finds them all by this.

    `context` names the column of the same table whose text each secret is bound to, `says` what they are, for people.
    A column that may be null is emptied when its secret is given up; otherwise the whole row goes.
    """

    impl = LargeBinary
    cache_ok = True

    def __init__(self, context: str, says: str) -> None:
        super().__init__()
        self.context = context
        self.says = says


class Vault:
    """Encrypts under one master key, decrypts under older ones as well while they are being replaced.

    `context` binds a secret to its owner: it fits nowhere else.
    """

    def __init__(self, master_key: bytes, *older: bytes) -> None:
        self._master_key = master_key
        self._ciphers = {_head(key): AESGCM(key) for key in (master_key, *older)}
        self._head = _head(master_key)

    @property
    def heads(self) -> Sequence[bytes]:
        """What the secrets begin with that this vault opens; those that it makes, first."""
        return tuple(self._ciphers)

    def signing_key(self, purpose: str) -> bytes:
        """A key to sign with, of this installation and for this purpose alone; it tells nothing of the master key."""
        return hmac.digest(self._master_key, b"shoal signing key|" + purpose.encode(), hashlib.sha256)

    def encrypt(self, plaintext: bytes, context: str) -> bytes:
        """A secret that only this master key opens, and only in this context."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        associated = self._head + context.encode()
        return self._head + nonce + self._ciphers[self._head].encrypt(nonce, plaintext, associated)

    def decrypt(self, secret: bytes, context: str) -> bytes:
        """The plaintext.

        Raises:
            Unavailable: made under another master key, for another context, or damaged.
        """
        head, nonce = secret[:HEAD_BYTES], secret[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES]
        cipher = self._ciphers.get(head)
        if cipher is None:
            raise Unavailable(
                "master key",
                f"{context} was encrypted under another master key",
                "Put the master key that belongs to this database back, or set a new secret",
            )
        try:
            return cipher.decrypt(nonce, secret[HEAD_BYTES + NONCE_BYTES :], head + context.encode())
        except (InvalidTag, ValueError) as error:
            raise Unavailable("master key", f"the secret of {context} is damaged", "Set a new one") from error


def key_id(master_key: bytes) -> str:
    """Which key this is, as 8 hexadecimal digits that give nothing of it away."""
    return hashlib.sha256(b"shoal master key id" + master_key).digest()[:_KEY_ID_BYTES].hex()


def key_id_of_head(head: bytes) -> str:
    """Which key made a secret that begins with this."""
    return head[len(_VERSION) : HEAD_BYTES].hex()


def _head(master_key: bytes) -> bytes:
    if len(master_key) != KEY_BYTES:
        raise ValueError(f"{len(master_key)} bytes instead of {KEY_BYTES}")
    return _VERSION + bytes.fromhex(key_id(master_key))
