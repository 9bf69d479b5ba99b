"""Trust anchors: proved before they count, and never of two tenants."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.credentials.anchor import (
    ANCHORS_PER_NAME_MAX,
    ANCHORS_PER_TENANT_MAX,
    CHALLENGE_LASTS,
    AnchorState,
    TrustAnchor,
    ZeroTouch,
)
from shoal.credentials.anchor_store import AnchorUse, authorities, trusted, version_of
from shoal.credentials.store import Use
from shoal.credentials.x509 import parse_certificate
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import TenantId
from tests.harness.authority import Authority
from tests.harness.installation import Installation


@pytest.fixture
def authority(shoal: Installation, tmp_path: Path) -> Authority:
    # Certificates are judged by the true time.
    shoal.clock.advance(datetime.now(UTC) - shoal.clock.now())
    return Authority(tmp_path / "authority", "Nordlaks")


async def take(shoal: Installation, tenant: TenantId, authority: Authority, *, is_ours: bool = False) -> TrustAnchor:
    async with shoal.database.transaction() as tx:
        return await shoal.trust_anchors.create(
            tx, tenant, name=" The  makers ", certificate=authority.ca.read_text(), is_ours=is_ours, by="Ida"
        )


async def prove(shoal: Installation, anchor: TrustAnchor, authority: Authority) -> TrustAnchor:
    async with shoal.database.transaction() as tx:
        return await shoal.trust_anchors.prove(
            tx, anchor.tenant, anchor.id, signature=authority.sign(anchor.challenge or "")
        )


async def test_an_anchor_counts_when_it_is_proved_and_no_longer_than_it_is_kept(
    shoal: Installation, authority: Authority
) -> None:
    tenant = await shoal.create_tenant()
    made = await take(shoal, tenant, authority)
    assert (made.name, made.state, made.created_by) == ("The makers", AnchorState.UNPROVED, "Ida")
    assert await authorities(shoal.database) == []
    before = await version_of(shoal.database)
    async with shoal.database.transaction() as tx:
        with pytest.raises(Rejected, match="either"):
            await shoal.trust_anchors.prove(tx, tenant, made.id)
        proof = authority.certificate(made.challenge or "").cert.read_text()
        with pytest.raises(Rejected, match="either"):
            await shoal.trust_anchors.prove(tx, tenant, made.id, certificate=proof, signature="x")
        proved = await shoal.trust_anchors.prove(tx, tenant, made.id, certificate=proof)
        # Again, it says the same.
        assert await shoal.trust_anchors.prove(tx, tenant, made.id) == proved

    assert (proved.state, proved.challenge) == (AnchorState.TRUSTED, None)
    assert [one.tenant for one in await authorities(shoal.database)] == [tenant]
    assert await version_of(shoal.database) > before
    async with shoal.database.transaction() as tx:
        await shoal.trust_anchors.change(tx, tenant, made.id, name="Old", zero_touch=ZeroTouch.APPROVE, kind="camera")
        found = await trusted(tx, tenant, made.id)
        assert found is not None
        assert (found.name, found.zero_touch, found.kind) == ("Old", ZeroTouch.APPROVE, "camera")
        await shoal.trust_anchors.retire(tx, tenant, made.id)
        assert await trusted(tx, tenant, made.id) is None
        with pytest.raises(Conflict, match="over"):
            await shoal.trust_anchors.prove(tx, tenant, made.id, signature="x")
    assert await authorities(shoal.database) == []


async def test_an_authority_is_of_one_tenant_whoever_took_it_in_first(
    shoal: Installation, authority: Authority
) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    # A certificate is public: whoever copies it keeps nobody from proving that it is his.
    copied = await take(shoal, theirs, authority)
    mine = await take(shoal, ours, authority)
    await prove(shoal, mine, authority)

    with pytest.raises(Conflict, match="in use elsewhere") as caught:
        await prove(shoal, copied, authority)
    assert ours not in str(caught.value.facts) + str(caught.value)
    with pytest.raises(Conflict, match="in use elsewhere"):
        await take(shoal, await shoal.create_tenant("Third"), authority, is_ours=True)
    # Free again, when its owner has no use for it.
    async with shoal.database.transaction() as tx:
        await shoal.trust_anchors.retire(tx, ours, mine.id)
    assert (await prove(shoal, copied, authority)).state is AnchorState.TRUSTED


async def test_what_our_own_authority_made_needs_no_proof(shoal: Installation, authority: Authority) -> None:
    tenant = await shoal.create_tenant()

    assert (await take(shoal, tenant, authority, is_ours=True)).state is AnchorState.TRUSTED


async def test_what_cannot_be_an_anchor_is_refused(shoal: Installation, authority: Authority) -> None:
    tenant = await shoal.create_tenant()
    made = await take(shoal, tenant, authority)
    with pytest.raises(Conflict, match="already"):
        await take(shoal, tenant, authority)
    async with shoal.database.transaction() as tx:
        for pem, name in (
            (authority.certificate("cam-7").cert.read_text(), "x"),
            ("none", "x"),
            (Authority(authority.ca.parent / "2").ca.read_text(), " "),
            (Authority(authority.ca.parent / "3").ca.read_text(), "x" * 81),
        ):
            with pytest.raises(Rejected):
                await shoal.trust_anchors.create(tx, tenant, name=name, certificate=pem)
    shoal.clock.advance(CHALLENGE_LASTS)
    with pytest.raises(Conflict, match="over"):
        await prove(shoal, made, authority)
    with pytest.raises(Rejected, match="expired"):
        await take(shoal, await shoal.create_tenant("Late"), authority)


async def test_there_are_not_too_many_of_one_name_nor_in_all(shoal: Installation, authority: Authority) -> None:
    tenant = await shoal.create_tenant()
    folder = authority.ca.parent
    for number in range(ANCHORS_PER_NAME_MAX):
        await take(shoal, tenant, Authority(folder / str(number), "Nordlaks"))
    with pytest.raises(Conflict, match="have this name"):
        await take(shoal, tenant, authority)
    for number in range(ANCHORS_PER_TENANT_MAX - ANCHORS_PER_NAME_MAX):
        await take(shoal, tenant, Authority(folder / f"n{number}", f"Maker {number}"))

    with pytest.raises(Conflict, match="retire one"):
        await take(shoal, tenant, Authority(folder / "last", "Last"))


async def test_devices_are_counted_by_who_signed_what_they_showed_last(
    shoal: Installation, authority: Authority
) -> None:
    tenant, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    folder = authority.ca.parent
    old, new = await take(shoal, tenant, authority), await take(shoal, tenant, Authority(folder / "new", "Nordlaks 2"))
    between, foreign = Authority(folder / "between", "Line 4"), await take(shoal, theirs, authority)
    devices = [await shoal.create_device(tenant, f"cam-{number}") for number in range(5)]
    pem = authority.certificate("pinned").cert.read_text()
    async with shoal.database.transaction() as tx:
        made = [(await shoal.credentials.admit(tx, tenant, device.id)).credential for device in devices[:3]]
        await shoal.credentials.admit(tx, tenant, devices[3].id, certificate=pem)
        await shoal.credentials.create(tx, tenant, devices[4].id)
        shown = [signer.certificate("cam").cert.read_text() for signer in (authority, between)]
        await shoal.credentials.used(
            tx,
            {
                one.id: Use(device=one.device, at=shoal.clock.now(), certificate=parse_certificate(pem).facts)
                for one, pem in zip(made, shown, strict=False)
            },
        )

    # One showed it and one has it pinned; one comes by an authority between; one never came; a key is no certificate.
    used = await shoal.trust_anchors.use(tenant)
    assert used == AnchorUse(devices={old.id: 2, new.id: 0}, elsewhere=1, unseen=1)
    assert await shoal.trust_anchors.use(theirs) == AnchorUse(devices={foreign.id: 0}, elsewhere=0, unseen=0)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.revoke(tx, tenant, devices[0].id, made[0].id, even_last=True)
    assert (await shoal.trust_anchors.use(tenant)).devices[old.id] == 1


async def test_another_tenant_sees_and_changes_nothing(shoal: Installation, authority: Authority) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    made = await take(shoal, ours, authority)

    assert await shoal.trust_anchors.anchors(theirs) == []
    with pytest.raises(NotFound):
        await shoal.trust_anchors.anchor(theirs, made.id)
    async with shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await shoal.trust_anchors.retire(tx, theirs, made.id)
        with pytest.raises(NotFound):
            await shoal.trust_anchors.prove(tx, theirs, made.id, signature=authority.sign(made.challenge or ""))
        assert await trusted(tx, theirs, made.id) is None
    assert shoal.clock.now() - made.created_at < timedelta(seconds=1)
