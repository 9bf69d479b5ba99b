"""The pages over an invented farm, for browser tests and for working on the pages: `serve.py [port] [times]`.

Prints its address; ends when its input ends. `times` makes the company that many times as large. Lines on standard input change the world as a
test's story goes, and are answered with `done`:

    reset {"times": 1, "is_empty": false}    all as at the start
    away, back                               the API behind the pages stops, and is there again
    delayed, caught-up                       monitoring lags behind, and no longer
    update {"device": "...", ...}            the device's latest update gets these fields
    heard {"device": "..."}                  the device reports again
    arrives {"endpoint": "..."}              a device that was made registers
    refused {"reason": "...", ...}           somebody is not let in, with these fields
    knocks {"device": "..."}                 a device that nobody added shows a good certificate, and waits
"""

import asyncio
import json
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from shoal.bff.api import connect  # noqa: E402
from shoal.bff.application import create_application  # noqa: E402
from shoal.clock import SystemClock  # noqa: E402
from tests.unit.bff.fake_access import make_access  # noqa: E402
from tests.unit.bff.fake_anchors import make_anchors, waits  # noqa: E402
from tests.unit.bff.fake_api import create_fake_api  # noqa: E402
from tests.unit.bff.fake_duty import default_policy, staff  # noqa: E402
from tests.unit.bff.fake_farm import FakeFarm, make_farm  # noqa: E402
from tests.unit.bff.fake_trust import arrives, credentials, refusals  # noqa: E402

HEARTBEAT_S = 5


def staffed_farm(now: datetime, times: int) -> FakeFarm:
    """The invented farm with the people who are told of its alerts."""
    farm = make_farm(now, times)
    farm.test_s = 1.5
    staff(farm)
    farm.refusals, farm.credentials = refusals(farm), credentials(farm)
    make_access(farm)
    make_anchors(farm)
    return farm


class Serving:
    """An application on a port of this host, for as long as it is wanted."""

    def __init__(self, application: FastAPI, port: int = 0) -> None:
        self._application = application
        self._socket = _listen(port)
        self.port = int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        if self._socket.fileno() < 0:
            self._socket = _listen(self.port)
        config = uvicorn.Config(self._application, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def end(self) -> None:
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._socket.close()
        self._server = self._task = None


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()  # from now on connections wait, whoever accepts them
    return listening


class World:
    """The invented farm, its API and the pages over it."""

    def __init__(self, times: int) -> None:
        self.farm = staffed_farm(datetime.now(UTC), times)
        self.fake = create_fake_api(self.farm, HEARTBEAT_S)
        self.api = Serving(self.fake)

    async def do(self, line: str) -> None:
        command, _, rest = line.strip().partition(" ")
        said: dict[str, Any] = json.loads(rest) if rest else {}
        live = self.fake.state.live
        match command:
            case "reset":
                await self.api.end()
                farm = FakeFarm(datetime.now(UTC), policies=[default_policy()]) if said.get("is_empty") else None
                vars(self.farm).update(vars(farm or staffed_farm(datetime.now(UTC), said.get("times", 1))))
                await self.api.begin()
            case "away":
                await self.api.end()
            case "back":
                await self.api.begin()
            case "delayed" | "caught-up":
                self.farm.delayed_since = datetime.now(UTC).isoformat() if command == "delayed" else None
                live.tell("pipeline")
            case "update":
                device = said.pop("device")
                self.farm.updates[device][0].update(said, changed_at=datetime.now(UTC).isoformat())
                live.tell("update", device=device)
            case "heard":
                self.farm.hear(said["device"], datetime.now(UTC))
                live.tell("status", device=said["device"])
            case "arrives":
                live.tell("registration", device=arrives(self.farm, said["endpoint"]))
            case "refused":
                moment = datetime.now(UTC).isoformat()
                row = self.farm.refusals[0] | {"id": "r-new", "device": None, "endpoint": "", "count": 1}
                self.farm.refusals.insert(0, row | {"first_at": moment, "last_at": moment} | said)
                live.tell("security")
            case "knocks":
                self.farm.credentials.append(waits(self.farm, said["device"]))
                live.tell("security")
            case _:
                raise ValueError(line)


async def serve(port: int, times: int) -> None:
    world = World(times)
    await world.api.begin()
    async with connect(f"http://127.0.0.1:{world.api.port}") as client:
        assets = ROOT / "src" / "shoal" / "bff" / "assets"
        pages = Serving(create_application(client, assets, secret=b"only for tests", clock=SystemClock()), port)
        await pages.begin()
        _say(f"http://127.0.0.1:{pages.port}")
        # When the input ends, so does the test that wrote it.
        while line := await asyncio.to_thread(sys.stdin.readline):
            if line.strip():
                await world.do(line)
                _say("done")
        await pages.end()
        await world.api.end()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    asyncio.run(serve(*given, *(8181, 1)[len(given) :]))
