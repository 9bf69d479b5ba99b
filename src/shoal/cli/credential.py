"""`shoal credential`: what devices prove themselves with: a new one beside the old, the old one ended, what ends soon."""

import argparse
from datetime import datetime

from shoal.api.credentials import credential_shown
from shoal.app.desk import Desk
from shoal.app.key_file import KeyFile
from shoal.cli.actions import (
    Actions,
    Settle,
    Stored,
    day_of,
    duration,
    opened,
    say,
    say_json,
    say_table,
    time_of,
    with_json,
)
from shoal.cli.device import add_proof, hand_out, proof_of
from shoal.credentials.credential import Credential, Rotation, Until
from shoal.errors import Rejected
from shoal.ids import CredentialId, EnclosureId, Prefix, parse_id
from shoal.onboarding.adding import Added, add_credential

# Read with one question.
_PER_PAGE = 500
_DESCRIPTION = """\
What devices prove themselves with. DEVICE is an endpoint name or an id (dev-...); a device may have several at a time.

  shoal credential list oxy-0417                 those of one device, the newest first; never a key
  shoal credential list --ending-within 30d      those of all devices that end by themselves soon
  shoal credential create oxy-0417               a new key beside the old one, shown this once; the old one goes on
                                                 until the device uses the new one, for a week at most
  shoal credential create oxy-0417 --overlap 0   the old one is void at once, and its session ends
  shoal credential revoke crd-...                void at once, and its session ends

Commands write into the database; Shoal may be running. Nothing overwrites a file, and keys can be read by you only."""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Adds the actions of `shoal credential`."""
    actions = Actions.of(command, "credential", _DESCRIPTION, stored, settle)

    several = actions.add("list", _list, help="those of a device, or those that end soon")
    several.add_argument("device", metavar="DEVICE", nargs="?")
    several.add_argument(
        "--ending-within", type=duration, metavar="TIME", help="those of all devices that end so soon: 30d, 12h"
    )
    with_json(several)

    create = actions.add("create", _create, help="give a device one more, a new key unless said; it is shown this once")
    create.add_argument("device", metavar="DEVICE")
    add_proof(create)
    create.add_argument(
        "--overlap", type=duration, metavar="TIME", help="how long the ones before go on; 0 ends them; default: 7d"
    )
    create.add_argument(
        "--until",
        type=Until,
        choices=list(Until),
        default=Until.SEEN,
        help="or only until the new one is seen (default)",
    )
    with_json(create)

    revoke = actions.add("revoke", _revoke, help="end one at once, and its session with it")
    revoke.add_argument("credential", metavar="CRD-ID")
    revoke.add_argument("--last", action="store_true", help="also when the device cannot connect afterwards")

    approve = actions.add("approve", _approve, help="let a device in that came by itself and waits for a person")
    approve.add_argument("credential", metavar="CRD-ID")
    approve.add_argument("--enclosure", metavar="ENC-ID", help="and put it there; default: where it is")


async def _list(given: argparse.Namespace) -> int:
    if (given.device is None) == (given.ending_within is None):
        raise Rejected("list", "name a DEVICE, or --ending-within TIME")
    async with opened(given) as desk:
        if given.device is not None:
            device = await desk.device(given.device)
            _tell(given, await desk.credentials.of_device(desk.tenant, device.id), {})
            return 0
        before = desk.clock.now() + given.ending_within
        after: tuple[datetime, str] | None = None
        while found := await desk.credentials.ending(
            desk.tenant, before=before, state=None, after=after, limit=_PER_PAGE
        ):
            known = await desk.inventory.devices_for(desk.tenant, sorted({one.device for one in found}))
            _tell(given, found, {id_: device.endpoint for id_, device in known.items()})
            last = found[-1]
            assert last.expires_at is not None  # noqa: S101  # they end by themselves
            after = (last.expires_at, last.id)
    return 0


def _tell(given: argparse.Namespace, found: list[Credential], endpoints: dict[str, str]) -> None:
    if given.json:
        say_json(*(credential_shown(one) for one in found))
        return
    say_table(
        (
            one.id,
            one.mode.value,
            one.state.value,
            f"ends {day_of(one.expires_at)}" if one.expires_at else "",
            f"used {time_of(one.last_used_at)}" if one.last_used_at else "never used",
            endpoints.get(one.device, ""),
            f"{one.identity}{' (its key is lost: make a new one)' if one.needs_key else ''}",
        )
        for one in found
    )


async def _create(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        device = await desk.device(given.device)
        rotation = Rotation(overlap=given.overlap, until=given.until)
        proof = proof_of(given)
        with KeyFile(given.out) as file:
            async with desk.doing("create", "credentials") as doing:
                new = await add_credential(
                    doing.tx, desk.inventory, desk.credentials, device, proof, rotation, by=desk.by
                )
                said = new.credential
                doing.thing = device.id
                doing.after = {"credential": said.id, "mode": said.mode.value, "identity": said.identity}
                added = Added.of(device, new, proof)
                file.keep([added])
    if not given.json:
        say(f"{said.id}  {said.mode.value}  {said.state.value}  for {device.endpoint}")
    hand_out(added, given)
    return 0


async def _revoke(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        was = await _found(desk, given.credential)
        async with desk.doing("delete", "credentials") as doing:
            doing.thing, doing.before = was.device, {"credential": was.id}
            await desk.credentials.revoke(doing.tx, desk.tenant, was.device, was.id, even_last=given.last)
    say(f"{was.id} of {was.identity} is void: it lets nobody in any more.")
    return 0


async def _approve(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        was = await _found(desk, given.credential)
        enclosure = None if given.enclosure is None else EnclosureId(parse_id(given.enclosure, Prefix.ENCLOSURE))
        async with desk.doing("approve", "credentials") as doing:
            if enclosure is not None:
                # The device itself first: who changes one holds it before anything else.
                await desk.inventory.move_device(doing.tx, desk.tenant, was.device, enclosure, by=desk.by)
            approved = await desk.credentials.approve(doing.tx, desk.tenant, was.device, was.id)
            doing.thing = was.device
            doing.after = {"credential": was.id, "state": approved.state.value, "enclosure": enclosure}
    say(f"{approved.id} lets {approved.identity} in.")
    return 0


async def _found(desk: Desk, said: str) -> Credential:
    return await desk.credentials.one(desk.tenant, CredentialId(parse_id(said, Prefix.CREDENTIAL)))
