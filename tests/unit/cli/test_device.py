"""`shoal device` as somebody types it: what it says, what is made, which files it leaves."""

import csv
import json
import stat
from pathlib import Path

import pytest

from shoal.clock import SystemClock
from shoal.ids import Prefix, new_id
from shoal.inventory.store import Inventory
from shoal.onboarding.label import code_text
from shoal.storage.database import Database
from tests.unit.cli.shell import Shell
from tests.unit.cli.test_command_line import ended


def keys_in(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("command", ["", "list", "show", "add", "import"])
def test_every_action_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["device", *command.split(), "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: shoal device")
    assert "None" not in said


def test_a_device_is_made_with_a_key_that_is_shown_once(nordvik: Shell) -> None:
    said = nordvik("device", "add", "oxy-1", "--enclosure", nordvik.pen.lower(), "--name", "Oxygen")
    id_, key = said.split()[0], said.split("key ")[1].split()[0]

    assert said.splitlines()[0] == f"{id_}  oxy-1  Pen 1, Storholmen"
    assert f"identity  {id_}" in said
    assert len(bytes.fromhex(key)) == 16
    assert code_text("oxy-1", id_, key, nordvik.pen) in said
    shown = nordvik("device", "show", "oxy-1") + nordvik("device", "show", id_, "--json")
    assert key not in shown
    assert "Pen 1, Storholmen" in shown
    [entry] = nordvik.audit()
    assert entry[:4] == ("create", "devices", id_, "command line")
    assert entry[4]["endpoint"] == "oxy-1"
    assert key not in str(entry)


def test_what_a_device_proves_itself_with_is_said(nordvik: Shell) -> None:
    (nordvik.folder / "key").write_text("00:11:22:33:44:55:66:77\n")
    given = nordvik("device", "add", "oxy-1", "--psk", "urn:dev:ops:1-2", "--key-file", "key")
    nordvik("device", "add", "cam-1", "--kind", "camera", "--x509")
    nordvik("device", "add", "lab-1", "--no-security")
    out = nordvik("device", "add", "oxy-2", "--out", "oxy-2.csv")

    assert "urn:dev:ops:1-2" in given
    assert "0011223344556677" not in given
    listed = {row.split()[1]: row.split() for row in nordvik("device", "list").splitlines()}
    assert {name: (row[2], row[4]) for name, row in listed.items()} == {
        "cam-1": ("camera", "x509"),
        "lab-1": ("sensor", "none"),
        "oxy-1": ("sensor", "psk"),
        "oxy-2": ("sensor", "psk"),
    }
    [row] = keys_in(nordvik.folder / "oxy-2.csv")
    assert row["code"] == code_text("oxy-2", row["identity"], row["key"])
    assert row["key"] not in out
    assert stat.S_IMODE((nordvik.folder / "oxy-2.csv").stat().st_mode) == 0o600
    assert [row.split()[1] for row in nordvik("device", "list", "-q", "OXY").splitlines()] == ["oxy-1", "oxy-2"]
    assert nordvik("device", "list", "--farm", nordvik.farm) == ""
    assert json.loads(nordvik("device", "list", "--kind", "camera", "--json"))["endpoint"] == "cam-1"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["show", "oxy-9"], "no device has this endpoint; look for it with: shoal device list"),
        (["show", "dev-0000000"], "7 characters after the dash"),
        (["add", "a b\n"], "characters that cannot be seen"),
        (["add", "oxy", "--enclosure", "frm-1"], "not of the form enc-"),
        (["add", "oxy", "--key-file", "absent"], "cannot be read"),
        (["add", "oxy", "--x509", "absent"], "cannot be read"),
        (["add", "oxy", "--x509", "--key-file", "key"], "has neither identity nor key"),
        (["add", "oxy", "--out", "key"], "nothing is overwritten"),
        (["import", "absent"], "No such file"),
        (["list", "--tenant", "nobody"], "no such tenant"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do_and_nothing_is_made(
    arguments: list[str], reason: str, nordvik: Shell
) -> None:
    (nordvik.folder / "key").write_text("00112233445566778899")

    said = nordvik("device", *arguments, code=2)

    assert reason in said
    assert said.count("\n") == 1
    assert nordvik("device", "list") == ""
    assert nordvik.audit() == []


def test_a_mistyped_id_is_answered_with_the_one_that_is_meant(nordvik: Shell) -> None:
    swapped = next(
        nordvik.pen[:i] + nordvik.pen[i + 1] + nordvik.pen[i] + nordvik.pen[i + 2 :]
        for i in range(4, 11)
        if nordvik.pen[i] != nordvik.pen[i + 1]
    )

    assert f"did you mean {nordvik.pen}" in nordvik("device", "add", "oxy-1", "--enclosure", swapped, code=2)
    (nordvik.folder / "new.csv").write_text(f"endpoint,enclosure\noxy-1,{swapped}\n")
    assert f"did you mean {nordvik.pen}" in nordvik("device", "import", "new.csv", code=2)


def test_a_file_is_looked_at_then_imported_and_imported_again_changes_nothing(nordvik: Shell) -> None:
    rows = f"endpoint,kind,enclosure,name,mode,identity,key\noxy-1,sensor,{nordvik.pen},Oxygen,psk,,\n"
    rows += f"oxy-2,,{nordvik.pen},,psk,urn:oxy-2,00112233445566778899aabbccddeeff\ncam-1,camera,,,x509,,\n"
    (nordvik.folder / "new.csv").write_text(rows)

    looked = nordvik("device", "import", "new.csv", "--dry-run")
    assert looked == "3 devices would be made, 0 are there already, 0 rows are wrong.\n"
    assert "name --keys FILE" in nordvik("device", "import", "new.csv", code=2)
    assert nordvik("device", "list") == ""

    done = nordvik("device", "import", "new.csv", "--keys", "keys.csv")
    assert "3 devices are made" in done
    assert "1 keys are in keys.csv" in done
    [kept] = keys_in(nordvik.folder / "keys.csv")
    assert (kept["endpoint"], kept["name"], kept["place"]) == ("oxy-1", "Oxygen", "Pen 1, Storholmen")
    assert kept["code"] == code_text("oxy-1", kept["identity"], kept["key"], nordvik.pen)
    assert stat.S_IMODE((nordvik.folder / "keys.csv").stat().st_mode) == 0o600
    assert len(nordvik.audit()) == 3
    before, log = nordvik("device", "list", "--json"), nordvik.audit()

    again = nordvik("device", "import", "new.csv", "--keys", "keys.csv", "--json")
    assert json.loads(again) == {"new": 0, "there": 3, "wrong": 0, "keys": 0, "done": False, "faults": []}
    assert nordvik("device", "list", "--json") == before
    assert nordvik.audit() == log


def test_of_a_file_with_wrong_rows_nothing_is_made_unless_they_are_to_be_left_out(nordvik: Shell) -> None:
    nordvik("device", "add", "old-1", "--psk", "taken", "--name", "Old")
    (nordvik.folder / "new.csv").write_text(
        "endpoint;kind;name;identity;key\n"  # as a spreadsheet of Norway writes it
        "oxy-1;;;;\n"
        "oxy-1;;;;\n"
        "oxy-2;fish;;;\n"
        "oxy-3;;;;00112233445566778899\n"
        "oxy-4;;;taken;\n"
        "old-1;camera;Young;;\n"
        ";;;;\n"
        "oxy-5;;\n"
        'oxy-6;"";;;\n'
    )

    refused = nordvik("device", "import", "new.csv", "--keys", "keys.csv", code=2)
    assert "line 3 (oxy-1): endpoint: stands in line 2 already" in refused
    assert "line 4 (oxy-2): kind: neither sensor nor camera" in refused
    assert "line 5 (oxy-3): identity: a key that the device has already comes with its identity" in refused
    assert "line 6 (oxy-4): identity: another device has this identity" in refused
    assert "with another kind and name" in refused
    assert "line 8: endpoint: 0 bytes" in refused
    assert "line 9: row: 3 fields, expected 5" in refused
    assert "Nothing was made" in refused
    assert len(nordvik("device", "list").splitlines()) == 1
    assert not (nordvik.folder / "keys.csv").exists()

    done = nordvik("device", "import", "new.csv", "--keys", "keys.csv", "--skip-bad")
    assert done.startswith("2 devices are made, 0 are there already, 7 rows are wrong.")
    assert [row["endpoint"] for row in keys_in(nordvik.folder / "keys.csv")] == ["oxy-1", "oxy-6"]


def test_keys_are_never_written_over_others(nordvik: Shell) -> None:
    (nordvik.folder / "new.csv").write_text("endpoint\noxy-1\n")
    (nordvik.folder / "keys.csv").write_text("mine")

    assert "nothing is overwritten" in nordvik("device", "import", "new.csv", "--keys", "keys.csv", code=2)
    assert nordvik("device", "list") == ""
    assert (nordvik.folder / "keys.csv").read_text() == "mine"


def test_there_are_several_tenants_and_one_is_named(nordvik: Shell) -> None:
    async def another(database: Database) -> None:
        async with database.transaction() as tx:
            await Inventory(database, SystemClock()).create_tenant(tx, "Sørvik")

    nordvik.run(another)

    assert "name one with --tenant" in nordvik("device", "list", code=2)
    nordvik("device", "add", "oxy-1", "--tenant", "Sørvik")
    assert nordvik("device", "list", "--tenant", "Nordvik") == ""
    assert "no such enclosure" in nordvik(
        "device", "add", "oxy-2", "--tenant", "Sørvik", "--enclosure", nordvik.pen, code=2
    )
    assert "no such device" in nordvik("device", "show", new_id(Prefix.DEVICE), "--tenant", "Nordvik", code=2)
