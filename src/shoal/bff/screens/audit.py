"""Who did what, in plain sentences, newest first, with what it was before."""

from datetime import datetime
from typing import Final

from pydantic import BaseModel, JsonValue

from shoal.bff import heard

ENTRIES_PER_PAGE: Final = 50

_DONE: Final = {"create": "Made", "change": "Changed", "set": "Set", "delete": "Deleted"}
_NOUNS: Final = {
    "alerts": "an alert",
    "artifacts": "an artifact",
    "channels": "a channel",
    "contacts": "a contact",
    "devices": "a device",
    "enclosures": "an enclosure",
    "farms": "a farm",
    "password": "a password",
    "policies": "a policy",
    "profiles": "a profile",
    "tokens": "a token",
    "users": "a person",
}
_SENTENCES: Final = {
    ("log-in", "sessions"): "Logged in",
    ("delete", "sessions"): "Logged out",
    ("create", "credentials"): "Gave a device a new key",
    ("create", "updates"): "Started an update",
    ("cancel", "updates"): "Cancelled an update",
    ("delete", "commands"): "Called a command back",
    ("accept-claim", "devices"): "Let the inventory follow a device's claim",
    ("refuse-claim", "devices"): "Refused a device's claim",
    ("acknowledge", "alerts"): "Took an alert",
    ("resolve", "alerts"): "Resolved an alert",
    ("test", "contacts"): "Sent a test message to a contact",
    ("create", "objects"): "Made an object on a device",
    ("write", "objects"): "Wrote to a device",
    ("execute", "objects"): "Had a device do something",
    ("delete", "objects"): "Deleted an object on a device",
    ("discover", "devices"): "Looked at what a device has",
    ("send-attributes", "devices"): "Told a device when to report",
}


class FieldChange(BaseModel):
    """One field as it was and as it is; null where it was not, or is not any more."""

    field: str
    before: str | None
    after: str | None


class AuditLine(BaseModel):
    """`thing` is the id, `name` what the thing is called if that was said. `path` is the address in the API."""

    id: str
    at: datetime
    by: str
    by_name: str
    address: str
    says: str
    thing: str | None
    name: str
    path: str
    changes: list[FieldChange]


class AuditScreen(BaseModel):
    at: datetime
    items: list[AuditLine]
    next: str | None


def audit_screen(at: datetime, page: heard.Page[heard.AuditEntry]) -> AuditScreen:
    return AuditScreen(at=at, items=[audit_line(entry) for entry in page.items], next=page.next)


def audit_line(entry: heard.AuditEntry) -> AuditLine:
    before, after = entry.before or {}, entry.after or {}
    names = [*after, *(name for name in before if name not in after)]
    known = (after.get(field) or before.get(field) for field in ("name", "endpoint", "email"))
    return AuditLine(
        id=entry.id,
        at=entry.at,
        by=entry.by,
        by_name=entry.by_name,
        address=entry.address,
        says=sentence(entry.action, entry.resource),
        thing=entry.thing,
        name=next((str(name) for name in known if name), ""),
        path=entry.path,
        changes=[
            FieldChange(field=words(name), before=text(before.get(name)), after=text(after.get(name)))
            for name in names
            if name in before or after[name] not in (None, "")
        ],
    )


def sentence(action: str, resource: str) -> str:
    """What was done. What we have no words for is told by the API's own."""
    found = _SENTENCES.get((action, resource))
    if found is not None:
        return found
    return f"{_DONE.get(action, words(action).capitalize())} {_NOUNS.get(resource, words(resource))}".strip()


def text(value: JsonValue) -> str | None:
    """A value as people read it."""
    match value:
        case None:
            return None
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(text(each) or "none" for each in value)
        case dict():
            return ", ".join(f"{words(name)} {text(each) or 'none'}" for name, each in value.items())
    return str(value)


def words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
