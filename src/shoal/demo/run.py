"""A running demo farm: its devices brought to life, its stories played."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import httpx

from shoal.demo import duty, stories
from shoal.demo.devices import AWAKE_WINDOW, LIFETIME, Inhabited
from shoal.demo.farm import Inhabitant, inhabitants
from shoal.demo.setup import Known, set_up
from shoal.errors import Rejected, Unavailable
from shoal.lwm2m.device import Device


async def prepare(api: str, token: str, folder: Path, ca: Path | None = None) -> Known:
    """Sets the farm up through the API at this address; `ca` signed its certificate, None: one that the system trusts.

    Raises:
        Unavailable: nobody answers there.
        Rejected: it does not take the token.
    """
    headers = {"Authorization": f"Bearer {token}"}
    checked = True if ca is None else ssl.create_default_context(cafile=str(ca))
    async with httpx.AsyncClient(base_url=f"{api}/api/v1", headers=headers, timeout=30, verify=checked) as client:
        try:
            (await client.get("/me")).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise Rejected("token", f"{api} answers {error.response.status_code}") from error
        except httpx.TransportError as error:
            raise Unavailable("API", f"{api}: {error}", "Start it, or name another with --api-url") from error
        known = await set_up(client, folder / "demo.json")
        await duty.set_up(client)
        return known


async def live(known: Known, coap: str, enclosure_option: int) -> None:
    """Brings the devices to life at this server and plays the stories, until it is cancelled."""
    async with contextlib.AsyncExitStack() as stack:
        cast = {}
        for who in inhabitants():
            inhabited = Inhabited(who, _client(who, known, coap, enclosure_option))
            inhabited.prepare()
            await stack.enter_async_context(inhabited.device)
            cast[who.endpoint] = inhabited
        playing = stories.play(cast, known.enclosures)
        async with asyncio.TaskGroup() as tasks:
            for inhabited in cast.values():
                tasks.create_task(inhabited.live(), name=f"demo {inhabited.who.endpoint}")
            for story in playing:
                tasks.create_task(_played(story))


def _client(who: Inhabitant, known: Known, coap: str, enclosure_option: int) -> Device:
    return Device(
        who.endpoint,
        coap,
        identity=who.endpoint,
        key=bytes.fromhex(known.keys[who.endpoint]),
        lifetime=LIFETIME,
        queue_mode=who.sleeps,
        awake_window=AWAKE_WINDOW,
        enclosure=known.enclosures[who.home.enclosure],
        enclosure_via="option",
        enclosure_option=enclosure_option,
    )


async def _played(story: asyncio.Task[None]) -> None:
    try:
        await story
    finally:
        story.cancel()
