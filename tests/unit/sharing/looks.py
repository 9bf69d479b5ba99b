"""A look at a device without a queue: what a step asks is answered at once."""

import json
from datetime import UTC, datetime

import msgspec

from shoal.access.decision import Policies
from shoal.access.pattern import Pattern
from shoal.access.policy import Effect, Operation, Policy, Who, WhoKind
from shoal.ids import TenantId
from shoal.sharing.found import shape_of
from shoal.sharing.shared import Outcome, Shared, Step, ended, go_on, look
from tests.harness.shared_device import OURS, SharedDevice

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
TENANT = TenantId("ten-1")
READ = frozenset({Operation.READ})


def policies(*all_of: Policy) -> Policies:
    return Policies(TENANT, all_of)


def allow(
    server: str = "102", path: str = "/3/0", operations: frozenset[Operation] = READ, id_: str = "pol-1"
) -> Policy:
    who = Who(WhoKind.SERVER, server)
    return Policy(
        id=id_, effect=Effect.ALLOW, who=who, operations=operations, place=TENANT, paths=(Pattern.parse(path),)
    )


def registered(device: SharedDevice, shared: Shared | None = None) -> Shared:
    """A device that has just registered."""
    shape = shape_of(device.objects)
    assert shape is not None
    known = shared or Shared(device="dev-1", tenant=TENANT, shape=shape, since=NOW)
    return msgspec.structs.replace(known, shape=shape, registration="reg-1")


def looked(device: SharedDevice, policies: Policies, shared: Shared | None = None) -> Shared:
    """A whole look at a device, from its Register to the end."""
    return answered(device, look(registered(device, shared), NOW), policies)


def answered(device: SharedDevice, step: Step, policies: Policies) -> Shared:
    """All that follows from a step, when the device answers everything."""
    while step.requests:
        shared = step.shared
        for number, request in enumerate(step.requests):
            shared = msgspec.structs.replace(shared, asked={**shared.asked, f"cmd-{number}": request.asked})
        for request in step.requests:
            outcome, code, body = device.answer(request.operation, request.path, request.body)
            how = Outcome.ACCEPTED if outcome == "answered" else Outcome.REFUSED
            said = b"" if body is None else json.dumps(body).encode()
            shared = ended(shared, request.asked, how, code=code, detail=code, body=said, at=NOW)
        step = go_on(shared, policies, OURS, NOW)
    return step.shared
