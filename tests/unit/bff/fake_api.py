"""The API's routes that the pages use (design section 8), over the invented farm. Writes change it; live events tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Body, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.unit.bff import fake_access, fake_anchors, fake_duty, fake_farm, fake_tree, fake_trust
from tests.unit.bff.fake_farm import FakeFarm, Row

EMAIL, PASSWORD, TOKEN = "ida@nordvik.example", "saltwater", "token-of-ida"
VIEWER_EMAIL, VIEWER_TOKEN = "visitor@nordvik.example", "token-of-visitor"
PEOPLE = {TOKEN: ("Ida Vik", "operator"), VIEWER_TOKEN: ("Vera Lund", "viewer")}


class Live:
    """What open streams are told."""

    def __init__(self, farm: FakeFarm, heartbeat_s: float) -> None:
        self.farm = farm
        self.heartbeat_s = heartbeat_s
        self.last = 0
        self.resumed_after: str | None = None
        self.left = asyncio.Event()  # somebody who listened does no longer
        self._queues: list[asyncio.Queue[str]] = []

    def tell(self, type_: str, **data: Any) -> None:
        self.last += 1
        line = json.dumps({"type": type_, "at": self.farm.clock().isoformat(), **data})
        for queue in self._queues:
            queue.put_nowait(f"id: 1-{self.last}\nevent: {type_}\ndata: {line}\n\n")

    async def stream(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._queues.append(queue)
        try:
            yield f"id: 1-{self.last}\n: connected\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(queue.get(), self.heartbeat_s)
                except TimeoutError:
                    yield ": heartbeat\n\n"
        finally:
            self._queues.remove(queue)
            self.left.set()


def create_fake_api(farm: FakeFarm, heartbeat_s: float = 15) -> FastAPI:
    api = FastAPI()
    live = Live(farm, heartbeat_s)
    api.state.farm, api.state.live = farm, live

    @api.middleware("http")
    async def token(request: Request, call_next: Any) -> Response:
        said = request.headers.get("authorization", "").removeprefix("Bearer ")
        is_open = request.url.path.endswith("/sessions") or "/invitations:" in request.url.path
        if (said not in PEOPLE or said in farm.over) and not is_open:
            return problem(401, "unauthenticated", "No valid token")
        may_change = (
            said not in PEOPLE
            or PEOPLE[said][1] != "viewer"
            or request.url.path.endswith(("/sessions/current", ":explain"))
        )
        if request.method != "GET" and not may_change:
            return problem(403, "forbidden", "Viewers may look, but not change anything")
        answer: Response = await call_next(request)
        if answer.status_code == 403:
            farm.refused.append(request.url.path)
        return answer

    @api.exception_handler(HTTPException)
    async def wrong(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, "not-found" if error.status_code == 404 else "invalid", str(error.detail))

    _people(api, farm)
    _trust(api, farm)

    @api.get("/api/v1/pipeline")
    async def pipeline() -> Row:
        return {"delayed_since": farm.delayed_since, "heartbeat_at": farm.clock()}

    @api.get("/api/v1/events")
    async def events(last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
        live.resumed_after = last_event_id
        return StreamingResponse(live.stream(), media_type="text/event-stream")

    _places(api, farm)
    _alerts(api, farm, live)
    _devices(api, farm)
    _searching(api, farm)
    _asking(api, farm, live)
    _reporting(api, farm, live)
    _deciding(api, farm, live)
    fake_duty.route_duty(api, farm)
    fake_trust.route_trust(api, farm)
    fake_access.route_access(api, farm)
    fake_trust.route_credentials(api, farm)
    fake_anchors.route_anchors(api, farm)
    fake_anchors.route_authorities(api, farm)
    fake_trust.route_approval(api, farm)
    return api


def problem(status: int, kind: str, title: str, **more: Any) -> JSONResponse:
    return JSONResponse({"type": kind, "title": title, "status": status, **more}, status)


def _people(api: FastAPI, farm: FakeFarm) -> None:
    @api.post("/api/v1/sessions")
    async def sessions(body: Annotated[Row, Body()]) -> Any:
        tokens = {EMAIL: TOKEN, VIEWER_EMAIL: VIEWER_TOKEN}
        if body.get("password") != PASSWORD or body.get("email") not in tokens:
            return problem(401, "wrong-credentials", "Mail or password is wrong")
        found = tokens[body["email"]]
        farm.over.discard(found)
        expires = farm.clock() + timedelta(hours=12)
        return {"token": found, "user": {"name": PEOPLE[found][0]}, "role": PEOPLE[found][1], "expires_at": expires}

    @api.delete("/api/v1/sessions/current", status_code=204)
    async def leave(authorization: Annotated[str, Header()]) -> None:
        farm.left.append(authorization.removeprefix("Bearer "))
        farm.over.add(authorization.removeprefix("Bearer "))

    @api.get("/api/v1/me")
    async def me(authorization: Annotated[str, Header()]) -> Row:
        name, role = PEOPLE[authorization.removeprefix("Bearer ")]
        # Ida is asked about by many tests under the role that she had first; she may do all of it.
        is_viewer = role == "viewer"
        return {
            "user": {"id": "usr-VERA0003" if is_viewer else fake_access.IDA, "name": name},
            "role": role,
            "operations": fake_access.operations("viewer" if is_viewer else "administrator"),
            "may": fake_access.may("viewer" if is_viewer else "administrator"),
            "tenant": {"id": "ten-1", "name": "Nordvik Seafarms"},
        }


def _trust(api: FastAPI, farm: FakeFarm) -> None:
    @api.post("/api/v1/invitations:look")
    async def look(body: Annotated[Row, Body()]) -> Any:
        if body["secret"] not in farm.invitations:
            return problem(404, "invitation-over", "invitation: used, replaced or expired")
        return {
            "tenant": {"id": "ten-1", "name": "Nordvik Seafarms"},
            "role": "administrator",
            "expires_at": farm.clock() + timedelta(hours=20),
            "password_characters_min": 8,
        }

    @api.post("/api/v1/invitations:accept", status_code=201)
    async def accept(body: Annotated[Row, Body()]) -> Any:
        if body["secret"] not in farm.invitations:
            return problem(404, "invitation-over", "invitation: used, replaced or expired")
        if body["email"] == VIEWER_EMAIL:
            return problem(409, "conflict", "email: somebody has this address already")
        farm.invitations.remove(body["secret"])
        expires = farm.clock() + timedelta(hours=12)
        return {"token": TOKEN, "user": {"name": body["name"]}, "role": "administrator", "expires_at": expires}

    @api.get("/api/v1/audit")
    async def audit(
        authorization: Annotated[str, Header()],
        by: str | None = None,
        thing: str | None = None,
        resource: str | None = None,
        cursor: int = 0,
        limit: int = 50,
    ) -> Any:
        if PEOPLE[authorization.removeprefix("Bearer ")][1] == "viewer":
            return problem(403, "forbidden", "administer: the role viewer does not grant administer")
        wanted = {"by": by, "thing": thing, "resource": resource}
        found = [row for row in farm.audit if all(value in (None, row[name]) for name, value in wanted.items())]
        page = found[cursor : cursor + limit]
        return {"items": page, "next": str(cursor + limit) if len(found) > cursor + limit else None}


def _places(api: FastAPI, farm: FakeFarm) -> None:
    @api.get("/api/v1/health")
    async def health() -> Row:
        of = {f["id"]: [d for d in farm.devices if d["place"]["farm"] == f["id"]] for f in farm.farms}
        return {
            **fake_farm.counts(farm.devices),
            "farms": [{"farm": key, **fake_farm.counts(devices)} for key, devices in of.items()],
        }

    @api.get("/api/v1/health/coverage")
    async def coverage(farm_id: str | None = None, enclosure: str | None = None, request: Request = None) -> Row:  # type: ignore[assignment]
        wanted = request.query_params.get("farm")
        return {
            "items": [
                fake_farm.coverage(farm, e)
                for e in farm.enclosures
                if wanted in (None, e["farm"]) and enclosure in (None, e["id"])
            ],
            "next": None,
        }

    @api.get("/api/v1/farms")
    async def farms() -> Row:
        return {"items": farm.farms, "next": None}

    @api.get("/api/v1/farms/{key}")
    async def one_farm(key: str) -> Row:
        found = _find(farm.farms, key)
        return {**found, "enclosures": [e for e in farm.enclosures if e["farm"] == key]}


def _alerts(api: FastAPI, farm: FakeFarm, live: Live) -> None:
    @api.get("/api/v1/alerts")
    async def alerts(state: str, device: str | None = None, limit: int = 100, request: Request = None) -> Row:  # type: ignore[assignment]
        wanted = request.query_params.get("farm")
        found = [
            a
            for a in farm.alerts
            if a["state"] == state and wanted in (None, a.get("farm")) and device in (None, a.get("device"))
        ]
        return {"items": found[:limit], "next": None, "total": len(found)}

    @api.get("/api/v1/alerts/{key}")
    async def one_alert(key: str) -> Row:
        return _find(farm.alerts, key)

    @api.post("/api/v1/alerts/{key}:acknowledge")
    async def acknowledge(key: str, body: Annotated[Row, Body()], authorization: Annotated[str, Header()]) -> Row:
        name = PEOPLE[authorization.removeprefix("Bearer ")][0]
        alert = _find(farm.alerts, key)
        now = farm.clock()
        alert.update(
            state="acknowledged",
            acknowledged_by=name,
            acknowledged_at=now.isoformat(),
            note=body["note"],
            next=None,
            ahead=[],
            acknowledge_due=None,
            taken_until=(now + timedelta(hours=1)).isoformat(),
        )
        _happened(alert, now, "acknowledged", f"{name} acknowledged")
        live.tell("alert", alert=key, farm=alert.get("farm"))
        return alert

    @api.post("/api/v1/alerts/{key}:resolve")
    async def resolve(key: str, body: Annotated[Row, Body()], authorization: Annotated[str, Header()]) -> Row:
        name = PEOPLE[authorization.removeprefix("Bearer ")][0]
        alert = _find(farm.alerts, key)
        now = farm.clock()
        alert.update(state="resolved", resolved_by=name, resolved_at=now.isoformat(), note=body["note"])
        _happened(alert, now, "resolved", f"{name} resolved it: {body['note']}")
        live.tell("alert", alert=key, farm=alert.get("farm"))
        return alert


def _happened(alert: Row, now: datetime, kind: str, says: str) -> None:
    items = alert.setdefault("timeline", [])
    items.insert(0, {"id": f"{kind}-{len(items)}", "at": now.isoformat(), "kind": kind, "says": says})


def _searching(api: FastAPI, farm: FakeFarm) -> None:
    @api.get("/api/v1/search")
    async def search(q: str) -> Row:
        sought = q.lower().removeprefix("#")
        found = [
            *(
                {"kind": "device", "name": d["endpoint"], "text": f"{d['endpoint']} {d['id']}", **_of(d)}
                for d in farm.devices
            ),
            *({"kind": "farm", "name": f["name"], "text": f"{f['name']} {f['id']}", "id": f["id"]} for f in farm.farms),
            *(
                {
                    "kind": "alert",
                    "name": a["headline"],
                    "detail": a["code"],
                    "text": f"{a['code']} {a['headline']}",
                    "id": a["id"],
                }
                for a in farm.alerts
            ),
        ]
        matching = [one for one in found if sought in str(one["text"]).lower()]
        kinds = ("device", "farm", "alert")
        return {
            "items": [one for kind in kinds for one in [m for m in matching if m["kind"] == kind][:8]],
            "next": None,
        }


def _of(device: Row) -> Row:
    names = device["place"]["names"]
    return {"id": device["id"], "farm_name": names["farm"], "enclosure_name": names["enclosure"]}


def _devices(api: FastAPI, farm: FakeFarm) -> None:
    @api.get("/api/v1/devices")
    async def devices(
        request: Request,
        status: str | None = None,
        kind: str | None = None,
        q: str | None = None,
        cursor: int = 0,
        limit: int = 100,
    ) -> Row:
        place = request.query_params.get("farm")
        found = sorted(
            (
                d
                for d in farm.devices
                if place in (None, d["place"]["farm"])
                and status in (None, d["status"])
                and kind in (None, d["kind"])
                and (q is None or q.lower() in f"{d['endpoint']} {d['id']}".lower())
            ),
            key=lambda d: str(d["endpoint"]),
        )
        after = cursor + limit
        return {"items": found[cursor:after], "next": str(after) if after < len(found) else None, "total": len(found)}

    @api.get("/api/v1/devices/{key}")
    async def one_device(key: str) -> Row:
        return _find(farm.devices, key)

    @api.get("/api/v1/devices/{key}/objects")
    async def objects(key: str) -> Row:
        return {"items": fake_tree.tree(farm, _find(farm.devices, key)), "next": None}

    @api.get("/api/v1/devices/{key}/readings")
    async def readings(key: str, path: str, to: datetime, points: int, request: Request) -> Row:
        begins = datetime.fromisoformat(request.query_params["from"])
        return fake_farm.readings(farm, _find(farm.devices, key), path, begins, to, points)

    @api.get("/api/v1/devices/{key}/timeline")
    async def timeline(key: str) -> Row:
        return {"items": fake_farm.timeline(farm, _find(farm.devices, key)), "next": None}

    @api.get("/api/v1/devices/{key}/updates")
    async def updates(key: str) -> Row:
        return {"items": farm.updates.get(key, []), "next": None}

    @api.get("/api/v1/artifacts")
    async def artifacts() -> Row:
        return {"items": farm.artifacts, "next": None}

    @api.get("/api/v1/commands/{key}")
    async def command(key: str) -> Row:
        if key not in farm.commands:
            raise HTTPException(404, "There is no such command")
        return farm.commands[key]


def _ask(farm: FakeFarm, live: Live, device: Row, operation: str, path: str, value: Any = None) -> Response:
    now = farm.clock()
    if path == "/5/0/2":
        return JSONResponse(
            {
                "type": "device-refused",
                "title": f"{device['endpoint']} refused the {operation}",
                "status": 502,
                "code": "4.05",
                "detail": "method not allowed",
            },
            502,
        )
    if device["flags"]["asleep"] or device["status"] == "silent":
        command = {
            "id": f"cmd-{len(farm.commands):07}",
            "device": device["id"],
            "operation": operation,
            "path": path,
            "state": "queued",
            "value": value,
            "by": "Ida Vik",
            "expected_at": device["next_expected_at"],
            "expires_at": (now + timedelta(hours=24)).isoformat(),
        }
        farm.commands[str(command["id"])] = command
        device["waiting"] = [*device["waiting"], command]
        live.tell("command", device=device["id"])
        return JSONResponse(command, 202)
    answer = {"path": path, "at": now.isoformat(), "source": "device", "trip_ms": 212.4}
    answer |= fake_tree.did(farm, device, operation, path, value)
    live.tell("command", device=device["id"])
    return JSONResponse(answer, 201 if operation == "create" else 200)


def _asking(api: FastAPI, farm: FakeFarm, live: Live) -> None:
    @api.get("/api/v1/devices/{key}/objects/{path:path}")
    async def read(key: str, path: str) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "read", f"/{path}")

    @api.put("/api/v1/devices/{key}/objects/{path:path}")
    async def write(key: str, path: str, body: Annotated[Row, Body()]) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "write", f"/{path}", body.get("values", body.get("value")))

    @api.patch("/api/v1/devices/{key}/objects/{path:path}")
    async def write_partial(key: str, path: str, body: Annotated[Row, Body()]) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "write_partial", f"/{path}", body["values"])

    @api.post("/api/v1/devices/{key}/objects/{path:path}")
    async def execute_or_create(key: str, path: str, body: Annotated[Row, Body()]) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "execute" if "/" in path else "create", f"/{path}", body)

    @api.delete("/api/v1/devices/{key}/objects/{path:path}")
    async def delete(key: str, path: str) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "delete", f"/{path}")

    @api.delete("/api/v1/commands/{key}", status_code=204)
    async def cancel(key: str) -> None:
        farm.commands[key]["state"] = "cancelled"
        device = _find(farm.devices, farm.commands[key]["device"])
        device["waiting"] = [c for c in device["waiting"] if c["id"] != key]
        live.tell("command", device=device["id"])


def _reporting(api: FastAPI, farm: FakeFarm, live: Live) -> None:
    @api.get("/api/v1/devices/{key}/observations")
    async def observations(key: str) -> Row:
        return {"items": fake_tree.observations(farm, _find(farm.devices, key)), "next": None}

    @api.get("/api/v1/devices/{key}/access-control")
    async def access_control(key: str) -> Row:
        return farm.rights.get(key, {"shared": False})

    @api.post("/api/v1/devices/{key}:discover")
    async def discover(key: str, body: Annotated[Row, Body()]) -> Response:
        answer = _ask(farm, live, _find(farm.devices, key), "discover", body["path"])
        if answer.status_code != 200:
            return answer
        links = fake_tree.links(farm, _find(farm.devices, key), body["path"])
        return JSONResponse({"path": body["path"], "links": links, "at": farm.clock().isoformat()})

    @api.post("/api/v1/devices/{key}:send-attributes")
    async def send_attributes(key: str, body: Annotated[Row, Body()]) -> Response:
        return _ask(farm, live, _find(farm.devices, key), "write_attributes", body["path"], body["attributes"])

    @api.put("/api/v1/devices/{key}/observations/{path:path}")
    async def observe(key: str, path: str, body: Annotated[Row, Body()], request: Request) -> Response:
        device = _find(farm.devices, key)
        if request.headers.get("if-match") != f'"{fake_tree.version(farm, device, f"/{path}")}"':
            return problem(412, "outdated", f"/{path} was changed since it was read")
        shown = fake_tree.observe(farm, device, f"/{path}", body)
        live.tell("observation", device=key)
        return JSONResponse(shown)

    @api.delete("/api/v1/devices/{key}/observations/{path:path}", status_code=204)
    async def unobserve(key: str, path: str) -> None:
        farm.intents.pop((key, f"/{path}"), None)
        live.tell("observation", device=key)


def _deciding(api: FastAPI, farm: FakeFarm, live: Live) -> None:
    @api.post("/api/v1/devices/{key}:{verb}-claim", status_code=204)
    async def settle(key: str, verb: str) -> None:
        device = _find(farm.devices, key)
        if verb == "accept":
            device["place"]["enclosure"] = device["claim"]["enclosure"]
            device["place"]["names"]["enclosure"] = device["claim"]["name"]
        device["place"]["state"] = "agreed"
        live.tell("place", device=key)

    @api.post("/api/v1/devices/{key}/updates", status_code=201)
    async def start(key: str, body: Annotated[Row, Body()]) -> Row:
        undone = _find(farm.updates[key], body["roll_back"]) if "roll_back" in body else None
        chosen = body["artifact"] if undone is None else farm.previous_artifact
        artifact = _find(farm.artifacts, chosen)
        now = farm.clock()
        if undone is not None and undone["state"] == "trial":
            undone.update(state="failed", reason="rolled back by Ida Vik", changed_at=now.isoformat())
        update = {
            "id": f"upd-{len(farm.updates.get(key, [])):07}",
            "artifact": artifact["id"],
            "kind": artifact["kind"],
            "name": artifact["name"],
            "version": artifact["version"],
            "state": "waiting",
            "reason": "the device is asleep",
            "bytes": 0,
            "size": artifact["size"],
            "started_at": now.isoformat(),
            "changed_at": now.isoformat(),
            "deadline": (now + timedelta(hours=2)).isoformat(),
            "by": "Ida Vik",
            "delivery": None if body.get("delivery", "automatic") == "automatic" else body["delivery"],
            "undoes": None if undone is None else undone["id"],
        }
        farm.updates.setdefault(key, []).insert(0, update)
        live.tell("update", device=key)
        return update

    @api.post("/api/v1/devices/{key}/updates/{update}:cancel")
    async def stop(key: str, update: str) -> Response:
        found = _find(farm.updates.get(key, []), update)
        if found["state"] == "installing":
            return problem(409, "conflict", "The device was asked to install already")
        found.update(state="cancelled", reason="Ida Vik stopped it", changed_at=farm.clock().isoformat())
        live.tell("update", device=key)
        return JSONResponse(found)


def _find(rows: list[Row], key: str) -> Row:
    for row in rows:
        if row["id"] == key:
            return row
    raise HTTPException(404, f"There is no {key}")
