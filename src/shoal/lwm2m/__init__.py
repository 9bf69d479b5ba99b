"""LwM2M for Python, usable alone: `Server` manages devices, `Device` is one.

    async with lwm2m.Server("coaps://0.0.0.0:5684", credentials=keys) as server:
        async for event in server.events():
            if isinstance(event, lwm2m.Registered):
                battery = await server.read(event.endpoint, "/3/0/9")

Nothing in here knows of farms. The protocol itself runs in the Rust core, in threads of its own; this package is its
asyncio face. What ids mean stands in `shoal.lwm2m.objects`. Examples: docs/examples
(console.txt is five lines to type).
"""

from shoal.lwm2m.about import About
from shoal.lwm2m.account import Access, Account
from shoal.lwm2m.bodies import Values
from shoal.lwm2m.bootstrap import Bootstrap, BootstrapEvent, BootstrapServer, NotLetIn
from shoal.lwm2m.certificates import Certificate, load_authorities
from shoal.lwm2m.classes import Object, check, execute, measured, resource, written
from shoal.lwm2m.conduct import Conduct
from shoal.lwm2m.device import Device
from shoal.lwm2m.firmware import Firmware
from shoal.lwm2m.journal import Journal
from shoal.lwm2m.objects import Objects, definition, load_objects, resource_at
from shoal.lwm2m.owner import Asked, Refusal
from shoal.lwm2m.path import Path
from shoal.lwm2m.renewal import Renewal
from shoal.lwm2m.server import Server
from shoal.lwm2m.server_events import (
    Deregistered,
    Downloaded,
    Expired,
    Heard,
    Observation,
    Reading,
    Refused,
    Registered,
    Reported,
    Security,
    ServerEvent,
    Updated,
)
from shoal.lwm2m.state import Begun
from shoal.lwm2m.value import Link

__all__ = [
    "About",
    "Access",
    "Account",
    "Asked",
    "Begun",
    "Bootstrap",
    "BootstrapEvent",
    "BootstrapServer",
    "Certificate",
    "Conduct",
    "Deregistered",
    "Device",
    "Downloaded",
    "Expired",
    "Firmware",
    "Heard",
    "Journal",
    "Link",
    "NotLetIn",
    "Object",
    "Objects",
    "Observation",
    "Path",
    "Reading",
    "Refusal",
    "Refused",
    "Registered",
    "Renewal",
    "Reported",
    "Security",
    "Server",
    "ServerEvent",
    "Updated",
    "Values",
    "check",
    "definition",
    "execute",
    "load_authorities",
    "load_objects",
    "measured",
    "resource",
    "resource_at",
    "written",
]
