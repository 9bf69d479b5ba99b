"""Artifacts: the firmware images and recognition models that devices can run."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from shoal.access.policy import Operation
from shoal.api.access import ArtifactKey, HeldAsking
from shoal.api.context import UPLOADS_MAX, HeldRooms
from shoal.api.paging import ITEMS_USUAL, Listed
from shoal.campaigns.artifact import NAME_CHARACTERS_MAX, Artifact, ArtifactKind
from shoal.campaigns.store import ITEMS_PER_PAGE_MAX
from shoal.errors import Rejected, Unavailable

router = APIRouter(prefix="/artifacts", tags=["updates"])

# One step from the form's temporary file to ours.
CHUNK_BYTES: Final = 256 * 1024
# The fields of the form, and a few that a browser may add.
FIELDS_MAX: Final = 8
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name", "version", "kind", "file"],
                    "properties": {
                        "name": {"type": "string", "maxLength": NAME_CHARACTERS_MAX},
                        "version": {"type": "string", "maxLength": NAME_CHARACTERS_MAX},
                        "kind": {"type": "string", "enum": [kind.value for kind in ArtifactKind]},
                        "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                    },
                }
            }
        },
    }
}


class ArtifactShown(BaseModel):
    id: str
    kind: str
    name: str
    version: str
    size: int
    sha256: str
    created_at: datetime
    by: str | None


# The body is read by the route itself, after it is known who sends it: nobody else may fill our disk.
@router.post("", status_code=201, openapi_extra=_FORM)
async def create(request: Request, response: Response, asking: HeldAsking, rooms: HeldRooms) -> ArtifactShown:
    """Takes an artifact in: a form with `name`, `version`, `kind` and `file`. The same again is the one that is there."""
    asking.may(Operation.UPDATE_FIRMWARE)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise HTTPException(415, "Send multipart/form-data with name, version, kind and file")
    with rooms.uploads.one_more() as has_room:
        if not has_room:
            raise Unavailable("artifacts", f"{UPLOADS_MAX} are coming in already")
        # Starlette lays files into temporary ones as they come; the whole body is bounded before (bounds.py).
        async with request.form(max_files=1, max_fields=FIELDS_MAX) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise Rejected("file", "missing")
            kind, name, version = (_text(form, field) for field in ("kind", "name", "version"))
            asking.tells(after={"kind": kind, "name": name, "version": version})
            artifact = await rooms.campaigns.add_artifact(
                asking.tenant, kind=kind, name=name, version=version, chunks=_chunks(file), by=asking.name
            )
    response.headers["Location"] = f"/api/v1/artifacts/{artifact.id}"
    return _shown(artifact)


@router.get("")
async def several(
    asking: HeldAsking,
    rooms: HeldRooms,
    kind: ArtifactKind | None = None,
    limit: Annotated[int, Query(ge=1, le=ITEMS_PER_PAGE_MAX)] = ITEMS_USUAL,
) -> Listed[ArtifactShown]:
    """Artifacts, newest first."""
    asking.reach()
    found = await rooms.campaigns.artifacts(asking.tenant, kind, limit)
    return Listed(items=[_shown(artifact) for artifact in found])


@router.get("/{artifact}")
async def one(artifact: ArtifactKey, asking: HeldAsking, rooms: HeldRooms) -> ArtifactShown:
    """One artifact."""
    asking.reach()
    return _shown(await rooms.campaigns.artifact(asking.tenant, artifact))


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    while chunk := await file.read(CHUNK_BYTES):
        yield chunk


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        raise Rejected(name, "missing")
    return value


def _shown(artifact: Artifact) -> ArtifactShown:
    return ArtifactShown(
        id=artifact.id,
        kind=artifact.kind.value,
        name=artifact.name,
        version=artifact.version,
        size=artifact.size,
        sha256=artifact.sha256,
        created_at=artifact.created_at,
        by=artifact.by,
    )
