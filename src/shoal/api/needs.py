"""What each route takes, beside the routes: which operation, where, on which path. The walk over all routes reads it.

The routes decide by themselves (`Asking.may`); this says what they are to decide, so that a route that forgets to ask, or
a new one that nobody thought about, is found. OpenAPI tells it to callers as `x-needs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shoal.access.policy import Operation


class At(StrEnum):
    """Of what the operation is asked."""

    NOBODY = "nobody"  # no login is needed
    LOGIN = "login"  # anybody who is logged in, about themselves
    ANYWHERE = "anywhere"  # whoever may do it anywhere; the answer holds only what they may
    TENANT = "tenant"
    FARM = "farm"
    ENCLOSURE = "enclosure"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Need:
    """An operation, and of what. `path`: on a path of the device, which the request names."""

    at: At
    operation: Operation | None = None
    path: bool = False


_NOBODY: Final = Need(At.NOBODY)
_LOGIN: Final = Need(At.LOGIN)
_READS: Final = Need(At.ANYWHERE, Operation.READ)
_TENANT_READ: Final = Need(At.TENANT, Operation.READ)
_ADMIN: Final = Need(At.TENANT, Operation.ADMINISTER)
_FARM_ADMIN: Final = Need(At.FARM, Operation.ADMINISTER)
_FARM_READ: Final = Need(At.FARM, Operation.READ)
_PEN_ADMIN: Final = Need(At.ENCLOSURE, Operation.ADMINISTER)
_PEN_READ: Final = Need(At.ENCLOSURE, Operation.READ)
_DEVICE_READ: Final = Need(At.DEVICE, Operation.READ)
_DEVICE_ADMIN: Final = Need(At.DEVICE, Operation.ADMINISTER)
_UPDATE: Final = Need(At.DEVICE, Operation.UPDATE_FIRMWARE)


def _on_path(operation: Operation) -> Need:
    return Need(At.DEVICE, operation, path=True)


NEEDS: Final[Mapping[tuple[str, str], Need]] = {
    ("POST", "/sessions"): _NOBODY,
    ("DELETE", "/sessions/current"): _LOGIN,
    ("GET", "/me"): _LOGIN,
    ("GET", "/tenants"): _LOGIN,
    ("POST", "/invitations:look"): _NOBODY,
    ("POST", "/invitations:accept"): _NOBODY,
    ("POST", "/users"): _ADMIN,
    ("GET", "/users"): _ADMIN,
    ("GET", "/users/{user}"): _ADMIN,
    ("PATCH", "/users/{user}"): _ADMIN,
    ("PUT", "/users/{user}/password"): _ADMIN,
    ("POST", "/tokens"): _ADMIN,
    ("GET", "/tokens"): _ADMIN,
    ("DELETE", "/tokens/{token}"): _ADMIN,
    ("POST", "/policies"): _ADMIN,
    ("GET", "/policies"): _ADMIN,
    ("GET", "/policies/{policy}"): _ADMIN,
    ("PATCH", "/policies/{policy}"): _ADMIN,
    ("DELETE", "/policies/{policy}"): _ADMIN,
    ("POST", "/policies:preview"): _ADMIN,
    ("GET", "/roles"): _READS,
    ("POST", "/policies:explain"): _LOGIN,
    ("POST", "/farms"): _ADMIN,
    ("GET", "/farms"): _READS,
    ("GET", "/farms/{farm}"): _FARM_READ,
    ("PATCH", "/farms/{farm}"): _FARM_ADMIN,
    ("DELETE", "/farms/{farm}"): _FARM_ADMIN,
    ("POST", "/farms/{farm}/enclosures"): _FARM_ADMIN,
    ("GET", "/farms/{farm}/enclosures"): _FARM_READ,
    ("GET", "/enclosures"): _READS,
    ("GET", "/enclosures/{enclosure}"): _PEN_READ,
    ("PATCH", "/enclosures/{enclosure}"): _PEN_ADMIN,
    ("DELETE", "/enclosures/{enclosure}"): _PEN_ADMIN,
    ("POST", "/profiles"): _ADMIN,
    ("GET", "/profiles"): _READS,
    ("GET", "/profiles/{profile}"): _READS,
    ("POST", "/devices"): Need(At.ENCLOSURE, Operation.CREATE),
    ("POST", "/devices:import"): Need(At.ANYWHERE, Operation.CREATE),
    ("GET", "/devices"): _READS,
    ("GET", "/devices/{device}"): _DEVICE_READ,
    ("PATCH", "/devices/{device}"): Need(At.DEVICE, Operation.WRITE),
    ("DELETE", "/devices/{device}"): Need(At.DEVICE, Operation.DELETE),
    ("POST", "/devices/{device}:{verb}-claim"): _on_path(Operation.WRITE),
    ("POST", "/devices/{device}/credentials"): _DEVICE_ADMIN,
    ("GET", "/devices/{device}/credentials"): _DEVICE_READ,
    ("DELETE", "/devices/{device}/credentials/{credential}"): _DEVICE_ADMIN,
    ("POST", "/devices/{device}/credentials/{credential}:approve"): _DEVICE_ADMIN,
    ("GET", "/credentials"): _TENANT_READ,
    ("POST", "/devices/{device}/bootstrap"): _DEVICE_ADMIN,
    ("GET", "/devices/{device}/bootstrap"): _DEVICE_READ,
    ("DELETE", "/devices/{device}/bootstrap"): _DEVICE_ADMIN,
    ("POST", "/devices/{device}:bootstrap"): _DEVICE_ADMIN,
    ("POST", "/trust-anchors"): _ADMIN,
    ("GET", "/trust-anchors"): _TENANT_READ,
    ("GET", "/trust-anchors:use"): _TENANT_READ,
    ("GET", "/trust-anchors/{anchor}"): _TENANT_READ,
    ("PATCH", "/trust-anchors/{anchor}"): _ADMIN,
    ("POST", "/trust-anchors/{anchor}:prove"): _ADMIN,
    ("DELETE", "/trust-anchors/{anchor}"): _ADMIN,
    ("POST", "/devices/{device}:read-composite"): _on_path(Operation.READ),
    ("POST", "/devices/{device}:write-composite"): _on_path(Operation.WRITE),
    ("GET", "/devices/{device}/objects"): _DEVICE_READ,
    ("GET", "/devices/{device}/objects/{path:path}"): _on_path(Operation.READ),
    ("PUT", "/devices/{device}/objects/{path:path}"): _on_path(Operation.WRITE),
    ("PATCH", "/devices/{device}/objects/{path:path}"): _on_path(Operation.WRITE),
    ("POST", "/devices/{device}/objects/{path:path}"): _on_path(Operation.EXECUTE),
    ("DELETE", "/devices/{device}/objects/{path:path}"): _on_path(Operation.DELETE),
    ("POST", "/devices/{device}:discover"): _on_path(Operation.DISCOVER),
    ("POST", "/devices/{device}:send-attributes"): _on_path(Operation.WRITE),
    ("GET", "/devices/{device}/observations"): _DEVICE_READ,
    ("GET", "/devices/{device}/observations/{path:path}"): _on_path(Operation.READ),
    ("PUT", "/devices/{device}/observations/{path:path}"): _on_path(Operation.OBSERVE),
    ("DELETE", "/devices/{device}/observations/{path:path}"): _on_path(Operation.OBSERVE),
    ("GET", "/devices/{device}/access-control"): _DEVICE_READ,
    ("GET", "/commands/{command}"): _on_path(Operation.READ),
    ("DELETE", "/commands/{command}"): _on_path(Operation.WRITE),
    ("GET", "/devices/{device}/commands"): _DEVICE_READ,
    ("GET", "/devices/{device}/readings"): _on_path(Operation.READ),
    ("GET", "/devices/{device}/timeline"): _DEVICE_READ,
    ("GET", "/health"): _READS,
    ("GET", "/health/coverage"): _READS,
    ("GET", "/pipeline"): _READS,
    ("GET", "/alerts"): _READS,
    ("GET", "/alerts/{alert}"): _DEVICE_READ,
    ("POST", "/alerts/{alert}:acknowledge"): Need(At.DEVICE, Operation.ACKNOWLEDGE),
    ("POST", "/alerts/{alert}:resolve"): Need(At.DEVICE, Operation.ACKNOWLEDGE),
    ("POST", "/escalation-policies"): _ADMIN,
    ("GET", "/escalation-policies"): _TENANT_READ,
    ("POST", "/escalation-policies:order"): _ADMIN,
    ("POST", "/escalation-policies:rehearse"): _TENANT_READ,
    ("GET", "/escalation-policies/{policy}"): _TENANT_READ,
    ("PATCH", "/escalation-policies/{policy}"): _ADMIN,
    ("DELETE", "/escalation-policies/{policy}"): _ADMIN,
    ("POST", "/contacts"): _ADMIN,
    ("GET", "/contacts"): _TENANT_READ,
    ("GET", "/contacts/{contact}"): _TENANT_READ,
    ("PATCH", "/contacts/{contact}"): _ADMIN,
    ("DELETE", "/contacts/{contact}"): _ADMIN,
    ("POST", "/contacts/{contact}:test"): _ADMIN,
    ("POST", "/channels"): _ADMIN,
    ("GET", "/channels"): _TENANT_READ,
    ("GET", "/channels/{channel}"): _TENANT_READ,
    ("PATCH", "/channels/{channel}"): _ADMIN,
    ("POST", "/channels/{channel}:rotate"): _ADMIN,
    ("DELETE", "/channels/{channel}"): _ADMIN,
    ("POST", "/channels/email:test"): _ADMIN,
    ("POST", "/channels/{channel}:test"): _ADMIN,
    ("POST", "/artifacts"): Need(At.TENANT, Operation.UPDATE_FIRMWARE),
    ("GET", "/artifacts"): _READS,
    ("GET", "/artifacts/{artifact}"): _READS,
    ("POST", "/devices/{device}/updates"): _UPDATE,
    ("GET", "/devices/{device}/updates"): _DEVICE_READ,
    ("GET", "/devices/{device}/updates/{update}"): _DEVICE_READ,
    ("POST", "/devices/{device}/updates/{update}:cancel"): _UPDATE,
    # A device has no login: the link is signed.
    ("GET", "/downloads/{update}/{file}/{expires}/{signature}"): _NOBODY,
    ("HEAD", "/downloads/{update}/{file}/{expires}/{signature}"): _NOBODY,
    ("POST", "/authorities"): _ADMIN,
    ("GET", "/authorities"): _ADMIN,
    ("GET", "/authorities/{authority}"): _ADMIN,
    ("POST", "/authorities/{authority}:roll-over"): _ADMIN,
    ("POST", "/authorities/{authority}:retire"): _ADMIN,
    ("GET", "/authorities/{authority}/crl"): _ADMIN,
    ("POST", "/authorities/{authority}/certificates"): _ADMIN,
    ("GET", "/certificates"): _ADMIN,
    ("GET", "/certificates/{certificate}"): _ADMIN,
    ("POST", "/certificates/{certificate}:renew"): _ADMIN,
    ("POST", "/certificates/{certificate}:revoke"): _ADMIN,
    ("POST", "/enrolments"): _ADMIN,
    ("GET", "/enrolments"): _ADMIN,
    ("DELETE", "/enrolments/{enrolment}"): _ADMIN,
    ("GET", "/security-events"): _READS,
    ("GET", "/search"): _READS,
    ("GET", "/audit"): _ADMIN,
    ("GET", "/events"): _READS,
}


def describe(paths: Mapping[str, Any], prefix: str) -> None:
    """Writes into an OpenAPI document's paths what each route takes."""
    for (method, path), need in NEEDS.items():
        route = paths.get(f"{prefix}{path.replace(':path}', '}')}", {}).get(method.lower())
        if route is not None:
            said = {"operation": need.operation, "at": need.at, "on_a_path": need.path}
            route["x-needs"] = {name: value for name, value in said.items() if value}
