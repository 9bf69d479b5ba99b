"""The command line: what it understands, what it says, with which exit code it ends."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from shoal.cli.command_line import main, parser
from shoal.storage.database import Database
from shoal.storage.folder import DataFolder
from shoal.storage.master_key import MasterKey


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["up", "--help"],
        ["demo", "--help"],
        ["token", "create", "--help"],
        ["admin", "invite", "--help"],
        ["db", "migrate", "--help"],
        ["db", "backup", "--help"],
        ["db", "restore", "--help"],
        ["key", "rotate", "--help"],
        ["key", "forget", "--help"],
    ],
)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(command) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: shoal")
    assert "None" not in said


def test_the_help_of_up_tells_the_defaults_and_where_settings_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    ended(["--help"])

    assert "SHOAL_*" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["up", "--web", "nowhere"], "web: 'nowhere' is not of the form HOST:PORT"),
        (["up", "--listen", "http://127.0.0.1:1"], "coaps://HOST:PORT"),
        (["up", "--web", "0.0.0.0:1"], "allow_plain_http"),
        (["up", "--config", "absent.toml"], "there is no file absent.toml"),
        (["token", "create", "x", "--role", "viewer", "--data", "absent"], "there is no Shoal in absent"),
        (["admin", "invite", "--data", "absent"], "there is no Shoal in absent"),
        (["db", "backup", "file", "--data", "absent"], "there is no Shoal in absent"),
        (["db", "migrate", "--data", "absent"], "there is no Shoal in absent"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    assert ended(arguments) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("shoal: ")
    assert said.err.count("\n") == 1
    assert reason in said.err
    assert list(elsewhere.iterdir()) == []


def test_an_unknown_role_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["token", "create", "x", "--role", "king"]) == 2

    assert "administrator" in capsys.readouterr().err


def test_listeners_may_be_given_again_and_again() -> None:
    given = parser().parse_args(["up", "--listen", "coap://127.0.0.1:1", "--listen", "coaps://127.0.0.1:2"])

    assert given.listen == ["coap://127.0.0.1:1", "coaps://127.0.0.1:2"]


def test_a_backup_says_whether_the_master_key_is_in_it(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    asyncio.run(a_shoal(elsewhere / "data"))

    assert ended(["db", "backup", "without", "--data", "data"]) == 0
    assert "does not hold the master key" in capsys.readouterr().out
    assert ended(["db", "backup", "with", "--with-key", "--data", "data"]) == 0
    assert "whoever has this file can read the keys" in capsys.readouterr().out
    assert ended(["db", "restore", "without", "--data", "new"]) == 0
    assert "is not here: put it into" in capsys.readouterr().out
    assert ended(["db", "restore", "with", "--data", "new"]) == 2
    assert "--force" in capsys.readouterr().err


async def a_shoal(folder: Path) -> None:
    opened = DataFolder.open(folder)
    await (await Database.open(opened.database_url)).close()
    MasterKey(folder).create()
    opened.close()


def test_the_master_key_is_replaced_and_kept_from_being_forgotten(
    capsys: pytest.CaptureFixture[str], elsewhere: Path
) -> None:
    asyncio.run(a_shoal(elsewhere / "data"))
    old = (elsewhere / "data" / "master.key").read_bytes()

    assert ended(["key", "rotate", "--data", "data"]) == 0
    assert "0 secrets are under the new master key" in capsys.readouterr().out
    assert (elsewhere / "data" / "master.key").read_bytes() != old
    assert ended(["key", "forget", "--data", "data"]) == 0
    assert "there is nothing to forget" in capsys.readouterr().out
    assert ended(["key", "forget", "yes", "--data", "data"]) == 2
    assert "forget-0" in capsys.readouterr().err
