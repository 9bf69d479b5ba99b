"""A device and what it proves itself with, made together: two rooms and one transaction."""

from dataclasses import dataclass, field

from shoal.credentials.credential import NewCredential, Pin, Rotation
from shoal.credentials.store import Credentials
from shoal.errors import Conflict, Rejected
from shoal.ids import DeviceId, EnclosureId, TenantId
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.profile import ProfileId
from shoal.inventory.store import Inventory
from shoal.storage.database import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedProof:
    """How a device is to prove who it is.

    `psk` with an identity and a key in hexadecimal, or without, to get its own; `x509` with a certificate in PEM, or
    without, to be let in by its name.

    Raises:
        Rejected: a proof that does not belong to the mode.
    """

    mode: Security = Security.PSK
    identity: str | None = None
    key: str | None = field(default=None, repr=False)
    certificate: str | None = None
    pin: Pin = Pin.CERTIFICATE

    def __post_init__(self) -> None:
        if self.mode is not Security.PSK and (self.identity is not None or self.key is not None):
            raise Rejected("security", f"mode {self.mode.value} has neither identity nor key")
        if self.mode is not Security.X509 and self.certificate is not None:
            raise Rejected("security", f"mode {self.mode.value} has no certificate")


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDevice:
    """A device that is to be. Without a name it is called as its endpoint, without a profile it has that of its kind."""

    endpoint: str
    kind: Kind = Kind.SENSOR
    name: str | None = None
    enclosure: EnclosureId | None = None
    profile: ProfileId | None = None
    proof: WantedProof = WantedProof()


@dataclass(frozen=True, slots=True)
class Added:
    """A device with a credential that was made for it; one for labs has none.

    `key` in hexadecimal: made here, and so to be handed out; None when somebody gave it, or there is none.
    """

    device: Device
    new: NewCredential | None
    key: str | None = field(repr=False)

    @classmethod
    def of(cls, device: Device, new: NewCredential | None, proof: WantedProof) -> "Added":
        """The device with what it was given."""
        return cls(device, new, None if new is None or proof.key is not None else new.key)

    def told(self) -> dict[str, str | None]:
        """What the audit log says of it: never the key."""
        device = self.device
        return {
            "name": device.name,
            "kind": device.kind.value,
            "profile": device.profile,
            "enclosure": device.enclosure,
            "endpoint": device.endpoint,
            "security": device.security.value,
        }


async def add(
    tx: Transaction, inventory: Inventory, credentials: Credentials, tenant: TenantId, wanted: WantedDevice, *, by: str
) -> Added:
    """Makes the device, and what lets it in.

    Raises:
        Rejected: an endpoint, name, identity, key or certificate that cannot be one.
        NotFound: no such enclosure or profile.
        Conflict: the tenant has a device with this endpoint; another device has the identity or certificate.
    """
    device = await inventory.create_device(
        tx,
        tenant,
        endpoint=wanted.endpoint,
        kind=wanted.kind,
        security=wanted.proof.mode,
        enclosure=wanted.enclosure,
        name=wanted.name,
        profile=wanted.profile,
    )
    if wanted.proof.mode is Security.NONE:
        return Added.of(device, None, wanted.proof)
    new = await _give(tx, credentials, tenant, device.id, wanted.proof, by=by)
    return Added.of(device, new, wanted.proof)


async def add_credential(
    tx: Transaction,
    inventory: Inventory,
    credentials: Credentials,
    device: Device,
    proof: WantedProof,
    rotation: Rotation,
    *,
    by: str,
) -> NewCredential:
    """Gives a device one more; a key may follow a certificate, and the other way round. What ends then says `rotation`.

    Raises:
        Rejected: an identity, key or certificate that cannot be one.
        Conflict: without security, which a device never loses; somebody else has it; it has enough.
    """
    if proof.mode is Security.NONE:
        raise Conflict(device.id, "a device loses its security only by being created anew")
    if device.security is not proof.mode and device.security is not Security.NONE:
        # The device itself first: who changes one holds it before anything else.
        await inventory.change_device(tx, device.tenant, device.id, security=proof.mode)
    return await _give(tx, credentials, device.tenant, device.id, proof, rotation, by=by)


async def _give(
    tx: Transaction,
    credentials: Credentials,
    tenant: TenantId,
    device: DeviceId,
    proof: WantedProof,
    rotation: Rotation | None = None,
    *,
    by: str,
) -> NewCredential:
    if proof.mode is Security.X509:
        return await credentials.admit(
            tx, tenant, device, certificate=proof.certificate, pin=proof.pin, rotation=rotation, by=by
        )
    return await credentials.create(
        tx, tenant, device, identity=proof.identity, key=proof.key, rotation=rotation, by=by
    )
