"""Who was not let in at the invented farm, and the API's routes to that."""

from typing import Any

from fastapi import FastAPI

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
