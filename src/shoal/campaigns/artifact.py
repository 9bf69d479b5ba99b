"""An artifact: a firmware image or a recognition model, with version and digest. Its bytes never change."""

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from shoal.errors import Rejected

# PkgName and PkgVersion of object 5 have 0..255 bytes; a name that people read is shorter.
NAME_CHARACTERS_MAX: Final = 64
# CoAP block numbers have 20 bits and some clients stop at 0xFFFF: 64 MiB in blocks of 1,024 bytes (californium#2141).
SIZE_BYTES_MAX: Final = 64 * 1024 * 1024


class ArtifactKind(StrEnum):
    """What it replaces on the device, and so where the device reports its version."""

    FIRMWARE = "firmware"
    MODEL = "model"


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one thing that devices can run."""

    id: str
    tenant: str
    kind: ArtifactKind
    name: str
    version: str
    size: int
    sha256: str
    created_at: datetime
    by: str | None = None

    @property
    def path(self) -> str:
        """Where devices fetch it. Other bytes have another digest, and so another path."""
        return f"/fw/{self.sha256[:32]}"

    @property
    def etag(self) -> bytes:
        """RFC 7252 §5.10.6: at most 8 bytes. Tells a device that goes on whether it is still the same file."""
        return bytes.fromhex(self.sha256[:16])


def parse_kind(raw: str) -> ArtifactKind:
    """What an artifact is.

    Raises:
        Rejected: neither firmware nor model.
    """
    try:
        return ArtifactKind(raw)
    except ValueError as error:
        raise Rejected("kind", f"one of {', '.join(ArtifactKind)}") from error


def parse_label(raw: str, subject: str) -> str:
    """A name or a version.

    Raises:
        Rejected: empty, too long, or with characters that do not print.
    """
    label = raw.strip()
    if not label or len(label) > NAME_CHARACTERS_MAX or not label.isprintable():
        raise Rejected(subject, f"1 to {NAME_CHARACTERS_MAX} printable characters")
    return label
