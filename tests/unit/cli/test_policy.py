"""`shoal policy` as somebody types it: the same answers as the API's."""

import json

import pytest

from shoal.access.pattern import ALL
from shoal.access.policy import Effect, Operation, Policy, Role, Who, WhoKind
from shoal.clock import SystemClock
from shoal.identity.store import Identity
from shoal.ids import Prefix, new_id
from shoal.policies.store import AccessPolicies
from shoal.storage.database import Database
from tests.unit.cli.shell import Shell
from tests.unit.cli.test_command_line import ended


@pytest.mark.parametrize("command", ["", "list", "show", "explain"])
def test_every_action_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["policy", *command.split(), "--help"]) == 0

    said = capsys.readouterr().out
    assert said.startswith("usage: shoal policy")
    assert "None" not in said


@pytest.fixture
def kari(nordvik: Shell) -> str:
    """A viewer who may not even read in the pen."""

    async def hired(database: Database) -> str:
        clock = SystemClock()
        user = await Identity(database, clock).create_user(
            nordvik.tenant, email="kari@nordvik.example", name="Kari", role=Role.VIEWER, password="correct-horse"
        )
        policy = Policy(
            id="",
            effect=Effect.DENY,
            who=Who(WhoKind.USER, user.id),
            operations=frozenset({Operation.READ}),
            place=nordvik.pen,
            paths=(ALL,),
        )
        async with database.transaction() as tx:
            await AccessPolicies(database, clock).create(tx, nordvik.tenant, policy, "on leave", "Ola")
        return user.id

    return nordvik.run(hired)


def test_policies_are_listed_as_sentences_and_shown_with_their_note(nordvik: Shell, kari: str) -> None:
    listed = nordvik("policy", "list")
    id_ = listed.split()[0]

    assert "Kari may not read at Pen 1, Storholmen" in listed
    shown = nordvik("policy", "show", id_.lower())
    assert shown.startswith("Kari may not read at Pen 1, Storholmen\n")
    assert "on leave" in shown
    assert "by Ola" in shown
    told = json.loads(nordvik("policy", "show", id_, "--json"))
    assert told["who"] == {"kind": "user", "id": kari, "name": "Kari"}


def test_why_somebody_may_or_may_not_is_explained(nordvik: Shell, kari: str) -> None:
    device = nordvik("device", "add", "oxy-1", "--enclosure", nordvik.pen).split()[0]

    denied = nordvik("policy", "explain", kari, "read", device, "/3303/0/5700")
    assert denied.startswith("No: Kari may not read at Pen 1, Storholmen.\n")
    assert denied.splitlines()[1].startswith("denies ")
    assert nordvik("policy", "explain", kari, "read", nordvik.farm).startswith("Yes: Viewers may read everywhere")
    assert nordvik("policy", "explain", kari, "administer", "-").startswith("No: no policy allows it.")
    assert nordvik("policy", "explain", "server:102", "read", device, "/3/0").startswith("No: ")
    told = json.loads(nordvik("policy", "explain", device, "write", device, "--json"))
    assert told["decision"] == "allowed"
    assert told["because"][0]["built_in"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["show", "pol-1"], "characters after the dash"),
        (["show", new_id(Prefix.POLICY)], "no such policy"),
        (["explain", "oxy-1", "read", "-"], "not the id of a person, a token or a device"),
        (["explain", new_id(Prefix.USER), "read", "-"], "no such user"),
        (["explain", "{kari}", "read", new_id(Prefix.FARM)], "no such place"),
        (["explain", "{kari}", "read", "pen"], "not the id of a farm"),
        (["explain", "{kari}", "read", "-", "/a/b"], "path"),
    ],
)
def test_a_wrong_call_is_one_line_that_says_what_to_do(
    arguments: list[str], reason: str, nordvik: Shell, kari: str
) -> None:
    said = nordvik("policy", *(word.format(kari=kari) for word in arguments), code=2)

    assert reason in said
    assert said.count("\n") == 1
