"""The command line: what it understands, what it says, with which exit code it ends."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from shoal.cli import main, parser


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ended(arguments: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


@pytest.mark.parametrize("command", [["--help"], ["up", "--help"], ["demo", "--help"], ["token", "create", "--help"]])
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
