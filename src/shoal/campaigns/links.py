"""Addresses under which one device fetches one file from our web server: signed, and good until they expire.

Whoever has the address has the file, for as long as the update needs it: nobody logs in who has no hands.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from shoal.errors import Forbidden, Gone

# Object 5, resource 1 (Package URI): 0..255 bytes.
ADDRESS_BYTES_MAX: Final = 255
PREFIX: Final = "/api/v1/downloads"
# An address that is written again the same day stays the same: a device that kept what it had goes on with it.
EXPIRY_STEP: Final = timedelta(days=1)
# 128 bits: nobody guesses that, and the address stays short.
_SIGNATURE_BYTES: Final = 16


class Links:
    """Makes addresses and knows its own again. `base_url` is where devices reach our web server."""

    def __init__(self, key: bytes, base_url: str) -> None:
        self._key = key
        self.base_url = base_url.rstrip("/")

    def address(self, update: str, file: str, until: datetime) -> str | None:
        """Where the device of this update fetches the file, at least until then; None when that is too long to write."""
        step = int(EXPIRY_STEP.total_seconds())
        expires = (int(until.timestamp()) // step + 1) * step
        address = f"{self.base_url}{PREFIX}/{update}/{file}/{expires}/{self._signature(update, file, expires)}"
        return address if len(address.encode()) <= ADDRESS_BYTES_MAX else None

    def check(self, update: str, file: str, expires: int, signature: str, now: datetime) -> None:
        """Lets an address pass that is ours and still good.

        Raises:
            Forbidden: we never made it.
            Gone: it has expired.
        """
        if not hmac.compare_digest(self._signature(update, file, expires).encode(), signature.encode()):
            raise Forbidden("download", "this address was not made here")
        if now >= datetime.fromtimestamp(expires, UTC):
            raise Gone("download", "this address has expired")

    def _signature(self, update: str, file: str, expires: int) -> str:
        # None of the parts holds a bar.
        digest = hmac.digest(self._key, f"{update}|{file}|{expires}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).rstrip(b"=").decode()
