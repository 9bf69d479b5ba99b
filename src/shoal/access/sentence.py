"""A policy as a sentence: "Technicians may read and write /3/*, /3303/* at Storholmen"."""

from collections.abc import Iterable, Mapping
from typing import Final

from shoal.access.pattern import ALL, ITSELF
from shoal.access.policy import OTHER_SERVERS, Effect, Operation, Policy, Role, Who, WhoKind

_WORDS: Final[Mapping[Operation, str]] = {
    Operation.UPDATE_FIRMWARE: "update",
    Operation.ACKNOWLEDGE: "acknowledge and resolve",
}
_ROLES: Final[Mapping[str, str]] = {role.value: f"{role.value.capitalize()}s" for role in Role}


def sentence_of(policy: Policy, names: Mapping[str, str]) -> str:
    """The policy in plain words. `names` are those of people, tokens, devices and places, by id; others keep their id."""
    verb = "may" if policy.effect is Effect.ALLOW else "may not"
    what = _operations(policy)
    paths = _paths(policy)
    where = "everywhere" if not policy.place or policy.place.startswith("ten-") else f"at {_name(policy.place, names)}"
    return " ".join(part for part in (who_says(policy.who, names), verb, what, paths, where) if part)


def who_says(who: Who, names: Mapping[str, str]) -> str:
    """Whom a policy names, as the subject of a sentence."""
    match who.kind:
        case WhoKind.EVERYBODY:
            return "Everybody"
        case WhoKind.ROLE:
            return _ROLES.get(who.id, who.id)
        case WhoKind.SERVER:
            return "All other servers of a device" if who == OTHER_SERVERS else f"Server {who.id}"
        case WhoKind.DEVICES:
            return f"All {who.id}s" if who.id else "All devices"
        case _:
            return _name(who.id, names)


def _operations(policy: Policy) -> str:
    if policy.who.is_device:
        return "report"
    if policy.operations == frozenset(Operation):
        return "do everything"
    ordered = [_WORDS.get(operation, operation.value) for operation in Operation if operation in policy.operations]
    return _listed(ordered, "or" if policy.effect is Effect.DENY else "and")


def _paths(policy: Policy) -> str:
    if ALL in policy.paths:
        return ""
    said = ["devices themselves" if path == ITSELF else str(path) for path in policy.paths]
    return _listed(said, "and")


def _listed(words: Iterable[str], last: str) -> str:
    *most, final = list(words) or [""]
    return f"{', '.join(most)} {last} {final}" if most else final


def _name(id_: str, names: Mapping[str, str]) -> str:
    return names.get(id_, id_)
