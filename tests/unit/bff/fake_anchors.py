"""Whose certificates count at the invented farm: authorities with real certificates, proved by the real checks."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse, Response

from shoal.authority.authority import fingerprint_of, pem_of
from shoal.authority.issuing import Curve, Signer, root
from shoal.credentials.anchor import check_certificate, check_signature, new_challenge
from shoal.credentials.x509 import check_authority, parse_certificate
from shoal.errors import Rejected
from tests.unit.bff.fake_farm import FakeFarm, Row

OLD, NEW = "aut-01D00001", "aut-NEW00001"


def make_anchors(farm: FakeFarm) -> None:
    """An authority that gives way to its successor, a maker's, one that is not proved, one that is over; two strangers."""
    old = _authority(farm, OLD, "retiring", years=0.4)
    new = _authority(farm, NEW, "current", years=20, succeeds=OLD)
    farm.authorities = [old, new]
    makers = root("Tidemark makers", "2024", Curve.P256, timedelta(days=900), farm.clock())
    aqualux = root("Aqualux", "1", Curve.P256, timedelta(days=3_000), farm.clock())
    before = root("Tidemark makers", "2019", Curve.P256, timedelta(days=40), farm.clock())
    farm.anchors = [
        _anchor(farm, "tra-AQV00005", "Aqualux cameras", pem_of(_der(aqualux)), challenge="shoal-proof-" + "5e" * 16),
        _anchor(farm, "tra-NEW00002", new["name"], new["trust"]),
        _anchor(farm, "tra-TDE00003", "Tidemark", pem_of(_der(makers)), zero_touch="approve", kind="camera"),
        _anchor(farm, "tra-01D00001", old["name"], old["trust"]),
        _anchor(farm, "tra-GNE00004", "Tidemark, old", pem_of(_der(before)), state="retired"),
    ]
    farm.stand_on = {"tra-NEW00002": 214, "tra-TDE00003": 38, "tra-01D00001": 3}
    farm.certificates = [_issued(farm, OLD, "oxy-0401", days=-3), _issued(farm, OLD, "oxy-0409", days=90)]
    farm.certificates += [_issued(farm, NEW, f"oxy-{417 + number:04}", days=9 + 5 * number) for number in range(60)]
    farm.certificates[3].update(state="revoked", revoked_at=farm.ago(days=2), reason="keyCompromise")
    farm.certificates.append(_issued(farm, NEW, "gw.nordvik.example", days=340, usage="server"))
    farm.credentials += [waits(farm, row["id"]) for row in farm.devices if row["kind"] == "camera"][-2:]


def waits(farm: FakeFarm, device: str) -> Row:
    """The credential of a device that nobody added, with which it is let in when somebody approves it."""
    endpoint = next(row["endpoint"] for row in farm.devices if row["id"] == device)
    made = {"id": f"crd-W{device[-7:]}", "device": device, "identity": endpoint, "created_at": farm.ago(hours=1)}
    return farm.credentials[0] | made | {"mode": "x509", "state": "waiting", "created_by": None}


def route_anchors(api: FastAPI, farm: FakeFarm) -> None:
    """The API's routes about trust anchors, and about those who wait."""

    @api.get("/api/v1/trust-anchors")
    async def anchors() -> Row:
        return {"items": farm.anchors, "next": None}

    @api.get("/api/v1/trust-anchors:use")
    async def use() -> Row:
        counted = [{"anchor": row["id"], "devices": farm.stand_on.get(row["id"], 0)} for row in farm.anchors]
        return {"anchors": counted, "elsewhere": 2, "unseen": 1}

    @api.post("/api/v1/trust-anchors", status_code=201)
    async def add(body: Annotated[Row, Body()]) -> Any:
        try:
            check_authority(parse_certificate(body["certificate"]))
        except Rejected as error:
            return _refused(error)
        ways = {name: body[name] for name in ("zero_touch", "kind")}
        made = _anchor(farm, "tra-NEW00009", body["name"], body["certificate"], challenge=new_challenge(), **ways)
        farm.anchors.insert(0, made)
        return made

    @api.post("/api/v1/trust-anchors/{key}:prove")
    async def prove(key: str, body: Annotated[Row, Body()]) -> Any:
        row = _find(farm.anchors, key)
        given = parse_certificate(row["pem"])
        try:
            if "certificate" in body:
                check_certificate(given, row["challenge"], parse_certificate(body["certificate"]), farm.clock())
            else:
                check_signature(given, row["challenge"], body["signature"])
        except Rejected as error:
            return _refused(error)
        row.update(state="trusted", challenge=None, challenge_expires_at=None)
        return row

    _route_changes(api, farm)


def _route_changes(api: FastAPI, farm: FakeFarm) -> None:
    @api.patch("/api/v1/trust-anchors/{key}")
    async def change(key: str, body: Annotated[Row, Body()]) -> Row:
        row = _find(farm.anchors, key)
        row.update(body)
        return row

    @api.delete("/api/v1/trust-anchors/{key}", status_code=204, response_model=None)
    async def retire(key: str) -> Response:
        _find(farm.anchors, key).update(state="retired", challenge=None, retired_at=farm.clock().isoformat())
        return Response(status_code=204)


def route_authorities(api: FastAPI, farm: FakeFarm) -> None:
    """The API's routes about the tenant's own authorities."""

    @api.get("/api/v1/authorities")
    async def authorities(authorization: Annotated[str, Header()]) -> Any:
        if "visitor" in authorization:
            return JSONResponse({"type": "forbidden", "title": "administer: the role viewer does not grant it"}, 403)
        return {"items": farm.authorities, "next": None}

    @api.post("/api/v1/authorities", status_code=201)
    async def create(body: Annotated[Row, Body()]) -> Any:
        if not body["name"].strip():
            return _refused(Rejected("name", "0 characters, expected 1 to 64 that can be seen"))
        return _added(farm, body["name"], body["lifetime_s"] / 31_557_600)

    @api.post("/api/v1/authorities/{key}:roll-over", status_code=201)
    async def roll_over(key: str, body: Annotated[Row, Body()]) -> Any:
        old = _find(farm.authorities, key)
        old["state"] = "retiring"
        return _added(farm, old["name"], 20, succeeds=key)

    @api.post("/api/v1/authorities/{key}:retire")
    async def retire(key: str) -> Row:
        row = _find(farm.authorities, key)
        row["state"] = "retired"
        for anchor in farm.anchors:
            if anchor["certificate"]["fingerprint"] == row["fingerprint"]:
                anchor.update(state="retired", retired_at=farm.clock().isoformat())
        return row

    _route_certificates(api, farm)


def _route_certificates(api: FastAPI, farm: FakeFarm) -> None:
    @api.get("/api/v1/certificates")
    async def certificates(
        authority: str,
        endpoint: str | None = None,
        expires_after: str = "",
        expires_before: str = "9",
        cursor: int = 0,
        limit: int = 100,
    ) -> Row:
        found = [
            row
            for row in sorted(farm.certificates, key=lambda row: str(row["not_after"]))
            if row["authority"] == authority
            and endpoint in (None, row["subject"])
            and expires_after <= row["not_after"] < expires_before
        ]
        more = str(cursor + limit) if len(found) > cursor + limit else None
        return {"items": found[cursor : cursor + limit], "next": more}

    @api.post("/api/v1/certificates/{key}:revoke")
    async def revoke(key: str, body: Annotated[Row, Body()]) -> Row:
        row = _find(farm.certificates, key)
        row.update(state="revoked", revoked_at=farm.clock().isoformat(), reason=body["reason"])
        return row


def _added(farm: FakeFarm, name: str, years: float, succeeds: str | None = None) -> Row:
    made = _authority(farm, f"aut-MADE{len(farm.authorities):04}", "current", years, name, succeeds)
    farm.authorities.append(made)
    farm.anchors.insert(0, _anchor(farm, f"tra-MADE{len(farm.anchors):04}", made["name"], made["trust"]))
    return made


def _authority(
    farm: FakeFarm, key: str, state: str, years: float, name: str = "Nordvik devices", succeeds: str | None = None
) -> Row:
    made = root(name, key, Curve.P256, timedelta(days=365.25 * years), farm.clock())
    return {
        "id": key,
        "name": name,
        "state": state,
        "curve": "P-256",
        "subject": made.certificate.subject.rfc4514_string(),
        "fingerprint": fingerprint_of(_der(made)),
        "not_before": made.certificate.not_valid_before_utc.isoformat(),
        "not_after": made.certificate.not_valid_after_utc.isoformat(),
        "has_key": True,
        "succeeds": succeeds,
        "created_at": farm.ago(days=40),
        "created_by": "Ida Vik",
        "trust": pem_of(_der(made)),
    }


def _anchor(
    farm: FakeFarm,
    key: str,
    name: str,
    pem: str,
    *,
    state: str = "trusted",
    challenge: str | None = None,
    zero_touch: str = "off",
    kind: str = "sensor",
) -> Row:
    facts = parse_certificate(pem).facts
    return {
        "id": key,
        "name": name,
        "pem": pem,
        "state": "unproved" if challenge else state,
        "certificate": {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in ((each, getattr(facts, each)) for each in facts.__struct_fields__)
        },
        "zero_touch": zero_touch,
        "kind": kind,
        "created_at": farm.ago(days=1 if challenge else 40),
        "created_by": "Ida Vik",
        "challenge": challenge,
        "challenge_expires_at": farm.ago(days=-6) if challenge else None,
        "retired_at": farm.ago(days=9) if state == "retired" else None,
    }


def _issued(farm: FakeFarm, authority: str, subject: str, *, days: float, usage: str = "device") -> Row:
    number = len(farm.certificates) + int(days * 10) + 100
    return {
        "id": f"crt-{authority[-4:]}{number:04}",
        "authority": authority,
        "usage": usage,
        "subject": subject,
        "names": [],
        "serial": f"{number:x}",
        "fingerprint": f"{number:064x}",
        "state": "expired" if days < 0 else "good",
        "not_before": farm.ago(days=365 - days),
        "not_after": farm.ago(days=-days),
        "issued_at": farm.ago(days=365 - days),
        "issued_by": subject if usage == "device" else "Ida Vik",
        "revoked_at": None,
        "reason": None,
        "pem": "",
    }


def _der(signer: Signer) -> bytes:
    return signer.certificate.public_bytes(Encoding.DER)


def _find(rows: list[Row], key: str) -> Row:
    return next(row for row in rows if row["id"] == key)


def _refused(error: Rejected, status: int = 400) -> JSONResponse:
    return JSONResponse({"type": error.kind, "title": str(error), "status": status}, status)
