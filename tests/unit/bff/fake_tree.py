"""The tree of an invented device: what it registered, what was asked of it, and what it reports by itself."""

import base64
from datetime import datetime
from typing import Any, Final

from tests.unit.bff.fake_farm import QUANTITIES, FakeFarm, Row

# What a person may set at a feeder, an object of its maker: one resource of each type that there is.
FEEDER: Final = 32_001
# An object that nobody defined.
UNKNOWN: Final = 32_009
LARGEST: Final = 2**64 - 1


def tree(world: FakeFarm, device: Row) -> list[Row]:
    """The objects of a device, with what was last known."""
    if device["last_heard_at"] is None:
        return []
    listed = [*_common(device), *_measured(device)]
    if device["id"] in world.rights:
        # It has a second server, and says what each may.
        world.made.setdefault((device["id"], "/1/1"), {"0": 102, "1": 300})
        listed.append((2, "LwM2M Access Control", "urn:oma:lwm2m:oma:2:1.1", True, []))
    if device["kind"] == "camera":
        listed += [_camera(device), _feeder(device), _unknown()]
    return [_object(world, device, *one) for one in sorted(listed, key=lambda one: int(one[0]))]


def did(world: FakeFarm, device: Row, operation: str, path: str, value: Any) -> Row:
    """What the device answers; what it was asked for is done."""
    key = str(device["id"])
    now = world.clock().isoformat()
    if operation == "create":
        used = {i["instance"] for o in tree(world, device) if path == f"/{o['object']}" for i in o["instances"]}
        number = value.get("instance")
        number = next(n for n in range(1_000) if n not in used) if number is None else number
        world.made[key, f"{path}/{number}"] = value["resources"]
        return {"path": f"{path}/{number}"}
    if operation == "delete":
        world.deleted.add((key, path))
        world.made.pop((key, path), None)
    if operation == "write_attributes":
        kept = world.attributes.get((key, path), {}) | value
        world.attributes[key, path] = {name: one for name, one in kept.items() if one is not None}
    rows = [r for o in tree(world, device) for i in o["instances"] for r in i["resources"]]
    known, types = {r["path"]: r["value"] for r in rows}, {r["path"]: r["type"] for r in rows}
    if operation == "write":
        world.written[key, path] = {"value": _exact(value), "at": now}
    if operation == "write_partial":
        world.written[key, path] = {"value": (known.get(path) or {}) | _exact(value), "at": now}
    if path in known:
        return {"value": world.written.get((key, path), {}).get("value", known[path]), "type": types[path]}
    beneath = {one: said for one, said in known.items() if one.startswith(f"{path}/") and said is not None}
    return {"value": _nested(path, beneath)}


def links(world: FakeFarm, device: Row, path: str) -> list[Row]:
    """What a Discover finds."""
    found = [
        one
        for o in tree(world, device)
        for one in (
            f"/{o['object']}",
            *(f"/{o['object']}/{i['instance']}" for i in o["instances"]),
            *(r["path"] for i in o["instances"] for r in i["resources"]),
        )
    ]
    said = {
        one: world.attributes.get((str(device["id"]), one), {}) for one in found if f"{one}/".startswith(f"{path}/")
    }
    said |= {one["path"]: one["taken"] for one in observations(world, device) if one["taken"] and one["path"] in said}
    return [{"path": one, "attributes": {name: str(each) for name, each in set_.items()}} for one, set_ in said.items()]


def observations(world: FakeFarm, device: Row) -> list[Row]:
    """What the profile wants, and what somebody said of this device."""
    known = {r["path"]: r for o in tree(world, device) for i in o["instances"] for r in i["resources"]}
    wanted = {path: {"origin": "profile", "attributes": {"pmax": 1800}} for path, r in known.items() if r["observed"]}
    mine = {path: said for (key, path), said in world.intents.items() if key == device["id"]}
    return [_observation(device, path, wanted.get(path), mine.get(path)) for path in sorted({*wanted, *mine})]


def version(world: FakeFarm, device: Row, path: str) -> int:
    return int(world.intents.get((str(device["id"]), path), {}).get("version", 0))


def observe(world: FakeFarm, device: Row, path: str, body: Row) -> Row:
    """Somebody says whether a path is to be reported."""
    said = {**body, "version": version(world, device, path) + 1}
    world.intents[str(device["id"]), path] = said
    return next(one for one in observations(world, device) if one["path"] == path)


def _observation(device: Row, path: str, general: Row | None, said: Row | None) -> Row:
    is_wanted = said["observe"] if said else True
    attributes = said["attributes"] if said else (general or {}).get("attributes", {})
    # The radio of these devices does not report by itself.
    is_refused = is_wanted and path == "/4/0/2"
    state = "off" if not is_wanted else "refused" if is_refused else "waiting" if said else "established"
    return {
        "path": path,
        "observe": is_wanted,
        "origin": "device" if said else "profile",
        "attributes": attributes,
        "taken": attributes if state == "established" else None,
        "state": state,
        "code": "4.05" if is_refused else None,
        "since": device["last_heard_at"] if state in {"refused", "established"} else None,
        "drift": is_refused,
        "by": "Ida Vik" if said else None,
        "version": said["version"] if said else 0,
    }


def _object(world: FakeFarm, device: Row, number: int, name: str, urn: str, multiple: bool, rows: list[Row]) -> Row:
    key = str(device["id"])
    heard = device["last_heard_at"]
    numbers = [
        0,
        *(int(path.split("/")[2]) for owner, path in world.made if owner == key and path.startswith(f"/{number}/")),
    ]
    instances = [one for one in sorted(set(numbers)) if (key, f"/{number}/{one}") not in world.deleted]
    made = {one: world.made.get((key, f"/{number}/{one}")) for one in instances}

    def shown(instance: int, row: Row) -> Row:
        path = f"/{number}/{instance}/{row['resource']}"
        given = made[instance]
        value = row["value"] if given is None else _exact(given.get(str(row["resource"])))
        said = {"value": value, "at": heard if value is not None else None}
        fields = {name: one for name, one in row.items() if name not in {"resource", "value"}}
        return {**fields, "path": path, "clock": "server", **said, **world.written.get((key, path), {})}

    return {
        "object": number,
        "name": name,
        "urn": urn,
        "version": urn.rpartition(":")[2] if urn.count(":") == 5 else "",
        "multiple": multiple,
        "mandatory": number == 3,
        "resources": []
        if number == UNKNOWN
        else [{k: v for k, v in row.items() if k not in {"value", "observed"}} for row in rows],
        "instances": [{"instance": one, "resources": [shown(one, row) for row in rows]} for one in instances],
    }


def _row(resource: int, name: str, type_: str, operations: str, value: object = None, **more: object) -> Row:
    return {
        "resource": resource,
        "name": name,
        "type": type_,
        "operations": operations,
        "multiple": False,
        "mandatory": False,
        "units": "",
        "range": "",
        "value": value,
        "observed": False,
        **more,
    }


Listed = tuple[int, str, str, bool, list[Row]]


def _common(device: Row) -> list[Listed]:
    vital = {name: said["value"] for name, said in device["vitals"].items()}
    registration = device["registration"]
    maker = "Havsyn" if device["kind"] == "camera" else "Tidemark"
    server = [
        _row(0, "Short Server ID", "integer", "R", 1, mandatory=True),
        _row(1, "Lifetime", "integer", "RW", registration["lifetime_s"], units="s", range="60..86400", mandatory=True),
        _row(3, "Default Maximum Period", "integer", "RW", 1800, units="s", range="1..86400"),
        _row(7, "Binding", "string", "RW", registration["binding"], mandatory=True),
        _row(8, "Registration Update Trigger", "", "E"),
    ]
    itself = [
        _row(0, "Manufacturer", "string", "R", maker),
        _row(1, "Model Number", "string", "R", device["model"]),
        _row(3, "Firmware Version", "string", "R", vital.get("firmware_version")),
        _row(4, "Reboot", "", "E", mandatory=True),
        _row(5, "Factory Reset", "", "E"),
        _row(
            9, "Battery Level", "integer", "R", vital.get("battery_percent"), units="%", range="0..100", observed=True
        ),
        _row(10, "Memory Free", "integer", "R", vital.get("free_memory_kb"), units="kB"),
        _row(11, "Error Code", "integer", "R", {"0": 0}, multiple=True, range="0..32", mandatory=True),
        _row(13, "Current Time", "time", "RW", _seconds(device["last_heard_at"])),
    ]
    radio = [_row(2, "Radio Signal Strength", "integer", "R", vital.get("signal_dbm"), units="dBm", observed=True)]
    firmware = [
        _row(1, "Package URI", "string", "RW", ""),
        _row(2, "Update", "", "E"),
        _row(3, "State", "integer", "R", 0, range="0..3"),
        _row(5, "Update Result", "integer", "R", 0, range="0..13"),
    ]
    return [
        (1, "LwM2M Server", "urn:oma:lwm2m:oma:1:1.1", True, server),
        (3, "Device", "urn:oma:lwm2m:oma:3:1.2", False, itself),
        (4, "Connectivity Monitoring", "urn:oma:lwm2m:oma:4:1.3", False, radio),
        (5, "Firmware Update", "urn:oma:lwm2m:oma:5:1.1", False, firmware),
    ]


def _measured(device: Row) -> list[Listed]:
    _, _, number, name, unit, usual, _ = next(q for q in QUANTITIES if q[0] == device["quantity"])
    if not number:
        return []
    values = [
        _row(5601, "Min Measured Value", "float", "R", round(usual * 0.8, 1), units=unit),
        _row(5602, "Max Measured Value", "float", "R", round(usual * 1.1, 1), units=unit),
        _row(5605, "Reset Min and Max Measured Values", "", "E"),
        _row(5700, "Sensor Value", "float", "R", usual, units=unit, observed=True, mandatory=True),
    ]
    return [(number, name, f"urn:oma:lwm2m:ext:{number}:1.1", True, values)]


def _camera(device: Row) -> Listed:
    said = [
        _row(0, "Frames Per Second", "float", "R", 12.0, units="1/s", observed=True),
        _row(6, "Model Name", "string", "R", "lice-detector"),
        _row(7, "Model Version", "string", "R", device["runs"]),
    ]
    return 26242, "Camera Health", "urn:oma:lwm2m:x:26242", False, said


def _feeder(device: Row) -> Listed:
    values = [
        _row(0, "Feed", "string", "RW", "salmon 4.5 mm", range="1..32", mandatory=True),
        _row(1, "Pellets Fed", "unsigned", "RW", LARGEST, range="0..18446744073709551615"),
        _row(2, "Rate", "float", "RW", 1.25, units="kg/s", range="0..4.5"),
        _row(3, "Enabled", "boolean", "RW", value=True),
        _row(4, "Recipe", "opaque", "RW", base64.b64encode(bytes(range(40))).decode(), range="0..255"),
        _row(5, "Next Meal", "time", "RW", _seconds(device["last_heard_at"])),
        _row(6, "Sensor", "objlnk", "RW", "65535:65535"),
        _row(7, "Sources", "corelnk", "RW", "</3303/0/5700>;pmin=60,</3/0/9>;dim=1"),
        _row(8, "Mode", "integer", "RW", 1, range="0: off 1: by plan 2: by appetite"),
        _row(9, "Hours", "integer", "RW", {"0": 6, "1": 18}, multiple=True, range="0..23", units="h"),
        _row(10, "Feed Now", "", "E"),
    ]
    return FEEDER, "Feeder", f"urn:oma:lwm2m:x:{FEEDER}", True, values


def _unknown() -> Listed:
    values = [
        _row(0, "", "integer", "R", 7),
        _row(1, "", "string", "R", "kelp"),
        _row(2, "", "opaque", "R", "AAEC"),
        _row(3, "", "objlnk", "R", "3303:0"),
    ]
    return UNKNOWN, "", f"urn:oma:lwm2m:x:{UNKNOWN}", True, values


def _exact(value: Any) -> Any:
    """As the API has it: a page says a large number as text."""
    if isinstance(value, str) and len(value) > 15 and value.lstrip("-").isdecimal():
        return int(value)
    return {name: _exact(one) for name, one in value.items()} if isinstance(value, dict) else value


def _nested(path: str, values: Row) -> Row:
    nested: Row = {}
    for one, value in values.items():
        *above, last = one.removeprefix(f"{path}/").split("/")
        branch = nested
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return nested


def _seconds(moment: object) -> int:
    return int(datetime.fromisoformat(str(moment)).timestamp())
