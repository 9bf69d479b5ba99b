"""The tree a device registered, with names and what was last known."""

from datetime import datetime

from pydantic import BaseModel, JsonValue

from shoal.bff import heard


class ResourceShown(BaseModel):
    path: str
    name: str
    type: str
    is_readable: bool
    is_writable: bool
    is_executable: bool
    is_multiple: bool
    units: str
    range: str
    value: JsonValue
    at: datetime | None
    is_observed: bool


class InstanceShown(BaseModel):
    path: str
    resources: list[ResourceShown]


class ObjectShown(BaseModel):
    path: str
    name: str
    version: str
    instances: list[InstanceShown]


class ObjectsScreen(BaseModel):
    at: datetime
    objects: list[ObjectShown]


def objects_screen(at: datetime, objects: list[heard.Object]) -> ObjectsScreen:
    return ObjectsScreen(at=at, objects=[_object(said) for said in sorted(objects, key=lambda said: said.object)])


def _object(said: heard.Object) -> ObjectShown:
    return ObjectShown(
        path=f"/{said.object}",
        name=said.name or f"Object {said.object}",
        version=said.version,
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
        units=said.units,
        range=said.range,
        value=said.value,
        at=said.at,
        is_observed=said.observed,
    )
