"""The cluster of deploy/compose.yaml without Docker: its own files, commands, settings and health checks, as processes here.

What differs is what a container would give each of them: an address of its own, its folders, its user.
"""

import asyncio
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio

from shoal.lwm2m import Device
from tests.harness.broker import Broker
from tests.harness.postgres import Postgres
from tests.harness.product import PATIENCE_S, SHOAL, Product, free_port, own_environment
from tests.unit.test_deploy import DEPLOY, ROLES, Compose, Service, compose, image_environment, make_certificates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

# As the command `shoal-ready` of an installed wheel begins.
READY: Final = (sys.executable, "-c", "from shoal.ready import main; main()")


class ComposedBroker(Broker):
    """Kafka with deploy/kafka/server.properties."""

    def __init__(self, folder: Path, tls: Path) -> None:
        super().__init__(folder)
        self._tls_folder = tls
        self.servers = f"localhost:{self.port}"

    def _properties(self) -> Path:
        text = (DEPLOY / "kafka" / "server.properties").read_text()
        for said, here in (
            ("kafka:9093", self.servers),
            (":9093", f":{self.port}"),
            (":9094", f":{self._controller_port}"),
            ("=/tls/", f"={self._tls_folder}/"),
            ("/var/lib/kafka/data", f"{self._folder}/data"),
        ):
            assert said in text
            text = text.replace(said, here)
        path = self._folder / "server.properties"
        path.write_text(text)
        return path


class Composed(Product):
    """All roles as the file says. `pages` and `web` (the API) are where they listen here."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file: Compose = compose()
        self.postgres = Postgres()
        make_certificates(folder)
        self.tls = folder / "tls"
        self.broker = ComposedBroker(folder / "kafka", self.tls / "kafka")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {name: free_port() for name in ROLES}
        self.web = f"https://localhost:{self.ports['api']}"
        self.pages = f"https://localhost:{free_port()}"
        self.verify = ssl.create_default_context(cafile=str(self.tls / "shoal" / "ca.pem"))
        (folder / "secrets").mkdir()
        (folder / "secrets" / "shoal_database_password").write_text(self.postgres.password)
        (folder / "secrets" / "shoal_smtp_password").write_text("")

    @contextmanager
    def neighbours(self) -> Iterator[None]:
        """PostgreSQL with the options and the rules of the file; Kafka with its."""
        folder = self.postgres._folder
        shutil.copytree(self.tls / "postgres", folder / "tls")
        shutil.copy(DEPLOY / "postgres" / "pg_hba.conf", folder)
        for path in (folder / "tls", *(folder / "tls").iterdir(), folder / "pg_hba.conf"):
            self.postgres._own(path)
        given = [argument.removeprefix("-c") for argument in (self.file.services["postgres"].command or [])[1:]]
        here = [text.replace("=/tls/", f"={folder}/tls/").replace("/etc/shoal", str(folder)) for text in given]
        self.postgres._options = ("fsync=off", *here)
        with ExitStack() as stack:
            stack.enter_context(self.broker)
            stack.enter_context(self.postgres)
            yield

    def environment_of(self, name: str) -> dict[str, str]:
        """The settings of a service, with what is elsewhere here."""
        there = image_environment() | self.file.services[name].environment
        here = {key: self._here(name, value) for key, value in there.items()}
        return own_environment() | here

    def _here(self, name: str, text: str) -> str:
        for said, here in (
            ("@postgres/shoal?", f"@localhost:{self.postgres.port}/postgres?"),
            ("kafka:9093", self.broker.servers),
            ("/tls/", f"{self.tls}/shoal/"),
            ("/run/secrets", str(self.folder / "secrets")),
            ("/data", str(self.folder / "data")),
            ("coaps://0.0.0.0:5684", self.coaps),
            ("https://api:8081", self.web),
            ("0.0.0.0:8443", self.pages.removeprefix("https://")),
            ("0.0.0.0:8081", f"127.0.0.1:{self.ports['api']}"),
            ("0.0.0.0:9090", f"127.0.0.1:{self.ports.get(name, 0) if name != 'api' else 0}"),
        ):
            text = text.replace(said, here)
        return text

    def start_service(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*SHOAL, *(self.file.services[name].command or [])],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment_of(name),
            )

    def run(self, *arguments: str) -> str:
        """A command inside of a container: `docker compose exec api shoal ...`."""
        done = subprocess.run(
            [*SHOAL, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environment_of("api"),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    async def token(self, role: str = "administrator") -> str:
        made = await asyncio.to_thread(self.run, "token", "create", "test", "--role", role)
        return made.strip()

    async def is_healthy(self, name: str) -> bool:
        """What Docker would find out, by the very command."""
        service: Service = self.file.services[name]
        assert service.healthcheck is not None
        command = [self._here(name, text) for text in service.healthcheck.test[2:]]
        command[0] = f"https://localhost:{self.ports[name]}"
        ready = await asyncio.create_subprocess_exec(*READY, *command, stderr=subprocess.DEVNULL)
        return await ready.wait() == 0

    def _must_run(self) -> None:
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise AssertionError(f"{name} ended:\n{(self.folder / f'{name}.log').read_text()[-4000:]}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shoal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Composed]:
    composed = Composed(tmp_path_factory.mktemp("composed"))
    with composed.neighbours():
        migrate = composed.file.services["migrate"].command or []
        composed.run(*migrate)
        try:
            for name in ROLES:
                composed.start_service(name)
            yield composed
        finally:
            await composed.close_client()
            for process in composed.processes.values():
                process.send_signal(signal.SIGTERM)
            ended = [await asyncio.to_thread(process.wait, PATIENCE_S) for process in composed.processes.values()]
            assert ended == [0] * len(ended)


async def test_every_role_is_healthy_by_its_own_check(shoal: Composed) -> None:
    for name in ROLES:
        await shoal.until(lambda name=name: shoal.is_healthy(name))


async def test_a_device_that_is_created_there_reports_over_tls_to_all_of_it(shoal: Composed) -> None:
    security = {"mode": "psk", "identity": "s-1"}
    made = await shoal.post("/devices", {"endpoint": "s-1", "security": security})

    async with Device("s-1", shoal.coaps, identity="s-1", key=bytes.fromhex(made["security"]["key"])) as device:
        device.set("/3303/0/5700", 9.5)
        await device.registered(timedelta(seconds=60))
        await device.send("/3303/0/5700")

    async def is_well() -> bool:
        return bool((await shoal.get(f"/devices/{made['id']}"))["status"] == "healthy")

    await shoal.until(is_well)


async def test_the_first_login_is_shown_where_the_guide_says(shoal: Composed) -> None:
    assert re.search(r"https://\S+/welcome#\S+", (shoal.folder / "api.log").read_text())
    async with httpx.AsyncClient(verify=shoal.verify) as browser:
        assert (await browser.get(shoal.pages)).status_code == httpx.codes.OK


async def test_postgresql_and_kafka_take_nothing_in_clear(shoal: Composed) -> None:
    port = shoal.postgres.port
    plain = f"postgresql://shoal:{shoal.postgres.password}@localhost:{port}/postgres?sslmode=disable"
    asked = await asyncio.to_thread(
        subprocess.run, ["psql", plain, "-c", "SELECT 1"], capture_output=True, text=True, check=False
    )
    assert "no pg_hba.conf entry" in asked.stderr

    host, _, kafka = shoal.broker.servers.partition(":")
    nobody = await asyncio.to_thread(
        subprocess.run,
        ["openssl", "s_client", "-connect", f"{host}:{kafka}", "-CAfile", shoal.tls / "kafka" / "ca.pem", "-tls1_2"],
        input="",
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    # It shows its own certificate, and wants one.
    assert "Verify return code: 0" in nobody.stdout
    assert "alert" in nobody.stderr.lower()
