"""What campaigns need of others: somebody who asks devices, and somebody who serves files. The app brings them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.links import Links
from shoal.storage.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command for a device at its place. `body` is JSON as the gateway takes it; `by` is who asked for the update."""

    tenant: str
    farm: str | None
    enclosure: str | None
    device: str
    operation: str
    path: str
    body: dict[str, str | int] | None
    time_to_live: timedelta
    by: str | None


class Enqueue(Protocol):
    """Queues a command in the transaction it is given, so that it is asked exactly once; returns the command's id.

    Raises Rejected when the device has too much to do; then nothing was written.
    """

    async def __call__(self, tx: Transaction, request: Request) -> str: ...


@dataclass(frozen=True, slots=True)
class FileServer:
    """Files for devices. `serve` lets a device fetch a file (path, ETag, file, device) and may be called again;
    `withdraw` takes that back (path, device). `address` says under which URI a device reaches us
    ("coaps://192.0.2.1:5684"): that depends on how it is connected. `file` is where the bytes with this digest are; raises
    NotFound. `links` makes addresses of our web server, where devices can reach one.
    """

    serve: Callable[[str, bytes, Path, str], None]
    withdraw: Callable[[str, str], None]
    address: Callable[[DeviceFacts], str]
    file: Callable[[str], Path]
    links: Links | None = None
