"""Artifacts, updates and facts in the database: one of each, found by those who may."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shoal.campaigns import store
from shoal.campaigns.artifact import Artifact, ArtifactKind
from shoal.campaigns.facts import DeviceFacts, Said
from shoal.campaigns.update import Trigger, Update, UpdateState, moved
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import Prefix, parse_id
from tests.harness.installation import START, Installation

ARTIFACT = Artifact(
    id="art-1",
    tenant="ten-1",
    kind=ArtifactKind.MODEL,
    name="fish-count",
    version="2.1.0",
    size=3,
    sha256="ab" * 32,
    created_at=START,
    by="usr-1",
)


def update(number: int, device: str | None = None, **more: object) -> Update:
    values: dict[str, object] = {
        "id": f"cmp-{number}",
        "tenant": "ten-1",
        "farm": "frm-1",
        "enclosure": None,
        "device": device or f"dev-{number}",
        "endpoint": "cam-1",
        "artifact": "art-1",
        "kind": ArtifactKind.MODEL,
        "name": "fish-count",
        "version": "2.1.0",
        "size": 1_000,
        "path": "/fw/x",
        "by": None,
        "created_at": START + timedelta(minutes=number),
        "since": START,
        "deadline": START + timedelta(hours=number),
    }
    return Update(**(values | more))  # type: ignore[arg-type]


async def save(shoal: Installation, *saved: Update, partition: int = 0) -> None:
    async with shoal.database.transaction() as tx:
        for one in saved:
            await store.save_update(tx, one, partition)


async def test_an_artifact_is_one_name_one_version_and_one_file(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        assert await store.add_artifact(tx, ARTIFACT) == ARTIFACT
        again = await store.add_artifact(tx, msgspec.structs.replace(ARTIFACT, id="art-2"))
        with pytest.raises(Conflict) as caught:
            await store.add_artifact(tx, msgspec.structs.replace(ARTIFACT, id="art-3", sha256="cd" * 32))
        # Another version, another kind, another tenant: each is its own.
        others: list[dict[str, Any]] = [{"version": "2.1.1"}, {"kind": ArtifactKind.FIRMWARE}, {"tenant": "ten-2"}]
        for n, other in enumerate(others):
            await store.add_artifact(tx, msgspec.structs.replace(ARTIFACT, id=f"art-9{n}", sha256="cd" * 32, **other))

    assert again.id == "art-1"
    assert caught.value.facts["artifact"] == "art-1"


async def test_artifacts_are_listed_newest_first_and_only_ones_own(shoal: Installation) -> None:
    older = msgspec.structs.replace(ARTIFACT, id="art-0", version="2.0.0", created_at=START - timedelta(days=1))
    firmware = msgspec.structs.replace(ARTIFACT, id="art-5", kind=ArtifactKind.FIRMWARE)
    async with shoal.database.transaction() as tx:
        for one in (older, ARTIFACT, firmware):
            await store.add_artifact(tx, one)

    listed = await store.list_artifacts(shoal.database, "ten-1", None, 10)

    assert listed == [ARTIFACT, firmware, older]
    assert await store.list_artifacts(shoal.database, "ten-1", ArtifactKind.FIRMWARE, 10) == [firmware]
    assert await store.list_artifacts(shoal.database, "ten-1", None, 1) == [ARTIFACT]
    assert await store.list_artifacts(shoal.database, "ten-2", None, 10) == []
    assert await store.one_artifact(shoal.database, "ten-1", "art-0") == older
    with pytest.raises(NotFound):
        await store.one_artifact(shoal.database, "ten-2", "art-0")


async def test_one_update_of_a_device_runs_at_a_time(shoal: Installation) -> None:
    first = update(1, "dev-1")
    await save(shoal, first, msgspec.structs.replace(first, bytes=10))

    with pytest.raises(Conflict) as caught:
        await save(shoal, update(2, "dev-1"))
    await save(shoal, moved(first, Trigger.FAIL, START, "no room"))
    await save(shoal, update(2, "dev-1"))

    assert caught.value.facts["update"] == "cmp-1"
    async with shoal.database.transaction() as tx:
        assert {device: one.id for device, one in (await store.running(tx, {"dev-1", "dev-9"})).items()} == {
            "dev-1": "cmp-2"
        }


async def test_updates_are_listed_newest_first_page_by_page(shoal: Installation) -> None:
    # Three of the same moment: the id decides, and none is left out.
    same = [update(n, created_at=START) for n in (1, 2, 3)]
    await save(shoal, *same, update(4), update(5, farm="frm-2"))

    found: list[str] = []
    after = None
    while True:
        page = await store.list_updates(
            shoal.database, "ten-1", device=None, farm=None, states=(), after=after, limit=2
        )
        found.extend(one.id for one in page.items)
        after = page.next
        if after is None:
            break

    assert found == ["cmp-5", "cmp-4", "cmp-1", "cmp-2", "cmp-3"]


async def test_every_filter_narrows_the_list_of_updates(shoal: Installation) -> None:
    over = moved(update(2), Trigger.FAIL, START, "no room")
    await save(shoal, update(1), over, update(3, farm="frm-2"), update(4, tenant="ten-2"))

    async def found(**wanted: object) -> list[str]:
        all_of_it = {"device": None, "farm": None, "states": (), "after": None, "limit": 10} | wanted
        page = await store.list_updates(shoal.database, "ten-1", **all_of_it)  # type: ignore[arg-type]
        return [one.id for one in page.items]

    assert await found() == ["cmp-3", "cmp-2", "cmp-1"]
    assert await found(device="dev-1") == ["cmp-1"]
    assert await found(farm="frm-2") == ["cmp-3"]
    assert await found(states=[UpdateState.FAILED]) == ["cmp-2"]
    assert await found(limit=0) == ["cmp-3"]
    for cursor in ("cmp-4", "nonsense"):
        with pytest.raises(Rejected):
            await found(after=cursor)
    assert await store.counts(shoal.database, "ten-1") == dict.fromkeys(UpdateState, 0) | {
        UpdateState.WAITING: 2,
        UpdateState.FAILED: 1,
    }


async def test_an_update_is_its_tenants_alone(shoal: Installation) -> None:
    await save(shoal, update(1))

    assert await store.one_update(shoal.database, "ten-1", "cmp-1") == update(1)
    with pytest.raises(NotFound):
        await store.one_update(shoal.database, "ten-2", "cmp-1")
    async with shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await store.update_of(tx, "ten-2", "cmp-1")


async def test_timers_are_found_when_they_are_due_in_their_own_partition(shoal: Installation) -> None:
    await save(shoal, update(2), update(1), moved(update(4), Trigger.FAIL, START, ""))
    await save(shoal, update(3), partition=7)
    async with shoal.database.transaction() as tx:
        assert await store.due(tx, 0, START + timedelta(minutes=59)) == []
        assert [one.id for one in await store.due(tx, 0, START + timedelta(hours=9))] == ["cmp-1", "cmp-2"]
        assert [one.id for one in await store.due(tx, 7, START + timedelta(hours=9))] == ["cmp-3"]


async def test_facts_are_kept_with_the_partition_that_they_come_in(shoal: Installation) -> None:
    facts = DeviceFacts(device="dev-1", tenant="ten-1", state=Said(2, START), package_version=Said("2.0.3", START))
    async with shoal.database.transaction() as tx:
        await store.save_facts(tx, [(DeviceFacts(device="dev-1", tenant="ten-1"), 3)])
        await store.save_facts(tx, [(facts, 3)])

        assert await store.load_facts(tx, {"dev-1", "dev-9"}) == {"dev-1": (facts, 3)}
        assert await store.heard_of(tx, DeviceFacts(device="dev-1", tenant="ten-1")) == (facts, 3)
        unheard = DeviceFacts(device="dev-9", tenant="ten-1", endpoint="cam-9")
        assert await store.heard_of(tx, unheard) == (unheard, 0)
        await store.forget_facts(tx, set())
        await store.forget_facts(tx, {"dev-1"})

        assert await store.load_facts(tx, {"dev-1"}) == {}


async def test_only_files_of_updates_that_run_must_be_served(shoal: Installation) -> None:
    other = msgspec.structs.replace(ARTIFACT, id="art-2", version="2.2.0")
    async with shoal.database.transaction() as tx:
        for one in (ARTIFACT, other):
            await store.add_artifact(tx, one)
    await save(shoal, update(1), moved(update(2, artifact="art-2"), Trigger.FAIL, START, ""), update(3))

    assert await store.fetching(shoal.database) == [(ARTIFACT, "dev-1"), (ARTIFACT, "dev-3")]


async def test_an_update_gets_the_same_name_in_a_replay_and_never_one_that_is_taken(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        first = await store.name(tx, "dev-1", "art-1", START)
        assert await store.name(tx, "dev-1", "art-1", START) == first
        await store.save_update(tx, update(1, id=first), 0)
        second = await store.name(tx, "dev-1", "art-1", START)

    assert second != first
    assert parse_id(first, Prefix.CAMPAIGN) == first


async def test_what_is_wrong_with_a_device_is_remembered_once_and_forgotten(shoal: Installation) -> None:
    async with shoal.database.transaction() as tx:
        for condition in ("silent:", "battery_low:", "silent:"):
            await store.keep_condition(tx, "dev-1", condition, START)
        await store.keep_condition(tx, "dev-2", "late:", START)
        both = await store.open_conditions_of(tx, "dev-1")
        await store.close_condition(tx, "dev-1", "silent:")
        await store.close_condition(tx, "dev-1", "never_there:")

        assert both == ("battery_low:", "silent:")
        assert await store.open_conditions_of(tx, "dev-1") == ("battery_low:",)
        assert await store.open_conditions_of(tx, "dev-2") == ("late:",)
