"""Devices over TLS against the whole product: our own client, and libcoap over two other libraries."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import Unavailable
from shoal.lwm2m import Device
from tests.harness.coap_peers import LIBCOAP_GNUTLS, LIBCOAP_OPENSSL, libcoap
from tests.harness.product import Product, free_port, product

pytestmark = pytest.mark.timeout(300)

KEY = b"sixteen byte key"
LINKS = b"</1/0>,</3/0>,</3303/0>"


async def test_devices_over_tls_appear_are_asked_and_are_refused_by_name(tmp_path: Path) -> None:
    uri = f"coaps+tcp://127.0.0.1:{free_port()}"
    async with product(tmp_path / "data", "--listen", uri) as shoal:
        farm = await shoal.post("/farms", {"name": "North"})
        pen = await shoal.post(f"/farms/{farm['id']}/enclosures", {"name": "Pen 4", "kind": "pen"})

        async def made(endpoint: str) -> Any:
            security = {"mode": "psk", "identity": endpoint, "key": KEY.hex()}
            asked = {"endpoint": endpoint, "kind": "sensor", "enclosure": pen["id"], "security": security}
            return await shoal.post("/devices", asked)

        ours = await made("ours")
        async with Device("ours", uri, identity="ours", key=KEY) as device:
            device.set("/3/0/9", 87)
            await device.registered(timedelta(seconds=60))
            shown = await shoal.until(lambda: _registered(shoal, ours["id"]))
            assert (shown["registration"]["binding"], shown["registration"]["secure"]) == ("T", True)
            answer = await (await shoal.api()).get(f"/devices/{ours['id']}/objects/3/0/9")
            assert answer.json()["value"] == 87, answer.text
            assert (await shoal.metrics("shoal_core_held"))["connections"] == 1

        for program in (LIBCOAP_OPENSSL, LIBCOAP_GNUTLS):
            theirs = await made(program)
            where = f"{uri}/rd?ep={program}&lt=300&lwm2m=1.1&b=T"
            proof = ("-u", program, "-k", KEY.decode())
            said = await libcoap(where, "post", "-t", "40", *proof, payload=LINKS, program=program)
            assert "c:2.01" in said, said
            shown = await shoal.until(lambda theirs=theirs: _registered(shoal, theirs["id"]))
            assert shown["registration"]["secure"]
            liar = await libcoap(
                where, "post", "-t", "40", "-u", program, "-k", "another", payload=LINKS, program=program
            )
            assert "c:2.01" not in liar

        async with Device("ours", uri, identity="stranger", key=KEY) as stranger:
            with pytest.raises(Unavailable, match="alert 115"):
                await stranger.registered(timedelta(seconds=2))
        assert (await shoal.metrics("shoal_core_total"))["handshakes_failed"] >= 3


async def _registered(shoal: Product, device: str) -> Any:
    shown = await shoal.get(f"/devices/{device}")
    return shown if shown["registration"] else None
