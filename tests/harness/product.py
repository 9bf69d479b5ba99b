"""Shoal as an operator runs it: a process of its own, its own data folder, real sockets."""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

ROOT: Final = Path(__file__).resolve().parents[2]
SHOAL: Final = (sys.executable, "-m", "shoal.cli")
# A busy two-core machine may take its time; a test that waits this long has failed.
PATIENCE_S: Final = 120


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port on loopback that nobody has right now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Product:
    """One `shoal` process and its API."""

    def __init__(self, folder: Path, *arguments: str, command: str = "up") -> None:
        self.folder = folder
        self.web = f"http://127.0.0.1:{free_port()}"
        self.coaps = f"coaps://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        self._command = command
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._client: httpx.AsyncClient | None = None
        # Further settings, as an operator puts them into the environment.
        self.settings: dict[str, str] = {}
        # What its certificate is checked against; plain HTTP has none.
        self.verify: ssl.SSLContext | bool = True

    async def start(self) -> None:
        """Starts the process and waits until it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # returns at once
                [
                    *SHOAL,
                    self._command,
                    "--data",
                    str(self.folder),
                    "--web",
                    self.web.removeprefix("http://"),
                    "--listen",
                    self.coaps,
                    *self._arguments,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder.parent,
                env=own_environment() | self.settings,
            )
        await self.until(self._is_ready)

    @property
    def log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def api(self) -> httpx.AsyncClient:
        """A client with an administrator's token."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=f"{self.web}/api/v1",
                headers={"Authorization": f"Bearer {await self.token()}"},
                timeout=PATIENCE_S,
                verify=self.verify,
            )
        return self._client

    async def token(self, role: str = "administrator") -> str:
        """A fresh token, made as an operator makes it."""
        made = await run_to_its_end(
            "token", "create", "test", "--role", role, "--data", str(self.folder), folder=self.folder.parent,
            settings=self.settings,
        )  # fmt: skip
        assert made.code == 0, made.complaint
        return made.output.strip()

    async def get(self, path: str, /, **parameters: str) -> Any:
        """What the API answers, which must be 200."""
        answer = await (await self.api()).get(path, params=parameters)
        assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {answer.text}"
        return answer.json()

    async def post(self, path: str, body: object = None, expected: int = 201) -> Any:
        """What the API answers to a POST."""
        answer = await (await self.api()).post(path, json=body)
        assert answer.status_code == expected, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    async def until(self, holds: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
        """Asks again and again until the answer is true; returns it."""
        async with asyncio.timeout(within_s):
            while True:
                self._must_run()
                answer = await holds()
                if answer:
                    return answer
                await asyncio.sleep(0.1)

    async def metrics(self, name: str = "shoal_core", label: str = "what") -> dict[str, float]:
        """The numbers of one family, by label."""
        async with httpx.AsyncClient(verify=self.verify) as client:
            text = (await client.get(f"{self.web}/metrics")).text
        return family(text, name, label)

    def kill(self) -> None:
        """As a power cut does: no goodbye."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self) -> int:
        """As Ctrl-C does; returns the exit code."""
        await self.close_client()
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return await asyncio.to_thread(self._process.wait, PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"shoal does not end when it is asked to:\n{self.log.read_text()[-4000:]}") from None

    async def close_client(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _is_ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.web}/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _must_run(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"shoal ended with {self._process.returncode}:\n{self.log.read_text()[-4000:]}")


@dataclass(frozen=True, slots=True)
class Ended:
    """What is left of a `shoal` that ended by itself."""

    code: int
    output: str
    complaint: str


async def run_to_its_end(*arguments: str, folder: Path, settings: Mapping[str, str] | None = None) -> Ended:
    """Runs a `shoal` command that is to end by itself, in `folder`, with these settings in its environment."""
    process = await asyncio.create_subprocess_exec(
        *SHOAL,
        *arguments,
        cwd=folder,
        env={**own_environment(), **(settings or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        raise AssertionError(f"shoal {' '.join(arguments)} does not end by itself") from None
    assert process.returncode is not None
    return Ended(process.returncode, output.decode(), complaint.decode())


def family(text: str, name: str, label: str) -> dict[str, float]:
    """The numbers of one family, by label, in what a process shows under /metrics."""
    line = re.compile(rf'^{name}(?:_total|_held)?\{{{label}="(\w+)"\}} (\S+)$', re.MULTILINE)
    return {found[1]: float(found[2]) for found in line.finditer(text)}


def own_environment() -> dict[str, str]:
    """Ours, without settings of a Shoal that the developer may run."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SHOAL_")}


@asynccontextmanager
async def product(folder: Path, *arguments: str, command: str = "up") -> AsyncIterator[Product]:
    """A running Shoal that is stopped at the end."""
    running = Product(folder, *arguments, command=command)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()
