"""Devices of a file: looked at as a whole, then made, each with its key."""

import io
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, JsonValue

from shoal.access.policy import Operation
from shoal.api.access import Asking, HeldAsking
from shoal.api.bounds import IMPORT_KINDS
from shoal.api.context import HeldRooms, Rooms
from shoal.api.problems import problem
from shoal.audit.entry import Act
from shoal.onboarding.adding import Added
from shoal.onboarding.file import Row, read_rows
from shoal.onboarding.importing import Import, Report, Tell
from shoal.storage.database import Transaction

PATH: Final = "/devices:import"
# A header and a thousand devices: their keys come in one answer, after some seconds. `shoal device import` takes more.
LINES_MAX: Final = 1_001

router = APIRouter(tags=["devices"])


class FaultShown(BaseModel):
    line: int
    endpoint: str
    says: str


class ReportShown(BaseModel):
    """What a file means: devices that are new, those that are there already, rows that are wrong; whether it is `done`.

    `keys`: how many of the new ones get a key that is made here. `faults` are the first hundred of the wrong rows.
    """

    new: int
    there: int
    wrong: int
    keys: int
    done: bool
    faults: list[FaultShown]


class ImportedShown(BaseModel):
    """A device that was made. `key` in hexadecimal is shown this once; null when it was given, or there is none."""

    id: str
    endpoint: str
    identity: str | None
    key: str | None


class ImportShown(ReportShown):
    devices: list[ImportedShown]


_TEXT: Final = {"schema": {"type": "string"}}


@router.post(
    PATH,
    responses={200: {"model": ImportShown}},
    openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(IMPORT_KINDS, _TEXT)}},
    response_model=ImportShown,
)
async def import_devices(
    request: Request,
    asking: HeldAsking,
    rooms: HeldRooms,
    dry_run: Annotated[bool, Query(description="say what it would do, and do nothing")] = False,
    skip_bad: Annotated[bool, Query(description="make the others when rows are wrong")] = False,
) -> ImportShown | JSONResponse:
    """Makes the devices of a file: CSV with a header (endpoint, kind, enclosure, name, mode, identity, key), or the body
    of `POST /devices` a line. The same file again changes nothing. 422 when rows are wrong; then nothing is made.
    """
    asking.reach(Operation.CREATE)
    body = await request.body()

    def read() -> Iterator[Row]:
        return read_rows(io.BytesIO(body), LINES_MAX)

    work = Import(
        rooms,
        asking.tenant,
        read,
        may_add=lambda place: asking.may(Operation.CREATE, place),
        reach=asking.policies.reach(asking.subject, Operation.READ),
    )
    report = await work.check()
    if dry_run:
        return ImportShown(**report_shown(report, is_done=False).model_dump(), devices=[])
    if report.wrong and not skip_bad:
        title = f"{report.wrong} rows are wrong; nothing was made"
        told: list[JsonValue] = [{"field": f"line {one.line}", "says": str(one)} for one in report.faults]
        return problem(422, "invalid", title, errors=told)
    asking.tells(after={"new": report.new, "there": report.there, "wrong": report.wrong})
    made: list[Added] = []
    done = await work.write(made.extend, _telling(rooms, asking), by=asking.name, skips_wrong=skip_bad)
    return ImportShown(**report_shown(done, is_done=True).model_dump(), devices=[_shown(one) for one in made])


def report_shown(report: Report, *, is_done: bool) -> ReportShown:
    """What became of a file."""
    return ReportShown(
        new=report.new,
        there=report.there,
        wrong=report.wrong,
        keys=report.keys,
        done=is_done,
        faults=[FaultShown(line=one.line, endpoint=one.endpoint, says=one.says) for one in report.faults],
    )


def _shown(added: Added) -> ImportedShown:
    identity = None if added.new is None else added.new.credential.identity
    return ImportedShown(id=added.device.id, endpoint=added.device.endpoint, identity=identity, key=added.key)


def _telling(rooms: Rooms, asking: Asking) -> Tell:
    """Each device has an entry of its own in the audit log, beside that of the request."""
    assert asking.doing is not None  # noqa: S101  # a POST does something
    address = asking.doing.address

    async def tell(tx: Transaction, added: Added) -> None:
        act = Act(action="create", resource="devices", thing=added.device.id, path=PATH)
        now = rooms.clock.now()
        await rooms.audit.write(tx, asking.subject, act, at=now, address=address, after=added.told())

    return tell
