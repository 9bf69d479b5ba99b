"""A believable company of fish farms, as the API would tell of it. Everything is invented; times hang on `now`."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

# name, enclosures, what is special about it
FARMS = (
    ("Storholmen", 8, "dark"),
    ("Hellevika", 12, "nearly blind"),
    ("Ytre Sula", 9, "supply"),
    ("Nordvik", 14, ""),
    ("Bremnes", 12, ""),
    ("Lamholmen", 10, ""),
    ("Indre Sula", 8, ""),
    ("Skarvøya", 6, ""),
    ("Tangen", 5, ""),
)
# kind of thing, how many per enclosure, object id, name, unit, usual value, swing
QUANTITIES = (
    ("oxygen", 2, 3300, "Dissolved oxygen", "mg/L", 8.4, 1.2),
    ("temperature", 1, 3303, "Temperature", "Cel", 9.1, 0.6),
    ("salinity", 1, 3327, "Salinity", "g/L", 33.2, 0.4),
    ("video", 1, 0, "Camera", "", 0, 0),
)
PREFIX = {"oxygen": "oxy", "temperature": "temp", "salinity": "salt", "video": "cam"}
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
Row = dict[str, Any]


@dataclass
class FakeFarm:
    """All that the fake API knows. Change it as the test's story goes."""

    now: datetime
    farms: list[Row] = field(default_factory=list)
    enclosures: list[Row] = field(default_factory=list)
    devices: list[Row] = field(default_factory=list)
    alerts: list[Row] = field(default_factory=list)
    contacts: list[Row] = field(default_factory=list)
    channels: list[Row] = field(default_factory=list)
    policies: list[Row] = field(default_factory=list)
    artifacts: list[Row] = field(default_factory=list)
    updates: dict[str, list[Row]] = field(default_factory=dict)
    # What a roll back leads to, whatever is undone.
    previous_artifact: str = "art-7Q2M4XA"
    commands: dict[str, Row] = field(default_factory=dict)
    # What people asked for without being allowed to.
    refused: list[str] = field(default_factory=list)
    written: dict[tuple[str, str], Row] = field(default_factory=dict)
    # Instances that were made, and those that were deleted, of (device, path).
    made: dict[tuple[str, str], Row] = field(default_factory=dict)
    deleted: set[tuple[str, str]] = field(default_factory=set)
    # What other servers of a device may, of those that have some.
    rights: dict[str, Row] = field(default_factory=dict)
    # What somebody said of a path: on or off, with attributes; and what is set on the device itself.
    intents: dict[tuple[str, str], Row] = field(default_factory=dict)
    attributes: dict[tuple[str, str], Row] = field(default_factory=dict)
    # How long a test of somebody's ways takes.
    test_s: float = 0
    delayed_since: str | None = None
    left: list[str] = field(default_factory=list)
    over: set[str] = field(default_factory=set)  # tokens that count no more
    audit: list[Row] = field(default_factory=list)
    refusals: list[Row] = field(default_factory=list)
    users: list[Row] = field(default_factory=list)
    tokens: list[Row] = field(default_factory=list)
    access: list[Row] = field(default_factory=list)
    credentials: list[Row] = field(default_factory=list)
    anchors: list[Row] = field(default_factory=list)
    authorities: list[Row] = field(default_factory=list)
    certificates: list[Row] = field(default_factory=list)
    # How many devices showed a certificate of an anchor, by its id.
    stand_on: dict[str, int] = field(default_factory=dict)
    # The secrets of links that still work.
    invitations: set[str] = field(default_factory=lambda: {"shoal_first"})
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def ago(self, **by: float) -> str:
        return (self.now - timedelta(**by)).isoformat()

    def device(self, endpoint: str) -> Row:
        return next(device for device in self.devices if device["endpoint"] == endpoint)

    def hear(self, key: str, now: datetime) -> None:
        """A device that was away reports again."""
        device = next(device for device in self.devices if device["id"] == key)
        device.update(status="healthy", cause=None, since=None, verdict=None, last_heard_at=now.isoformat())
        device["next_expected_at"] = (now + timedelta(minutes=30)).isoformat()


def make_farm(now: datetime, times: int = 1) -> FakeFarm:
    """The company; `times` larger by farms where nothing is wrong."""
    world = FakeFarm(now)
    chance = random.Random(417)
    number = 417  # the device named for the story is oxy-0417; names are unique within a tenant
    twins = [(f"{name} {twin}", size, "") for twin in range(2, times + 1) for name, size, _ in FARMS]
    for name, size, story in (*FARMS, *twins):
        farm = {"id": _id("frm", chance), "name": name}
        world.farms.append(farm)
        for pen in range(1, size + 1):
            enclosure = {"id": _id("enc", chance), "farm": farm["id"], "name": f"Pen {pen}", "kind": "pen"}
            world.enclosures.append(enclosure)
            for quantity, count, *_ in QUANTITIES:
                for _ in range(count):
                    number += 1
                    world.devices.append(_device(world, chance, farm, enclosure, quantity, number, story))
    _stories(world)
    world.artifacts = [
        artifact | {"created_at": world.ago(days=days)}
        for days, artifact in (
            (60, {"id": "art-7Q2M4XA", "kind": "firmware", "name": "sensor", "version": "2.8.1", "size": 148_480}),
            (9, {"id": "art-9K5T2WB", "kind": "firmware", "name": "sensor", "version": "2.9.0", "size": 151_552}),
            (2, {"id": "art-3H8V6YC", "kind": "model", "name": "lice-detector", "version": "14", "size": 9_437_184}),
        )
    ]
    world.audit = _audit(world)
    return world


def _audit(world: FakeFarm) -> list[Row]:
    """What Ida and a script did, newest first; more than a page of it."""
    device, farm = world.devices[0], world.farms[0]
    ida = {"by": "usr-1DA00001", "by_name": "Ida Vik", "address": "192.0.2.17"}
    script = {"by": "tok-5CR1PT01", "by_name": "importer", "address": "198.51.100.4"}
    moved = {
        "action": "change",
        "resource": "devices",
        "thing": device["id"],
        "path": f"/devices/{device['id']}",
        "before": {"name": "oxy-0420", "enclosure": device["place"]["enclosure"]},
        "after": {"name": "By the feeding barge", "enclosure": None},
    }
    made = {
        "action": "create",
        "resource": "devices",
        "path": "/devices",
        "before": None,
        "after": {"name": "oxy-0999", "kind": "sensor", "security": "psk"},
    }
    renamed = {
        "action": "change",
        "resource": "farms",
        "thing": farm["id"],
        "path": f"/farms/{farm['id']}",
        "before": {"name": "Storholm"},
        "after": {"name": "Storholmen"},
    }
    login = {
        "action": "log-in",
        "resource": "sessions",
        "thing": ida["by"],
        "path": "/sessions",
        "before": None,
        "after": None,
    }
    told = [ida | moved, ida | login, ida | renamed, *(script | made | {"thing": f"dev-{n:08}"} for n in range(60))]
    return [row | {"id": str(1_000 - n), "at": world.ago(minutes=7 * n + 2)} for n, row in enumerate(told)]


def _id(kind: str, chance: random.Random) -> str:
    return f"{kind}-{''.join(chance.choices(ALPHABET, k=7))}"


def _device(
    world: FakeFarm, chance: random.Random, farm: Row, enclosure: Row, quantity: str, number: int, story: str
) -> Row:
    is_camera = quantity == "video"
    is_asleep = not is_camera and chance.random() < 0.7
    heard = chance.uniform(1, 24) if is_asleep else chance.uniform(0.1, 4)
    device: Row = {
        "id": _id("dev", chance),
        "endpoint": f"{PREFIX[quantity]}-{number:04}",
        "kind": "camera" if is_camera else "sensor",
        "model": "Havsyn C2" if is_camera else "Tidemark S1",
        "quantity": quantity,
        "runs": "13",  # the recognition model of a camera
        "status": "healthy",
        "cause": None,
        "last_heard_at": world.ago(minutes=heard),
        "next_expected_at": (world.now + timedelta(minutes=30 - heard)).isoformat(),
        "place": {
            "farm": farm["id"],
            "enclosure": enclosure["id"],
            "names": {"farm": farm["name"], "enclosure": enclosure["name"]},
            "state": "agreed",
        },
        "claim": {"enclosure": enclosure["id"], "name": enclosure["name"], "via": "option"},
        "flags": {"asleep": is_asleep, "stale": False},
        "registration": {
            "id": "r-41",
            "version": "1.1",
            "lifetime_s": 300 if is_camera else 7200,
            "binding": "U" if is_camera else "UQ",
            "queue_mode": not is_camera,
            "secure": True,
            "address": "10.20.4.17:41822",
            "registered_at": world.ago(days=3, hours=2),
            "expires_at": (world.now + timedelta(minutes=70)).isoformat(),
        },
        "security": {"mode": "psk", "identity": f"{PREFIX[quantity]}-{number:04}"},
        "vitals": {
            "battery_percent": {"value": chance.randint(38, 97), "at": world.ago(minutes=heard)},
            "battery_mv": {"value": chance.randint(3420, 3610), "at": world.ago(minutes=heard)},
            "signal_dbm": {"value": -chance.randint(71, 104), "at": world.ago(minutes=heard)},
            "free_memory_kb": {"value": chance.randint(34, 61), "at": world.ago(minutes=heard)},
            "firmware_version": {"value": "2.8.1", "at": world.ago(days=3)},
        },
        "waiting": [],
    }
    if is_camera:
        device["vitals"].pop("battery_percent")
        device["vitals"].pop("battery_mv")
    if story == "dark" and number % 23:
        _silence(world, device, minutes=14 + chance.uniform(0, 1.4), cause="uplink-down", says="Farm uplink down")
    return device


def _silence(world: FakeFarm, device: Row, *, minutes: float, cause: str, says: str) -> None:
    heard = world.ago(minutes=minutes + 3)
    device.update(status="silent", cause=cause, last_heard_at=heard, since=world.ago(minutes=minutes))
    device["next_expected_at"] = world.ago(minutes=minutes)
    device["flags"]["asleep"] = False
    device["verdict"] = {
        "cause": cause,
        "says": says,
        "since": world.ago(minutes=minutes),
        "evidence": [
            {"at": heard, "says": "Last heard, then nothing"},
        ],
        "ruled_out": [],
    }
    for vital in device["vitals"].values():
        vital["at"] = min(heard, vital["at"])


def _stories(world: FakeFarm) -> None:
    hellevika = [d for d in world.devices if d["place"]["names"] == {"farm": "Hellevika", "enclosure": "Pen 4"}]
    empty = next(d for d in hellevika if d["quantity"] == "oxygen")
    _rename(empty, "oxy-0417")
    _silence(world, empty, minutes=161, cause="battery-empty", says="Battery empty")
    empty["verdict"] = {
        "cause": "battery-empty",
        "says": "Battery empty",
        "since": world.ago(minutes=161),
        "evidence": [
            {"at": world.ago(minutes=164), "says": "Last heard. Level 6 %, 3.31 V, then nothing"},
            {"at": world.ago(hours=6, minutes=16), "says": "Level passed 10 %"},
            {"at": world.ago(days=14), "says": "Level falls 2.1 points a day since then"},
        ],
        "ruled_out": [
            "farm uplink (31 neighbours heard)",
            "refused handshake",
            "expired key",
            "our outage",
            "weak radio (−96 dBm)",
        ],
    }
    empty["vitals"]["battery_percent"]["value"] = 6
    empty["vitals"]["battery_mv"]["value"] = 3310
    empty["vitals"]["signal_dbm"]["value"] = -96
    command = {
        "id": "cmd-5RT2K9M",
        "device": empty["id"],
        "operation": "write",
        "path": "/1/0/3",
        "state": "queued",
        "value": 600,
        "by": "Kari Moe",
        "expires_at": (world.now + timedelta(hours=23)).isoformat(),
    }
    world.commands[command["id"]] = command
    empty["waiting"] = [command]

    disputed = next(d for d in world.devices if d["endpoint"].startswith("salt") and _farm(d) == "Nordvik")
    other = next(e for e in world.enclosures if e["name"] == "Pen 5" and e["farm"] == disputed["place"]["farm"])
    disputed["place"]["state"] = "mismatch"
    disputed["claim"] = {
        "enclosure": other["id"],
        "name": "Pen 5",
        "farm_name": "Nordvik",
        "via": "option",
        "at": world.ago(minutes=22),
    }
    camera = next(d for d in world.devices if d["kind"] == "camera" and _farm(d) == "Ytre Sula")
    _fault(world, camera, "failing", "inference-failed", "The recognition model does not load", minutes=51)
    drifting = [d for d in world.devices if d["quantity"] == "oxygen" and _farm(d) == "Bremnes"][:3]
    for device in drifting:
        _fault(world, device, "degraded", "drift", "Drifts against its neighbour", minutes=60 * 26)
    fresh = next(d for d in world.devices if _farm(d) == "Tangen" and d["kind"] == "sensor")
    fresh.update(status="new", last_heard_at=None, next_expected_at=None, registration=None, claim=None, vitals={})
    fresh["flags"]["asleep"] = False
    updating = next(d for d in world.devices if d["kind"] == "camera" and _farm(d) == "Nordvik")
    world.updates[updating["id"]] = [
        {
            "id": "upd-4M9X2KQ",
            "artifact": "art-9K5T2WB",
            "name": "sensor",
            "version": "2.9.0",
            "state": "downloading",
            "was": "waiting",
            "delivery": "push",
            "over": "coaps",
            "bytes": 66_560,
            "size": 151_552,
            "started_at": world.ago(minutes=6),
            "changed_at": world.ago(seconds=40),
            "deadline": (world.now + timedelta(minutes=24)).isoformat(),
            "by": "Ida Vik",
        },
        {
            "id": "upd-1C7P5TZ",
            "artifact": "art-7Q2M4XA",
            "name": "sensor",
            "version": "2.8.1",
            "state": "confirmed",
            "was": "installing",
            "bytes": 148_480,
            "size": 148_480,
            "started_at": world.ago(days=43),
            "changed_at": world.ago(days=43),
            "by": "Jon Aas",
            "delivery": "pull",
            "over": "coaps",
            "ran_since": world.ago(days=43),
        },
        {
            "id": "upd-8B3N6RD",
            "artifact": "art-9K5T2WB",
            "name": "sensor",
            "version": "2.9.0-rc2",
            "state": "rolled back",
            "was": "rolling back",
            "reason": "No registration within 10 min after the restart",
            "bytes": 151_040,
            "size": 151_040,
            "started_at": world.ago(days=51),
            "changed_at": world.ago(days=51),
            "by": "Jon Aas",
        },
    ]
    world.alerts = _alerts(world, empty, camera, drifting[0])


def _farm(device: Row) -> str:
    return str(device["place"]["names"]["farm"])


def _rename(device: Row, endpoint: str) -> None:
    device["endpoint"] = endpoint
    device["security"]["identity"] = endpoint


def _fault(world: FakeFarm, device: Row, status: str, cause: str, says: str, *, minutes: float) -> None:
    device.update(status=status, cause=cause, since=world.ago(minutes=minutes))
    device["flags"]["asleep"] = False
    device["verdict"] = {
        "cause": cause,
        "says": says,
        "since": world.ago(minutes=minutes),
        "ruled_out": [],
        "evidence": [{"at": world.ago(minutes=minutes), "says": f"{says}, seen 3 times"}],
    }


def _alerts(world: FakeFarm, empty: Row, camera: Row, drifting: Row) -> list[Row]:
    storholmen = world.farms[0]
    told = [
        {"channel": "sms", "to": "Ida Vik", "state": "delivered", "at": world.ago(minutes=13)},
        {
            "channel": "sms",
            "to": "Kari Moe",
            "state": "failed",
            "at": world.ago(minutes=8),
            "detail": "number not reachable",
        },
        {"channel": "push", "to": "Kari Moe", "state": "sent", "at": world.ago(minutes=8)},
    ]
    ahead = [
        {"at": (world.now + timedelta(minutes=2)).isoformat(), "to": ["Jon Aas"], "channels": ["call"]},
        {"at": (world.now + timedelta(minutes=7)).isoformat(), "to": ["Ida Vik", "Kari Moe"], "channels": ["email"]},
    ]
    pen = {
        "farm": empty["place"]["farm"],
        "farm_name": "Hellevika",
        "enclosure": empty["place"]["enclosure"],
        "enclosure_name": "Pen 4",
    }

    def of(device: Row) -> Row:
        place = device["place"]
        return {
            "farm": place["farm"],
            "farm_name": place["names"]["farm"],
            "enclosure": place["enclosure"],
            "enclosure_name": place["names"]["enclosure"],
            "device": device["id"],
            "endpoint": device["endpoint"],
        }

    return [
        {
            "id": "alr-00A7K2",
            "code": "A7K2",
            "state": "open",
            "severity": "critical",
            "condition": "farm-dark",
            "headline": "Storholmen is dark",
            "farm": storholmen["id"],
            "farm_name": "Storholmen",
            "opened_at": world.ago(minutes=14),
            "policy": "pol-00000001",
            "policy_name": "Night shift",
            "acknowledge_due": (world.now + timedelta(minutes=2)).isoformat(),
            "told": told,
            "next": ahead[0],
            "ahead": ahead,
            "verdict": {
                "cause": "uplink-down",
                "says": "Farm uplink down: its router is silent. 39 of 40 devices are cut off; all 8 other farms report "
                "through the same gateway.",
                "since": world.ago(minutes=14),
                "evidence": [
                    {"at": world.ago(minutes=12.6), "says": "39 devices stopped within 90 s of each other"},
                    {"at": world.ago(minutes=14), "says": "Router rtr-03 silent"},
                ],
                "ruled_out": ["our outage (8 farms report through the same gateway)", "expired keys"],
            },
            "timeline": [
                {
                    "id": "t1",
                    "at": world.ago(minutes=8),
                    "kind": "told",
                    "says": "Kari Moe was told by push, the SMS failed",
                },
                {"id": "t2", "at": world.ago(minutes=13), "kind": "told", "says": "Ida Vik was told by SMS"},
                {
                    "id": "t3",
                    "at": world.ago(minutes=14),
                    "kind": "opened",
                    "says": "Opened as critical: Storholmen is dark",
                },
            ],
        },
        {
            "id": "alr-00T4WN",
            "code": "T4WN",
            "state": "open",
            "severity": "high",
            "condition": "coverage-low",
            "headline": "Hellevika, Pen 4 has one oxygen source left",
            **pen,
            "opened_at": world.ago(minutes=9),
            "verdict": {
                "cause": "redundancy-lost",
                "says": "1 of 2 counts: oxy-0417 is silent, its battery is empty.",
                "since": world.ago(minutes=9),
                "evidence": [{"at": world.ago(minutes=9), "says": "One more failure and Pen 4 is blind for oxygen"}],
            },
            "told": [{"channel": "sms", "to": "Kari Moe", "state": "sent", "at": world.ago(minutes=8)}],
        },
        {
            "id": "alr-00K3PD",
            "code": "K3PD",
            "state": "acknowledged",
            "severity": "high",
            "condition": "silent",
            "headline": "oxy-0417 is silent",
            **of(empty),
            "opened_at": world.ago(minutes=161),
            "verdict": empty["verdict"],
            "acknowledged_by": "Ida Vik",
            "acknowledged_at": world.ago(minutes=28),
            "taken_until": (world.now + timedelta(minutes=42)).isoformat(),
            "note": "Taking a battery out on the 15:00 boat",
            "told": [{"channel": "push", "to": "Ida Vik", "state": "read", "at": world.ago(minutes=150)}],
            "timeline": [
                {"id": "t4", "at": world.ago(minutes=28), "kind": "acknowledged", "says": "Ida Vik acknowledged"},
                {
                    "id": "t5",
                    "at": world.ago(minutes=161),
                    "kind": "opened",
                    "says": "Opened as high: oxy-0417 is silent",
                },
            ],
        },
        {
            "id": "alr-00M2XJ",
            "code": "M2XJ",
            "state": "open",
            "severity": "high",
            "condition": "inference-failed",
            "headline": f"{camera['endpoint']} does not see: model failed",
            **of(camera),
            "opened_at": world.ago(minutes=51),
            "verdict": camera["verdict"],
            "told": [{"channel": "email", "to": "Jon Aas", "state": "sent", "at": world.ago(minutes=50)}],
        },
        {
            "id": "alr-00H5VD",
            "code": "H5VD",
            "state": "acknowledged",
            "severity": "warning",
            "condition": "drift",
            "headline": "3 sensors need cleaning",
            **of(drifting),
            "opened_at": world.ago(hours=26),
            "verdict": drifting["verdict"],
            "acknowledged_by": "Jon Aas",
            "acknowledged_at": world.ago(hours=20),
            "taken_until": (world.now + timedelta(days=2)).isoformat(),
        },
        {
            "id": "alr-00W6PE",
            "code": "W6PE",
            "state": "resolved",
            "severity": "high",
            "condition": "supply-lost",
            "headline": "Supply lost, Pen 2",
            **of(camera),
            "opened_at": world.ago(hours=5),
            "verdict": {"cause": "supply-lost", "says": "External supply off for 40 min", "since": world.ago(hours=5)},
            "resolved_at": world.ago(hours=3),
            "resolved_by": "Ida Vik",
        },
    ]


def counts(devices: list[Row]) -> Row:
    said = {
        status: sum(d["status"] == status for d in devices)
        for status in ("healthy", "degraded", "failing", "silent", "new")
    }
    return {**said, "asleep": sum(d["flags"]["asleep"] for d in devices)}


def coverage(world: FakeFarm, enclosure: Row) -> Row:
    inside = [d for d in world.devices if d["place"]["enclosure"] == enclosure["id"]]
    quantities = []
    for quantity, _, _, _, unit, usual, _ in QUANTITIES:
        sources = [d for d in inside if d["quantity"] == quantity]
        alive = [d for d in sources if d["status"] in ("healthy", "degraded")]
        freshest = max((d["last_heard_at"] for d in sources if d["last_heard_at"]), default=None)
        quantities.append(
            {
                "quantity": quantity,
                "alive": len(alive),
                "expected": len(sources),
                "freshest_at": freshest,
                "value": usual if unit and alive else None,
                "unit": unit,
            }
        )
    return {
        "enclosure": enclosure["id"],
        "farm": enclosure["farm"],
        "name": enclosure["name"],
        "quantities": quantities,
    }


def readings(world: FakeFarm, device: Row, path: str, begins: datetime, ends: datetime, points: int) -> Row:
    """Slow water with noise on it, a gap in the night, and nothing after the device went silent."""
    found = next((q for q in QUANTITIES if path.startswith(f"/{q[2]}/")), None)
    unit, usual, swing = (
        (found[4], found[5], found[6]) if found else ("%", 70.0, 4.0) if path == "/3/0/9" else ("dBm", -90.0, 5.0)
    )
    step = max((ends - begins) / points, timedelta(minutes=10))
    last = datetime.fromisoformat(device["last_heard_at"]) if device["last_heard_at"] else begins
    said, at, chance = [], begins, random.Random(path)
    while at <= min(last, ends):
        hours = (world.now - at).total_seconds() / 3600
        if not 9.2 < hours % 24 < 10.4:
            mean = usual + swing * math.sin(hours / 24 * math.tau) + chance.uniform(-0.12, 0.12) * swing
            band = abs(swing) * chance.uniform(0.08, 0.2)
            said.append(
                {
                    "at": at.isoformat(),
                    "mean": round(mean, 3),
                    "min": round(mean - band, 3),
                    "max": round(mean + band, 3),
                    "count": 6,
                }
            )
        at += step
    return {"path": path, "unit": unit, "points": said}


def timeline(world: FakeFarm, device: Row) -> list[Row]:
    if device["endpoint"] != "oxy-0417":
        return [
            {
                "id": "e1",
                "at": device["last_heard_at"] or world.ago(days=2),
                "kind": "readings",
                "says": "Sent 3 readings",
            },
            {
                "id": "e0",
                "at": world.ago(days=3),
                "kind": "registered",
                "says": "Registered by UDP, lifetime 2 h, queue mode",
            },
        ]
    return [
        {"id": "e9", "at": world.ago(minutes=28), "kind": "alert", "says": "Ida Vik acknowledged alert K3PD"},
        {
            "id": "e8",
            "at": world.ago(minutes=36),
            "kind": "command",
            "says": "Kari Moe wrote /1/0/3 = 600 s; waits for wake-up",
            "detail": {"command": "cmd-5RT2K9M", "expires": "in 23 h"},
        },
        {
            "id": "e7",
            "at": world.ago(minutes=161),
            "kind": "status",
            "says": "Silent: lifetime and 12 min grace passed",
        },
        {
            "id": "e6",
            "at": world.ago(minutes=164),
            "kind": "readings",
            "says": "Sent 3 readings, battery 6 %",
            "detail": "POST /dp  2.04\n/3300/0/5700 = 8.8\n/3/0/9 = 6\n/3/0/7/0 = 3310\n41 B, trip 212 ms",
        },
        {
            "id": "e5",
            "at": world.ago(minutes=196),
            "kind": "refused",
            "says": "A report without a registration was refused: 4.03",
            "detail": {"operation": "send", "code": "4.03", "reason": "not registered"},
        },
        {
            "id": "e4",
            "at": world.ago(hours=6, minutes=16),
            "kind": "condition",
            "says": "Battery low: 10 % or less, 3 times",
        },
        {
            "id": "e3",
            "at": world.ago(days=3, hours=2),
            "kind": "registered",
            "says": "Registered by UDP, lifetime 2 h, queue mode",
            "detail": {"version": "1.1", "address": "10.20.4.17:41822"},
        },
    ]
