"""What a process needs is there, or it says in one line what is missing; the rest is proved by the stories and the faults."""

import contextlib
from pathlib import Path

import pytest

from shoal.app.foundation import Foundation
from shoal.errors import Rejected, Unavailable
from shoal.settings import Settings
from shoal.storage.database import Database


async def test_all_of_shoal_brings_its_tables_up_to_date_by_itself(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as opened:
        base = await Foundation.open(Settings(data=tmp_path), opened, is_whole=True)

        assert base.folder == tmp_path
        assert base.database.where == str(tmp_path / "shoal.db")


@pytest.mark.parametrize(
    ("given", "missing"), [({}, "database"), ({"database": "postgresql://localhost/shoal"}, "kafka")]
)
async def test_a_role_of_its_own_says_what_it_shares(tmp_path: Path, given: dict[str, str], missing: str) -> None:
    async with contextlib.AsyncExitStack() as opened:
        with pytest.raises(Rejected) as refused:
            await Foundation.open(Settings(data=tmp_path, **given), opened, is_whole=False)

    assert refused.value.subject == missing
    assert "shoal up" in refused.value.reason


async def test_definitions_of_the_user_are_loaded_and_a_bad_one_ends_the_start(tmp_path: Path) -> None:
    feeder = Path(__file__).parents[1] / "lwm2m" / "feeder.xml"
    bad = tmp_path / "bad.xml"
    bad.write_text(feeder.read_text().replace("<Type>Float", "<Type>Real"))

    async with contextlib.AsyncExitStack() as opened:
        base = await Foundation.open(Settings(data=tmp_path / "data", objects=feeder), opened, is_whole=True)
        rate = base.objects.resource_at("/41001/0/1")
    async with contextlib.AsyncExitStack() as opened:
        with pytest.raises(Rejected) as refused:
            await Foundation.open(Settings(data=tmp_path / "none", objects=tmp_path), opened, is_whole=True)

    assert rate is not None
    assert rate.type == "float"
    assert str(refused.value) == f'{bad}: line 28: Type cannot be "Real"'
    assert not (tmp_path / "none").exists(), "nothing was begun"


async def test_to_begin_again_is_refused_where_the_database_is_shared(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database="postgresql://localhost/shoal")

    async with contextlib.AsyncExitStack() as opened:
        with pytest.raises(Rejected, match="fresh"):
            await Foundation.open(settings, opened, is_whole=True, fresh=True)


async def test_what_was_opened_before_a_failure_is_closed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def damaged(url: str) -> Database:
        raise Unavailable("database", "damaged")

    with monkeypatch.context() as patched:
        patched.setattr(Database, "open", damaged)
        async with contextlib.AsyncExitStack() as opened:
            with pytest.raises(Unavailable):
                await Foundation.open(Settings(data=tmp_path), opened, is_whole=True)

    # The lock on the folder is free.
    async with contextlib.AsyncExitStack() as opened:
        await Foundation.open(Settings(data=tmp_path), opened, is_whole=True)
