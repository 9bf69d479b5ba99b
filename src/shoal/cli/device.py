"""`shoal device`: what there is, one more, and many from a file."""

import argparse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from shoal.api.device_shown import DeviceShown, device_shown, devices_shown
from shoal.api.importing import report_shown
from shoal.app.desk import Desk
from shoal.app.key_file import KeyFile, key_row
from shoal.cli.actions import (
    Actions,
    Settle,
    Stored,
    note,
    opened,
    say,
    say_code,
    say_json,
    say_table,
    show_progress,
    text_of,
    time_of,
    with_json,
)
from shoal.credentials.credential import Pin
from shoal.errors import Rejected
from shoal.ids import EnclosureId, FarmId, Prefix, parse_id
from shoal.inventory.device import Device, Kind, Security
from shoal.inventory.device_rows import DeviceFilter
from shoal.onboarding.adding import Added, WantedDevice, WantedProof
from shoal.onboarding.adding import add as add_device
from shoal.onboarding.file import COLUMNS, Row, read_rows
from shoal.onboarding.importing import Import, Report

_DESCRIPTION = f"""\
Devices: what there is, and bringing more in. DEVICE is an endpoint name or an id (dev-...).

  shoal device list --farm frm-... -q oxy            those of a farm whose name or endpoint holds "oxy"
  shoal device show oxy-0417                         one, with all that is known of it
  shoal device add oxy-0417 --enclosure enc-...      makes one; its key is shown this once
  shoal device add cam-7 --kind camera --x509        let in by a certificate of a trust anchor that bears its name
  shoal device import new.csv --dry-run              what a file would do
  shoal device import new.csv --keys keys.csv        does it; the keys that are made are in keys.csv and nowhere else

The columns of a file, of which only endpoint must be: {", ".join(COLUMNS)}. An empty identity or key is made.
One JSON object a line, as in POST /devices, does as well. The same file again changes nothing.

Commands write into the database; Shoal may be running. Nothing overwrites a file, and keys can be read by you only."""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Adds the actions of `shoal device`."""
    actions = Actions.of(command, "device", _DESCRIPTION, stored, settle)

    several = actions.add("list", _list, help="devices by endpoint")
    several.add_argument("--farm", metavar="FRM-ID", help="only those of this farm")
    several.add_argument("--enclosure", metavar="ENC-ID", help="only those in this enclosure")
    several.add_argument("--kind", type=Kind, choices=list(Kind))
    several.add_argument("-q", metavar="TEXT", help="a piece of endpoint or name, in any case")
    with_json(several)

    show = actions.add("show", _show, help="one device")
    show.add_argument("device", metavar="DEVICE")
    with_json(show)

    new = actions.add("add", _add, help="make a device with what it proves itself with; a new key is shown this once")
    new.add_argument("endpoint", metavar="ENDPOINT", help="the name that it registers under")
    new.add_argument("--kind", type=Kind, choices=list(Kind), default=Kind.SENSOR, help="default: sensor")
    new.add_argument("--enclosure", metavar="ENC-ID", help="where it hangs; it can be put there later")
    new.add_argument("--name", metavar="NAME", help="how people call it; default: its endpoint")
    add_proof(new)
    with_json(new)

    many = actions.add("import", _import, help="make the devices of a file, CSV or one JSON object a line")
    many.add_argument("file", type=Path, metavar="FILE")
    many.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
    many.add_argument("--skip-bad", action="store_true", help="make the others when rows are wrong")
    many.add_argument(
        "--keys", type=Path, metavar="FILE", help="where keys go that are made, as CSV for a label printer"
    )
    with_json(many)


def add_proof(parser: argparse.ArgumentParser) -> None:
    """Adds what a device may prove itself with."""
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--psk", metavar="IDENTITY", nargs="?", const="", help="a pre-shared key (the default), under this identity"
    )
    way.add_argument(
        "--x509",
        type=Path,
        metavar="PEM",
        nargs="?",
        const=Path(),
        help="a certificate that bears its name, or this one",
    )
    way.add_argument("--no-security", action="store_true", help="none at all, for labs")
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the key of --psk in hexadecimal, - reads it; default: a new one"
    )
    parser.add_argument("--pin", type=Pin, choices=list(Pin), default=Pin.CERTIFICATE, help="what of PEM has to match")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a new key goes there, as CSV; it is not shown then")


def proof_of(given: argparse.Namespace) -> WantedProof:
    """What the device is to prove itself with. Raises Rejected: a file that cannot be read, or what does not fit."""
    key = None if given.key_file is None else text_of(given.key_file).strip()
    if given.no_security:
        return WantedProof(mode=Security.NONE, key=key)
    if given.x509 is not None:
        certificate = None if given.x509 == Path() else text_of(given.x509)
        return WantedProof(mode=Security.X509, key=key, certificate=certificate, pin=given.pin)
    return WantedProof(identity=given.psk or None, key=key)


async def _list(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        wanted = DeviceFilter(
            farm=None if given.farm is None else FarmId(parse_id(given.farm, Prefix.FARM)),
            enclosure=None if given.enclosure is None else EnclosureId(parse_id(given.enclosure, Prefix.ENCLOSURE)),
            kind=given.kind,
            q=given.q,
        )
        async for page in pages_of(desk, wanted):
            shown = await devices_shown(desk, desk, page)
            if given.json:
                say_json(*shown)
            else:
                say_table([_row(one) for one in shown])
    return 0


async def pages_of(desk: Desk, wanted: DeviceFilter) -> AsyncIterator[list[Device]]:
    """All of these devices, a page at a time; no page is empty."""
    cursor: str | None = None
    while True:
        page = await desk.inventory.devices(desk.tenant, wanted, cursor)
        if page.items:
            yield list(page.items)
        if page.next is None:
            return
        cursor = page.next


async def _show(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        shown = await device_shown(desk, desk, await desk.device(given.device))
    if given.json:
        say_json(shown)
        return 0
    registration = shown.registration
    say_table(
        (name, text)
        for name, text in (
            ("id", shown.id),
            ("endpoint", shown.endpoint),
            ("name", shown.name),
            ("kind", " ".join(part for part in (shown.kind, shown.manufacturer, shown.model) if part)),
            ("status", shown.status),
            ("because", shown.verdict.says if shown.verdict else ""),
            ("place", _place(shown)),
            (
                "claims",
                shown.claim.name or shown.claim.enclosure if shown.claim and shown.place.state != "agreed" else "",
            ),
            ("security", f"{shown.security.mode} {shown.security.identity or ''}"),
            ("", "needs a new key: shoal credential create" if shown.security.needs_key else ""),
            ("profile", shown.profile.name),
            (
                "registered",
                f"{time_of(registration.registered_at)} from {registration.address}" if registration else "",
            ),
            ("last heard", time_of(shown.last_heard_at)),
            ("expected", time_of(shown.next_expected_at)),
        )
        if text
    )
    return 0


async def _add(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        enclosure = None if given.enclosure is None else EnclosureId(parse_id(given.enclosure, Prefix.ENCLOSURE))
        wanted = WantedDevice(
            endpoint=given.endpoint, kind=given.kind, name=given.name, enclosure=enclosure, proof=proof_of(given)
        )
        with KeyFile(given.out) as file:
            async with desk.database.transaction() as tx:
                added = await add_device(tx, desk.inventory, desk.credentials, desk.tenant, wanted, by=desk.by)
                await desk.tell_added(tx, added)
                file.keep([added])
    if not given.json:
        where = ", ".join(name for name in (added.device.enclosure_name, added.device.farm_name) if name)
        say(f"{added.device.id}  {added.device.endpoint}  {where or 'in no enclosure'}")
    hand_out(added, given)
    return 0


def hand_out(added: Added, given: argparse.Namespace) -> None:
    """Shows what the device is to be given, once."""
    new, device = added.new, added.device
    identity = None if new is None else new.credential.identity
    key = added.key if given.out is None else None
    code = None if key is None else key_row(added)[-1]
    if given.json:
        say_json({"id": device.id, "endpoint": device.endpoint, "identity": identity, "key": key, "code": code})
        return
    if identity is not None:
        say(f"identity  {identity}")
    if given.out is not None and added.key is not None:
        say(f"The key is in {given.out}, and nowhere else.")
    if key is not None and code is not None:
        say(f"key       {key}", f"code      {code}")
        say_code(code)
        note("Put the key into the device now: it is not shown again.")


async def _import(given: argparse.Namespace) -> int:
    def read() -> Iterator[Row]:
        try:
            with given.file.open("rb") as lines:
                yield from read_rows(lines)
        except OSError as error:
            raise Rejected(str(given.file), error.strerror or "cannot be read") from error

    doing = "looked at"
    total = 0

    def progress(rows: int) -> None:
        show_progress(f"{rows} rows {doing}" if doing == "looked at" else f"{rows} of {total} rows {doing}")

    async with opened(given) as desk:
        work = Import(desk, desk.tenant, read, progress=progress)
        report = await work.check()
        show_progress("")
        _check_keys(given, report)
        if not given.dry_run and report.new and (given.skip_bad or not report.wrong):
            doing, total = "done", report.rows
            with KeyFile(given.keys) as file:
                done = await work.write(file.keep, desk.tell_added, by=desk.by, skips_wrong=given.skip_bad)
            show_progress("")
            return _tell(given, done, is_done=True)
    return _tell(given, report, is_done=False)


def _check_keys(given: argparse.Namespace, report: Report) -> None:
    """Whoever lets keys be made says where they go; and hears before anything is made that this is not to be had."""
    if given.dry_run or not report.keys or (report.wrong and not given.skip_bad):
        return
    if given.keys is None:
        raise Rejected("keys", f"{report.keys} keys are to be made, which nobody could see later: name --keys FILE")
    if given.keys.exists():
        raise Rejected(str(given.keys), "is there already, and nothing is overwritten")


def _tell(given: argparse.Namespace, report: Report, *, is_done: bool) -> int:
    """Says what became of a file. A file of which nothing was made because rows are wrong was a wrong call."""
    is_refused = bool(report.wrong) and not is_done and not given.skip_bad
    if given.json:
        say_json(report_shown(report, is_done=is_done))
        return 2 if is_refused else 0
    for fault in report.faults:
        note(str(fault))
    if report.wrong > len(report.faults):
        note(f"and {report.wrong - len(report.faults)} more")
    verb = "would be made" if given.dry_run or is_refused else "are made"
    say(f"{report.new} devices {verb}, {report.there} are there already, {report.wrong} rows are wrong.")
    if is_done and report.keys:
        say(f"{report.keys} keys are in {given.keys}, and nowhere else.")
    if is_refused:
        note("Nothing was made: correct these rows, or leave them out with --skip-bad.")
    return 2 if is_refused else 0


def _row(shown: DeviceShown) -> tuple[str, ...]:
    return (shown.id, shown.endpoint, shown.kind, shown.status, shown.security.mode, _place(shown), shown.name)


def _place(shown: DeviceShown) -> str:
    return ", ".join(name for name in (shown.place.names.enclosure, shown.place.names.farm) if name) or "-"
