"""The private CA from the command line: what people do with it, beside a Shoal that may be running."""

import contextlib
import csv
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shoal.app import desk
from shoal.app.desk import Doing, write_new
from shoal.app.device_trust import AnchorsOfAuthorities
from shoal.authority.authority import Authority, IssuedCertificate, pem_of
from shoal.authority.certificate_store import Certificates, Issued
from shoal.authority.enrolment_store import Enrolments
from shoal.authority.issuing import PrivateKey, PublicKey, new_key
from shoal.authority.request import REQUEST_BYTES_MAX, check_names, parse_name, parse_request, parse_uris
from shoal.authority.store import Authorities
from shoal.credentials.anchor_store import TrustAnchors
from shoal.errors import NotFound, Rejected
from shoal.ids import TenantId
from shoal.settings import Settings
from shoal.storage.database import Database
from shoal.storage.secrets import Vault

# Rows of a file with devices: a large delivery. More goes in several files.
ROWS_MAX: Final = 10_000
_COLUMNS: Final = ("endpoint", "uri", "csr")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A device that is to get a certificate: for the key of its request, or for a new one that is handed out once."""

    endpoint: str
    uris: tuple[str, ...] = ()
    csr: Path | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed out: the certificate with what is between it and the root, and the key if we made it."""

    certificate: IssuedCertificate
    pem: str
    key: str | None = field(repr=False)


class Desk(desk.Desk):
    """The authorities of one tenant, with everything that is done written into the audit log."""

    def __init__(self, database: Database, vault: Vault, tenant: TenantId, command: str) -> None:
        super().__init__(database, vault, tenant, command)
        anchors = AnchorsOfAuthorities(TrustAnchors(database, self.clock))
        self.authorities: Final = Authorities(database, vault, self.clock, anchors)
        self.certificates: Final = Certificates(database, self.authorities, self.clock)
        self.enrolments: Final = Enrolments(database, self.certificates, self.clock)

    def now(self) -> datetime:
        """The time by which all of this is judged."""
        return self.clock.now()

    async def issue(
        self, wanted: Wanted, authority: str | None, lifetime: timedelta | None, out: Path | None
    ) -> Handed:
        """A certificate for a device, kept in files when `out` says where.

        Raises:
            Rejected: a request that is none or names somebody else; a file is there already.
        """
        key, made = _key_of(wanted)
        async with self.doing("issue", "certificates") as doing:
            issued = await self.certificates.issue_to_device(
                doing.tx,
                self.tenant,
                authority,
                wanted.endpoint,
                key,
                uris=wanted.uris,
                lifetime=lifetime,
                by=self.by,
            )
            return _handed(doing, issued, made, out)

    async def issue_to_server(
        self, names: Sequence[str], authority: str | None, lifetime: timedelta | None, out: Path | None
    ) -> Handed:
        """A certificate for the gateway itself, with its key. Raises Rejected: names that are none; a file is there."""
        made = new_key()
        async with self.doing("issue", "certificates") as doing:
            issued = await self.certificates.issue_to_server(
                doing.tx, self.tenant, authority, names, made.public_key(), lifetime=lifetime, by=self.by
            )
            return _handed(doing, issued, made, out)

    async def renew(self, id_: str, lifetime: timedelta | None, out: Path | None) -> Handed:
        """The next certificate for the same key and names. Raises NotFound, Conflict: unknown, or revoked."""
        async with self.doing("renew", "certificates") as doing:
            issued = await self.certificates.renew(doing.tx, self.tenant, id_, lifetime=lifetime, by=self.by)
            return _handed(doing, issued, None, out)

    async def found(self, authority: str | None) -> Authority:
        """That authority, or the newest. Raises NotFound."""
        if authority is not None:
            return await self.authorities.one(self.tenant, authority)
        known = await self.authorities.several(self.tenant)
        if not known:
            raise NotFound("authority", "there is none yet: shoal ca create NAME")
        return known[-1]


@contextlib.asynccontextmanager
async def opened(settings: Settings, tenant: str | None, command: str) -> AsyncIterator[Desk]:
    """The desk of a tenant, over the data that the settings name; Shoal may be running on them.

    Raises:
        Rejected: several tenants and none named; no data folder yet. NotFound: no such tenant.
        Unavailable: the master key is not there.
    """
    async with desk.reached(settings, tenant) as (database, vault, owner):
        yield Desk(database, vault, owner, command)


def read_devices(file: Path) -> list[Wanted]:
    """The devices of a CSV file with the columns `endpoint` and, if need be, `uri` and `csr` (a file beside it).

    Raises:
        Rejected: not such a file; all that is wrong with its rows, by line.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.DictReader(lines, strict=True)
            if "endpoint" not in (rows.fieldnames or ()) or not set(rows.fieldnames or ()) <= set(_COLUMNS):
                raise Rejected(str(file), f"expected the columns {', '.join(_COLUMNS)}, of which only endpoint must be")
            return _wanted(file, rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Rejected(str(file), f"cannot be read: {error}") from error


def _wanted(file: Path, rows: Any) -> list[Wanted]:
    found: dict[str, Wanted] = {}
    wrong = []
    for row in rows:
        if len(found) >= ROWS_MAX:
            raise Rejected(str(file), f"more than {ROWS_MAX} devices: split it")
        try:
            wanted = _row(file, row)
            if wanted.endpoint in found:
                raise Rejected("endpoint", "stands there twice")
            found[wanted.endpoint] = wanted
        except Rejected as error:
            wrong.append(f"line {rows.line_num}: {error}")
    if wrong:
        raise Rejected(str(file), "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""))
    if not found:
        raise Rejected(str(file), "no devices in it")
    return list(found.values())


def _row(file: Path, row: Mapping[str, Any]) -> Wanted:
    if None in row:
        raise Rejected("row", "more fields than columns")
    csr = (row.get("csr") or "").strip()
    uri = (row.get("uri") or "").strip()
    endpoint = parse_name(row["endpoint"] or "")
    # It becomes the name of a file: nothing may lead out of the folder.
    if "/" in endpoint or endpoint.startswith("."):
        raise Rejected("endpoint", "cannot be the name of a file")
    wanted = Wanted(endpoint, parse_uris([uri] if uri else []), file.parent / csr if csr else None)
    if wanted.csr is not None:
        _key_of(wanted)
    return wanted


def files_of(out: Path) -> tuple[Path, Path]:
    """Where certificate and key go that are called so."""
    return out.with_name(f"{out.name}.pem"), out.with_name(f"{out.name}.key")


def trust_file(authority: Authority) -> str:
    """What devices and servers are to trust, in PEM: the authority, and those above it."""
    return pem_of(*authority.chain)


def _key_of(wanted: Wanted) -> tuple[PublicKey, PrivateKey | None]:
    if wanted.csr is None:
        made = new_key()
        return made.public_key(), made
    try:
        with wanted.csr.open("rb") as file:
            raw = file.read(REQUEST_BYTES_MAX + 1)
    except OSError as error:
        raise Rejected(str(wanted.csr), error.strerror or "cannot be read") from error
    request = parse_request(raw)
    check_names(request, wanted.endpoint, wanted.uris)
    return request.key, None


def _handed(doing: Doing, issued: Issued, made: PrivateKey | None, out: Path | None) -> Handed:
    """Hands a certificate out; into files before it is kept, so that none is known whose key got lost."""
    certificate = issued.certificate
    doing.thing = certificate.id
    doing.after = {"subject": certificate.subject, "usage": certificate.usage, "not_after": certificate.not_after}
    key = None if made is None else _pem_of_key(made)
    if out is None:
        return Handed(certificate, issued.pem, key)
    at, key_at = files_of(out)
    if key is not None:
        write_new(key_at, key.encode(), is_secret=True)
    try:
        write_new(at, issued.pem.encode())
    except Rejected:
        if key is not None:
            key_at.unlink()
        raise
    return Handed(certificate, issued.pem, key)


def _pem_of_key(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


async def issue_all(
    desk_: Desk,
    devices: Sequence[Wanted],
    authority: str | None,
    lifetime: timedelta | None,
    folder: Path,
    progress: Callable[[int, int], None],
) -> int:
    """A certificate for each device, in a folder; how many. What was written before a failure stays, and counts."""
    _make_room(devices, folder)
    for number, wanted in enumerate(devices, 1):
        await desk_.issue(wanted, authority, lifetime, folder / wanted.endpoint)
        progress(number, len(devices))
    return len(devices)


def _make_room(devices: Sequence[Wanted], folder: Path) -> None:
    """Makes the folder. Whoever has got some of these before hears it before anything is issued."""
    for wanted in devices:
        for file in files_of(folder / wanted.endpoint):
            if file.exists():
                raise Rejected(str(file), "is there already, and nothing is overwritten")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Rejected(str(folder), error.strerror or "cannot be made") from error
