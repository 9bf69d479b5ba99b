"""The API as one ASGI application: every route stands under `/api/v1`, what operators ask beside it."""

from typing import Final

from fastapi import APIRouter, FastAPI

from shoal import __version__
from shoal.alerting.store import Alerts
from shoal.api import alerts as alert_routes
from shoal.api import (
    artifacts,
    contacts,
    devices,
    enclosures,
    farms,
    live,
    objects,
    problems,
    profiles,
    security,
    sessions,
    tokens,
    updates,
    users,
)
from shoal.api import commands as command_routes
from shoal.api import credentials as credential_routes
from shoal.api import health as health_routes
from shoal.api import history as history_routes
from shoal.api.bounds import Bounds
from shoal.api.changes import Changes
from shoal.api.context import Rooms
from shoal.campaigns.campaigns import Campaigns
from shoal.clock import Clock
from shoal.commands.store import Commands
from shoal.credentials.store import Credentials
from shoal.health.store import Health
from shoal.history.store import History
from shoal.http_exchange import Observed
from shoal.identity.store import Identity
from shoal.inventory.store import Inventory
from shoal.notifications.store import Notifications
from shoal.storage.database import Database

PREFIX: Final = "/api/v1"
_ROUTERS: Final = (
    sessions.router,
    users.router,
    tokens.router,
    farms.router,
    enclosures.router,
    profiles.router,
    devices.router,
    credential_routes.router,
    objects.router,
    command_routes.router,
    history_routes.router,
    health_routes.router,
    alert_routes.router,
    contacts.router,
    artifacts.router,
    updates.router,
    security.router,
    live.router,
)


def create_application(
    *,
    database: Database,
    clock: Clock,
    inventory: Inventory,
    credentials: Credentials,
    identity: Identity,
    commands: Commands,
    history: History,
    health: Health,
    alerts: Alerts,
    notifications: Notifications,
    campaigns: Campaigns,
    changes: Changes,
    operations: APIRouter | None = None,
) -> FastAPI:
    """The application. It starts no task and closes nothing: who made the rooms runs and closes them.

    Its routes carry the whole path (`/api/v1/...`), so that it can be served alone; who serves pages beside it hands it
    the requests whose path begins with `/api/`, and those for `/healthz`, `/readyz` and `/metrics`.

    Args:
        database: where routes write; each change is one transaction, over all rooms that take part.
        clock: the time.
        inventory: farms, enclosures, devices, profiles; made with a `tell` that enqueues a write.
        credentials: the keys of devices.
        identity: people, logins and tokens.
        commands: what is asked of devices; made with the poke that wakes the gateway.
        history: readings, last values, timelines.
        health: is it well, what an enclosure can see, whether we hear at all.
        alerts: alerts.
        notifications: contacts, and who was told.
        campaigns: artifacts and updates.
        changes: what open streams are told; the caller runs `changes.run()` as long as the application is served.
        operations: `shoal.api.operations.create_router(...)`, when this port answers operators as well.
    """
    application = FastAPI(
        title="Shoal DeviceManagementAPI",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": problems.Problem, "description": "A problem (RFC 9457)"}},
    )
    application.state.rooms = Rooms(
        database=database,
        clock=clock,
        inventory=inventory,
        credentials=credentials,
        identity=identity,
        commands=commands,
        history=history,
        health=health,
        alerts=alerts,
        notifications=notifications,
        campaigns=campaigns,
        changes=changes,
    )
    problems.install(application)
    for router in _ROUTERS:
        application.include_router(router, prefix=PREFIX)
    if operations is not None:
        application.include_router(operations)
    application.add_middleware(Bounds, upload_path=f"{PREFIX}{artifacts.router.prefix}")
    application.add_middleware(Observed, name="api", trusts_traces=True)
    return application
