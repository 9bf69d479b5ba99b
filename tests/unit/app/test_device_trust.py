"""What an authority of ours means for devices."""

import pytest

from shoal.authority.authority import pem_of
from shoal.credentials.anchor import AnchorState
from shoal.errors import Conflict
from tests.harness.installation import Installation


async def test_an_authority_of_ours_is_trusted_without_a_proof_until_it_is_retired(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        old = await shoal.authorities.create(tx, tenant, "Nordlaks")
        await shoal.authorities.roll_over(tx, tenant, old.id)
    both = await shoal.trust_anchors.anchors(tenant)

    async with shoal.database.transaction() as tx:
        await shoal.authorities.retire(tx, tenant, old.id)
    after = await shoal.trust_anchors.anchors(tenant)

    assert [(one.name, one.state) for one in both] == [("Nordlaks", AnchorState.TRUSTED)] * 2
    assert sorted(one.state for one in after) == [AnchorState.RETIRED, AnchorState.TRUSTED]


async def test_nobody_else_can_claim_its_certificate(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant(), await shoal.create_tenant("Other")
    async with shoal.database.transaction() as tx:
        pem = pem_of((await shoal.authorities.create(tx, ours, "Nordlaks")).chain[0])

    with pytest.raises(Conflict):
        async with shoal.database.transaction() as tx:
            await shoal.trust_anchors.create(tx, theirs, name="Stolen", certificate=pem, is_ours=True)
