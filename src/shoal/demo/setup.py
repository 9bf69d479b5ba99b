"""Sets the demo farm up through the API: farms, enclosures, devices, models. What is there already is used as it is.

Ids and keys stand in `demo.json` in the data folder, readable for its owner only. A key that is not there, because the
file was deleted or an earlier start was interrupted, is replaced by a new one.
"""

from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from shoal.demo import farm
from shoal.demo.devices import model_package
from shoal.demo.farm import Inhabitant, inhabitants

PROFILE: Final = "demo"
MODEL_NAME: Final = "fish-count"
MODEL_BYTES: Final = 96 * 1024  # a dozen seconds at the pace of block-wise transfer on loopback with a poll in between
MODELS: Final = (("2.1.0", 1), ("2.2.0-rc1", 2))


class Known(msgspec.Struct):
    """What the demo remembers between runs: enclosures by name, keys by endpoint."""

    enclosures: dict[str, str] = {}
    keys: dict[str, str] = {}


async def set_up(api: httpx.AsyncClient, file: Path) -> Known:
    """Creates what is missing; what devices and stories have to know of it.

    Raises:
        httpx.HTTPStatusError: the API refuses, which it does not do to its administrator.
    """
    known = _recall(file)
    for home in farm.LAYOUT:
        if home.enclosure not in known.enclosures:
            owner = await _named(api, "/farms", {"name": home.farm})
            enclosure = {"name": home.enclosure, "kind": home.kind}
            known.enclosures[home.enclosure] = await _named(api, f"/farms/{owner}/enclosures", enclosure)
    for who in inhabitants():
        if who.endpoint not in known.keys:
            known.keys[who.endpoint] = await _key(api, who, known.enclosures[who.home.enclosure])
            _remember(file, known)
    await _create_models(api)
    return known


async def _named(api: httpx.AsyncClient, path: str, wanted: dict[str, str]) -> str:
    """The id of the farm or enclosure of that name, made when it is missing."""
    for item in (await _get(api, path))["items"]:
        if item["name"] == wanted["name"]:
            return str(item["id"])
    answer = await api.post(path, json=wanted)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _key(api: httpx.AsyncClient, who: Inhabitant, enclosure: str) -> str:
    """The key of a device that is made now, or a new one for a device that is there."""
    security = {"mode": "psk", "identity": who.endpoint}
    body = {
        "endpoint": who.endpoint,
        "kind": who.kind,
        "enclosure": enclosure,
        "profile": PROFILE,
        "security": security,
    }
    answer = await api.post("/devices", json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()
        return str(answer.json()["security"]["key"])
    found = (await _get(api, "/devices", q=who.endpoint))["items"]
    device = next(item["id"] for item in found if item["endpoint"] == who.endpoint)
    answer = await api.post(f"/devices/{device}/credentials", json=security)
    answer.raise_for_status()
    return str(answer.json()["key"])


async def _create_models(api: httpx.AsyncClient) -> None:
    there = {item["version"] for item in (await _get(api, "/artifacts"))["items"] if item["name"] == MODEL_NAME}
    for version, seed in MODELS:
        if version not in there:
            package = model_package(MODEL_NAME, version, MODEL_BYTES, seed)
            answer = await api.post(
                "/artifacts",
                data={"name": MODEL_NAME, "version": version, "kind": "model"},
                files={"file": (f"{MODEL_NAME}-{version}.bin", package)},
            )
            answer.raise_for_status()


async def _get(api: httpx.AsyncClient, path: str, **query: str) -> dict[str, Any]:
    answer = await api.get(path, params=query)
    answer.raise_for_status()
    return dict(answer.json())


def _recall(file: Path) -> Known:
    return msgspec.json.decode(file.read_bytes(), type=Known) if file.exists() else Known()


def _remember(file: Path, known: Known) -> None:
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.format(msgspec.json.encode(known)))
    new.replace(file)
