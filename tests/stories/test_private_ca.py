"""A farm without anybody who signs certificates: `shoal ca` makes an authority, and server and devices meet by what it issues."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.lwm2m import Certificate, Device, Registered, Security, Server
from tests.harness.listener import listening
from tests.unit.cli.test_ca import with_a_tenant
from tests.unit.cli.test_command_line import a_shoal, ended

PATIENCE = timedelta(seconds=20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    asyncio.run(a_shoal(tmp_path / "data"))
    asyncio.run(with_a_tenant(tmp_path / "data"))
    return tmp_path


def ca(*arguments: str) -> None:
    assert ended(["ca", *arguments, "--data", "data"]) == 0


def shown(folder: Path, name: str) -> Certificate:
    return Certificate.load(folder / f"{name}.pem", folder / f"{name}.key", folder / "trust.pem")


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_server_and_devices_meet_by_certificates_of_their_own_authority(
    curve: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ca("create", "Nordvik devices", "--curve", curve)
    root = capsys.readouterr().out.split()[0]
    ca("create", "Nordvik site", "--under", root)
    ca("show", "--out", "trust.pem")
    ca("issue", "--server", "127.0.0.1", "--out", "gw")
    ca("issue", "oxy-0417", "--uri", "urn:dev:ops:32473-1", "--out", "oxy")
    capsys.readouterr()
    ca("create", "Somebody else")
    ca("issue", "oxy-0417", "--authority", capsys.readouterr().out.split()[0], "--out", "forged")

    async def story() -> None:
        own = shown(folder, "gw")
        async with (
            Server("coaps://127.0.0.1:0", credentials={"oxy-0417": "x509"}, certificate=own) as server,
            listening(server) as listener,
        ):
            async with Device("oxy-0417", server.addresses[0], certificate=shown(folder, "forged")):
                refused = await listener.hears(Security)
            async with Device("oxy-0417", server.addresses[0], certificate=shown(folder, "oxy")) as device:
                await device.registered(PATIENCE)
                registered = await listener.hears(Registered)

        assert (refused.reason, refused.identity) == ("unknown_authority", "oxy-0417")
        assert (registered.endpoint, registered.secure) == ("oxy-0417", True)

    asyncio.run(story())
