"""The API as one ASGI application: every route stands under `/api/v1`, what operators ask beside it."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI

from shoal import __version__
from shoal.api import (
    access_control,
    artifacts,
    audit,
    authorities,
    certificates,
    composites,
    devices,
    downloads,
    enclosures,
    escalation,
    farms,
    importing,
    invitations,
    live,
    needs,
    objects,
    observations,
    once,
    policies,
    problems,
    profiles,
    refused,
    search,
    security,
    sessions,
    tokens,
    trust_anchors,
    updates,
    users,
)
from shoal.api import alerts as alert_routes
from shoal.api import bootstrap as bootstrap_routes
from shoal.api import channels as channel_routes
from shoal.api import commands as command_routes
from shoal.api import contacts as contact_routes
from shoal.api import credentials as credential_routes
from shoal.api import health as health_routes
from shoal.api import history as history_routes
from shoal.api.acts import Acts
from shoal.api.bounds import Bounds
from shoal.api.context import Rooms
from shoal.http_exchange import Observed

PREFIX: Final = "/api/v1"
_ROUTERS: Final = (
    sessions.router,
    invitations.router,
    users.router,
    tokens.router,
    policies.router,
    farms.router,
    enclosures.router,
    profiles.router,
    importing.router,
    devices.router,
    credential_routes.router,
    bootstrap_routes.router,
    trust_anchors.router,
    composites.router,
    objects.router,
    observations.router,
    access_control.router,
    command_routes.router,
    history_routes.router,
    health_routes.router,
    alert_routes.router,
    escalation.router,
    contact_routes.router,
    channel_routes.router,
    artifacts.router,
    updates.router,
    downloads.router,
    security.router,
    authorities.router,
    certificates.router,
    search.router,
    audit.router,
    live.router,
)


def create_application(rooms: Rooms, operations: APIRouter | None = None) -> FastAPI:
    """The application. It starts no task and closes nothing: who made the rooms runs and closes them.

    Its routes carry the whole path (`/api/v1/...`), so that it can be served alone; who serves pages beside it hands it
    the requests whose path begins with `/api/`, and those for `/healthz`, `/readyz` and `/metrics`.

    Args:
        rooms: what the routes work with. The caller runs `rooms.changes.run()` and `refused.write_now_and_then(rooms)` as
            long as the application is served, and deletes from the audit log and from the kept answers what is too old.
        operations: `shoal.api.operations.create_router(...)`, when this port answers operators as well.
    """
    application = _Api()
    application.state.rooms = rooms
    problems.install(application, refused.note)
    for router in _ROUTERS:
        application.include_router(router, prefix=PREFIX)
    if operations is not None:
        application.include_router(operations)
    # The last one that is added is the first that sees a request.
    application.add_middleware(once.Once, rooms=rooms)
    application.add_middleware(Acts, rooms=rooms, prefix=PREFIX)
    application.add_middleware(
        Bounds, upload_path=f"{PREFIX}{artifacts.router.prefix}", import_path=f"{PREFIX}{importing.PATH}"
    )
    application.add_middleware(Observed, name="api", trusts_traces=True)
    return application


class _Api(FastAPI):
    def __init__(self) -> None:
        super().__init__(
            title="Shoal DeviceManagementAPI",
            version=__version__,
            openapi_url=f"{PREFIX}/openapi.json",
            docs_url=None,  # its page would load scripts from elsewhere
            redoc_url=None,
            redirect_slashes=False,
            responses={"default": {"model": problems.Problem, "description": "A problem (RFC 9457)"}},
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with what is true of all routes and stands at none of them."""
        if self.openapi_schema is None:
            once.describe(super().openapi())
            needs.describe(super().openapi()["paths"], PREFIX)
        return super().openapi()
