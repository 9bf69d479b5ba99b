"""The thread in which the devices of one event loop live, and the one that carries what they tell to that loop."""

import asyncio
import secrets
import threading
from contextlib import suppress
from typing import ClassVar, Final, Protocol

from shoal._core import DeviceConfig, DeviceHost, DeviceOccurrence
from shoal.lwm2m.objects import Objects

# How long one call into the core waits; its end is told at once.
WAIT_S: Final = 1.0
# What one call takes from the core: a burst of a few hundred devices.
OCCURRENCES_PER_CALL_MAX: Final = 1_024


class Told(Protocol):
    """Somebody who is told what happened to a device."""

    def take(self, occurrence: DeviceOccurrence) -> None:
        """Takes what happened; runs in the event loop."""


class Host:
    """The devices of one event loop. It lives as long as one of them."""

    _by_loop: ClassVar[dict[asyncio.AbstractEventLoop, "Host"]] = {}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.core = DeviceHost(secrets.randbits(63))
        self._loop = loop
        self._devices: dict[int, Told] = {}
        self._is_over = False
        threading.Thread(target=self._pump, name="lwm2m-devices", daemon=True).start()

    @classmethod
    def of_running_loop(cls) -> "Host":
        """The host of the event loop that runs, made when there is none."""
        loop = asyncio.get_running_loop()
        # Loops that were closed with devices running: nobody can leave them any more.
        for closed in [other for other in cls._by_loop if other.is_closed()]:
            cls._by_loop.pop(closed)._end()  # noqa: SLF001  # its own
        if loop not in cls._by_loop:
            cls._by_loop[loop] = cls(loop)
        return cls._by_loop[loop]

    def join(self, device: Told, config: DeviceConfig, objects: Objects) -> int:
        """Takes a device in, switched off, whose values are what `objects` say; answers with the handle that names it."""
        handle = self.core.add(config, objects.core)
        self._devices[handle] = device
        return handle

    def leave(self, handle: int) -> None:
        """Lets a device go; the last one ends the threads."""
        self._devices.pop(handle, None)
        self.core.remove(handle)
        if not self._devices:
            self._by_loop.pop(self._loop, None)
            self._end()

    def _end(self) -> None:
        self._is_over = True
        self.core.close()

    def _pump(self) -> None:
        while not self._is_over:
            occurrences = self.core.next_occurrences(OCCURRENCES_PER_CALL_MAX, WAIT_S)
            if occurrences:
                with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to be told
                    self._loop.call_soon_threadsafe(self._hand_out, occurrences)

    def _hand_out(self, occurrences: list[DeviceOccurrence]) -> None:
        for occurrence in occurrences:
            if (device := self._devices.get(occurrence.handle)) is not None:
                try:
                    device.take(occurrence)
                except Exception as error:  # noqa: BLE001  # what follows is of other devices
                    context = {"message": f"a device could not take: {occurrence.kind}", "exception": error}
                    self._loop.call_exception_handler(context)
