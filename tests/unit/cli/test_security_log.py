"""`shoal security-log` as somebody types it, and what it tells while it is followed."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from shoal.events.device import SecurityEvent
from shoal.history.refusal import Refusal
from shoal.history.refusal_store import write_refusals
from shoal.history.store import History
from shoal.ids import Prefix, new_id
from shoal.storage.database import Database
from tests.unit.cli.shell import Shell
from tests.unit.cli.test_command_line import ended

NOW = datetime.now(UTC)


def knocked(shell: Shell, number: int, reason: str, at: datetime, device: str | None = None) -> None:
    """Somebody was not let in."""
    tenant = None if device is None else shell.tenant
    event = SecurityEvent(
        id=f"s-{number}",
        time=at,
        reason=reason,
        tenant=tenant,
        device=device,
        identity="who\x1b[2J",
        address="192.0.2.7:1",
    )

    async def heard(database: Database) -> None:
        async with database.transaction() as tx:
            await write_refusals(tx, [event])

    shell.run(heard)


def test_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["security-log", "--help"]) == 0

    said = capsys.readouterr().out
    assert "--follow" in said
    assert "None" not in said


def test_what_happened_is_told_the_last_first_strangers_included(nordvik: Shell) -> None:
    device = nordvik("device", "add", "oxy-1").split()[0]
    knocked(nordvik, 1, "bad_key", NOW - timedelta(hours=30), device)
    knocked(nordvik, 2, "unknown_identity", NOW - timedelta(minutes=1))

    lines = nordvik("security-log").splitlines()
    assert ["unknown identity" in lines[0], "bad key" in lines[1], "oxy-1" in lines[1]] == [True, True, True]
    assert "\x1b" not in "".join(lines)
    assert nordvik("security-log", "-n", "1").split() == lines[0].split()
    assert len(nordvik("security-log", "--since", "24h").splitlines()) == 1
    assert "bad key" in nordvik("security-log", "--device", "oxy-1")
    assert nordvik("security-log", "--reason", "bad_key", "--since", "1h") == ""
    told = json.loads(nordvik("security-log", "--reason", "bad_key", "--json"))
    assert (told["device"], told["endpoint"], told["address"]) == (device, "oxy-1", "192.0.2.7")


def test_what_was_refused_to_somebody_is_found_by_who_it_was(nordvik: Shell) -> None:
    token, other = new_id(Prefix.TOKEN), new_id(Prefix.TOKEN)
    entry = Refusal(
        tenant=nordvik.tenant,
        device="",
        kind="denied",
        reason="no_policy_allows",
        operation="administer",
        identity="feeder",
        subject=token,
        place=nordvik.tenant,
        detail="No: no policy allows it. Asked as viewer.",
        address="192.0.2.7",
        count=2,
        first_at=NOW,
        last_at=NOW,
    )

    async def refused(database: Database) -> None:
        await History(database).write_refused([entry])

    nordvik.run(refused)

    line = nordvik("security-log", "--who", token.lower())
    assert "Refused feeder to administer: no policy allows, 2 times" in line
    assert token in line
    assert "No: no policy allows it. Asked as viewer." in line
    assert nordvik("security-log", "-q", "FEED") == line
    assert nordvik("security-log", "--who", other) == ""


def test_whoever_follows_it_hears_of_each_as_it_happens(nordvik: Shell) -> None:
    knocked(nordvik, 1, "bad_key", NOW - timedelta(minutes=2))
    command = [sys.executable, "-m", "shoal.cli", "security-log", "--follow", *nordvik.where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert "bad key" in following.stdout.readline()
        knocked(nordvik, 2, "unknown_identity", datetime.now(UTC))
        assert "unknown identity" in following.stdout.readline()
        knocked(nordvik, 3, "unknown_identity", datetime.now(UTC) + timedelta(seconds=1))
        assert "2 times" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=60) == 130


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--since", "yesterday"], "'yesterday' is no time"),
        (["-n", "0"], "expected 1 to 10000"),
        (["--device", "oxy-9"], "no device has this endpoint"),
        (["--who", "kari"], "expected the id of a person"),
    ],
)
def test_a_wrong_call_says_what_to_do(arguments: list[str], reason: str, nordvik: Shell) -> None:
    assert reason in nordvik("security-log", *arguments, code=2)
