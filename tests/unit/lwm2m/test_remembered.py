"""What a device keeps of what servers did to it."""

from pathlib import Path as FilePath

from shoal.lwm2m import Path
from shoal.lwm2m.journal import Journal, Recorded
from shoal.lwm2m.objects import known_objects
from shoal.lwm2m.remembered import Remembered


def remembered(file: FilePath | None) -> Remembered:
    kept = Remembered(file, Journal(), known_objects())
    kept.read()
    return kept


async def test_values_come_back_and_the_newest_of_them(tmp_path: FilePath) -> None:
    kept = remembered(tmp_path / "state")
    kept.written("/3/0/14", "+02:00")
    kept.written("/5/0/0", b"an image")
    kept.owner_set("/3/0/14", "+03:00")
    kept.written("/3/0/15", "Europe/Oslo")
    kept.owner_set("/3/0/9", 87)
    kept.keep("/5/0/5")
    kept.owner_set("/5/0/5", 1)
    await kept.close()

    again = remembered(tmp_path / "state")

    assert again.values() == {"/3/0/14": "+03:00", "/3/0/15": "Europe/Oslo", "/5/0/5": 1}, "no image, no measurement"
    assert again.written_values() == {"/3/0/15": "Europe/Oslo"}


async def test_an_instance_is_made_with_what_was_in_it_and_deleted_for_good(tmp_path: FilePath) -> None:
    kept = remembered(tmp_path / "state")
    kept.created(Path.parse("/3303/4"), {"/3303/4/5700": 1.5})
    kept.owner_set("/3303/4/5701", "Cel")
    kept.written("/3303/4/5750", "raft")
    kept.attributes_set(Path.parse("/3303/4"), "pmin=5")
    kept.removed(Path.parse("/3303/0"))
    await kept.close()

    again = remembered(tmp_path / "state")
    assert again.made() == {"/3303/4": {"/3303/4/5700": 1.5, "/3303/4/5701": "Cel", "/3303/4/5750": "raft"}}
    assert again.gone() == [Path.parse("/3303/0")]
    assert again.attributes() == {"/3303/4": ["pmin=5"]}

    again.removed(Path.parse("/3303/4"))
    again.created(Path.parse("/3303/0"), {})
    assert (again.made(), again.gone(), again.attributes()) == ({"/3303/0": {}}, [], {})


async def test_what_the_owner_takes_away_does_not_come_back(tmp_path: FilePath) -> None:
    kept = remembered(tmp_path / "state")
    kept.created(Path.parse("/3303/4"), {"/3303/4/5700": 1.5})
    kept.attributes_set(Path.parse("/3303/4/5700"), "pmin=5")
    kept.written("/3/0/14", "+02:00")
    kept.written("/3/0/15", "Europe/Oslo")
    kept.owner_set("/3/0/15", "Europe/Paris")
    await kept.close()

    again = remembered(tmp_path / "state")
    for path in ("/3303/4", "/3/0/14", "/3/0/15"):
        again.owner_unset(Path.parse(path))
    await again.close()

    last = remembered(tmp_path / "state")
    assert (last.made(), last.values(), last.attributes(), last.gone()) == ({}, {}, {}, [])


async def test_readings_of_before_come_first_and_once(tmp_path: FilePath) -> None:
    journal = Journal()
    kept = Remembered(tmp_path / "state", journal, known_objects())
    kept.read()
    journal.add(Recorded("/3/0/9", b"1", 1.0))
    await kept.close()
    kept.read()

    later = Journal()
    later.add(Recorded("/3/0/9", b"2", 2.0))
    Remembered(tmp_path / "state", later, known_objects()).read()

    assert [reading.at for reading in journal] == [1.0]
    assert [reading.at for reading in later] == [1.0, 2.0]


async def test_without_a_file_it_is_remembered_as_long_as_the_device_is_there() -> None:
    kept = remembered(None)
    kept.written("/3/0/14", "+02:00")
    await kept.close()

    kept.read()
    assert kept.values() == {"/3/0/14": "+02:00"}
