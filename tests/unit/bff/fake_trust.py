"""Who was not let in at the invented farm, who is brought in, and the API's routes to that."""

from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse

from tests.unit.bff.fake_farm import FakeFarm, Row


def refusals(farm: FakeFarm) -> list[Row]:
    """A wrong key, a stranger, a flood and a refused Send, the last first; and more than a page of older ones."""
    known, other = farm.device("oxy-0418"), farm.device("oxy-0419")

    def entry(number: int, reason: str, *, first: float, last: float, **more: Any) -> Row:
        return {
            "id": f"r-{number}",
            "kind": "security",
            "reason": reason,
            "operation": "",
            "code": "",
            "identity": "",
            "address": "10.0.0.7",
            "device": None,
            "endpoint": "",
            "is_rest": False,
            "count": 1,
            "first_at": farm.ago(minutes=first),
            "last_at": farm.ago(minutes=last),
            "says": "",
            "detail": "",
        } | more

    about = {"device": known["id"], "endpoint": known["endpoint"], "identity": known["endpoint"]}
    older = (
        entry(100 + number, "handshake_timeout", first=3_000 + number, last=3_000 + number, identity=f"old-{number}")
        for number in range(55)
    )
    return [
        entry(1, "wrong_key", first=312, last=1, count=14, **about),
        entry(2, "unknown_identity", first=40, last=9, count=3, identity="oxy-501", address="10.0.0.9"),
        entry(3, "unknown_identity", first=90, last=20, count=3_412, is_rest=True, address="203.0.113.5"),
        entry(
            4,
            "payload_invalid",
            first=100,
            last=100,
            kind="refused",
            operation="send",
            code="4.00",
            device=other["id"],
            endpoint=other["endpoint"],
            detail="SenML CBOR: not a map",
        ),
        *older,
    ]


def route_trust(api: FastAPI, farm: FakeFarm) -> None:
    """The security log."""

    @api.get("/api/v1/security-events")
    async def security_events(
        q: str = "",
        reason: str | None = None,
        address: str | None = None,
        device: str | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> Row:
        wanted = {"reason": reason, "address": address, "device": device}
        found = [
            row
            for row in farm.refusals
            if all(value in (None, row[name]) for name, value in wanted.items())
            and any(q.lower() in row[name].lower() for name in ("identity", "endpoint", "address"))
        ]
        more = len(found) > cursor + limit
        return {"items": found[cursor : cursor + limit], "next": str(cursor + limit) if more else None}

    @api.get("/api/v1/enclosures")
    async def enclosures() -> Row:
        return {"items": farm.enclosures, "next": None}

    @api.post("/api/v1/devices", status_code=201)
    async def create(body: Annotated[Row, Body()]) -> Any:
        if any(each["endpoint"] == body["endpoint"] for each in farm.devices):
            title = f"{body['endpoint']}: another device has this endpoint name"
            return JSONResponse({"type": "conflict", "title": title, "status": 409}, 409)
        made = newcomer(farm, body)
        farm.devices.append(made)
        given = body["security"].get("key")
        return {**made, "security": {**made["security"], "key": given or "00112233445566778899aabbccddeeff"}}


def newcomer(farm: FakeFarm, body: Row) -> Row:
    """A device that was made a moment ago and never heard."""
    place = next((each for each in farm.enclosures if each["id"] == body["enclosure"]), None)
    at = next((each for each in farm.farms if place and each["id"] == place["farm"]), None)
    return {
        "id": "dev-NEW0001",
        "endpoint": body["endpoint"],
        "kind": body["kind"],
        "model": "Tidemark S1",
        "quantity": "oxygen",
        "status": "new",
        "cause": None,
        "last_heard_at": None,
        "place": {
            "farm": at and at["id"],
            "enclosure": place and place["id"],
            "names": {"farm": at["name"] if at else "", "enclosure": place["name"] if place else ""},
            "state": "agreed",
        },
        "claim": None,
        "registration": None,
        "security": {"mode": body["security"]["mode"], "identity": body["security"].get("identity", "")},
        "vitals": {},
        "flags": {},
        "waiting": [],
    }


def arrives(farm: FakeFarm, endpoint: str) -> str:
    """A device that was made registers, and says where it is; its id."""
    device, now = farm.device(endpoint), farm.clock().isoformat()
    place = device["place"]
    known = farm.devices[0]["registration"]
    device.update(status="healthy", last_heard_at=now, registration=known | {"registered_at": now})
    device["claim"] = {"enclosure": place["enclosure"], "name": place["names"]["enclosure"], "via": "query"}
    return str(device["id"])
