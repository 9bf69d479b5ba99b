"""The BFF as one ASGI application: the pages, logging in, one answer per screen, actions, live changes."""

from pathlib import Path
from typing import Final

import httpx
from fastapi import FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

from shoal.bff import access, actions, anchors, authorities, escalation, live, login, problems, tree, trust
from shoal.bff.assets import Assets, SecurityHeaders
from shoal.bff.context import Bff
from shoal.bff.logins import Logins
from shoal.bff.screens import routes
from shoal.clock import Clock
from shoal.http_exchange import Observed

# Below a packet's size, packing costs time and saves nothing.
PACKED_BYTES_MIN: Final = 1_000


def create_application(
    api: httpx.AsyncClient, assets: Path, *, secret: bytes, clock: Clock, is_secure: bool = False
) -> FastAPI:
    """The application.

    Args:
        api: a client whose base URL is where the API listens (`shoal.bff.api.connect`). It has to speak over a
            socket: an in-process transport would hold live changes back until their end.
        assets: the folder with the built pages.
        secret: what seals logins into cookies; the same for all processes that serve the same people.
        clock: the time.
        is_secure: whether browsers reach us over TLS.
    """
    application = FastAPI(
        title="Shoal pages", version="1", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    application.state.bff = Bff(api=api, logins=Logins(secret), clock=clock, is_secure=is_secure)
    problems.install(application)
    for router in (
        login.router,
        live.router,
        routes.router,
        actions.router,
        tree.router,
        escalation.router,
        access.router,
        trust.router,
        anchors.router,
        authorities.router,
    ):
        application.include_router(router)

    pages = Assets(assets)

    @application.api_route("/{path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    def page(path: str, request: Request) -> Response:
        return pages.answer(path, request.headers.get("accept-encoding", ""))

    application.add_middleware(GZipMiddleware, minimum_size=PACKED_BYTES_MIN)
    application.add_middleware(SecurityHeaders, is_secure=is_secure)
    application.add_middleware(Observed, name="pages", trusts_traces=False)
    return application
