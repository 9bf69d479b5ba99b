"""Who was not let in at the invented farm, who is brought in, and the API's routes to that."""

from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, Response

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
            "subject": None,
            "place": None,
            "place_name": "",
            "policy": None,
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
        entry(
            5,
            "no_policy_allows",
            first=200,
            last=110,
            kind="denied",
            operation="administer",
            identity="Kari Moe",
            subject="usr-KAR00002",
            place="frm-1",
            place_name="Storholmen",
            address="10.0.0.20",
            count=2,
            detail="No: no policy allows it. Asked as technician.",
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
        subject: str | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> Row:
        wanted = {"reason": reason, "address": address, "device": device, "subject": subject}
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


def credentials(farm: FakeFarm) -> list[Row]:
    """A key in use and one that takes over from it; a certificate that ends soon; one that was revoked."""
    keyed, certified = farm.device("oxy-0418"), farm.device("oxy-0419")
    certified["security"] = {"mode": "x509", "identity": ""}

    def one(number: int, device: Row, state: str, **more: Any) -> Row:
        return {
            "id": f"crd-{number:08}",
            "device": device["id"],
            "mode": "psk",
            "identity": device["endpoint"],
            "state": state,
            "created_at": farm.ago(days=400 - 10 * number),
            "created_by": "Ida Vik",
            "expires_at": None,
            "last_used_at": farm.ago(minutes=9),
            "certificate": None,
            "needs_key": False,
        } | more

    certificate = {
        "subject": f"CN={certified['endpoint']}",
        "issuer": "CN=Nordvik devices",
        "serial": "5d21c3",
        "fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "not_before": farm.ago(days=355),
        "not_after": farm.ago(days=-9),
    }
    return [
        one(1, keyed, "next", identity="oxy-0418-b", last_used_at=None, created_at=farm.ago(days=1)),
        one(2, keyed, "retiring", expires_at=farm.ago(days=-6)),
        one(3, keyed, "revoked", last_used_at=None),
        one(4, certified, "current", mode="x509", certificate=certificate, expires_at=certificate["not_after"]),
    ]


def route_credentials(api: FastAPI, farm: FakeFarm) -> None:
    """What devices prove themselves with."""

    @api.get("/api/v1/devices/{device}/credentials")
    async def of_device(device: str) -> Row:
        return {"items": [row for row in farm.credentials if row["device"] == device], "next": None}

    @api.get("/api/v1/credentials")
    async def ending(expires_before: str = "", state: str = "", cursor: int = 0, limit: int = 100) -> Row:
        if state:
            return {"items": [row for row in farm.credentials if row["state"] == state][:limit], "next": None}
        alive = [row for row in farm.credentials if row["state"] in {"current", "next", "retiring"}]
        found = [row for row in alive if row["expires_at"] and row["expires_at"] <= expires_before]
        return {"items": found[cursor : cursor + limit], "next": None}

    @api.post("/api/v1/devices/{device}/credentials", status_code=201)
    async def create(device: str, body: Annotated[Row, Body()]) -> Any:
        if "BROKEN" in (body.get("certificate") or ""):
            title = "certificate: not a certificate in PEM"
            return JSONResponse({"type": "rejected", "title": title, "status": 400}, 400)
        for row in farm.credentials:
            if row["device"] == device and row["state"] in {"current", "next"}:
                row["state"] = "retiring" if body["overlap_s"] else "revoked"
        made = farm.credentials[0] | {
            "id": "crd-NEW00001",
            "device": device,
            "mode": body["mode"],
            "identity": body.get("identity") or device,
            "state": "next" if body["overlap_s"] else "current",
            "created_at": farm.clock().isoformat(),
        }
        farm.credentials.insert(0, made)
        return made | {"key": "ffeeddccbbaa99887766554433221100" if body["mode"] == "psk" else None}

    @api.delete("/api/v1/devices/{device}/credentials/{key}", status_code=204, response_model=None)
    async def revoke(device: str, key: str, last: bool = False) -> Any:
        alive = [row for row in farm.credentials if row["device"] == device and row["state"] in {"current", "retiring"}]
        if [row["id"] for row in alive] == [key] and not last:
            title = "the last credential: the device could not connect any more"
            return JSONResponse({"type": "conflict", "title": title, "status": 409}, 409)
        next(row for row in farm.credentials if row["id"] == key)["state"] = "revoked"
        return Response(status_code=204)


def route_approval(api: FastAPI, farm: FakeFarm) -> None:
    """Devices that came by themselves."""

    @api.post("/api/v1/devices/{device}/credentials/{key}:approve")
    async def approve(device: str, key: str, body: Annotated[Row, Body()]) -> Any:
        row = next(row for row in farm.credentials if row["id"] == key)
        if row["state"] != "waiting" or row["device"] != device:
            return JSONResponse({"type": "conflict", "title": "does not wait for approval", "status": 409}, 409)
        row["state"] = "current"
        if body["enclosure"]:
            put = next(one for one in farm.devices if one["id"] == device)["place"]
            put["enclosure"] = body["enclosure"]
        return row


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
        "flags": {"asleep": False, "stale": False},
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
