"""Policies by the API: written, previewed, explained; they count from the next request on, and leave an administrator."""

from typing import Any

import httpx

from shoal.access.policy import Role
from tests.unit.api.company import PASSWORD, Company


def deny(operation: str, place: str | None = None, paths: tuple[str, ...] = ("*",), **who: str) -> dict[str, Any]:
    return {
        "effect": "deny",
        "who": who or {"kind": "everybody"},
        "operations": [operation],
        "place": place,
        "paths": list(paths),
    }


def allow(operation: str, place: str | None = None, paths: tuple[str, ...] = ("*",), **who: str) -> dict[str, Any]:
    return deny(operation, place, paths, **who) | {"effect": "allow"}


async def person(company: Company, admin: httpx.AsyncClient, role: str, *places: str) -> tuple[str, httpx.AsyncClient]:
    """Somebody who logs in, with their id."""
    email = f"{role}-{len(places)}@farm.example"
    asked = {"email": email, "name": role.capitalize(), "role": role, "places": list(places), "password": PASSWORD}
    made = await admin.post("/users", json=asked)
    assert made.status_code == 201, made.text
    login = await company.bearing(None).post("/sessions", json={"email": email, "password": PASSWORD})
    return made.json()["id"], company.bearing(login.json()["token"])


async def test_a_policy_is_written_read_changed_and_forgotten(company: Company, admin: httpx.AsyncClient) -> None:
    kari, _ = await person(company, admin, "technician")
    written = allow("write", company.farm, ("/3303/*",), kind="user", id=kari) | {"note": "calibrates probes"}

    made = await admin.post("/policies", json=written)
    policy = made.json()
    address = f"/policies/{policy['id']}"
    stale = await admin.patch(address, json={"effect": "deny"}, headers={"If-Match": '"7"'})
    changed = await admin.patch(address, json={"effect": "deny"}, headers={"If-Match": made.headers["ETag"]})

    assert (made.status_code, made.headers["Location"]) == (201, f"/api/v1{address}")
    assert policy["says"] == "Technician may write /3303/* at Storholmen"
    assert (policy["note"], policy["warnings"], policy["place_name"]) == ("calibrates probes", [], "Storholmen")
    assert stale.status_code == 412
    assert (changed.json()["effect"], changed.json()["version"], changed.json()["place"]) == ("deny", 2, company.farm)
    assert [one["id"] for one in (await admin.get("/policies")).json()["items"]] == [policy["id"]]
    assert (await admin.get("/policies", params={"who": "usr-00000000"})).json()["items"] == []
    assert (await admin.delete(address)).status_code == 204
    assert (await admin.get(address)).status_code == 404
    acts = (await admin.get("/audit", params={"thing": policy["id"]})).json()["items"]
    assert [one["action"] for one in acts] == ["delete", "change", "create"]
    assert acts[1]["before"]["effect"] == "allow"


async def test_what_can_be_no_policy_is_refused(company: Company, admin: httpx.AsyncClient) -> None:
    for wrong, status in (
        (deny("read", kind="role", id="king"), 400),
        (deny("read", kind="everybody", id="usr-1"), 400),
        (deny("read", kind="user", id="usr-00000000"), 404),
        (deny("read", "frm-00000000"), 404),
        (deny("read", "usr-00000000"), 400),
        (deny("read", paths=("/3/0/9/1",)), 400),
        (deny("read", paths=()), 400),
        (deny("fly"), 422),
        (deny("read", kind="devices", id="camera"), 400),
        (allow("write", kind="devices"), 400),
        (deny("read") | {"operations": []}, 400),
        (deny("read") | {"note": "x" * 301}, 400),
    ):
        answer = await admin.post("/policies", json=wrong)
        assert answer.status_code == status, (wrong, answer.text)
    assert (await admin.get("/policies")).json()["items"] == []


async def test_a_policy_counts_from_the_next_request_on(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    await company.reports(device, {"/3/0/9": 87, "/3303/0/5700": 9.2})
    _, kari = await person(company, admin, "viewer")
    address = f"/devices/{device.id}"

    assert (await kari.get(address)).json()["vitals"]["battery_percent"]["value"] == 87
    await admin.post("/policies", json=deny("read", device.id, ("/3/0/9",), kind="role", id="viewer"))

    assert (await kari.get(address)).json()["vitals"]["battery_percent"] is None
    assert (await kari.get(f"{address}/readings", params={"path": "/3/0/9"})).status_code == 403
    assert (await kari.get(f"{address}/objects/3", params={"source": "last-known"})).status_code == 403
    assert (await kari.get(f"{address}/objects/3303", params={"source": "last-known"})).status_code == 200
    tree = (await kari.get(f"{address}/objects")).json()["items"]
    told = {one["path"]: one["value"] for o in tree for i in o["instances"] for one in i["resources"] if one["at"]}
    assert told == {"/3303/0/5700": 9.2}
    assert (await admin.get(address)).json()["vitals"]["battery_percent"]["value"] == 87

    await admin.post("/policies", json=deny("read", device.id, kind="role", id="viewer"))
    assert (await kari.get(address)).status_code == 404
    assert (await kari.get("/devices")).json() == {"items": [], "next": None, "total": 0}
    health = (await kari.get("/health")).json()
    assert sum(health[word] for word in ("healthy", "new", "silent", "degraded")) == 0
    assert (await kari.get("/search", params={"q": "oxy"})).json()["items"] == []
    assert (await admin.get("/devices")).json()["total"] == 1


async def test_an_allowance_opens_one_place_and_one_path(company: Company, admin: httpx.AsyncClient) -> None:
    device, other = await company.registered(), await company.registered("oxy-0102")
    kari_id, kari = await person(company, admin, "viewer")
    body, wait = {"value": 5.0}, {"wait": "0s"}

    before = await kari.put(f"/devices/{device.id}/objects/3303/0/5601", json=body, params=wait)
    await admin.post("/policies", json=allow("write", device.id, ("/3303/*",), kind="user", id=kari_id))
    after = await kari.put(f"/devices/{device.id}/objects/3303/0/5601", json=body, params=wait)
    partly = await kari.patch(f"/devices/{device.id}/objects/3303/0", json={"resources": {"5601": 5.0}}, params=wait)
    elsewhere = await kari.put(f"/devices/{other.id}/objects/3303/0/5601", json=body, params=wait)
    beside = await kari.put(f"/devices/{device.id}/objects/3/0/14", json={"value": "+01"}, params=wait)
    mixed = await kari.post(
        f"/devices/{device.id}:write-composite", json={"values": {"/3303/0/5601": 5.0, "/3/0/14": "+01"}}, params=wait
    )

    assert [answer.status_code for answer in (before, after, partly, elsewhere, beside, mixed)] == [
        403, 202, 202, 403, 403, 403,
    ]  # fmt: skip


async def test_a_technician_of_one_farm_works_there_and_knows_of_no_other(
    company: Company, admin: httpx.AsyncClient
) -> None:
    here = await company.device()
    far = await company.installation.create_farm(company.tenant, "Nordvik")
    pen = await company.installation.create_enclosure(company.tenant, far, "Pen 9")
    there = await company.device("oxy-0909", pen)
    _, kari = await person(company, admin, "technician", company.farm)

    farms = (await kari.get("/farms")).json()["items"]
    me = (await kari.get("/me")).json()
    moved = await kari.patch(f"/devices/{here.id}", json={"enclosure": pen})
    taken = await kari.patch(f"/devices/{there.id}", json={"enclosure": company.enclosure})
    made = await kari.post("/devices", json={"endpoint": "oxy-0103", "enclosure": company.enclosure})
    made_there = await kari.post("/devices", json={"endpoint": "oxy-0104", "enclosure": pen})

    assert [farm["id"] for farm in farms] == [company.farm]
    assert here.id in [one["id"] for one in (await kari.get("/devices")).json()["items"]]
    assert (moved.status_code, taken.status_code, made.status_code, made_there.status_code) == (404, 404, 201, 404)
    assert (await kari.get(f"/enclosures/{pen}")).status_code == 404
    assert (await kari.patch(f"/devices/{here.id}", json={"name": "Oxygen"})).status_code == 200
    assert (me["role"], me["places"], me["operations"]) == ("technician", [company.farm], [])
    assert {"operation": "acknowledge", "places": [company.farm], "but": []} in me["may"]
    assert {"operation": "execute", "places": [company.farm], "but": []} in me["may"], "a reboot, at least"


async def test_a_mistyped_id_names_nothing_to_whoever_may_not_read_all(
    company: Company, admin: httpx.AsyncClient
) -> None:
    device = await company.device()
    _, kari = await person(company, admin, "technician", company.farm)
    head, body = device.id.split("-")
    swaps = (body[:i] + body[i + 1] + body[i] + body[i + 2 :] for i in range(7) if body[i] != body[i + 1])
    mistyped = f"/devices/{head}-{next(swaps)}"

    told = (await admin.get(mistyped)).json()
    hidden = (await kari.get(mistyped)).json()

    assert told["did_you_mean"] == [device.id]
    assert hidden["did_you_mean"] == []


async def test_whoever_reads_one_pen_sees_its_farm_around_it(company: Company, admin: httpx.AsyncClient) -> None:
    other = await company.installation.create_enclosure(company.tenant, company.farm, "Pen 2")
    device = await company.device()
    await company.device("oxy-0201", other)
    guest = await company.client(Role.VIEWER, places=[company.enclosure])

    farm = (await guest.get(f"/farms/{company.farm}")).json()

    assert [one["id"] for one in farm["enclosures"]] == [company.enclosure]
    assert [one["id"] for one in (await guest.get("/devices")).json()["items"]] == [device.id]
    assert (await guest.get("/devices")).json()["total"] == 1
    assert (await guest.get(f"/enclosures/{other}")).status_code == 404
    assert (await guest.get("/contacts")).status_code == 403


async def test_nobody_locks_themselves_or_all_out(company: Company, admin: httpx.AsyncClient) -> None:
    boss_id, boss = await person(company, admin, "administrator")
    lock = deny("administer", kind="role", id="administrator")

    all_out = await admin.post("/policies", json=lock)
    self_out = await boss.post("/policies", json=deny("administer", kind="user", id=boss_id))
    demoted = await boss.patch(f"/users/{boss_id}", json={"role": "viewer"})
    narrowed = await boss.patch(f"/users/{boss_id}", json={"places": [company.farm]})

    for answer in (all_out, self_out, demoted, narrowed):
        assert answer.status_code == 409, answer.text
    assert (await boss.get("/policies")).json()["items"] == [], "nothing of it was kept"
    await admin.post(
        "/users",
        json={"email": "b@farm.example", "name": "B", "role": "administrator", "password": PASSWORD},
    )
    still_out = await boss.post("/policies", json=deny("administer", kind="user", id=boss_id))
    assert still_out.status_code == 409
    assert "yourself" in still_out.json()["title"]
    by_another = await admin.post("/policies", json=deny("administer", kind="user", id=boss_id))
    assert by_another.status_code == 201
    assert (await boss.get("/policies")).status_code == 403


async def test_a_preview_counts_who_gains_and_who_loses(company: Company, admin: httpx.AsyncClient) -> None:
    await person(company, admin, "viewer")
    await person(company, admin, "technician", company.farm)
    await person(company, admin, "operator")

    gain = (await admin.post("/policies:preview", json=allow("write", company.farm))).json()
    lose = (await admin.post("/policies:preview", json=deny("acknowledge", company.farm))).json()
    idle = (await admin.post("/policies:preview", json=allow("read", kind="role", id="viewer"))).json()
    never = (await admin.post("/policies:preview", json=deny("acknowledge", paths=("/3/*",)))).json()
    nobody = (await admin.post("/policies:preview", json=allow("write", kind="role", id="integrator"))).json()

    assert (gain["gain"], gain["lose"]) == (2, 0)
    assert (lose["gain"], lose["lose"]) == (0, 2)
    assert (idle["gain"], idle["lose"]) == (0, 0)
    assert "does not allow anything new" in idle["warnings"][0]
    assert never["warnings"] == ["acknowledge is never asked of a path: only * or / can grant or deny it"]
    assert nobody["warnings"] == ["No person has the role integrator"]
    assert (await admin.get("/policies")).json()["items"] == []


async def test_why_somebody_may_or_may_not(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    kari_id, kari = await person(company, admin, "technician", company.farm)
    await admin.post("/policies", json=deny("execute", device.id, ("/3/*",), kind="user", id=kari_id))
    asked = {"operation": "execute", "device": device.id, "path": "/3/0/4"}

    by_admin = (await admin.post("/policies:explain", json=asked | {"subject": kari_id})).json()
    by_herself = (await kari.post("/policies:explain", json=asked)).json()
    allowed = (await kari.post("/policies:explain", json={"operation": "acknowledge", "device": device.id})).json()
    of_another = await kari.post("/policies:explain", json=asked | {"subject": "usr-00000000"})
    of_a_device = (
        await admin.post("/policies:explain", json={"operation": "write", "subject": device.id, "place": company.farm})
    ).json()

    assert by_admin == by_herself
    assert by_admin["decision"] == "denied"
    assert by_admin["says"] == "No: Technician may not execute /3/* at oxy-0101."
    assert [(one["bearing"], one["built_in"]) for one in by_admin["because"]][:2] == [
        ("denies", False),
        ("allows", True),
    ]
    assert allowed["decision"] == "allowed"
    assert allowed["says"].startswith("Yes: Technicians may read")
    assert of_another.status_code == 403
    assert of_a_device["says"] == "Yes: All devices may report everywhere. Nothing denies it."


async def test_roles_are_policies_that_everybody_may_read(company: Company, viewer: httpx.AsyncClient) -> None:
    roles = {one["role"]: one["policies"] for one in (await viewer.get("/roles")).json()}

    assert list(roles) == ["administrator", "operator", "technician", "viewer", "integrator"]
    assert roles["technician"][1] == {
        "id": "technician-2",
        "operations": ["execute"],
        "paths": ["/3/0/4"],
        "says": "Technicians may execute /3/0/4 everywhere",
    }


async def test_a_policy_of_what_is_gone_says_so(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.device()
    policy = (await admin.post("/policies", json=deny("read", device.id))).json()["id"]

    await admin.delete(f"/devices/{device.id}")

    assert (await admin.get(f"/policies/{policy}")).json()["warnings"] == [
        f"{device.id} is not there any more: this policy means no place"
    ]


async def test_another_tenants_policies_are_not_there(
    company: Company, admin: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    policy = (await admin.post("/policies", json=deny("read", company.farm))).json()["id"]

    assert (await stranger.get("/policies")).json()["items"] == []
    for method in ("GET", "PATCH", "DELETE"):
        body = {"note": "mine"} if method == "PATCH" else None
        assert (await stranger.request(method, f"/policies/{policy}", json=body)).status_code == 404
    assert (await stranger.post("/policies", json=deny("read", company.farm))).status_code == 404
    explained = await stranger.post("/policies:explain", json={"operation": "read", "place": company.farm})
    assert explained.status_code == 404
