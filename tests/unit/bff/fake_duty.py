"""Who is told of the invented farm's alerts: contacts, channels and policies, and the API's routes to them."""

import asyncio
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse

from tests.unit.bff.fake_farm import FakeFarm, Row

IDA, KARI, JON = "con-1DA00000", "con-KAR00000", "con-J0N00000"
HOOK, NIGHT, PEN, DEFAULT = "chn-H00K0000", "pol-00000001", "pol-00000002", "pol-DEFAVLT0"


def staff(farm: FakeFarm) -> None:
    """Three people, a webhook, and who is told when."""

    def way(channel: str, address: str = "", **more: Any) -> Row:
        return {"channel": channel, "address": address, "delivered_at": None, "failed_at": None, "failure": ""} | more

    def person(id_: str, name: str, *ways: Row, severity: str = "warning") -> Row:
        return {"id": id_, "name": name, "methods": list(ways), "min_severity": severity, "version": 1}

    refused = {"failed_at": farm.ago(minutes=9), "failure": "550 no such user"}
    farm.contacts = [
        person(
            IDA, "Ida Vik", way("email", "ida@nordvik.example", delivered_at=farm.ago(minutes=13)), way("dashboard")
        ),
        person(JON, "Jon Aas", way("webhook", HOOK, delivered_at=farm.ago(hours=30)), severity="high"),
        person(KARI, "Kari Moe", way("email", "kari@nordvik.example", **refused), way("webhook", HOOK)),
    ]
    farm.channels = [
        {"id": "email", "kind": "email", "name": "Mail", "is_ready": True, "says": "By smtp.nordvik.example"},
        {"id": "dashboard", "kind": "dashboard", "name": "Dashboard", "says": "Whoever looks at the alerts sees it"},
        {
            "id": HOOK,
            "kind": "webhook",
            "name": "Duty phone",
            "url": "https://hooks.nordvik.example/duty",
            "version": 3,
            "latest": {"about": "opened", "state": "accepted", "at": farm.ago(minutes=8), "detail": "answered 202"},
        },
    ]
    farm.policies = [
        _policy(
            PEN,
            "Oxygen, Pen 4",
            [_step(0, JON, KARI, at_once=True), _step(180, "everybody")],
            places=[farm.enclosures[3]["id"]],
            severities=["critical"],
        ),
        _policy(
            NIGHT,
            "Night shift",
            [_step(0, IDA), _step(300, KARI, channels=["email"]), _step(900, JON, channels=["webhook"])],
            severities=["critical", "high"],
            acknowledge_s=900,
            repeat=2,
            repeat_every_s=1_800,
        ),
        default_policy(),
    ]


def default_policy() -> Row:
    """What holds before anybody wrote one."""
    return _policy(DEFAULT, "Default", [_step(0, "everybody")], is_default=True, version=0, repeat=2)


def _step(after_s: int, *contacts: str, channels: list[str] | None = None, at_once: bool = False) -> Row:
    return {"after_s": after_s, "contacts": list(contacts), "channels": channels or [], "at_once": at_once}


def _policy(id_: str, name: str, steps: list[Row], **more: Any) -> Row:
    frames = {"acknowledge_s": None, "resolve_s": None, "repeat": 0, "repeat_every_s": None}
    lists = {"severities": [], "places": [], "is_default": False, "version": 1}
    return {"id": id_, "name": name, "steps": steps} | frames | lists | more


def route_duty(api: FastAPI, farm: FakeFarm) -> None:
    """The routes to them. What people write is kept; a policy that ends in nobody is refused."""
    for path, rows, prefix in (
        ("escalation-policies", lambda: farm.policies, "pol"),
        ("contacts", lambda: farm.contacts, "con"),
        ("channels", lambda: farm.channels, "chn"),
    ):
        _route(api, path, rows, prefix)

    @api.post("/api/v1/escalation-policies:order")
    async def order(body: Annotated[Row, Body()]) -> Row:
        ranks = {key: rank for rank, key in enumerate(body["policies"])}
        farm.policies.sort(key=lambda policy: ranks.get(policy["id"], len(ranks)))
        return {"items": farm.policies, "next": None}

    @api.post("/api/v1/escalation-policies:rehearse")
    async def rehearse(body: Annotated[Row, Body()]) -> Row:
        return _rehearsal(farm, body)

    @api.post("/api/v1/contacts/{key}:test", status_code=202)
    async def try_contact(key: str) -> Row:
        def arrive() -> None:
            for way in _one(farm.contacts, key)["methods"]:
                way.update(delivered_at=farm.clock().isoformat(), failed_at=None, failure="")

        if farm.test_s:
            asyncio.get_running_loop().call_later(farm.test_s, arrive)
        else:
            arrive()
        return {"items": [], "next": None}

    @api.post("/api/v1/channels/{key}:test", status_code=202)
    async def try_channel(key: str) -> Row:
        now = farm.clock().isoformat()
        _one(farm.channels, key)["latest"] = {"about": "test", "state": "accepted", "at": now, "detail": "answered 202"}
        return {"items": [], "next": None}

    @api.post("/api/v1/channels/{key}:rotate")
    async def rotate(key: str) -> Row:
        channel = _one(farm.channels, key)
        channel["version"] += 1
        return channel | {"secret": "whsec_another-one-for-tests"}


def _route(api: FastAPI, path: str, rows: Any, prefix: str) -> None:
    @api.get(f"/api/v1/{path}", name=f"list {path}")
    async def several() -> Row:
        return {"items": rows(), "next": None}

    @api.post(f"/api/v1/{path}", status_code=201, name=f"make {path}")
    async def make(body: Annotated[Row, Body()]) -> Any:
        if (refused := _refused(body)) is not None:
            return refused
        made = {"id": f"{prefix}-NEW{len(rows()):05}", "version": 1, "is_default": False} | _whole(body)
        # The default policy stays the last.
        rows().insert(len(rows()) - (prefix == "pol"), made)
        return made | ({"secret": "whsec_only-for-tests"} if prefix == "chn" else {})

    @api.patch(f"/api/v1/{path}/{{key}}", name=f"change {path}")
    async def change(key: str, body: Annotated[Row, Body()], if_match: Annotated[str, Header()]) -> Any:
        found = _one(rows(), key)
        if (refused := _outdated(found, if_match) or _refused(body)) is not None:
            return refused
        found.update(_whole(body), version=found["version"] + 1)
        return found

    @api.delete(f"/api/v1/{path}/{{key}}", name=f"remove {path}")
    async def remove(key: str, if_match: Annotated[str, Header()]) -> Any:
        found = _one(rows(), key)
        if (refused := _outdated(found, if_match)) is not None:
            return refused
        rows().remove(found)
        return JSONResponse(None, 200)


def _whole(body: Row) -> Row:
    ways = body.get("methods")
    if ways is None:
        return body
    empty = {"delivered_at": None, "failed_at": None, "failure": ""}
    return body | {"methods": [way | empty for way in ways]}


def _refused(body: Row) -> JSONResponse | None:
    steps = body.get("steps", [])
    if empty := [number for number, step in enumerate(steps) if not step["contacts"]]:
        title = f"steps.{empty[0]}.contacts: ends in nobody: name a contact, or everybody"
    elif str(body.get("url", "https")).startswith("http:"):
        title = "url: of the form https://host/path"
    else:
        return None
    return JSONResponse({"type": "invalid", "title": title, "status": 400}, 400)


def _outdated(found: Row, if_match: str) -> JSONResponse | None:
    if if_match.strip('"') == str(found["version"]):
        return None
    title = f"{found['id']}: changed since it was read"
    return JSONResponse({"type": "outdated", "title": title, "status": 412}, 412)


def _rehearsal(farm: FakeFarm, asked: Row) -> Row:
    policy = next((each for each in farm.policies if each["id"] == asked.get("policy")), None) or next(
        each for each in farm.policies if asked["severity"] in each["severities"] or each["is_default"]
    )
    names = {person["id"]: person for person in farm.contacts}
    calls = []
    for round_ in range(policy["repeat"] + 1):
        for index, step in enumerate(policy["steps"]):
            people = [names[key] for key in step["contacts"] if key in names] or farm.contacts
            after = round_ * (policy["repeat_every_s"] or 300) + step["after_s"]
            calls.append(
                {
                    "at": (farm.clock() + timedelta(seconds=after)).isoformat(),
                    "after_s": after,
                    "round": round_,
                    "step": index,
                    "at_once": step["at_once"],
                    "who": [
                        {"contact": person["id"], "name": person["name"], "channels": [person["methods"][0]["channel"]]}
                        for person in people
                    ],
                }
            )
    return {
        "policy": policy["id"],
        "policy_name": policy["name"],
        "severity": asked["severity"],
        "acknowledge_s": policy["acknowledge_s"] or 300,
        "resolve_s": policy["resolve_s"] or 3_600,
        "calls": calls,
    }


def _one(rows: list[Row], key: str) -> Row:
    return next(row for row in rows if row["id"] == key)
