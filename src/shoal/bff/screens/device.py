"""One device: is it well; if not, why, how do we know, and what can be done now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import BaseModel, JsonValue

from shoal.bff import heard, heard_trust
from shoal.bff.screens.alerts import AlertLine, VerdictShown, verdict_shown
from shoal.bff.screens.chart import Series
from shoal.bff.screens.coverage import Cell
from shoal.bff.screens.devices import DeviceLine, VitalShown, device_line, vital_shown
from shoal.bff.screens.exact import exact
from shoal.bff.screens.security import SecurityLine, security_line
from shoal.bff.screens.sharing import OtherServers


class ClaimShown(BaseModel):
    """Where the device itself says that it is."""

    enclosure: str
    enclosure_name: str
    farm_name: str
    at: datetime | None


class RegistrationShown(BaseModel):
    version: str
    lifetime_s: int
    binding: str
    is_queue_mode: bool
    is_secure: bool
    address: str
    registered_at: datetime | None
    expires_at: datetime | None


class CommandShown(BaseModel):
    """Something asked of a device that has not answered yet, or how it ended.

    `paths` are those of a composite, whose own path is `/`. `type` is that of a value that was read, where JSON does not
    tell it.
    """

    id: str
    operation: str
    path: str
    paths: list[str]
    state: str
    by: str
    code: str
    detail: str
    value: JsonValue
    type: str
    expires_at: datetime | None
    expected_at: datetime | None


class DeviceScreen(BaseModel):
    """`refused` is how it was last not let in, if it was not heard since; `others` are the servers beside us."""

    at: datetime
    device: DeviceLine
    model: str
    verdict: VerdictShown | None
    claim: ClaimShown | None
    registration: RegistrationShown | None
    security_mode: str
    security_identity: str
    needs_key: bool
    battery_mv: VitalShown | None
    free_memory_kb: VitalShown | None
    series: list[Series]
    alerts: list[AlertLine]
    enclosure: Cell | None
    waiting: list[CommandShown]
    refused: SecurityLine | None
    others: OtherServers | None


class UpdateShown(BaseModel):
    """One update of this device; `is_over` when it will not change by itself.

    `undoes` is the update that this one takes back, and `undone_by` the newest that takes this one back. Only the last
    one that took effect leads back, to `previous_version`.
    """

    id: str
    artifact: str
    kind: str
    name: str
    version: str
    from_version: str
    state: str
    was: str | None
    reason: str
    deadline: datetime | None
    bytes: int | None
    size: int | None
    started_at: datetime | None
    changed_at: datetime | None
    by: str
    is_over: bool
    delivery: str
    over: str
    undoes: str | None
    undone_by: str | None
    can_roll_back: bool
    previous_version: str


class ArtifactShown(BaseModel):
    id: str
    kind: str
    name: str
    version: str
    size: int | None


class UpdatesScreen(BaseModel):
    """What runs, what is on its way, and what this device could be given, the newest first."""

    at: datetime
    running: str
    running_model: str
    updates: list[UpdateShown]
    artifacts: list[ArtifactShown]


# Our Camera Health object: the version of the recognition model that a camera runs.
MODEL_VERSION_PATH: Final = "/26242/0/7"
# The states of an update that it does not leave by itself.
TRIAL = "trial"
UPDATE_ENDS = frozenset({"confirmed", "failed", "rolled-back", "cancelled", "needs-attention"})


def device_screen(
    at: datetime,
    device: heard.Device,
    series: list[Series],
    alerts: list[AlertLine],
    enclosure: Cell | None,
    refusals: Sequence[heard_trust.SecurityEvent] = (),
    others: OtherServers | None = None,
) -> DeviceScreen:
    claim, registration, security = device.claim, device.registration, device.security
    return DeviceScreen(
        at=at,
        device=device_line(device),
        model=device.model,
        verdict=verdict_shown(device.verdict) if device.verdict else None,
        claim=ClaimShown(
            enclosure=claim.enclosure,
            enclosure_name=claim.name or claim.enclosure,
            farm_name=claim.farm_name,
            at=claim.at,
        )
        if claim
        else None,
        registration=_registration(registration) if registration else None,
        security_mode=security.mode if security else "",
        security_identity=security.identity if security else "",
        needs_key=bool(security and security.needs_key),
        battery_mv=vital_shown(device.vitals.battery_mv),
        free_memory_kb=vital_shown(device.vitals.free_memory_kb),
        series=series,
        alerts=alerts,
        enclosure=enclosure,
        waiting=[command_shown(command) for command in device.waiting],
        refused=last_refused(device, refusals),
        others=others,
    )


def last_refused(device: heard.Device, refusals: Sequence[heard_trust.SecurityEvent]) -> SecurityLine | None:
    """How the device was last not let in; None when it has been heard since."""
    heard_at = device.last_heard_at
    events = (event for event in refusals if event.kind == "security")
    newest = next((event for event in events if heard_at is None or event.last_at > heard_at), None)
    return None if newest is None else security_line(newest)


def _registration(said: heard.Registration) -> RegistrationShown:
    return RegistrationShown(
        version=said.version,
        lifetime_s=said.lifetime_s,
        binding=said.binding,
        is_queue_mode=said.queue_mode,
        is_secure=said.secure,
        address=said.address,
        registered_at=said.registered_at,
        expires_at=said.expires_at,
    )


def command_shown(command: heard.Command) -> CommandShown:
    return CommandShown(
        id=command.id,
        operation=command.operation,
        path=command.path,
        paths=command.paths,
        state=command.state,
        by=command.by,
        code=command.code,
        detail=command.detail,
        value=exact(command.value),
        type=command.kinds.get(command.path, ""),
        expires_at=command.expires_at,
        expected_at=command.expected_at,
    )


def updates_screen(
    at: datetime,
    device: heard.Device,
    tree: Sequence[heard.Object],
    updates: Sequence[heard.Update],
    artifacts: Sequence[heard.Artifact],
) -> UpdatesScreen:
    running = device.vitals.firmware_version
    # Sensors recognise nothing; both kinds have firmware.
    fitting = [said for said in artifacts if said.kind != "model" or device.kind == "camera"]
    fitting.sort(key=lambda said: said.created_at.timestamp() if said.created_at else 0.0, reverse=True)
    return UpdatesScreen(
        at=at,
        running=str(running.value) if running else "",
        running_model=_text_at(tree, MODEL_VERSION_PATH),
        updates=_history(updates),
        artifacts=[
            ArtifactShown(id=said.id, kind=said.kind, name=said.name, version=said.version, size=said.size)
            for said in fitting
        ],
    )


def _history(updates: Sequence[heard.Update]) -> list[UpdateShown]:
    """The updates as they came, newest first, each with what it has to do with the others."""
    undone_by: dict[str, str] = {}
    newest: set[str] = set()
    shown: list[UpdateShown] = []
    is_free = all(_state(said) in UPDATE_ENDS or _state(said) == TRIAL for said in updates)
    for said in updates:
        is_newest = said.kind not in newest
        if said.ran_since is not None:
            newest.add(said.kind)
        if said.undoes is not None:
            undone_by.setdefault(said.undoes, said.id)
        one = update_shown(said)
        shown.append(
            one.model_copy(
                update={
                    "undone_by": undone_by.get(said.id),
                    "can_roll_back": one.can_roll_back and is_newest and is_free,
                }
            )
        )
    return shown


def _text_at(tree: Sequence[heard.Object], path: str) -> str:
    known = (each for said in tree for instance in said.instances for each in instance.resources if each.path == path)
    value = next((resource.value for resource in known), None)
    return "" if value is None else str(value)


def update_shown(said: heard.Update) -> UpdateShown:
    state = _state(said)
    return UpdateShown(
        id=said.id,
        artifact=said.artifact,
        kind=said.kind,
        from_version=said.from_version,
        name=said.name,
        version=said.version,
        state=state,
        was=said.was,
        reason=said.reason,
        deadline=said.deadline,
        bytes=said.bytes,
        size=said.size,
        started_at=said.started_at,
        changed_at=said.changed_at,
        by=said.by,
        is_over=state in UPDATE_ENDS,
        delivery=said.delivery,
        over=said.over,
        undoes=said.undoes,
        undone_by=None,
        can_roll_back=said.can_roll_back,
        previous_version=said.previous_version,
    )


def _state(said: heard.Update) -> str:
    return said.state.replace(" ", "-").replace("_", "-")
