"""`shoal policy`: who may do what where, and why somebody may or may not."""

import argparse

from shoal.access.policy import Operation
from shoal.api.explaining import explained, path_said, place_named, subject_named
from shoal.api.policies import policies_shown
from shoal.cli.actions import Actions, Settle, Stored, opened, say, say_json, say_table, time_of, with_json
from shoal.ids import Prefix, parse_id

_DESCRIPTION = """\
Policies: who may, or may not, do what, where, on which paths. Whatever denies wins. They are written on the pages
(Policies) and with POST /policies; here they are read.

  shoal policy list                                          all of the tenant's own, each as a sentence
  shoal policy explain usr-... write dev-... /3303/0/5700    whether somebody may, and which rule says so
  shoal policy explain tok-... create enc-...                about the thing itself
  shoal policy explain usr-... administer -                  in the tenant as a whole"""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Adds the actions of `shoal policy`."""
    actions = Actions.of(command, "policy", _DESCRIPTION, stored, settle)

    with_json(actions.add("list", _list, help="the tenant's own policies; those of roles are the same everywhere"))

    show = actions.add("show", _show, help="one policy, and why it may never matter")
    show.add_argument("policy", metavar="POL-ID")
    with_json(show)

    explain = actions.add("explain", _explain, help="whether somebody may do something, and which rule decides")
    explain.add_argument(
        "who",
        metavar="WHO",
        help="a person, a token, a device, or another server of devices: usr-..., tok-..., dev-..., server:102",
    )
    explain.add_argument(
        "operation", metavar="OPERATION", type=Operation, choices=list(Operation), help=", ".join(Operation)
    )
    explain.add_argument("place", metavar="PLACE", help="a farm, an enclosure or a device; - is the tenant as a whole")
    explain.add_argument(
        "path", metavar="PATH", nargs="?", help="of a device: /3303/0/5700; without it, the thing itself"
    )
    with_json(explain)


async def _list(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        shown = await policies_shown(desk, desk.tenant, await desk.access.all(desk.tenant))
    if given.json:
        say_json(*shown)
    else:
        say_table((one.id, one.effect.value, one.says, "; ".join(one.warnings)) for one in shown)
    return 0


async def _show(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        kept = await desk.access.one(desk.tenant, parse_id(given.policy, Prefix.POLICY))
        [shown] = await policies_shown(desk, desk.tenant, [kept])
    if given.json:
        say_json(shown)
        return 0
    say(shown.says)
    say_table(
        (name, text)
        for name, text in (
            ("id", shown.id),
            ("note", shown.note),
            ("changed", f"{time_of(shown.changed_at)} by {shown.changed_by}"),
            *(("warning", warning) for warning in shown.warnings),
        )
        if text
    )
    return 0


async def _explain(given: argparse.Namespace) -> int:
    async with opened(given) as desk:
        place = None if given.place == "-" else given.place
        answer = await explained(
            desk,
            await desk.access.of(desk.tenant),
            await subject_named(desk, desk.tenant, given.who),
            given.operation,
            await place_named(desk, desk.tenant, place),
            path_said(given.path),
        )
    if given.json:
        say_json(answer)
        return 0
    say(answer.says)
    say_table((one.bearing.value, one.policy, one.says) for one in answer.because)
    return 0
