"""The tree a device registered, with names and what was last known, and what it reports by itself."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, JsonValue

from shoal.bff import heard
from shoal.bff.screens.exact import exact


class ResourceShown(BaseModel):
    """`has_own_clock`: `at` is by the device's clock. Whole numbers beyond 2^53 are text.

    `is_cut`: the value is only the beginning of what the device has.
    """

    path: str
    name: str
    type: str
    is_readable: bool
    is_writable: bool
    is_executable: bool
    is_multiple: bool
    is_mandatory: bool
    units: str
    range: str
    value: JsonValue
    is_cut: bool
    at: datetime | None
    has_own_clock: bool
    is_observed: bool


class FieldShown(BaseModel):
    """A resource that a new instance can be given."""

    id: int
    name: str
    type: str
    is_multiple: bool
    is_mandatory: bool
    units: str
    range: str


class InstanceShown(BaseModel):
    path: str
    resources: list[ResourceShown]


class ObjectShown(BaseModel):
    """`can_create` and `can_delete` are what the definition lets one try; `fields` what a new instance can be given."""

    path: str
    name: str
    urn: str
    version: str
    is_known: bool
    can_create: bool
    can_delete: bool
    fields: list[FieldShown]
    instances: list[InstanceShown]


class ObservationShown(BaseModel):
    """`origin` is who wants it: the profile, or somebody for this device; null for nobody.

    `state` is established, refused, lost, waiting, absent, off or unwanted; `taken` what the device took.
    """

    path: str
    is_wanted: bool
    origin: Literal["profile", "device"] | None
    attributes: dict[str, int | float | bool]
    taken: dict[str, int | float | bool] | None
    state: Literal["established", "refused", "lost", "waiting", "absent", "off", "unwanted"]
    code: str
    since: datetime | None
    has_drifted: bool
    by: str
    version: int


class ObjectsScreen(BaseModel):
    at: datetime
    objects: list[ObjectShown]
    observations: list[ObservationShown]


def objects_screen(at: datetime, objects: list[heard.Object], observations: list[heard.Observation]) -> ObjectsScreen:
    return ObjectsScreen(
        at=at,
        objects=[_object(said) for said in sorted(objects, key=lambda said: said.object)],
        observations=[observation_shown(said) for said in observations],
    )


def observation_shown(said: heard.Observation) -> ObservationShown:
    return ObservationShown(
        path=said.path,
        is_wanted=said.observe,
        origin=said.origin,
        attributes=said.attributes,
        taken=said.taken,
        state=said.state,
        code=said.code,
        since=said.since,
        has_drifted=said.drift,
        by=said.by,
        version=said.version,
    )


def _object(said: heard.Object) -> ObjectShown:
    is_only = said.mandatory and not said.multiple
    return ObjectShown(
        path=f"/{said.object}",
        name=said.name or f"Object {said.object}",
        urn=said.urn,
        version=said.version,
        is_known=bool(said.resources),
        can_create=said.multiple or not said.instances,
        # What every client has exactly once (Device) is never deleted.
        can_delete=not is_only,
        fields=[
            FieldShown(
                id=each.resource,
                name=each.name,
                type=each.type,
                is_multiple=each.multiple,
                is_mandatory=each.mandatory,
                units=each.units,
                range=each.range,
            )
            for each in said.resources
            if "W" in each.operations.upper() or (each.mandatory and each.type)
        ],
        instances=[
            InstanceShown(
                path=f"/{said.object}/{instance.instance}",
                resources=[_resource(resource) for resource in instance.resources],
            )
            for instance in said.instances
        ],
    )


def _resource(said: heard.Resource) -> ResourceShown:
    operations = said.operations.upper()
    return ResourceShown(
        path=said.path,
        name=said.name or f"Resource {said.path.rsplit('/', 1)[-1]}",
        type=said.type,
        is_readable="R" in operations,
        is_writable="W" in operations,
        is_executable="E" in operations,
        is_multiple=said.multiple,
        is_mandatory=said.mandatory,
        units=said.units,
        range=said.range,
        value=exact(said.value),
        is_cut=said.is_cut,
        at=said.at,
        has_own_clock=said.clock == "device",
        is_observed=said.observed,
    )
