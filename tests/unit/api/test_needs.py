"""The walk: every route, asked by every role, at another farm, without a login, with a revoked token, by another tenant.

What has to come of it follows from the table of needs and from the policies alone; the routes know nothing of either.
"""

import asyncio
import pathlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi.routing import APIRoute

from shoal.access.decision import Place, Policies, Subject, may
from shoal.access.policy import Operation, Role
from shoal.api.application import PREFIX
from shoal.api.needs import NEEDS, At, Need
from shoal.ids import EnclosureId, FarmId
from shoal.inventory.device import Device
from shoal.lwm2m.path import Path
from tests.harness.authority import Authority
from tests.harness.requests import request
from tests.unit.api.company import Company
from tests.unit.api.test_alerts import alerted
from tests.unit.api.test_artifacts import FILE, FORM

PASSWORD: Final = "saltwater and salmon"
# What an answer that was let in never is; all else (too late, device asleep) is no matter of access. 422: the walk's own
# request was not understood, which proves nothing.
REFUSALS: Final = {401, 403, 422}
# Reading goes first, and nothing that is allowed may take away what the next one asks about.
STALE: Final = {"If-Match": '"999999"'}


@dataclass(frozen=True)
class World:
    """One of everything that a route can be asked about, by the name that it has in paths."""

    company: Company
    device: Device
    farm: FarmId
    enclosure: EnclosureId
    other_farm: FarmId
    ids: dict[str, str]
    artifact: str


Body = dict[str, Any] | None


def request_for(world: World, method: str, path: str) -> tuple[str, Body, str | None]:
    """The address, a body that is understood, and which path of the device it is about."""
    on = ON_PATH.get((method, path))
    address = path.replace("{path:path}", (on or "").strip("/"))
    for name, id_ in world.ids.items():
        address = address.replace(f"{{{name}}}", id_)
    body = BODIES.get((method, path), {})
    filled = {
        name: world.ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value
        for name, value in (body or {}).items()
    }
    return address, filled if method in {"POST", "PUT", "PATCH"} else None, on


ON_PATH: Final = {
    ("GET", "/devices/{device}/objects/{path:path}"): "/3/0/9",
    ("PUT", "/devices/{device}/objects/{path:path}"): "/3/0/14",
    ("PATCH", "/devices/{device}/objects/{path:path}"): "/3/0/14",
    ("POST", "/devices/{device}/objects/{path:path}"): "/3/0/4",
    ("DELETE", "/devices/{device}/objects/{path:path}"): "/3303/0",
    ("POST", "/devices/{device}:read-composite"): "/3/0/9",
    ("POST", "/devices/{device}:write-composite"): "/3/0/14",
    ("POST", "/devices/{device}:discover"): "/3",
    ("POST", "/devices/{device}:send-attributes"): "/3/0/9",
    ("POST", "/devices/{device}:{verb}-claim"): "/26241/0/0",
    ("GET", "/devices/{device}/observations/{path:path}"): "/3/0/9",
    ("PUT", "/devices/{device}/observations/{path:path}"): "/3/0/9",
    ("DELETE", "/devices/{device}/observations/{path:path}"): "/3/0/9",
    ("GET", "/devices/{device}/readings"): "/3/0/9",
    # The command is a write of this.
    ("GET", "/commands/{command}"): "/3/0/15",
    ("DELETE", "/commands/{command}"): "/3/0/15",
}
PERSON: Final = {"email": "new@farm.example", "name": "New", "role": "viewer", "password": PASSWORD}
POLICY: Final = {"effect": "deny", "who": {"kind": "role", "id": "viewer"}, "operations": ["execute"]}
DUTY: Final = {"name": "Nights", "steps": [{"after_s": 0, "contacts": []}]}
BODIES: Final[dict[tuple[str, str], Body]] = {
    ("POST", "/sessions"): {"email": "nobody@farm.example", "password": "wrong"},
    ("POST", "/invitations:look"): {"secret": "shoal_none"},
    ("POST", "/invitations:accept"): {"secret": "shoal_none", **{k: v for k, v in PERSON.items() if k != "role"}},
    ("POST", "/users"): PERSON,
    ("PATCH", "/users/{user}"): {"name": "Kari"},
    ("PUT", "/users/{user}/password"): {"password": PASSWORD},
    ("POST", "/tokens"): {"name": "script", "role": "viewer"},
    ("POST", "/policies"): POLICY,
    ("PATCH", "/policies/{policy}"): {"note": "why"},
    ("POST", "/policies:preview"): POLICY,
    ("POST", "/policies:explain"): {"operation": "read"},
    ("POST", "/farms"): {"name": "New"},
    ("PATCH", "/farms/{farm}"): {"name": "Storholmen"},
    ("POST", "/farms/{farm}/enclosures"): {"name": "New"},
    ("PATCH", "/enclosures/{enclosure}"): {"name": "Pen 1"},
    ("POST", "/profiles"): {"name": "New", "report_every_s": 60, "lifetime_s": 300},
    ("POST", "/devices"): {"endpoint": "new-1", "enclosure": "$enclosure"},
    ("POST", "/devices:import"): {"endpoint": "new-2", "enclosure": "$enclosure"},
    ("PATCH", "/devices/{device}"): {"name": "Same"},
    ("PUT", "/devices/{device}/objects/{path:path}"): {"value": "+01"},
    ("PATCH", "/devices/{device}/objects/{path:path}"): {"value": "+01"},
    ("POST", "/devices/{device}:read-composite"): {"paths": ["/3/0/9"]},
    ("POST", "/devices/{device}:write-composite"): {"values": {"/3/0/14": "+01"}},
    ("POST", "/devices/{device}:discover"): {"path": "/3"},
    ("POST", "/devices/{device}:send-attributes"): {"path": "/3/0/9", "attributes": {"pmin": 60}},
    ("PUT", "/devices/{device}/observations/{path:path}"): {"observe": True},
    ("POST", "/escalation-policies"): DUTY,
    ("POST", "/escalation-policies:order"): {"policies": []},
    ("POST", "/escalation-policies:rehearse"): {"severity": "critical", "farm": "$farm"},
    ("POST", "/contacts"): {"name": "Kari", "methods": [{"channel": "email", "address": "kari@farm.example"}]},
    ("POST", "/contacts/{contact}:test"): {"channel": "$channel"},
    ("POST", "/channels"): {"name": "Hook", "kind": "webhook", "url": "https://hooks.example/x"},
    ("POST", "/channels/email:test"): {"address": "kari@farm.example"},
    ("POST", "/devices/{device}/updates"): {"artifact": "$artifact"},
    ("POST", "/authorities"): {"name": "Ours"},
    ("POST", "/authorities/{authority}/certificates"): {
        "request": request("s-17", encoding=Encoding.PEM).decode(),
        "endpoint": "s-17",
    },
    ("POST", "/enrolments"): {"endpoint": "s-17"},
    ("POST", "/trust-anchors"): {"name": "Makers", "certificate": "$ca"},
    ("PATCH", "/trust-anchors/{anchor}"): {"name": "Makers"},
    ("POST", "/trust-anchors/{anchor}:prove"): {"signature": "AAAA"},
    ("POST", "/devices/{device}/bootstrap"): {},
    ("POST", "/devices/{device}/credentials"): {},
}
QUERIES: Final = {
    ("GET", "/devices/{device}/readings"): {"path": "/3/0/9"},
    ("GET", "/search"): {"q": "oxy"},
    # Where one may not, a row is wrong; the file is not.
    ("POST", "/devices:import"): {"dry_run": "true"},
}


@pytest.fixture
async def world(company: Company, admin: httpx.AsyncClient, tmp_path: pathlib.Path) -> World:
    device, alert = await alerted(company)
    other = await company.installation.create_farm(company.tenant, "Nordvik")
    made = {
        "artifact": await admin.post("/artifacts", data=FORM, files=FILE),
        "user": await admin.post("/users", json={**PERSON, "email": "kari@farm.example", "role": "administrator"}),
        "token": await admin.post("/tokens", json={"name": "script", "role": "viewer"}),
        "contact": await admin.post("/contacts", json=BODIES["POST", "/contacts"]),
        "channel": await admin.post("/channels", json=BODIES["POST", "/channels"]),
        "command": await admin.put(
            f"/devices/{device.id}/objects/3/0/15", json={"value": "Oslo"}, params={"wait": "0s"}
        ),
    }
    made["authority"] = await admin.post("/authorities", json=BODIES["POST", "/authorities"])
    issuing = f"/authorities/{made['authority'].json()['id']}/certificates"
    made["certificate"] = await admin.post(issuing, json=BODIES["POST", "/authorities/{authority}/certificates"])
    ca = Authority(tmp_path).ca.read_text()
    made["anchor"] = await admin.post("/trust-anchors", json={"name": "Makers", "certificate": ca})
    made["credential"] = await admin.post(f"/devices/{device.id}/credentials", json={})
    made["enrolment"] = await admin.post("/enrolments", json=BODIES["POST", "/enrolments"])
    ids = {name: answer.json()["id"] for name, answer in made.items() if answer.is_success}
    assert set(ids) == set(made), {name: answer.text for name, answer in made.items() if not answer.is_success}
    [profile, *_] = (await admin.get("/profiles")).json()["items"]
    ids |= {"ca": ca, "farm": company.farm, "enclosure": company.enclosure, "device": device.id, "alert": alert}
    ids |= {"profile": profile["id"], "verb": "refuse", "update": "cmp-00000000", "policy": "pol-00000000"}
    ids |= {"file": "image", "expires": "0", "signature": "A" * 22}
    return World(company, device, company.farm, company.enclosure, other, ids, ids["artifact"])


def test_every_route_is_in_the_table_and_the_table_names_no_other(company: Company) -> None:
    assert {(method, path) for method, path in routes(company)} == set(NEEDS)


def test_openapi_says_what_a_route_takes(company: Company) -> None:
    paths = company.application.openapi()["paths"]

    assert paths[f"{PREFIX}/devices/{{device}}/objects/{{path}}"]["put"]["x-needs"] == {
        "operation": "write",
        "at": "device",
        "on_a_path": True,
    }


async def test_without_a_login_or_with_a_revoked_token_nothing_is_answered(
    world: World, admin: httpx.AsyncClient
) -> None:
    made = (await admin.post("/tokens", json={"name": "gone", "role": "administrator"})).json()
    assert (await admin.delete(f"/tokens/{made['id']}")).status_code == 204

    for client in (world.company.bearing(None), world.company.bearing(made["token"])):
        async for method, path, status, text in walk(world, client):
            is_open = NEEDS[method, path].at is At.NOBODY
            assert is_open or status == 401, (method, path, status, text)


@pytest.mark.parametrize("role", Role)
async def test_every_role_gets_what_policies_say_and_nothing_else(world: World, role: Role) -> None:
    client = await world.company.client(role)

    await compare(world, client, Subject(tenant=world.company.tenant, role=role, id="tok-1", name="x"))


async def test_a_technician_of_another_farm_is_told_of_nothing_here(world: World) -> None:
    client = await world.company.client(Role.TECHNICIAN, places=[world.other_farm])
    subject = Subject(
        tenant=world.company.tenant,
        role=Role.TECHNICIAN,
        id="tok-1",
        name="x",
        places=frozenset({world.other_farm}),
    )

    await compare(world, client, subject)
    for path in ("/farms", "/enclosures", "/devices", "/alerts", "/security-events", "/health/coverage"):
        shown = (await client.get(path)).text
        assert not any(world.ids[name] in shown for name in ("farm", "enclosure", "device", "alert")), path
    health = (await client.get("/health")).json()
    assert (health["healthy"], health["new"], health["degraded"], health["failing"], health["farms"][0:]) == (
        0, 0, 0, 0, [],
    )  # fmt: skip
    assert (await client.get("/search", params={"q": "oxy"})).json()["items"] == []


async def test_another_tenant_never_hears_that_there_is_such_a_thing(world: World, stranger: httpx.AsyncClient) -> None:
    async for method, path, status, text in walk(world, stranger):
        is_about_one = "{" in path and NEEDS[method, path].at is not At.NOBODY
        if is_about_one:
            assert status in {404, 412} or "no such" in text, (method, path, status, text)
            assert status == 404, (method, path, status, text)


# -- how -----------------------------------------------------------------------------------------------------------------


async def compare(world: World, client: httpx.AsyncClient, subject: Subject) -> None:
    policies = Policies(world.company.tenant)
    wrong, refused = [], 0
    async for method, path, status, text in walk(world, client):
        need = NEEDS[method, path]
        if need.at is At.NOBODY:
            continue
        expected = verdict(policies, subject, need, world, ON_PATH.get((method, path)))
        fits = {
            "allowed": status not in REFUSALS,
            "forbidden": status == 403,
            "hidden": status == 404,
        }[expected]
        refused += expected != "allowed"
        if not fits:
            wrong.append((expected, method, path, status, text))
    assert wrong == []
    assert refused or subject.role is Role.ADMINISTRATOR


def verdict(policies: Policies, subject: Subject, need: Need, world: World, path: str | None) -> str:
    """`allowed`, `forbidden`, or `hidden`."""
    if need.operation is None:
        return "allowed"
    if need.at is At.ANYWHERE:
        return "forbidden" if policies.reach(subject, need.operation).is_nowhere else "allowed"
    place = place_of(world, need.at)
    at = Path.parse(path) if need.path and path else None
    if may(policies, subject, need.operation, place, at):
        return "allowed"
    is_shown = need.at is At.TENANT or may(policies, subject, Operation.READ, place)
    return "forbidden" if is_shown else "hidden"


def place_of(world: World, at: At) -> Place:
    tenant = world.company.tenant
    match at:
        case At.FARM:
            return Place(tenant=tenant, farm=world.farm)
        case At.ENCLOSURE:
            return Place(tenant=tenant, farm=world.farm, enclosure=world.enclosure)
        case At.DEVICE:
            return world.device.place
        case _:
            return Place(tenant=tenant)


async def walk(world: World, client: httpx.AsyncClient) -> AsyncIterator[tuple[str, str, int, str]]:
    """Asks every route once; what came of it. Whatever changes something comes with a version that nothing has."""
    for method, path in sorted(NEEDS, key=lambda one: (one[0] == "DELETE", one)):
        address, body, _ = request_for(world, method, path)
        params = {**QUERIES.get((method, path), {}), **({"wait": "0s"} if "objects/" in path or ":" in path else {})}
        if (method, path) == ("DELETE", "/tokens/{token}"):
            address = "/tokens/tok-00000000"  # the one that there is is asked about again
        files = FILE if path == "/artifacts" and method == "POST" else None
        sent = client.request(
            method,
            address,
            params=params,
            headers=STALE,
            **({"data": FORM, "files": files} if files else {"json": body}),
        )
        try:
            answer = await asyncio.wait_for(sent, 1 if path == "/events" else 30)
        except TimeoutError:
            # Live changes never end: being let in is going on.
            assert path == "/events"
            yield method, path, 200, ""
        else:
            yield method, path, answer.status_code, answer.text


def routes(company: Company) -> Iterator[tuple[str, str]]:
    """Every route of the application, also those that OpenAPI does not tell of."""
    for held in company.application.routes:
        inside = held.original_router.routes if hasattr(held, "original_router") else [held]
        for route in inside:
            if isinstance(route, APIRoute):
                yield from ((method, route.path.removeprefix(PREFIX)) for method in route.methods)
