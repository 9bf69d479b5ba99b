"""A device and what it proves itself with are made together, or neither is."""

import pytest

from shoal.credentials.credential import Pin, Rotation
from shoal.errors import Conflict, Rejected
from shoal.inventory.device import Security
from shoal.onboarding.adding import WantedDevice, WantedProof, add, add_credential
from tests.harness.installation import Installation


async def test_a_key_that_is_made_is_handed_out_and_one_that_was_given_is_not(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    given = WantedDevice(endpoint="oxy-2", proof=WantedProof(identity="oxy-2", key="00112233445566778899"))
    async with shoal.database.transaction() as tx:
        made = await add(tx, shoal.inventory, shoal.credentials, tenant, WantedDevice(endpoint="oxy-1"), by="Kari")
        had = await add(tx, shoal.inventory, shoal.credentials, tenant, given, by="Kari")
        lab = await add(
            tx,
            shoal.inventory,
            shoal.credentials,
            tenant,
            WantedDevice(endpoint="lab", proof=WantedProof(mode=Security.NONE)),
            by="Kari",
        )

    assert made.key is not None
    assert made.key not in repr(made)
    assert made.key not in str(made.told())
    assert (had.key, lab.key, lab.new) == (None, None, None)
    [credential] = await shoal.credentials.of_device(tenant, made.device.id)
    assert (credential.identity, credential.created_by) == (made.device.id, "Kari")


async def test_without_its_credential_there_is_no_device(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    wanted = WantedDevice(endpoint="oxy-1", proof=WantedProof(identity="oxy-1", key="secret"))
    with pytest.raises(Rejected, match="not hexadecimal"):
        async with shoal.database.transaction() as tx:
            await add(tx, shoal.inventory, shoal.credentials, tenant, wanted, by="Kari")

    assert await shoal.inventory.devices_named(tenant, ["oxy-1"]) == {}


async def test_a_device_goes_over_from_a_key_to_a_certificate_and_never_to_nothing(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        made = await add(tx, shoal.inventory, shoal.credentials, tenant, WantedDevice(endpoint="oxy-1"), by="Kari")
        proof = WantedProof(mode=Security.X509)
        await add_credential(tx, shoal.inventory, shoal.credentials, made.device, proof, Rotation(), by="Kari")

    changed = await shoal.inventory.device(tenant, made.device.id)
    assert changed.security is Security.X509
    nothing = WantedProof(mode=Security.NONE)
    with pytest.raises(Conflict, match="created anew"):
        async with shoal.database.transaction() as tx:
            await add_credential(tx, shoal.inventory, shoal.credentials, changed, nothing, Rotation(), by="Kari")


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        (Security.X509, {"identity": "a"}),
        (Security.X509, {"key": "00"}),
        (Security.NONE, {"key": "00"}),
        (Security.PSK, {"certificate": "pem"}),
        (Security.NONE, {"certificate": "pem"}),
    ],
)
def test_a_proof_belongs_to_its_mode(mode: Security, asked: dict[str, str]) -> None:
    with pytest.raises(Rejected, match=f"mode {mode.value} has n"):
        WantedProof(mode=mode, pin=Pin.CERTIFICATE, **asked)  # type: ignore[arg-type]
