"""One GET per screen. Each asks the API for its parts at the same time and composes them."""

from asyncio import gather
from collections.abc import Awaitable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query

from shoal.bff.api import ProblemAnswered
from shoal.bff.context import HeldApi, HeldBff
from shoal.bff.screens import (
    alerts,
    audit,
    chart,
    coverage,
    device,
    devices,
    escalation,
    farm,
    fleet,
    frame,
    objects,
    search,
    sharing,
    timeline,
)
from shoal.bff.screens.vocabulary import AlertState, Look, Status

# Devices listed on a farm's page before it sends people to the table.
FARM_DEVICES_MAX: Final = 200
# Of the newest entries about a device, one may be a handshake.
REFUSALS_MAX: Final = 10
# The widest chart on a large desktop.
POINTS: Final = 700
Q_CHARACTERS_MAX: Final = 100  # a name, an id, or a piece of one

Part = TypeVar("Part")
router = APIRouter(prefix="/bff/screens")


@router.get("/frame")
async def frame_screen(api: HeldApi, bff: HeldBff) -> frame.Frame:
    """The number beside Alerts, and the banner above all."""
    pipeline, open_alerts = await gather(
        api.pipeline(),
        api.alerts("open"),
    )
    return frame.frame(bff.clock.now(), pipeline, alerts.group(open_alerts).total)


@router.get("/fleet")
async def fleet_screen(api: HeldApi, bff: HeldBff) -> fleet.FleetScreen:
    """What is wrong now, where, since when, why, and who is on it."""
    health, farms, covered, needs_person, taken, resolved = await gather(
        api.health(),
        api.farms(),
        api.coverage(),
        api.alerts("open"),
        api.alerts("acknowledged"),
        api.alerts("resolved", limit=1),
    )
    return fleet.fleet_screen(
        bff.clock.now(),
        health,
        farms,
        covered,
        alerts.group(needs_person),
        alerts.group(taken).total,
        next(iter(alerts.latest_first(resolved).alerts), None),
    )


@router.get("/audit")
async def audit_screen(
    api: HeldApi,
    bff: HeldBff,
    by: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
    thing: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
    resource: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
    cursor: str | None = None,
) -> audit.AuditScreen:
    """A page of what people and programs did."""
    query = {"by": by, "thing": thing, "resource": resource, "cursor": cursor, "limit": audit.ENTRIES_PER_PAGE}
    return audit.audit_screen(bff.clock.now(), await api.audit(query))


@router.get("/farms/{farm_id}")
async def farm_screen(farm_id: str, api: HeldApi, bff: HeldBff) -> farm.FarmScreen:
    """Whether a farm is watched, and what is wrong there."""
    place, health, covered, needs_person, taken, page = await gather(
        api.farm(farm_id),
        api.health(),
        api.coverage(farm=farm_id),
        api.alerts("open", farm=farm_id),
        api.alerts("acknowledged", farm=farm_id),
        api.devices({"farm": farm_id, "limit": FARM_DEVICES_MAX}),
    )
    return farm.farm_screen(
        bff.clock.now(),
        place,
        health,
        covered,
        alerts.group(needs_person),
        alerts.group(taken),
        page,
    )


@router.get("/devices")
async def devices_screen(
    api: HeldApi,
    bff: HeldBff,
    farm_id: Annotated[str | None, Query(alias="farm")] = None,
    status: Status | None = None,
    kind: str | None = None,
    q: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
    cursor: str | None = None,
) -> devices.DevicesScreen:
    """A page of devices that match."""
    query = {"farm": farm_id, "status": status, "kind": kind, "q": q or None}
    page, health, farms = await gather(
        api.devices({**query, "cursor": cursor, "limit": devices.DEVICES_PER_PAGE}),
        api.health(),
        api.farms(),
    )
    is_filtered = any(value is not None for value in query.values())
    return devices.devices_screen(bff.clock.now(), page, health, farms, is_filtered=is_filtered)


@router.get("/devices/{device_id}")
async def device_screen(device_id: str, api: HeldApi, bff: HeldBff) -> device.DeviceScreen:
    """One device, with what it measures, its open alerts and what is left in its enclosure."""
    found, tree, needs_person, taken, refusals = await gather(
        api.device(device_id),
        _or_none(api.objects(device_id)),
        api.alerts("open", device=device_id),
        api.alerts("acknowledged", device=device_id),
        _or_none(api.security_events({"device": device_id, "limit": REFUSALS_MAX})),
    )
    enclosure = found.place.enclosure
    covered = await _or_none(api.coverage(enclosure=enclosure)) if enclosure else None
    others = await _or_none(api.access_control(device_id)) if sharing.may_be_shared(tree or []) else None
    return device.device_screen(
        bff.clock.now(),
        found,
        chart.series_of(tree or []),
        alerts.worst_first([*needs_person.items, *taken.items]),
        next((coverage.cell(line) for line in covered or [] if line.enclosure == enclosure), None),
        refusals.items if refusals else (),
        sharing.other_servers(others),
    )


@router.get("/search")
async def search_screen(
    api: HeldApi, q: Annotated[str, Query(min_length=1, max_length=Q_CHARACTERS_MAX)]
) -> search.SearchScreen:
    """What somebody may mean who types this."""
    return search.search_screen(await api.search(q))


@router.get("/devices/{device_id}/objects")
async def objects_screen(device_id: str, api: HeldApi, bff: HeldBff) -> objects.ObjectsScreen:
    """The tree of a device."""
    found, observations = await gather(api.objects(device_id), api.observations(device_id))
    return objects.objects_screen(bff.clock.now(), found, observations)


@router.get("/devices/{device_id}/readings")
async def readings_screen(
    device_id: str,
    path: str,
    api: HeldApi,
    bff: HeldBff,
    span: Annotated[chart.Range, Query(alias="range")] = "24h",
    points: Annotated[int, Query(ge=10, le=chart.POINTS_MAX)] = POINTS,
) -> chart.ReadingsScreen:
    """Readings of one path, at most one point per pixel."""
    now = bff.clock.now()
    query: dict[str, str | int | None] = {
        "path": path,
        "from": (now - chart.RANGES[span]).isoformat(),
        "to": now.isoformat(),
        "points": points,
    }
    return chart.readings_screen(now, span, await api.readings(device_id, query))


@router.get("/devices/{device_id}/timeline")
async def timeline_screen(
    device_id: str, api: HeldApi, bff: HeldBff, cursor: str | None = None
) -> timeline.TimelineScreen:
    """What happened to a device."""
    return timeline.timeline_screen(bff.clock.now(), await api.timeline(device_id, cursor))


@router.get("/devices/{device_id}/updates")
async def updates_screen(device_id: str, api: HeldApi, bff: HeldBff) -> device.UpdatesScreen:
    """A device's updates, and what could be installed."""
    found, tree, updates, artifacts = await gather(
        api.device(device_id),
        _or_none(api.objects(device_id)),
        api.updates(device_id),
        api.artifacts(),
    )
    return device.updates_screen(bff.clock.now(), found, tree or [], updates, artifacts)


@router.get("/commands/{command_id}")
async def command_screen(command_id: str, api: HeldApi) -> device.CommandShown:
    """How a command fares."""
    return device.command_shown(await api.command(command_id))


@router.get("/alerts")
async def alerts_screen(
    api: HeldApi,
    bff: HeldBff,
    state: AlertState = "open",
    farm_id: Annotated[str | None, Query(alias="farm")] = None,
    cursor: str | None = None,
) -> alerts.AlertsScreen:
    """The inbox: what needs a person and what is taken; with `state=resolved` also what is over."""
    is_over = state == "resolved"
    needs_person, taken, over = await gather(
        api.alerts("open", farm=farm_id),
        api.alerts("acknowledged", farm=farm_id),
        api.alerts("resolved", farm=farm_id, cursor=cursor, limit=alerts_per_page(is_over)),
    )
    resolved = alerts.latest_first(over)
    return alerts.AlertsScreen(
        at=bff.clock.now(),
        needs_person=alerts.group(needs_person),
        taken=alerts.group(taken),
        resolved=resolved if is_over else None,
        next=over.next if is_over else None,
        last_resolved=next(iter(resolved.alerts), None),
    )


def alerts_per_page(is_over: bool) -> int:
    """When only the last one is mentioned, one is enough."""
    return 50 if is_over else 1


@router.get("/alerts/{alert_id}")
async def alert_screen(alert_id: str, api: HeldApi, bff: HeldBff) -> alerts.AlertScreen:
    """One alert in full."""
    return alerts.alert_screen(bff.clock.now(), await api.alert(alert_id))


@router.get("/escalation")
async def escalation_screen(api: HeldApi, bff: HeldBff) -> escalation.EscalationScreen:
    """Who is told of which alerts, how they are reached, and what carries it."""
    policies, contacts, channels, farms, covered = await gather(
        api.policies(), api.contacts(), api.channels(), api.farms(), api.coverage()
    )
    return escalation.escalation_screen(bff.clock.now(), policies, contacts, channels, farms, covered)


@router.get("/escalation/rehearsal")
async def rehearsal_screen(
    api: HeldApi,
    bff: HeldBff,
    severity: Look = "critical",
    place: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
    policy: Annotated[str | None, Query(max_length=Q_CHARACTERS_MAX)] = None,
) -> escalation.RehearsalScreen:
    """Who would be told when, if such an alert opened now."""
    at = escalation.place_asked(place) | ({"policy": policy} if policy else {})
    return escalation.rehearsal_screen(bff.clock.now(), await api.rehearse({"severity": severity, **at}))


async def _or_none(part: Awaitable[Part]) -> Part | None:
    """A part that a screen can do without: a device that never registered has no tree."""
    try:
        return await part
    except ProblemAnswered:
        return None
