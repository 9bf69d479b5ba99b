"""`shoal label`: labels with codes that lead to the pages of devices."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from shoal.app.desk import Desk, write_new
from shoal.cli.actions import Actions, Settle, Stored, describe, note, opened, say, say_code, say_json, with_json
from shoal.cli.device import pages_of
from shoal.errors import Rejected
from shoal.ids import EnclosureId, FarmId, Prefix, parse_id
from shoal.inventory.device import Device
from shoal.inventory.device_rows import DeviceFilter
from shoal.onboarding.label import Label, label_of, label_sheets, label_svg

# Four hundred sheets; a browser would not draw many more.
_LABELS_MAX = 10_000
_DESCRIPTION = """\
Labels for devices, as the pages print them: a code that opens the page of the device, its name, place and id. There is
no key in it. DEVICE is an endpoint name or an id (dev-...).

  shoal label oxy-0417                                the code in the terminal, and the address that it holds
  shoal label oxy-0417 --out oxy.svg                  one label of 70 by 36 mm, for a label printer
  shoal label --enclosure enc-... --out labels.html   sheets of A4 with 24 labels: print without margins, at 100 %

The address begins with SHOAL_PUBLIC_URL, or as the pages' own (--web)."""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Makes `shoal label`."""
    describe(command, _DESCRIPTION)
    Actions("label", stored, settle).make(command, "label", _label)
    command.add_argument("devices", metavar="DEVICE", nargs="*")
    command.add_argument("--farm", metavar="FRM-ID", help="all devices of this farm")
    command.add_argument("--enclosure", metavar="ENC-ID", help="all devices in this enclosure")
    command.add_argument("--out", type=Path, metavar="FILE", help="FILE.svg: one label; FILE.html: sheets of A4")
    command.add_argument("--web", metavar="HOST:PORT", help="where the pages are, unless SHOAL_PUBLIC_URL says so")
    with_json(command)


async def _label(given: argparse.Namespace) -> int:
    settings = given.settle(given)
    async with opened(given) as desk:
        labels = [label_of(device, settings.base_url) for device in await _devices(desk, given)]
    if not labels:
        raise Rejected("label", "there is no device; name one, or --enclosure or --farm with devices in it")
    if given.out is not None:
        write_new(given.out, _drawn(labels, given.out).encode())
    if given.json:
        say_json(*({"id": one.id, "name": one.name, "place": one.place, "address": one.address} for one in labels))
    elif given.out is not None:
        say(f"{given.out}: {len(labels)} {'label' if len(labels) == 1 else 'labels'}")
    else:
        for label in labels:
            say(f"{label.id}  {label.address}")
        if len(labels) == 1:
            say_code(labels[0].address)
    if settings.public_url is None:
        note(f"The codes lead to {settings.base_url}; set SHOAL_PUBLIC_URL to the address that phones reach.")
    return 0


async def _devices(desk: Desk, given: argparse.Namespace) -> Sequence[Device]:
    found = {device.id: device for device in [await desk.device(said) for said in given.devices]}
    if given.farm is not None or given.enclosure is not None:
        wanted = DeviceFilter(
            farm=None if given.farm is None else FarmId(parse_id(given.farm, Prefix.FARM)),
            enclosure=None if given.enclosure is None else EnclosureId(parse_id(given.enclosure, Prefix.ENCLOSURE)),
        )
        async for page in pages_of(desk, wanted):
            found.update({device.id: device for device in page})
            if len(found) > _LABELS_MAX:
                raise Rejected("label", f"more than {_LABELS_MAX} labels: name an enclosure")
    return list(found.values())


def _drawn(labels: Sequence[Label], out: Path) -> str:
    match out.suffix.lower():
        case ".html":
            return label_sheets(labels)
        case ".svg" if len(labels) == 1:
            return label_svg(labels[0])
        case ".svg":
            raise Rejected(str(out), f"holds one label, and these are {len(labels)}: name it .html")
        case _:
            raise Rejected(str(out), "name it .svg for one label, or .html for sheets of A4")
