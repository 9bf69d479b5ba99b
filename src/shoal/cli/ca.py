"""`shoal ca`: a private certificate authority for those who have none, at the command line."""

import argparse
import math
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from shoal.app import private_ca
from shoal.app.desk import write_new
from shoal.app.private_ca import Handed, Wanted
from shoal.authority.authority import Authority, IssuedCertificate, Reason
from shoal.authority.issuing import Curve, curve_of
from shoal.authority.request import parse_name, parse_uris
from shoal.cli.actions import Actions, Settle, Stored, say, text_of
from shoal.errors import Rejected

# A thousand years.
_DAYS_MAX = 365_250.0
_DESCRIPTION = """\
A certificate authority of your own, so that devices prove themselves by certificates and not by keys that two know.

  shoal ca create "Nordvik devices"            makes it; its key lies encrypted in the database
  shoal ca issue oxy-0417 --csr oxy-0417.csr   signs for a key that never leaves the device
  shoal ca issue --from devices.csv --out new  makes keys and certificates for many, once
  shoal ca issue --server gw.example --out gw  for the gateway itself
  shoal ca enrol oxy-0417                      lets a device fetch its first certificate itself (EST)

Commands write into the database; Shoal may be running. Nothing overwrites a file, and keys can be read by you only."""


def add(command: argparse.ArgumentParser, stored: Stored, settle: Settle) -> None:
    """Adds the actions of `shoal ca`; `stored` adds where the data are, `settle` reads the settings."""
    action = Actions.of(command, "ca", _DESCRIPTION, stored, settle).add
    _add_authorities(action)
    _add_certificates(action)


def _add_authorities(action: Callable[..., argparse.ArgumentParser]) -> None:
    create = action("create", _create, help="make an authority, or take one in that was made elsewhere")
    create.add_argument("name", metavar="NAME", help="how people call it; stands in its certificate")
    create.add_argument("--curve", type=Curve, choices=list(Curve), default=Curve.P256, help="default: P-256")
    create.add_argument("--years", type=_number, metavar="N", help="how long it is good; default: 20")
    create.add_argument("--under", metavar="AUT-ID", help="as an intermediate beneath this one")
    create.add_argument(
        "--certificate", type=Path, metavar="FILE", help="take this one in: PEM, its own first, then those above it"
    )
    create.add_argument("--key", type=Path, metavar="FILE", help="its key: PEM, without a passphrase")

    show = action("show", _show, help="all authorities; or one with its certificate, for devices to trust")
    show.add_argument("authority", metavar="AUT-ID", nargs="?")
    show.add_argument("--out", type=Path, metavar="FILE", help="write its certificate and those above it there (PEM)")

    roll = action("roll-over", _roll_over, help="let a successor issue; the old one is believed until it is retired")
    roll.add_argument("authority", metavar="AUT-ID")
    roll.add_argument("--under", metavar="AUT-ID", help="where the successor of an intermediate stands")
    roll.add_argument("--years", type=_number, metavar="N", help="how long the successor is good; default: 20")

    retire = action("retire", _retire, help="believe nothing any more that it issued")
    retire.add_argument("authority", metavar="AUT-ID")


def _add_certificates(action: Callable[..., argparse.ArgumentParser]) -> None:
    issue = action("issue", _issue, help="issue to a device, to many, or to the gateway")
    issue.add_argument("endpoint", metavar="ENDPOINT", nargs="?", help="the endpoint name: becomes the common name")
    issue.add_argument("--csr", type=Path, metavar="FILE", help="PKCS #10: the key was made on the device and stays")
    issue.add_argument("--uri", action="append", default=[], metavar="URN", help="a further name, such as urn:dev:...")
    issue.add_argument(
        "--server", action="append", default=[], metavar="NAME", help="for the gateway: DNS name or IP address"
    )
    issue.add_argument("--from", dest="devices", type=Path, metavar="CSV", help="many: endpoint[,uri][,csr]")
    issue.add_argument("--authority", metavar="AUT-ID", help="default: the newest intermediate, or else root")
    _dated(issue, "365")
    _written(issue)

    renew = action("renew", _renew, help="issue again for the same key and names; the old one goes on until it ends")
    renew.add_argument("certificate", metavar="CRT-ID")
    _dated(renew, "365")
    _written(renew)

    revoke = action("revoke", _revoke, help="take a certificate back, for ever; its session ends")
    revoke.add_argument("certificate", metavar="CRT-ID")
    revoke.add_argument("--reason", type=Reason, choices=list(Reason), default=Reason.UNSPECIFIED)

    several = action("list", _list, help="certificates in the order in which they end")
    several.add_argument("--expires-within", type=_number, metavar="DAYS", help="only those that end that soon")
    several.add_argument("--endpoint", metavar="ENDPOINT", help="only those of this device")

    crl = action("crl", _crl, help="write the list of what is revoked, for others to check (DER)")
    crl.add_argument("authority", metavar="AUT-ID", nargs="?", help="default: the newest")
    crl.add_argument("--out", type=Path, metavar="FILE", required=True)

    enrol = action("enrol", _enrol, help="print a secret, alone, with which a device enrols by itself, once (EST)")
    enrol.add_argument("endpoint", metavar="ENDPOINT")
    _dated(enrol, "7")


def _dated(command: argparse.ArgumentParser, usual: str) -> None:
    command.add_argument("--days", type=_number, metavar="N", help=f"how long it is good; default: {usual}")


def _written(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--out", type=Path, metavar="PATH", help="PATH.pem and PATH.key; of many, a folder; without it: printed"
    )


async def _create(given: argparse.Namespace) -> int:
    if (given.certificate is None) != (given.key is None):
        raise Rejected("key", "--certificate and --key belong together")
    async with (
        private_ca.opened(given.settle(given), given.tenant, given.command) as desk,
        desk.doing("create", "authorities") as doing,
    ):
        if given.certificate is not None:
            texts = text_of(given.certificate), text_of(given.key)
            made = await desk.authorities.take_in(doing.tx, desk.tenant, given.name, *texts)
        else:
            made = await desk.authorities.create(
                doing.tx, desk.tenant, given.name, curve=given.curve, lifetime=_years(given.years), under=given.under
            )
        doing.thing, doing.after = made.id, {"name": made.name}
    say(_line(made), "", f"What devices are to trust: shoal ca show {made.id} --out trust.pem")
    return 0


async def _show(given: argparse.Namespace) -> int:
    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        if given.authority is None and given.out is None:
            known = await desk.authorities.several(desk.tenant)
            say(*(_line(one) for one in known) if known else ["There is none yet: shoal ca create NAME"])
            return 0
        found = await desk.found(given.authority)
    if given.out is not None:
        write_new(given.out, private_ca.trust_file(found).encode())
    say(_line(found))
    if given.out is None:
        say(private_ca.trust_file(found).rstrip())
    return 0


async def _roll_over(given: argparse.Namespace) -> int:
    settings = given.settle(given)
    async with (
        private_ca.opened(settings, given.tenant, given.command) as desk,
        desk.doing("roll-over", "authorities") as doing,
    ):
        new = await desk.authorities.roll_over(
            doing.tx, desk.tenant, given.authority, lifetime=_years(given.years), under=given.under
        )
        doing.thing, doing.after = given.authority, {"successor": new.id}
    say(
        _line(new),
        "",
        f"It issues now. {given.authority} is believed until: shoal ca retire {given.authority}",
        "Give devices both to trust before the gateway shows a certificate of the new one.",
    )
    return 0


async def _retire(given: argparse.Namespace) -> int:
    async with (
        private_ca.opened(given.settle(given), given.tenant, given.command) as desk,
        desk.doing("retire", "authorities") as doing,
    ):
        old = await desk.authorities.retire(doing.tx, desk.tenant, given.authority)
        doing.thing = old.id
    say(_line(old))
    return 0


async def _issue(given: argparse.Namespace) -> int:
    ways = [given.endpoint is not None, bool(given.server), given.devices is not None]
    if sum(ways) != 1:
        raise Rejected("issue", "name one ENDPOINT, or --server, or --from CSV")
    if given.endpoint is None and (given.csr is not None or given.uri):
        raise Rejected("issue", "--csr and --uri are of one ENDPOINT")
    lifetime = _days(given.days)
    if given.devices is not None:
        return await _issue_all(given, lifetime)
    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        if given.server:
            handed = await desk.issue_to_server(given.server, given.authority, lifetime, given.out)
        else:
            wanted = Wanted(parse_name(given.endpoint), parse_uris(given.uri), given.csr)
            handed = await desk.issue(wanted, given.authority, lifetime, given.out)
    _hand_out(handed, given.out)
    return 0


async def _issue_all(given: argparse.Namespace, lifetime: timedelta | None) -> int:
    if given.out is None:
        raise Rejected("out", "many go into a folder: name it with --out")
    devices = private_ca.read_devices(given.devices)

    def progress(done: int, of: int) -> None:
        # For people: a program reads the folder.
        if sys.stderr.isatty():
            print(f"\r{done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)

    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        count = await private_ca.issue_all(desk, devices, given.authority, lifetime, given.out, progress)
    say(f"{count} certificates are in {given.out}. Keys that were made are nowhere else.")
    return 0


async def _renew(given: argparse.Namespace) -> int:
    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        handed = await desk.renew(given.certificate, _days(given.days), given.out)
    _hand_out(handed, given.out)
    return 0


async def _revoke(given: argparse.Namespace) -> int:
    async with (
        private_ca.opened(given.settle(given), given.tenant, given.command) as desk,
        desk.doing("revoke", "certificates") as doing,
    ):
        old = await desk.certificates.revoke(doing.tx, desk.tenant, given.certificate, given.reason)
        doing.thing, doing.after = old.id, {"subject": old.subject, "reason": given.reason}
    say(f"{old.id} of {old.subject} is revoked ({old.reason}). Who checks lists needs a new one: shoal ca crl")
    return 0


async def _list(given: argparse.Namespace) -> int:
    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        now = desk.now()
        within = _days(given.expires_within)
        soon = None if within is None else now + within
        after: tuple[datetime, str] | None = None
        while found := await desk.certificates.several(
            desk.tenant, subject=given.endpoint, expires_before=soon, after=after
        ):
            say(*(_row(one, now) for one in found))
            after = (found[-1].not_after, found[-1].id)
    return 0


async def _crl(given: argparse.Namespace) -> int:
    async with private_ca.opened(given.settle(given), given.tenant, given.command) as desk:
        found = await desk.found(given.authority)
        write_new(given.out, await desk.certificates.revocation_list(desk.tenant, found.id))
    say(f"{given.out}: what {found.id} has revoked")
    return 0


async def _enrol(given: argparse.Namespace) -> int:
    async with (
        private_ca.opened(given.settle(given), given.tenant, given.command) as desk,
        desk.doing("enrol", "enrolments") as doing,
    ):
        new = await desk.enrolments.create(doing.tx, desk.tenant, given.endpoint, lifetime=_days(given.days))
        doing.thing, doing.after = new.enrolment.id, {"endpoint": new.enrolment.endpoint}
    say(new.secret)
    return 0


def _hand_out(handed: Handed, out: Path | None) -> None:
    certificate = handed.certificate
    told = f"{certificate.id} for {certificate.subject}, until {certificate.not_after:%Y-%m-%d}"
    if out is None:
        # Alone on the standard output: it can be put into a file or sent on.
        print(told, file=sys.stderr)
        say(f"{handed.pem}{handed.key or ''}".rstrip())
        return
    at, key_at = private_ca.files_of(out)
    say(told, f"{at}" if handed.key is None else f"{at} and {key_at}; the key is nowhere else")


def _line(authority: Authority) -> str:
    certificate = authority.certificate
    curve = curve_of(certificate.public_key())
    kind = "intermediate" if len(authority.chain) > 1 else "root"
    return (
        f"{authority.id}  {authority.state:<8}  {kind}, {curve}, until {certificate.not_valid_after_utc:%Y-%m-%d}"
        f"  {authority.name}"
    )


def _row(certificate: IssuedCertificate, now: datetime) -> str:
    standing = certificate.standing(now)
    return (
        f"{certificate.id}  {certificate.not_after:%Y-%m-%d}  {standing:<8}{certificate.usage:<7}{certificate.subject}"
    )


def _years(years: float | None) -> timedelta | None:
    return _days(None if years is None else years * 365.25)


def _number(raw: str) -> float:
    number = float(raw)
    if not math.isfinite(number):
        raise ValueError(raw)
    return number


def _days(days: float | None) -> timedelta | None:
    # What no calendar can hold is as wrong as what is merely too long.
    return None if days is None else timedelta(days=max(-_DAYS_MAX, min(days, _DAYS_MAX)))
