"""The file in which a device keeps what it must not forget."""

import asyncio
import os
import stat
from pathlib import Path

import msgspec
import pytest

from shoal.errors import Rejected
from shoal.lwm2m.state import Keeper, State, load, save


def test_what_is_saved_is_loaded_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    state = State(
        values={"/3/0/14": '"+02:00"'},
        attributes={"/3303/0/5700": "pmin=10&gt=8.0"},
        made=["/3303/4"],
        gone=["/3303/1"],
        readings=[("/3303/0/5700", "9.5", 1.7e9)],
    )

    save(file, msgspec.json.encode(state))

    assert load(file) == state
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_no_file_is_an_empty_state(tmp_path: Path) -> None:
    assert load(tmp_path / "none") == State()


def test_a_folder_that_is_not_there_is_told_before_anything_is_lost(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="make its folder first"):
        load(tmp_path / "none" / "state.json")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"format": "one"}', b'{"values": {"/3/0/14": 7}}', b'{"readings": [[1]]}'],
)
def test_a_damaged_file_is_told_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)

    with pytest.raises(Rejected, match="is damaged"):
        load(file)

    assert file.read_bytes() == content


def test_a_file_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(b'{"format": 2}')

    with pytest.raises(Rejected, match="another version"):
        load(file)


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.json"
    save(file, b'{"made": ["/3303/1"]}')

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(file, b'{"made": ["/3303/2"]}')

    assert load(file).made == ["/3303/1"]


async def test_changes_are_written_together_and_what_is_left_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    state = State()
    keeper = Keeper(file, lambda: state)
    for number in range(100):
        state.made.append(f"/3303/{number}")
        keeper.note(soon=number == 99)
    state.gone.append("/3303/7")

    await keeper.close()

    assert (len(load(file).made), load(file).gone) == (100, ["/3303/7"])


async def test_a_disk_that_takes_nothing_is_reported_and_tried_again(tmp_path: Path) -> None:
    reported: list[str] = []
    told = asyncio.Event()

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        reported.append(str(context["message"]))
        told.set()

    asyncio.get_running_loop().set_exception_handler(report)
    file = tmp_path / "away" / "state.json"
    keeper = Keeper(file, State)
    keeper.note(soon=True)
    await asyncio.wait_for(told.wait(), 20)

    file.parent.mkdir()
    await keeper.close()

    assert reported == [f"{file} cannot be written"]
    assert load(file) == State()
