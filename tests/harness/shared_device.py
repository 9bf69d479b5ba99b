"""A device with several servers, as commands meet it: it guards object 2 as OMA LwM2M Core 1.1 §8 says, or does not."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.commands.command import Command, State, trigger_for
from shoal.commands.store import Mark
from shoal.sharing.rights import BOOTSTRAP
from tests.harness.installation import Installation

OURS: Final = 101
SUPPLIER: Final = 102
NOT_ALLOWED: Final = ("refused", "4.01")


@dataclass
class Listed:
    """One instance of object 2."""

    object: int
    instance: int
    owner: int = OURS
    acl: dict[int, int] = field(default_factory=dict)


@dataclass
class SharedDevice:
    """`servers` are short ids by instance of object 1, of which `shown` are read by us. `code` refuses every change."""

    servers: dict[int, int] = field(default_factory=lambda: {0: OURS, 1: SUPPLIER})
    shown: set[int] = field(default_factory=lambda: {0})
    controls: dict[int, Listed] = field(default_factory=dict)
    takes_new: bool = True
    code: str | None = None
    forgets: bool = False
    is_hidden: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def objects(self) -> list[tuple[str, str | None]]:
        """What it registers."""
        instances = {f"/{one.object}/{one.instance}" for one in self.controls.values() if one.instance != BOOTSTRAP}
        own = [*(f"/1/{number}" for number in self.servers), *(f"/2/{number}" for number in self.controls), "/3/0"]
        return [(path, None) for path in sorted({"/2", *own, *instances})]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What it was asked for beside reads."""
        return [one for one in self.asked if one[0] != "read"]

    def answer(self, operation: str, path: str, body: dict[str, Any] | None) -> tuple[str, str, dict[str, Any] | None]:
        """How it ends, with the code and the body, as the core has it."""
        self.asked.append((operation, path))
        if operation == "read":
            return self._read(path)
        outcome, code = self._change(operation, path, body or {})
        return outcome, code, None

    def _read(self, path: str) -> tuple[str, str, dict[str, Any] | None]:
        if self.is_hidden:
            return *NOT_ALLOWED, None
        if path == "/1":
            values = {f"/1/{number}/0": short_id for number, short_id in self.servers.items() if number in self.shown}
        else:
            values = {}
            for number, one in self.controls.items():
                at = f"/2/{number}"
                values |= {f"{at}/0": one.object, f"{at}/1": one.instance, f"{at}/3": one.owner}
                values |= {f"{at}/2/{server}": rights for server, rights in one.acl.items()}
        content = [{"path": at, "value": value, "type": "integer"} for at, value in values.items()]
        return "answered", "2.05", {"content": content}

    def _change(self, operation: str, path: str, body: dict[str, Any]) -> tuple[str, str]:
        if self.code is not None:
            return "refused", self.code
        if operation == "create":
            if not self.takes_new:
                return NOT_ALLOWED
            said = body["resources"]
            made = Listed(
                said["0"], said["1"], said["3"], {int(server): rights for server, rights in said["2"].items()}
            )
            self.controls[max(self.controls, default=-1) + 1] = made
            return "answered", "2.01"
        listed = self.controls[int(path.split("/")[2])]
        if listed.owner != OURS:
            return NOT_ALLOWED
        if not self.forgets:
            listed.acl = {int(server): rights for server, rights in body["values"].items()}
        return "answered", "2.04"


async def carry(shoal: Installation, device: SharedDevice, at_most: int = 1_000) -> int:
    """What a gateway does: sends all that waits, and writes down what became of it; how many commands those were.

    A device that falls asleep answers `at_most` so many.
    """
    done = 0
    while done < at_most and (waiting := await shoal.commands.unfinished(0)):
        for command in waiting[: at_most - done]:
            done += 1
            async with shoal.database.transaction() as tx:
                await shoal.commands.mark_all(tx, [_answered(shoal, device, command)])
        await shoal.settle()
    return done


def _answered(shoal: Installation, device: SharedDevice, command: Command) -> Mark:
    assert command.state is State.QUEUED
    asked = None if command.body is None else json.loads(command.body)
    outcome, code, body = device.answer(command.operation.value, command.path, asked)
    answer = None if body is None else json.dumps(body).encode()
    now = shoal.clock.now()
    return Mark(number=command.number, trigger=trigger_for(outcome), at=now, code=code, answer=answer)
