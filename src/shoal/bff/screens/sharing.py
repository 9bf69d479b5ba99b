"""What other servers may do on a device, and where the device does not do as it is wanted."""

from collections.abc import Sequence

from pydantic import BaseModel

from shoal.bff import heard, heard_access

# LwM2M Server and LwM2M Access Control.
SERVER_OBJECT, CONTROL_OBJECT = 1, 2


class RightsLine(BaseModel):
    """What one server may, and what it should be able to; `*` is every server without an entry of its own."""

    server: str
    wanted: list[str]
    found: list[str]


class ControlLine(BaseModel):
    """An object instance (or an object, for creating instances), with the servers that may anything, or should."""

    path: str
    state: str
    is_drift: bool
    reason: str
    rights: list[RightsLine]


class OtherServers(BaseModel):
    """`own` is our short id on the device. `is_ruled`: policies say what the others may."""

    own: int | None
    servers: list[int]
    is_ruled: bool
    is_settled: bool
    problem: str
    is_drift: bool
    controls: list[ControlLine]


def may_be_shared(tree: Sequence[heard.Object]) -> bool:
    """Whether a device shows several servers: only then it is worth asking what they may."""
    instances = {said.object: len(said.instances) for said in tree}
    return CONTROL_OBJECT in instances and instances.get(SERVER_OBJECT, 0) > 1


def other_servers(said: heard_access.AccessControl | None) -> OtherServers | None:
    """What is shown of them; None of a device with one server."""
    if said is None or not said.shared:
        return None
    return OtherServers(
        own=said.own,
        servers=[server for server in said.servers if server != said.own],
        is_ruled=said.ruled,
        is_settled=said.settled,
        problem=said.problem,
        is_drift=said.drift,
        controls=[
            ControlLine(
                path=one.path,
                state=one.state,
                is_drift=one.drift,
                reason=one.reason,
                rights=[
                    RightsLine(server=each.server, wanted=each.wanted, found=each.found)
                    for each in one.rights
                    if each.wanted or each.found
                ],
            )
            for one in said.controls
        ],
    )
