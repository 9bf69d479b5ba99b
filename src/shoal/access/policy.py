"""What can be done, and which role may do it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Operation(StrEnum):
    """Everything that can be granted. The first seven are what LwM2M knows (OMA LwM2M Core 1.1 §6.3, §6.4)."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    CREATE = "create"
    DELETE = "delete"
    OBSERVE = "observe"
    DISCOVER = "discover"
    UPDATE_FIRMWARE = "update_firmware"
    ACKNOWLEDGE = "acknowledge"
    ADMINISTER = "administer"


class Role(StrEnum):
    """What somebody is to a tenant. A role is a name for a grant, and nothing is granted but by its role."""

    ADMINISTRATOR = "administrator"
    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Grant:
    """The operations that a role may do, everywhere in its own tenant. What is not named is not granted."""

    role: Role
    operations: frozenset[Operation]

    def covers(self, operation: Operation) -> bool:
        return operation in self.operations


GRANTS: Final[Mapping[Role, Grant]] = {
    Role.ADMINISTRATOR: Grant(Role.ADMINISTRATOR, frozenset(Operation)),
    # Looking only: nothing that a viewer does reaches a device's settings, its battery's plan or somebody's work.
    Role.VIEWER: Grant(Role.VIEWER, frozenset({Operation.READ})),
}
