"""`shoal credential` as somebody types it: a new one beside the old, the old one ended, what ends soon."""

import json
import re

import pytest

from shoal.clock import SystemClock
from shoal.credentials.store import Credentials
from shoal.ids import DeviceId, Prefix, new_id
from shoal.inventory.device import Kind, Security
from shoal.inventory.store import Inventory
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from tests.harness.authority import Authority
from tests.unit.cli.shell import Shell
from tests.unit.cli.test_command_line import ended


@pytest.mark.parametrize("command", ["", "list", "create", "revoke", "approve"])
def test_every_action_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["credential", *command.split(), "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: shoal credential")
    assert "None" not in said


def test_a_new_key_goes_beside_the_old_one_and_is_shown_once(nordvik: Shell) -> None:
    device = nordvik("device", "add", "oxy-1").split()[0]

    said = nordvik("credential", "create", "oxy-1", "--overlap", "2d")
    new, key = said.split()[0], re.search(r"^key +([0-9a-f]{32})$", said, re.MULTILINE)
    assert key is not None
    listed = nordvik("credential", "list", "oxy-1")
    assert [row.split()[2] for row in listed.splitlines()] == ["next", "retiring"]
    assert listed.startswith(new)
    assert key[1] not in listed + nordvik("credential", "list", device, "--json")
    ending = nordvik("credential", "list", "--ending-within", "3d")
    assert len(ending.splitlines()) == 1
    assert "oxy-1" in ending
    assert nordvik("credential", "list", "--ending-within", "1d") == ""

    nordvik("credential", "create", "oxy-1", "--overlap", "0", "--psk", "urn:oxy")
    states = [json.loads(line)["state"] for line in nordvik("credential", "list", "oxy-1", "--json").splitlines()]
    assert states == ["current", "revoked", "revoked"]
    assert [entry[:3] for entry in nordvik.audit()] == [("create", "devices", device)] + 2 * [
        ("create", "credentials", device)
    ]
    assert nordvik.audit()[-1][4]["identity"] == "urn:oxy"


def test_one_is_revoked_and_the_last_one_only_when_that_is_meant(nordvik: Shell) -> None:
    device = nordvik("device", "add", "oxy-1").split()[0]
    id_ = nordvik("credential", "list", "oxy-1").split()[0]

    assert "is the last one of the device" in nordvik("credential", "revoke", id_, code=2)
    assert len(nordvik.audit()) == 1
    assert "is void" in nordvik("credential", "revoke", id_, "--last")
    assert nordvik("credential", "list", "oxy-1").split()[2] == "revoked"
    assert "needs a new key: shoal credential create" in nordvik("device", "show", "oxy-1")
    assert nordvik.audit()[-1][:3] == ("delete", "credentials", device)


def test_a_device_goes_over_to_a_certificate(nordvik: Shell) -> None:
    nordvik("device", "add", "cam-1", "--kind", "camera")
    certificate = Authority(nordvik.folder / "ca").certificate("cam-1").cert

    said = nordvik("credential", "create", "cam-1", "--x509", str(certificate), "--json")

    assert json.loads(said)["key"] is None
    assert [row.split()[1] for row in nordvik("credential", "list", "cam-1").splitlines()] == ["x509", "psk"]


def test_a_device_that_came_by_itself_is_let_in_by_a_person(nordvik: Shell) -> None:
    async def came(database: Database) -> DeviceId:
        clock = SystemClock()
        async with database.transaction() as tx:
            device = await Inventory(database, clock).create_device(
                tx, nordvik.tenant, endpoint="cam-1", kind=Kind.CAMERA, security=Security.X509
            )
            rooms = Credentials(database, Vault(bytes(32)), clock)
            await rooms.introduce(tx, nordvik.tenant, device.id, is_approved=False)
        return device.id

    device = nordvik.run(came)
    waiting = nordvik("credential", "list", "cam-1").split()

    assert waiting[2] == "waiting"
    assert nordvik("credential", "approve", waiting[0], "--enclosure", nordvik.pen) == f"{waiting[0]} lets cam-1 in.\n"
    assert nordvik("credential", "list", "cam-1").split()[2] == "current"
    assert nordvik.audit()[-1][:3] == ("approve", "credentials", device)
    assert "Pen 1, Storholmen" in nordvik("device", "show", "cam-1")
    assert "does not wait" in nordvik("credential", "approve", waiting[0], code=2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["list"], "name a DEVICE, or --ending-within"),
        (["list", "oxy-1", "--ending-within", "1d"], "name a DEVICE, or --ending-within"),
        (["list", "oxy-9"], "no device has this endpoint"),
        (["create", "oxy-1", "--overlap", "91d"], "at most 90 days"),
        (["create", "oxy-1", "--no-security"], "created anew"),
        (["create", "oxy-1", "--out", "taken"], "nothing is overwritten"),
        (["revoke", new_id(Prefix.CREDENTIAL)], "no such credential"),
        (["revoke", "oxy-1"], "not of the form crd-"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do_and_nothing_is_changed(
    arguments: list[str], reason: str, nordvik: Shell
) -> None:
    nordvik("device", "add", "oxy-1")
    (nordvik.folder / "taken").write_text("mine")
    before = nordvik("credential", "list", "oxy-1", "--json")

    said = nordvik("credential", *arguments, code=2)

    assert reason in said
    assert said.count("\n") == 1
    assert nordvik("credential", "list", "oxy-1", "--json") == before
    assert (nordvik.folder / "taken").read_text() == "mine"
