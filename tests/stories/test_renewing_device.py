"""A camera at sea gets its certificates by itself: from the gateway that it talks to anyway, in the session that it has."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_pem_x509_certificate

from shoal.authority.authority import Reason
from shoal.authority.issuing import new_key
from shoal.events.device import SecurityEvent
from shoal.ids import DeviceId
from shoal.inventory.device import Security
from shoal.lwm2m import Certificate, Device, Renewal
from shoal.lwm2m.renewal import load_pairs
from tests.harness.authority import Authority
from tests.harness.product import product
from tests.harness.site import Site, site
from tests.unit.lwm2m.test_examples import running

WAIT = timedelta(seconds=20)
CAMERA = "cam-7"


@pytest.fixture
async def at_sea(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as running:
        # Certificates are judged by the true time.
        running.shoal.clock.advance(datetime.now(UTC) - running.shoal.clock.now())
        yield running


async def test_a_camera_renews_in_its_session_and_comes_back_with_the_new_certificate(
    at_sea: Site, tmp_path: Path
) -> None:
    shoal, tenant = at_sea.shoal, at_sea.tenant
    device = await shoal.create_device(tenant, CAMERA, security=Security.X509)
    key = new_key()
    long_ago = timedelta(days=300)
    shoal.clock.advance(-long_ago)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.admit(tx, tenant, device.id)
        top = await shoal.authorities.create(tx, tenant, "Nordlaks")
        await shoal.authorities.create(tx, tenant, "Site", under=top.id)
        issued = await shoal.certificates.issue_to_device(tx, tenant, None, CAMERA, key.public_key())
    shoal.clock.advance(long_ago)
    await at_sea.gateway.trust.follow()
    await at_sea.gateway.roster.follow()
    server = _der_of(at_sea.servers)
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    first = Certificate([issued.certificate.der], secret, [server])
    kept = tmp_path / "cam-7.json"

    async with Device(CAMERA, at_sea.gateway.addresses[0], certificate=first, renewal=Renewal(file=kept)) as camera:
        await camera.registered(WAIT)
        before, after = await at_sea.until(lambda: _two(at_sea, device.id))
        await camera.registered(WAIT)
        await camera.update()

        async def is_settled() -> bool:
            return load_pairs(kept).next is None

        await at_sea.until(is_settled)
        pairs = load_pairs(kept)
        assert pairs.current is not None
        assert pairs.current.leaf.serial_number == int(str(after["serial"]), 16)
        assert before["fingerprint"] == issued.certificate.fingerprint
        # Only the device has its key: what is known here are certificates.
        assert pairs.current.key != first.key
        [newest] = [one for one in await shoal.certificates.several(tenant) if one.der == pairs.current.chain[0]]
        async with shoal.database.transaction() as tx:
            await shoal.certificates.revoke(tx, tenant, issued.certificate.id, Reason.SUPERSEDED)
        await at_sea.gateway.trust.follow()
        await camera.update()
        assert newest.subject == CAMERA

    # The new one lets it in after a restart; the old one, which somebody kept, nobody any more.
    async with Device(CAMERA, at_sea.gateway.addresses[0], certificate=first, renewal=Renewal(file=kept)) as camera:
        await camera.registered(WAIT)
    assert not [event for event in await shoal.events() if isinstance(event, SecurityEvent)]


async def test_a_camera_that_began_with_a_key_comes_to_a_certificate_and_leaves_the_key(
    at_sea: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shoal, tenant = at_sea.shoal, at_sea.tenant
    device = await at_sea.device(CAMERA)
    async with shoal.database.transaction() as tx:
        await shoal.authorities.create(tx, tenant, "Nordlaks")
        await shoal.credentials.admit(tx, tenant, device.id)
    await at_sea.gateway.trust.follow()
    await at_sea.gateway.roster.follow()
    kept, key = tmp_path / "cam-7.json", at_sea.keys[CAMERA]

    async def says(words: str) -> bool:
        said.append(capsys.readouterr().out)
        return words in "".join(said)

    said: list[str] = []
    async with running("renewing", at_sea.gateway.addresses[0], CAMERA, CAMERA, key, at_sea.servers.ca, kept):
        await at_sea.until(lambda: says("cam-7 is registered"))
        await at_sea.until(lambda: _certificates(at_sea, device.id))
        await at_sea.until(lambda: says("cam-7 has a certificate until"))

    await shoal.settle()
    states = {one.mode.value: one.state.value for one in await shoal.credentials.of_device(tenant, device.id)}
    assert states == {"x509": "current", "psk": "revoked"}, "a new credential ends the one before once it was used"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_shoal_up_issues_a_certificate_to_a_device_with_a_key_and_lets_it_in_by_it(tmp_path: Path) -> None:
    servers = Authority(tmp_path / "servers")
    own = servers.certificate("gateway")
    async with product(tmp_path / "data", "--device-cert", str(own.cert), "--device-key", str(own.key)) as shoal:
        await shoal.post("/authorities", {"name": "Nordlaks"})
        made = await shoal.post("/devices", {"endpoint": CAMERA, "kind": "camera"})
        identity, key = made["security"]["identity"], bytes.fromhex(made["security"]["key"])
        await shoal.post(f"/devices/{made['id']}/credentials", {"mode": "x509"})
        renewal = Renewal(file=tmp_path / "cam-7.json", authorities=[_der_of(servers)])

        async with Device(CAMERA, shoal.coaps, identity=identity, key=key, renewal=renewal) as camera:
            await camera.registered(WAIT)

            async def is_in_by_certificate() -> bool:
                return bool((await shoal.get(f"/devices/{made['id']}"))["security"]["mode"] == "x509")

            await shoal.until(is_in_by_certificate)
            await camera.registered(WAIT)
            await camera.update()
        issued = await shoal.get("/certificates")

    assert [one["subject"] for one in issued["items"]] == [CAMERA]
    assert load_pairs(renewal.file).current is not None


def _der_of(authority: Authority) -> bytes:
    return load_pem_x509_certificate(authority.ca.read_bytes()).public_bytes(Encoding.DER)


async def _certificates(at_sea: Site, device: DeviceId) -> list[dict[str, object]]:
    registered = await at_sea.heard(device, "registered")
    found = [event["certificate"] for event in registered]
    return [one for one in found if isinstance(one, dict)]


async def _two(at_sea: Site, device: DeviceId) -> tuple[dict[str, object], ...] | None:
    found = await _certificates(at_sea, device)
    return tuple(found[:2]) if len(found) > 1 else None
