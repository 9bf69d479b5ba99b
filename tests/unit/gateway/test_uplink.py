"""What devices say is in the log before they hear that it is; when the log is away they keep it."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from shoal.errors import DeviceFault, Unavailable
from shoal.events.topics import Topic
from shoal.stream.log import PageIn
from tests.harness.site import Site

REGISTERED_WITHIN = timedelta(seconds=20)


async def test_a_reading_is_in_the_log_when_the_device_hears_that_it_is(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        client.set("/3303/0/5700", 9.5)
        await client.registered(REGISTERED_WITHIN)

        await client.send("/3303/0/5700")

        sent = [event for event in await site.heard(device.id, "readings") if event["via"] == "send"]
        assert [event["readings"] for event in sent] == [
            [{"path": "/3303/0/5700", "value": 9.5, "kind": None, "time": None}]
        ]


async def test_while_the_log_is_away_devices_keep_their_data_and_say_it_later(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await site.device()
    async with site.client() as client:
        client.set("/3303/0/5700", 9.5)
        await client.registered(REGISTERED_WITHIN)

        def away(topic: Topic, pages: Sequence[PageIn]) -> None:
            raise Unavailable("log", "the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(site.shoal.log, "append_pages", away)
            with pytest.raises(DeviceFault, match=r"5\.03"):
                await client.send("/3303/0/5700")
            assert site.gateway.uplink.failure is not None

        await client.send("/3303/0/5700")

        assert site.gateway.uplink.failure is None
        assert site.gateway.uplink.refused_events > 0
        assert [event["via"] for event in await site.heard(device.id, "readings")].count("send") == 1
