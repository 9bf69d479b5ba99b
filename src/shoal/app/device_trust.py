"""What a tenant's own certificate authority issues lets devices in: the seam between `authority` and `credentials`."""

from dataclasses import dataclass

from shoal.authority.authority import Authority, pem_of
from shoal.credentials.anchor_store import TrustAnchors
from shoal.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class AnchorsOfAuthorities:
    """An authority of ours is a trust anchor from the moment that it is made until it is retired."""

    anchors: TrustAnchors

    async def trust(self, tx: Transaction, authority: Authority) -> None:
        """We made it, so nobody has to prove it. One that the tenant has already stays as it is."""
        if await self.anchors.of_certificate(tx, authority.tenant, authority.chain[0]) is None:
            await self.anchors.create(
                tx,
                authority.tenant,
                name=authority.name,
                certificate=pem_of(authority.chain[0]),
                is_ours=True,
                by=authority.created_by,
            )

    async def distrust(self, tx: Transaction, authority: Authority) -> None:
        """Sessions that stand on it end."""
        anchor = await self.anchors.of_certificate(tx, authority.tenant, authority.chain[0])
        if anchor is not None:
            await self.anchors.retire(tx, authority.tenant, anchor)
