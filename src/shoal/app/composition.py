"""Starts processes of Shoal: all roles in one (`up`), or one of them (`run_role`). Ends them when a signal comes."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from shoal import tracing
from shoal.api import measures, operations
from shoal.app import first_start, logs, web
from shoal.app.foundation import Foundation
from shoal.app.roles import Process, outer, pages
from shoal.app.watching import is_alive
from shoal.bff.api import connect
from shoal.clock import Clock, SystemClock
from shoal.errors import Rejected, ShoalError
from shoal.identity.store import Identity
from shoal.ids import TenantId
from shoal.settings import Settings
from shoal.storage.database import Database


class Role(StrEnum):
    """A part of Shoal that can be a process of its own."""

    GATEWAY = "gateway"
    API = "api"
    WEB = "web"
    HEALTH = "health"
    ALERTS = "alerts"
    CAMPAIGNS = "campaigns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A Shoal that is up, for whoever lives beside it: the one who says so on the terminal, the demo farm.

    `pages` is for people, `api` for programs on this machine; devices use `coap`; `enrolling` says where they
    get certificates, if anywhere. `tenant` is the only one as a rule.
    """

    pages: str
    api: str
    coap: Sequence[str]
    enrolling: Sequence[str]
    tenant: TenantId
    folder: Path
    database: Database
    identity: Identity
    clock: Clock


Beside = Callable[[Running], Coroutine[None, None, None]]
# Says on the terminal what is up, line by line.
Say = Callable[[Sequence[str]], None]


async def up(settings: Settings, beside: Beside, *, fresh: bool = False, tenant: str | None = None) -> int:
    """Runs all roles until a signal comes; the exit code. `beside` is called when all is up, and ends with it.

    `tenant` is the name of the tenant that must be there; by default the one of open enrolment, else any will do.

    Raises:
        Unavailable: an address is taken, the data folder is in use or damaged, the database or the broker is away.
    """

    async def work(opened: contextlib.AsyncExitStack) -> None:
        # Before anything takes long or is changed: whoever made a typing error hears it at once.
        pages_socket = web.listen(settings.web)
        opened.callback(pages_socket.close)
        est_socket = _est(settings, opened)
        base = await Foundation.open(settings, opened, is_whole=True, fresh=fresh)
        process = Process(base, opened, "all")
        # Whoever opens a lab to strangers wants to see them: the first person to log in belongs where they come in.
        ours = await first_start.tenant_of(base.database, process.inventory, tenant or settings.open_enrolment)
        gateway = await process.add_gateway()
        await process.catch_up_inventory()
        await process.start_gateway(gateway)
        api = web.Settled(process.add_api(), gateway.roster.follow)
        process.add_health()
        process.add_alerts()
        process.add_campaigns()
        enrolling = process.add_est(est_socket)
        # The pages ask the API over loopback, TLS or not: what leaves this machine goes through the outer address.
        inner = web.listen("127.0.0.1:0")
        opened.callback(inner.close)
        process.serve("inner web", api, inner, with_tls=False)
        process.serve(
            "outer web", web.Doorman(api, pages(settings, web.url_of(inner), opened, base.clock)), pages_socket
        )
        running = Running(
            pages=settings.base_url,
            api=web.url_of(inner),
            coap=gateway.addresses,
            enrolling=enrolling,
            tenant=ours.id,
            folder=base.folder,
            database=base.database,
            identity=process.identity,
            clock=base.clock,
        )
        await process.run(beside(running))

    return await _until_signal(settings, "shoal", work)


async def run_role(settings: Settings, role: Role, say: Say) -> int:
    """Runs one role until a signal comes; the exit code.

    Raises:
        Unavailable: an address is taken, the database or the broker is away, the tables are of another version.
        Rejected: a setting is missing that this role needs.
    """
    work = {Role.WEB: _web}.get(role, _role)
    return await _until_signal(settings, f"shoal-{role}", lambda opened: work(settings, role, say, opened))


async def _role(settings: Settings, role: Role, say: Say, opened: contextlib.AsyncExitStack) -> None:
    address = settings.api if role is Role.API else settings.ops
    listening = None if address is None else web.listen(address)
    if listening is not None:
        opened.callback(listening.close)
    est_socket = _est(settings, opened) if role is Role.API else None
    base = await Foundation.open(settings, opened, is_whole=False)
    process = Process(base, opened, role)
    lines = [f"The {role} of Shoal is up"]
    match role:
        case Role.GATEWAY:
            gateway = await process.add_gateway()
            await process.inventory_has_read()
            await process.start_gateway(gateway)
            lines.append(f"Devices connect to {' and '.join(gateway.addresses)}")
        case Role.API:
            application = process.add_api()
            lines += process.add_est(est_socket)
            ours = await first_start.tenant_of(base.database, process.inventory, None)
            invitation = await first_start.first_invitation(base.database, process.identity, ours.id)
            if invitation is not None:
                lines.append(f"Nobody can log in yet; an administrator: {invitation.link(settings.base_url)}")
        case Role.HEALTH:
            process.add_health()
        case Role.ALERTS:
            process.add_alerts()
        case _:
            process.add_campaigns()
    if listening is not None:
        if role is not Role.API:
            application = _operations(process.operations())
        process.serve("web", application, listening)
        lines.append(f"It answers on {web.url_of(listening, 'https' if settings.tls_cert else 'http')}")

    async def tell() -> None:
        say(lines)

    await process.run(tell())


async def _web(settings: Settings, role: Role, say: Say, opened: contextlib.AsyncExitStack) -> None:
    """The pages alone: they know the API by its URL, and nothing else."""
    listening = web.listen(settings.web)
    opened.callback(listening.close)
    api = settings.api_url or f"{'https' if settings.tls_cert else 'http'}://{settings.api}"
    served: list[tuple[ASGIApp, socket.socket]] = [(pages(settings, api, opened, SystemClock()), listening)]
    lines = ["The web of Shoal is up", f"Pages: {settings.base_url}/"]
    if settings.ops is not None:
        watched = web.listen(settings.ops)
        opened.callback(watched.close)
        client = connect(api, ca=settings.api_ca)
        opened.push_async_callback(client.aclose)
        router = operations.create_router(neighbours={"api": is_alive(client)}, meters=[measures.process(role)])
        served.append((_operations(router), watched))
        lines.append(f"It answers on {web.url_of(watched, 'https' if settings.tls_cert else 'http')}")
    say(lines)
    async with asyncio.TaskGroup() as tasks:
        for application, socket_ in served:
            tasks.create_task(outer(settings, application, socket_).run())


def _est(settings: Settings, opened: contextlib.AsyncExitStack) -> socket.socket | None:
    """Where devices enrol, None where they do not."""
    if settings.est is None:
        return None
    listening = web.listen(settings.est)
    opened.callback(listening.close)
    return listening


def _operations(router: APIRouter) -> FastAPI:
    application = FastAPI(title="Shoal operations", docs_url=None, redoc_url=None, openapi_url=None)
    application.include_router(router)
    return application


async def _until_signal(
    settings: Settings, service: str, work: Callable[[contextlib.AsyncExitStack], Coroutine[None, None, None]]
) -> int:
    """`service` is how this process is called in traces."""
    logs.set_up(settings.log_level, settings.log_format)
    async with _traced(settings, service):
        return await _working(work)


@contextlib.asynccontextmanager
async def _traced(settings: Settings, service: str) -> AsyncIterator[None]:
    if settings.otel_endpoint is None:
        yield
        return
    try:
        from shoal.app.otel import OtelRecorder, sender  # noqa: PLC0415  # an extra: nothing of it while traces are off
    except ImportError as error:
        raise Rejected("otel_endpoint", "traces need an extra: pip install 'shoal[otel]'") from error
    recorder = OtelRecorder(sender(settings.otel_endpoint), share=settings.otel_share, service=service)
    tracing.use(recorder)
    try:
        yield
    finally:
        tracing.use(None)
        await asyncio.to_thread(recorder.close)


async def _working(work: Callable[[contextlib.AsyncExitStack], Coroutine[None, None, None]]) -> int:
    loop = asyncio.get_running_loop()
    working = loop.create_task(_opened(work))
    signals: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # The first signal asks; a second one does not ask any more.
        loop.remove_signal_handler(number)
        signals.append(number)
        working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        await working
    except asyncio.CancelledError:
        if not signals:
            raise
    # As a shell has it: ended by a signal. A service manager asks with SIGTERM, and gets what it asked for.
    return 128 + signal.SIGINT if signal.SIGINT in signals else 0


async def _opened(work: Callable[[contextlib.AsyncExitStack], Coroutine[None, None, None]]) -> None:
    """What was opened before a failure is closed again, in the other order."""
    async with contextlib.AsyncExitStack() as opened:
        try:
            await work(opened)
        except ExceptionGroup as errors:
            said = errors.subgroup(ShoalError)
            if said is None or len(said.exceptions) != len(errors.exceptions):
                raise
            # Several neighbours may be away at once; the first is what to look at first.
            raise said.exceptions[0] from errors
