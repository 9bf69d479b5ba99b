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
    """Where devices fetch files. `address` says under which URI a device reaches us ("coaps://192.0.2.1:5684"): that
    depends on how it is connected. `file` is where the bytes with this digest are; raises NotFound. `links` makes addresses
    of our web server, where devices can reach one.

    Which device may fetch what follows from the updates under way: the gateway looks it up (`store.fetching`).
    """

    address: Callable[[DeviceFacts], str]
    file: Callable[[str], Path]
    links: Links | None = None
