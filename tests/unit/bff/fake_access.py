"""Who may do what on the invented farm: people, roles and policies, decided by the real policies."""

from typing import Annotated, Any

from fastapi import Body, FastAPI, Header
from fastapi.responses import JSONResponse, Response

from shoal.access.decision import Allowed, Place, Policies, Subject, server_subject
from shoal.access.pattern import Pattern
from shoal.access.policy import ROLES, Effect, Operation, Policy, Role, Who, WhoKind, operations_of
from shoal.access.sentence import sentence_of, who_says
from shoal.ids import EnclosureId, FarmId, TenantId
from shoal.lwm2m.path import Path
from tests.unit.bff.fake_farm import FakeFarm, Row

TENANT = TenantId("ten-1")
IDA, KARI = "usr-1DA00001", "usr-KAR00002"


def operations(role: str) -> list[str]:
    """What `/me` says of somebody with this role."""
    return sorted(operations_of(Role(role)))


def may(role: str) -> list[Row]:
    """Where it says that this is."""
    return [{"operation": operation, "places": [], "but": []} for operation in operations(role)]


def make_access(farm: FakeFarm) -> None:
    """Three people, a program, and two sentences."""
    first = farm.farms[0]["id"]
    farm.users = [
        {"id": IDA, "email": "ida@nordvik.example", "name": "Ida Vik", "role": "administrator", "places": []},
        {"id": KARI, "email": "kari@nordvik.example", "name": "Kari Moe", "role": "technician", "places": [first]},
        {"id": "usr-VERA0003", "email": "visitor@nordvik.example", "name": "Vera Lund", "role": "viewer", "places": []},
    ]
    farm.tokens = [
        {"id": "tok-SCALES01", "kind": "service", "name": "Feed scales", "role": "integrator", "places": [first]},
    ]
    farm.access = [
        _row(farm, "pol-ACCESS01", "allow", "user", KARI, ["write"], first, ["/3303/*"], "calibrates the probes"),
        _row(farm, "pol-ACCESS02", "deny", "role", "technician", ["execute"], None, ["/3/0/5"], ""),
    ]


def route_access(api: FastAPI, farm: FakeFarm) -> None:
    """The API's routes about people and policies."""

    @api.get("/api/v1/users")
    async def users(authorization: Annotated[str, Header()]) -> Any:
        return _forbidden() if "visitor" in authorization else {"items": farm.users, "next": None}

    @api.post("/api/v1/users", status_code=201)
    async def add(body: Annotated[Row, Body()]) -> Row:
        made = {name: value for name, value in body.items() if name != "password"} | {"id": "usr-NEW00009"}
        farm.users.append(made)
        return made

    @api.patch("/api/v1/users/{key}")
    async def change(key: str, body: Annotated[Row, Body()]) -> Any:
        if key == IDA and (body["role"] != "administrator" or body["places"] or body["disabled"]):
            says = "administrator: you would lock yourself out; another administrator can do this"
            return JSONResponse({"type": "conflict", "title": says, "status": 409}, 409)
        [found] = [user for user in farm.users if user["id"] == key]
        found.update(body)
        return found

    @api.get("/api/v1/tokens")
    async def tokens() -> Row:
        return {"items": farm.tokens, "next": None}

    @api.get("/api/v1/enclosures")
    async def enclosures() -> Row:
        return {"items": farm.enclosures, "next": None}

    @api.get("/api/v1/roles")
    async def roles() -> list[Row]:
        rules = {role: [{"id": one.id, "says": sentence_of(one, {})} for one in ROLES[role]] for role in Role}
        return [{"role": role.value, "policies": rules[role]} for role in Role]

    _policies(api, farm)


def _policies(api: FastAPI, farm: FakeFarm) -> None:
    @api.get("/api/v1/policies")
    async def several() -> Row:
        return {"items": farm.access, "next": None}

    @api.post("/api/v1/policies:preview")
    async def preview(body: Annotated[Row, Body()]) -> Row:
        gains = body["effect"] == "allow"
        return {"says": _written(farm, "new", body)["says"], "gain": 2 * gains, "lose": 2 - 2 * gains, "warnings": []}

    @api.post("/api/v1/policies", status_code=201)
    async def create(body: Annotated[Row, Body()]) -> Row:
        farm.access.append(_written(farm, "pol-ACCESS09", body))
        return farm.access[-1]

    @api.patch("/api/v1/policies/{key}")
    async def change(key: str, body: Annotated[Row, Body()], if_match: Annotated[str, Header()]) -> Any:
        [at] = [index for index, row in enumerate(farm.access) if row["id"] == key]
        if if_match != f'"{farm.access[at]["version"]}"':
            return JSONResponse({"type": "outdated", "title": "changed since it was read", "status": 412}, 412)
        farm.access[at] = _written(farm, key, body) | {"version": farm.access[at]["version"] + 1}
        return farm.access[at]

    @api.delete("/api/v1/policies/{key}", status_code=204)
    async def delete(key: str) -> Response:
        farm.access = [row for row in farm.access if row["id"] != key]
        return Response(status_code=204)

    @api.post("/api/v1/policies:explain")
    async def explain(body: Annotated[Row, Body()], authorization: Annotated[str, Header()]) -> Any:
        mine = "usr-VERA0003" if "visitor" in authorization else IDA
        subject = _subject(farm, body["subject"] or mine)
        if subject is None:
            return JSONResponse({"type": "not-found", "title": "no such user", "status": 404}, 404)
        policies = Policies(TENANT, [_policy(row) for row in farm.access])
        question = (subject, Operation(body["operation"]), _place(farm, body["place"]))
        path = Path.parse(body["path"]) if body["path"] else None
        decision = policies.decide(*question, path)
        names = _names(farm)
        because = "no policy allows it" if decision.because is None else sentence_of(decision.because, names)
        is_allowed = isinstance(decision, Allowed)
        return {
            "decision": "allowed" if is_allowed else "denied",
            "says": f"Yes: {because}. Nothing denies it." if is_allowed else f"No: {because}.",
            "because": [
                {
                    "policy": one.id,
                    "built_in": one.is_built_in,
                    "effect": one.effect,
                    "says": sentence_of(one, names),
                    "bearing": bearing,
                }
                for one, bearing in policies.bearings(*question, path)
            ],
        }


def _subject(farm: FakeFarm, id_: str) -> Subject | None:
    if id_.startswith("server:"):
        return server_subject(TENANT, id_.removeprefix("server:"))
    found = next((user for user in farm.users if user["id"] == id_), None)
    if found is None:
        return None
    return Subject(
        tenant=TENANT,
        role=Role(found["role"]),
        id=found["id"],
        name=found["name"],
        places=frozenset(found["places"]),
    )


def _forbidden() -> JSONResponse:
    return JSONResponse({"type": "forbidden", "title": "administer: no policy allows it", "status": 403}, 403)


def _written(farm: FakeFarm, id_: str, body: Row) -> Row:
    who = body["who"]
    return _row(
        farm,
        id_,
        body["effect"],
        who["kind"],
        who["id"] or "",
        body["operations"],
        body["place"],
        body["paths"],
        body["note"],
    )


def _row(
    farm: FakeFarm,
    id_: str,
    effect: str,
    kind: str,
    who: str,
    operations: list[str],
    place: str | None,
    paths: list[str],
    note: str,
) -> Row:
    row = {
        "id": id_,
        "effect": effect,
        "who": {"kind": kind, "id": who or None},
        "operations": operations,
        "place": place,
        "paths": paths,
        "note": note,
    }
    policy, names = _policy(row), _names(farm)
    row["who"]["name"] = who_says(policy.who, names)
    return row | {
        "place_name": names.get(place or "", ""),
        "says": sentence_of(policy, names),
        "warnings": [],
        "changed_by": "Ida Vik",
        "changed_at": farm.ago(hours=30),
        "version": 1,
    }


def _policy(row: Row) -> Policy:
    return Policy(
        id=row["id"],
        effect=Effect(row["effect"]),
        who=Who(WhoKind(row["who"]["kind"]), row["who"]["id"] or ""),
        operations=frozenset(Operation(word) for word in row["operations"]),
        place=row["place"] or "",
        paths=tuple(Pattern.parse(path) for path in row["paths"]),
    )


def _place(farm: FakeFarm, id_: str | None) -> Place:
    for enclosure in farm.enclosures:
        if enclosure["id"] == id_:
            return Place(tenant=TENANT, farm=FarmId(enclosure["farm"]), enclosure=EnclosureId(enclosure["id"]))
    return Place(tenant=TENANT, farm=None if id_ is None else FarmId(id_))


def _names(farm: FakeFarm) -> dict[str, str]:
    return {one["id"]: one["name"] for one in [*farm.users, *farm.farms, *farm.enclosures]}
