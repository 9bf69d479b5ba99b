"""Authorities: made, taken in, rolled over, retired; their keys encrypted, and whoever lets devices in told of each."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import select

from shoal.authority import issuing
from shoal.authority.authority import Authority, State, pem_of
from shoal.authority.issuing import ROOT_LIFETIME, Curve, Signer
from shoal.authority.store import AUTHORITIES_PER_TENANT_MAX, Authorities
from shoal.authority.tables import authorities
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.storage import sealed
from shoal.storage.database import Transaction
from shoal.storage.secrets import Vault
from tests.harness.databases import looks_into_files
from tests.harness.installation import START, Installation

YEAR = timedelta(days=365)


@dataclass
class Told:
    """Whoever lets devices in, as the authorities see it."""

    heard: list[tuple[str, str]] = field(default_factory=list)

    async def trust(self, tx: Transaction, authority: Authority) -> None:
        self.heard.append(("trust", authority.id))

    async def distrust(self, tx: Transaction, authority: Authority) -> None:
        self.heard.append(("distrust", authority.id))


def elsewhere(levels: int = 2) -> tuple[str, str]:
    """An authority that was made with other tools, and its key."""
    signer: Signer = issuing.root("Vault in the cellar", "x", Curve.P384, ROOT_LIFETIME, START)
    chain = [signer.certificate]
    if levels == 2:
        signer = issuing.intermediate(signer, "Site", "y", YEAR, START)
        chain.insert(0, signer.certificate)
    key = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem_of(*(one.public_bytes(Encoding.DER) for one in chain)), key


async def test_a_root_is_made_and_found_again(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Another")
    async with shoal.database.transaction() as tx:
        made = await shoal.authorities.create(tx, tenant, "Nordlaks", curve=Curve.P384, by="usr-1")

    assert await shoal.authorities.one(tenant, made.id) == made
    assert await shoal.authorities.several(tenant) == [made]
    assert (made.state, made.has_key, made.succeeds, made.created_by) == (State.CURRENT, True, None, "usr-1")
    assert made.certificate.subject.rfc4514_string() == f"2.5.4.5={made.id},CN=Nordlaks"
    assert await shoal.authorities.tenant_of(made.id) == tenant
    assert await shoal.authorities.tenant_of("aut-0") is None
    assert await shoal.authorities.several(other) == []
    with pytest.raises(NotFound):
        await shoal.authorities.one(other, made.id)
    async with shoal.database.transaction() as tx:
        for call in (shoal.authorities.to_issue, shoal.authorities.retire, shoal.authorities.roll_over):
            with pytest.raises(NotFound):
                await call(tx, other, made.id)


async def test_an_intermediate_stands_under_a_root_and_nothing_stands_under_it(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        top = await shoal.authorities.create(tx, tenant, "Top", lifetime=YEAR)
        site = await shoal.authorities.create(tx, tenant, "Site", under=top.id)
        with pytest.raises(Conflict, match="no other authorities"):
            await shoal.authorities.create(tx, tenant, "Below", under=site.id)

    assert site.chain[1:] == top.chain
    assert site.certificate.not_valid_after_utc == top.certificate.not_valid_after_utc
    site.certificate.verify_directly_issued_by(top.certificate)


async def test_an_intermediate_issues_rather_than_a_root_even_a_newer_one(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        top = await shoal.authorities.create(tx, tenant, "Top")
        assert (await shoal.authorities.to_issue(tx, tenant, None)).id == top.id
        site = await shoal.authorities.create(tx, tenant, "Site", under=top.id)
    shoal.clock.advance(YEAR)
    async with shoal.database.transaction() as tx:
        await shoal.authorities.roll_over(tx, tenant, top.id)

        assert (await shoal.authorities.to_issue(tx, tenant, None)).id == site.id


async def test_an_authority_from_elsewhere_is_taken_in_once(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    certificate, key = elsewhere()
    async with shoal.database.transaction() as tx:
        made = await shoal.authorities.take_in(tx, tenant, "Site", certificate, key)
        with pytest.raises(Conflict, match="is this authority"):
            await shoal.authorities.take_in(tx, tenant, "Site", certificate, key)
        with pytest.raises(Rejected, match="another certificate"):
            await shoal.authorities.take_in(tx, tenant, "Site", certificate, elsewhere()[1])
        signer = await shoal.authorities.signer(tx, made)
    shoal.clock.advance(2 * YEAR)
    async with shoal.database.transaction() as tx:
        with pytest.raises(Rejected, match="not valid"):
            await shoal.authorities.take_in(tx, tenant, "Site", *elsewhere())

    assert signer.certificate == made.certificate
    assert len(made.chain) == 2


async def test_a_successor_issues_and_the_old_one_is_still_believed_until_it_is_retired(shoal: Installation) -> None:
    told = Told()
    store = Authorities(shoal.database, shoal.vault, shoal.clock, told)
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        old = await store.create(tx, tenant, "Nordlaks")
        new = await store.roll_over(tx, tenant, old.id)
        with pytest.raises(Conflict, match="cannot roll over"):
            await store.roll_over(tx, tenant, old.id)
        assert (await store.to_issue(tx, tenant, old.id)).id == new.id
        assert (await store.to_issue(tx, tenant, None)).id == new.id
    both = await store.trusted_everywhere()
    async with shoal.database.transaction() as tx:
        await store.retire(tx, tenant, old.id)
        with pytest.raises(Conflict, match="is retired"):
            await store.retire(tx, tenant, old.id)

    assert (await store.one(tenant, old.id)).state is State.RETIRED
    assert (new.succeeds, new.name) == (old.id, "Nordlaks")
    assert sorted(both) == sorted([old.chain[0], new.chain[0]])
    assert await store.trusted_everywhere() == [new.chain[0]]
    assert told.heard == [("trust", old.id), ("trust", new.id), ("distrust", old.id)]


async def test_the_successor_of_an_intermediate_needs_to_be_told_where_it_stands(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        top = await shoal.authorities.create(tx, tenant, "Top")
        site = await shoal.authorities.create(tx, tenant, "Site", under=top.id)
        with pytest.raises(Rejected, match="under"):
            await shoal.authorities.roll_over(tx, tenant, site.id)
        new = await shoal.authorities.roll_over(tx, tenant, site.id, under=top.id)
        await shoal.authorities.retire(tx, tenant, new.id)
        with pytest.raises(Conflict, match="issues nothing"):
            await shoal.authorities.to_issue(tx, tenant, site.id)

    assert new.chain[1:] == top.chain


async def test_of_two_who_roll_one_over_at_once_one_wins(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        old = await shoal.authorities.create(tx, tenant, "Nordlaks")
    shoal.clock.advance(YEAR)

    async def roll() -> None:
        async with shoal.database.transaction() as tx:
            await shoal.authorities.roll_over(tx, tenant, old.id)

    outcomes = await asyncio.gather(roll(), roll(), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Conflict, type(None)}
    assert [one.state for one in await shoal.authorities.several(tenant)] == [State.RETIRING, State.CURRENT]


@looks_into_files
async def test_the_key_is_nowhere_in_clear(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        made = await shoal.authorities.create(tx, tenant, "Nordlaks")
        signer = await shoal.authorities.signer(tx, made)
        stored = await tx.scalar(select(authorities.c.key_encrypted))
    number = signer.key.private_numbers().private_value.to_bytes(32)

    files = [path.read_bytes() for path in Path(shoal.database.where).parent.iterdir()]

    assert number not in stored
    assert any(b"Nordlaks" in content for content in files)
    assert not any(number in content for content in files)
    assert str(signer.key) not in repr(signer)


async def test_a_new_master_key_takes_keys_of_authorities_along_and_a_lost_one_leaves_them_to_be_rolled_over(
    shoal: Installation,
) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        made = await shoal.authorities.create(tx, tenant, "Nordlaks")
    newer = Vault(bytes(range(1, 33)), bytes(range(32)))
    assert await sealed.reencrypt(shoal.database, newer) == (1, set())
    again = Authorities(shoal.database, Vault(bytes(range(1, 33))), shoal.clock)
    async with shoal.database.transaction() as tx:
        assert (await again.signer(tx, made)).certificate == made.certificate
        with pytest.raises(Unavailable):
            await shoal.authorities.signer(tx, made)

    await sealed.give_up(shoal.database, shoal.vault)

    async with shoal.database.transaction() as tx:
        with pytest.raises(Conflict, match="roll it over"):
            await shoal.authorities.signer(tx, made)
        with pytest.raises(NotFound, match="none that issues"):
            await shoal.authorities.to_issue(tx, tenant, None)
        new = await shoal.authorities.roll_over(tx, tenant, made.id)
        assert (await shoal.authorities.to_issue(tx, tenant, made.id)).id == new.id


async def test_there_is_an_end_to_how_many_there_are(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        for number in range(AUTHORITIES_PER_TENANT_MAX):
            made = await shoal.authorities.create(tx, tenant, f"No {number}")
            await shoal.authorities.retire(tx, tenant, made.id)  # its certificates are looked up all the same
        with pytest.raises(Conflict, match="already"):
            await shoal.authorities.create(tx, tenant, "One more")
