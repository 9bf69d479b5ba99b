"""Devices of a file over HTTP: looked at, made, made no second time, and only where one may."""

import json
from typing import Any

import httpx
import pytest

from shoal.access.policy import Role
from shoal.api import importing
from shoal.api.bounds import IMPORT_BYTES_MAX
from tests.unit.api.company import Company


async def sent(client: httpx.AsyncClient, text: str, kind: str = "text/csv", **query: Any) -> httpx.Response:
    return await client.post("/devices:import", content=text.encode(), headers={"content-type": kind}, params=query)


async def test_a_file_is_looked_at_made_and_made_no_second_time(company: Company, admin: httpx.AsyncClient) -> None:
    before = (await admin.get("/devices")).json()["total"]
    text = "endpoint,kind,identity,key\ns-1,sensor,,\ncam-1,camera,cam-1,00112233445566778899\n"

    looked = (await sent(admin, text, dry_run=True)).json()
    assert looked == {"new": 2, "there": 0, "wrong": 0, "keys": 1, "done": False, "faults": [], "devices": []}
    assert (await admin.get("/devices")).json()["total"] == before

    done = (await sent(admin, text)).json()
    one, other = done["devices"]
    assert (done["done"], done["new"], other["identity"], other["key"]) == (True, 2, "cam-1", None)
    assert (one["identity"], len(bytes.fromhex(one["key"]))) == (one["id"], 16)
    assert (await admin.get(f"/devices/{one['id']}")).json()["security"]["identity"] == one["id"]
    again = (await sent(admin, text)).json()
    assert (again["new"], again["there"], again["devices"]) == (0, 2, [])
    assert (await admin.get("/devices")).json()["total"] == before + 2

    log = (await admin.get("/audit", params={"resource": "devices"})).json()["items"]
    assert {entry["thing"] for entry in log if entry["action"] == "create"} >= {one["id"], other["id"]}
    assert [entry["after"]["new"] for entry in log if entry["action"] == "import"] == [2]
    assert one["key"] not in str(log)


async def test_lines_of_json_do_as_well(company: Company, admin: httpx.AsyncClient) -> None:
    lines = [{"endpoint": "s-1"}, {"endpoint": "s-2", "security": {"mode": "x509"}}]
    text = "\n".join(map(json.dumps, lines))

    done = (await sent(admin, text, "application/x-ndjson")).json()

    assert [(one["endpoint"], one["key"] is None) for one in done["devices"]] == [("s-1", False), ("s-2", True)]


async def test_of_a_file_with_wrong_rows_nothing_is_made_unless_they_are_left_out(
    company: Company, admin: httpx.AsyncClient
) -> None:
    text = "endpoint,kind\ns-1,sensor\ns-2,fish\n"

    refused = await sent(admin, text)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"field": "line 3", "says": "line 3 (s-2): kind: neither sensor nor camera"}]
    assert (await admin.get("/devices", params={"q": "s-1"})).json()["total"] == 0
    assert (await sent(admin, text, skip_bad=True)).json()["wrong"] == 1
    assert (await admin.get("/devices", params={"q": "s-1"})).json()["total"] == 1


async def test_whoever_makes_no_devices_imports_none(company: Company, viewer: httpx.AsyncClient) -> None:
    assert (await sent(viewer, "endpoint\ns-1\n")).status_code == 403


async def test_a_technician_of_one_enclosure_adds_there_and_learns_nothing_of_others(
    company: Company, admin: httpx.AsyncClient
) -> None:
    farm = (await admin.post("/farms", json={"name": "Far"})).json()["id"]
    mine, other = [
        (await admin.post(f"/farms/{farm}/enclosures", json={"name": name, "kind": "pen"})).json()["id"]
        for name in ("Mine", "Other")
    ]
    await sent(admin, f"endpoint,enclosure\ntheirs,{other}\n")
    technician = await company.client(Role.TECHNICIAN, places=[mine])

    answer = await sent(technician, f"endpoint,enclosure\ns-1,{mine}\ns-2,{other}\ntheirs,{mine}\n", dry_run=True)

    told = answer.json()
    assert told["new"] == 1
    assert [fault["says"] for fault in told["faults"]] == [
        f"{other}: no such enclosure",
        "endpoint: another device has this endpoint",
    ]


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        ("", "text/csv", 400),
        ("name\n", "text/csv", 400),
        ("[]", "application/json", 400),
        ("endpoint\ns-1\n", "text/plain", 415),
        ("endpoint\n" + "x\n" * importing.LINES_MAX, "text/csv", 400),
        ("x" * (IMPORT_BYTES_MAX + 1), "text/csv", 413),
    ],
)
async def test_what_is_no_such_file_is_refused(
    text: str, kind: str, status: int, company: Company, admin: httpx.AsyncClient
) -> None:
    assert (await sent(admin, text, kind)).status_code == status
