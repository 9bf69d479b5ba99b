"""Shoal as a cluster runs it: every role a process of its own, PostgreSQL over TLS, Kafka over mutual TLS.

`python -m tests.harness.cluster FOLDER` runs one with the demo farm until Ctrl-C (`make cluster`).
"""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from tests.harness.authority import Authority
from tests.harness.broker import Broker
from tests.harness.postgres import Postgres
from tests.harness.product import PATIENCE_S, SHOAL, Product, family, free_port, own_environment, run_to_its_end
from tests.harness.proxy import Proxy

ENCLOSURE_OPTION: Final = 65_308
# Two of a worker, so that they share its partitions.
ROLES: Final = ("gateway", "api", "web", "health", "health", "alerts", "campaigns")


class Cluster(Product):
    """All roles of one Shoal. `web` is where its API is, `pages` where people go."""

    def __init__(
        self, folder: Path, *, health_processes: int = 2, gateways: int = 1, database_options: Sequence[str] = ()
    ) -> None:
        super().__init__(folder)
        self.authority = Authority(folder / "authority")
        self._certificate = self.authority.certificate("shoal-web")
        self._health_processes = health_processes
        self.broker = Broker(folder / "kafka", self.authority)
        self.postgres = Postgres(*database_options, authority=self.authority)
        self.verify = self.authority.context()
        # The password is a file, as a container or systemd has it.
        self._secrets = folder / "secrets"
        self._secrets.mkdir()
        (self._secrets / "shoal_database_password").write_text(self.postgres.password)
        self.web = f"https://127.0.0.1:{free_port()}"
        self.pages = f"https://127.0.0.1:{free_port()}"
        self.coap = f"coap://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        # By process, what it has for itself; several gateways know where to reach each other.
        self.own: dict[str, dict[str, str]] = {"gateway": {}}
        if gateways > 1:
            self.own = {f"gateway-{number}": self._own_of_gateway(number) for number in range(gateways)}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ops: dict[str, str] = {}
        self.to_kafka = Proxy(self.broker.port)
        self.to_postgres = Proxy(self.postgres.port)
        self._stack = contextlib.ExitStack()

    def _own_of_gateway(self, number: int) -> dict[str, str]:
        return {
            "SHOAL_LISTEN": f"coaps://127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
            "SHOAL_PEER_LISTEN": f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
            "SHOAL_SPOOL": str(self.folder / f"spool-{number}"),
        }

    @property
    def gateways(self) -> list[str]:
        """Their processes."""
        return list(self.own)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of all roles."""
        database = self.postgres.url.replace(f":{self.postgres.port}/", f":{self.to_postgres.port}/")
        return (
            own_environment()
            | {
                "SHOAL_DATA": str(self.folder / "data"),
                "SHOAL_DATABASE": database.replace(f":{self.postgres.password}@", "@"),
                "SHOAL_SECRETS": str(self._secrets),
                "SHOAL_KAFKA": f"127.0.0.1:{self.to_kafka.port}",
                "SHOAL_KAFKA_OPTIONS": json.dumps(self.broker.client),
                "SHOAL_LISTEN": f"{self.coaps},{self.coap}",
                "SHOAL_ENCLOSURE_OPTION": str(ENCLOSURE_OPTION),
                "SHOAL_TLS_CERT": str(self._certificate.cert),
                "SHOAL_TLS_KEY": str(self._certificate.key),
                "SHOAL_API": self.web.removeprefix("https://"),
                "SHOAL_API_URL": self.web,
                "SHOAL_API_CA": str(self.authority.ca),
                "SHOAL_WEB": self.pages.removeprefix("https://"),
            }
            | self.settings
        )

    def with_kafka_options(self, options: Mapping[str, str]) -> dict[str, str]:
        """The same settings, but for how to speak with Kafka."""
        return self.environment | {"SHOAL_KAFKA_OPTIONS": json.dumps(options)}

    async def start(self) -> None:
        """Starts broker, database and roles, and waits until all are ready."""
        await self.to_kafka.start()
        await self.to_postgres.start()
        self.broker.advertised = self.to_kafka.port
        await asyncio.to_thread(self._stack.enter_context, self.broker)
        await asyncio.to_thread(self._stack.enter_context, self.postgres)
        await self.run("db", "migrate")
        for name in self.gateways:
            self.start_role("gateway", name)
        for name in ("api", "web", "alerts", "campaigns"):
            self.start_role(name)
        for number in range(self._health_processes):
            self.start_role("health", f"health-{number}")
        await asyncio.gather(*(self.until(partial(self.is_ready, name)) for name in self.processes))

    def start_role(self, role: str, name: str | None = None) -> None:
        """Starts a process of a role; `name` is the role unless there are several."""
        name = name or role
        arguments = [role]
        if role == "api":
            self.ops[name] = self.web
        else:
            # The same at each start of this process.
            address = self.ops.setdefault(name, f"https://127.0.0.1:{free_port()}")
            arguments += ["--ops", address.removeprefix("https://")]
        with self.log_of(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*SHOAL, *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment | self.own.get(name, {}),
            )

    async def simulate(self) -> None:
        """Brings the demo farm's devices to life."""
        token = await self.token()
        arguments = ["simulate", "--api-url", self.web, "--api-ca", str(self.authority.ca), "--coap", self.coaps]
        with self.log_of("simulate").open("ab") as log:
            self.processes["simulate"] = subprocess.Popen(  # noqa: ASYNC220  # returns at once
                [*SHOAL, *arguments, "--token", "$TOKEN", "--data", str(self.folder / "devices")],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment | {"TOKEN": token},
            )

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    async def run(self, *arguments: str) -> str:
        """A command of an operator that ends by itself; what it printed."""
        done = await run_to_its_end(*arguments, folder=self.folder, settings=self.environment)
        assert done.code == 0, done.complaint
        return done.output

    async def token(self, role: str = "administrator") -> str:
        return (await self.run("token", "create", "test", "--role", role)).strip()

    def kill(self, name: str = "gateway") -> None:
        """As a power cut does: no goodbye."""
        self.processes[name].kill()
        self.processes[name].wait()

    async def stop_roles(self, names: Iterable[str]) -> None:
        """Ends some of the processes as a service manager does."""
        for name in names:
            process = self.processes.pop(name, None)
            if process is not None:
                process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(_ended, process)

    async def is_ready(self, name: str) -> bool:
        """Whether a role says that all it needs is there; the simulation is no role."""
        return name not in self.ops or (await self.asked(f"{self.ops[name]}/readyz")) == httpx.codes.OK

    async def numbers(self, name: str) -> str:
        """What a role shows under /metrics."""
        async with httpx.AsyncClient(verify=self.verify) as client:
            return (await client.get(f"{self.ops[name]}/metrics")).text

    async def counted(self, gateway: str) -> dict[str, float]:
        """What the core of a gateway has counted since it started."""
        return family(await self.numbers(gateway), "shoal_core", "what")

    async def asked(self, url: str) -> int | None:
        """The status of an answer; None when there is none."""
        try:
            async with httpx.AsyncClient(verify=self.verify) as client:
                return (await client.get(url)).status_code
        except httpx.TransportError:
            return None

    async def stop(self) -> int:
        """Ends all roles as a service manager does; returns the worst exit code."""
        await self.close_client()
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        codes = [await asyncio.to_thread(_ended, process) for process in self.processes.values()]
        self.processes.clear()
        await self.to_kafka.cut()
        await self.to_postgres.cut()
        await asyncio.to_thread(self._stack.close)
        return max((abs(code) for code in codes), default=0)

    def _must_run(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None and process.returncode != -signal.SIGKILL:
                raise AssertionError(
                    f"{name} ended with {process.returncode}:\n{self.log_of(name).read_text()[-4000:]}"
                )


def _ended(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return signal.SIGKILL


@asynccontextmanager
async def cluster(folder: Path, *, gateways: int = 1) -> AsyncIterator[Cluster]:
    """A running cluster that is stopped at the end."""
    running = Cluster(folder, gateways=gateways)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


async def main(folder: Path) -> None:
    """Runs a cluster with the demo farm until it is interrupted."""
    async with cluster(folder) as running:
        await running.simulate()
        print(f"Shoal as a cluster of {len(running.processes) - 1} processes over PostgreSQL and Kafka.")
        print(f"  pages      {running.pages}/   (the certificate is of {folder / 'authority' / 'ca.pem'})")
        print(f"  API        {running.web}/api/v1   token {await running.token()}")
        print(f"  devices    {running.coaps}")
        print(f"  logs       {folder}/*.log")
        print(running.log_of("api").read_text(), "Ctrl-C stops all of it.", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Path(sys.argv[1]).resolve()))
